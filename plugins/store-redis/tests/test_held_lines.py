"""An earlier build knows one held task a config: what it leaves behind of several (ADR 0041)."""

from datetime import timedelta
from typing import Any

from dsched.contracts.store import Store
from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm
from dsched.contracts.store.dispatching import Choice
from dsched.contracts.store.firing import Fire
from dsched.contracts.store.outcomes import RunOutcome
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Completion
from dsched.model import Overlap, TaskConfig, TaskResult
from dsched.planning import PlannedRun
from dsched_testkit.servers import RedisServer


class Line:
    """A config whose runs wait for one another, fired once a millisecond."""

    def __init__(self, store: Store, fence: str, first_ms: int) -> None:
        self.store = store
        self.fence = fence
        self.first_ms = first_ms
        self._claims = 0

    async def fire(self, *numbers: int) -> tuple[RunOutcome, ...]:
        (stored,) = await self.store.get_configs(["q"])
        assert stored is not None
        assert stored.due_ms is not None
        runs = [PlannedRun(scheduled_ms=self.first_ms + n, not_before_ms=0) for n in numbers]
        fire = Fire(
            config_id="q",
            revision=stored.config.revision,
            due_ms=stored.due_ms,
            runs=tuple(runs),
            next_due_ms=self.first_ms + numbers[-1] + 1,
        )
        (answer,) = await self.store.fire(self.fence, [fire])
        return answer.runs

    async def ready(self) -> list[int]:
        page = await self.store.ready(self.fence, 0, 100)
        return [task.scheduled_ms - self.first_ms for task in page.tasks]

    async def run(self, number: int) -> None:
        self._claims += 1
        task_id = f"q@{self.first_ms + number}"
        choice = Choice(task_id=task_id, worker_id="w")
        await self.store.dispatch(self.fence, [choice], [], skip=0, limit=1)
        claimed = await self.store.claim("w", "1", 0, self._claims, 10)
        assert [task.id for task in claimed.tasks] == [task_id]
        done = Completion(task_id=task_id, token=claimed.token, success=True, result=TaskResult())
        await self.store.complete([done], by="w")


async def _line(store: Any, runs: int) -> Line:
    worker = Registration(
        worker_id="w", incarnation="1", capacity=5, backlog=5, heartbeat_timeout_ms=60_000
    )
    await store.register(worker)
    fence = (await store.acquire("a", "t", 60_000)).fence
    first_ms = (await store.now()).wall_ms - 60_000
    config = TaskConfig(
        id="q", executor="fn", every=timedelta(minutes=1), overlap=Overlap.QUEUE_ALL
    )
    rearm = Rearm(read=ConfigVersion(), upto_ms=0, next_due_ms=first_ms)
    await store.put([PutConfig(config=config, rearm=rearm)], by="test")
    line = Line(store, fence, first_ms)
    outcomes = await line.fire(*range(runs))
    assert outcomes == (RunOutcome.FIRED, *[RunOutcome.HELD] * (runs - 1))
    return line


async def test_what_an_earlier_build_did_not_release_goes_on_with_the_next_fire(
    shared_server: RedisServer, opener: Any
) -> None:
    async with opener(shared_server, key_prefix="line1:") as store:
        line = await _line(store, 3)
        # Its `complete` frees one held task where no other lives; here two do.
        task_id = f"q@{line.first_ms}"
        shared_server.command("ZREM", "line1:task:live:q", task_id)
        shared_server.command("ZREM", "line1:task:ready", task_id)
        assert await line.ready() == []
        assert await line.fire(10) == (RunOutcome.HELD,)
        for number in (1, 2, 10):
            assert await line.ready() == [number]
            await line.run(number)
        assert shared_server.command("EXISTS", "line1:config:line", "line1:config:held") == 0


async def test_one_that_an_earlier_build_cancelled_is_passed_over(
    shared_server: RedisServer, opener: Any
) -> None:
    async with opener(shared_server, key_prefix="line2:") as store:
        line = await _line(store, 5)
        for number, oldest in ((1, True), (3, False)):
            task_id = f"q@{line.first_ms + number}"
            if oldest:
                shared_server.command("HDEL", "line2:config:held", "q")
                shared_server.command("ZREM", "line2:task:held", task_id)
            shared_server.command("ZREM", "line2:task:live:q", task_id)
        for number in (0, 2, 4):
            assert await line.ready() == [number]
            await line.run(number)
        assert await line.ready() == []
