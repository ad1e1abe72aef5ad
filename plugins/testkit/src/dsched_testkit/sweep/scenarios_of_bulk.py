"""The scenarios of acts on many tasks: whoever dies at them, each task is dealt with once."""

import asyncio
from collections import Counter

import attrs

from dsched.bulk import BulkOperation, BulkState, retried_id
from dsched.bulk.keeping import ENDED, MAX_ENDED
from dsched.bulk.operation import BulkAct, written
from dsched_testkit.sweep.play import scenario
from dsched_testkit.sweep.scenarios import NARROW, leader_and_worker
from dsched_testkit.sweep.scenarios_of_configs import config
from dsched_testkit.sweep.stage import Stage, User

WHY = "sweep"
SOURCES = tuple(f"etl@manual-k{number}" for number in range(5))


async def _failed(stage: Stage, user: User) -> None:
    """Five failed tasks of a config that does not fire."""
    await user.attempt(user.put_config(config("etl", "fail", enabled=False, overlap="allow")))
    for number in range(len(SOURCES)):
        await user.attempt(user.trigger("etl", key=f"k{number}"))
    await stage.ended(*SOURCES)


async def _over(user: User, key: str) -> None:
    """Wait for the end of an operation, if it was made."""
    for _ in range(100):
        found = await user.attempt(user.bulk_operation(key))
        if found is None or found.state.ended:
            return
        await asyncio.sleep(0.2)


def _made_once(stage: Stage) -> None:
    """Each source was run once more, by exactly one task."""
    made = Counter(
        item["task"]
        for event in stage.state.log
        if event.kind == "submitted"
        for item in event.items
    )
    for source in SOURCES:
        if made[retried_id(source)] != 1:
            stage.problems.append(f"{source} was run once more {made[retried_id(source)]} times")


@scenario("submitted")
async def bulk_retries(stage: Stage) -> None:
    """What failed is retried in bulk, twice: the second time each is known to have been."""
    await leader_and_worker(stage, "c", capacity=3)

    async def script(user: User) -> None:
        await _failed(stage, user)
        for key in ("first", "second"):
            await user.attempt(user.bulk("retry", config_id="etl", reason=WHY, key=key, rate="4/s"))
            await user.attempt(user.bulk_operations())
            await _over(user, key)

    await stage.user(script)
    await stage.ended(*map(retried_id, SOURCES))
    _made_once(stage)


@scenario("cancel_requested", "config paused")
async def bulk_cancels(stage: Stage) -> None:
    """What waits and what runs is cancelled in bulk, and an operation that is slow is stopped."""
    await leader_and_worker(stage, "c", capacity=1)

    async def script(user: User) -> None:
        busy = config("every1", lasts_s=20, overlap="allow")
        await user.attempt(user.put_config(busy))
        await stage.fired("every1", 3)
        await user.attempt(user.pause_config("every1", why=WHY))
        await user.attempt(
            user.bulk("cancel", config_id="every*", reason=WHY, key="slow", rate="1/1m")
        )
        await user.attempt(user.stop_bulk("slow", reason=WHY))
        await user.attempt(user.stop_bulk("nothing", reason=WHY))
        await _over(user, "slow")
        await user.attempt(user.bulk("cancel", config_id="every*", reason=WHY, key="all"))
        await _over(user, "all")

    await stage.user(script)
    fired = [row.id for row in stage.state.tasks.values() if row.id.startswith("every1@")]
    await stage.ended(*fired)


@scenario("submitted")
async def many_bulk_operations_ended(stage: Stage) -> None:
    """As many operations as are kept have ended: the oldest makes room for one more."""
    await stage.lead_by("a", NARROW)
    one = BulkOperation(
        id="old",
        act=BulkAct.RETRY,
        by="sweep",
        reason=WHY,
        before_ms=1,
        rate="1/1s",
        made_ms=1,
        state=BulkState.DONE,
    )
    for number in range(MAX_ENDED):
        old = attrs.evolve(one, id=f"old{number:03d}", made_ms=1 + number)
        await stage.store.put_document(ENDED, old.id, written(old), read=0)

    async def script(user: User) -> None:
        await _failed(stage, user)
        await user.attempt(user.bulk("retry", config_id="etl", reason=WHY, key="one-more"))
        await _over(user, "one-more")

    await stage.user(script)
    await stage.ended(*map(retried_id, SOURCES))
    _made_once(stage)
