"""What tasks that nobody can run cost: commands and script calls, which no machine changes."""

from collections.abc import Mapping
from typing import Any

import pytest
from command_counts import commands_of_scripts

from dsched.contracts.store.classes import SWEPT, Blocked, Let, Shut, class_text
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Submission
from dsched.model import TaskSpec
from dsched_store_redis.store import RedisStore
from dsched_testkit.servers import RedisServer

BATCH = 100


@pytest.fixture
def server() -> Any:
    """A server of this test alone: its statistics are compared."""
    with RedisServer() as alone:
        yield alone


def _spec(labels: Mapping[str, str]) -> TaskSpec:
    return TaskSpec(executor="local", payload={"function": "noop"}, required_labels=labels)


async def _submit(store: RedisStore, prefix: str, numbers: range, classes: int) -> None:
    for first in range(numbers.start, numbers.stop, BATCH):
        await store.submit(
            [
                Submission(task_id=f"{prefix}{n:06d}", spec=_spec({"gpu": str(n % classes)}))
                for n in range(first, min(first + BATCH, numbers.stop))
            ],
            by="me",
        )


def _shuts(numbers: range, blocked: Blocked = Blocked.NOBODY) -> list[Shut]:
    return [Shut(class_text({"gpu": str(n)}, "local/noop") or "", blocked) for n in numbers]


async def _led(store: RedisStore) -> str:
    await store.register(
        Registration(
            worker_id="w1", incarnation="1-a", capacity=1, backlog=0, heartbeat_timeout_ms=60_000
        )
    )
    return (await store.acquire("pod", "token", 600_000)).fence


async def _shut_away(store: RedisStore, fence: str, shuts: list[Shut]) -> None:
    for first in range(0, len(shuts), 25):
        await store.dispatch(fence, [], [], skip=0, limit=1, shuts=shuts[first : first + 25])


async def test_to_shut_a_class_asks_for_it_once_and_not_for_each_of_its_tasks(
    server: RedisServer, opener: Any
) -> None:
    async with opener(server) as store:
        fence = await _led(store)
        await _submit(store, "t", range(2 * SWEPT), 1)
        server.command("CONFIG", "RESETSTAT")
        await _shut_away(store, fence, _shuts(range(1)))
        (one,) = (await store.shut_classes(None, BATCH)).classes
        assert one.waiting == SWEPT
        assert sum(commands_of_scripts(server).values()) < 120, commands_of_scripts(server)


@pytest.mark.parametrize("blocked", list(Blocked))
async def test_a_reading_of_the_leader_costs_as_much_with_a_thousand_blocked_classes(
    server: RedisServer, opener: Any, blocked: Blocked
) -> None:
    """Ten tasks wait under each; beside them one that somebody can run."""
    found = []
    async with opener(server) as store:
        fence = await _led(store)
        for number, classes in enumerate((1, 1_000)):
            await _shut_away(store, fence, _shuts(range(classes), blocked))
            await _submit(store, f"t{number}-", range(10 * classes), classes)
            await store.submit([Submission(task_id=f"plain{number}", spec=_spec({}))], by="me")
            await store.poll(fence, BATCH)
            server.command("CONFIG", "RESETSTAT")
            page = (await store.poll(fence, BATCH)).ready
            found.append(commands_of_scripts(server))
            assert [task.id for task in page.tasks] == [f"plain{number}"]
            assert page.shut == classes
            await store.cancel([f"plain{number}"], by="me", reason="")
    assert found[1] == found[0]


async def test_a_batch_for_a_blocked_class_costs_as_much_as_one_for_an_open_class_and_some(
    server: RedisServer, opener: Any
) -> None:
    async with opener(server) as store:
        fence = await _led(store)
        await _submit(store, "a", range(BATCH), 1)
        server.command("CONFIG", "RESETSTAT")
        await _submit(store, "b", range(BATCH), 1)
        plain = sum(commands_of_scripts(server).values())
        await _shut_away(store, fence, _shuts(range(1_000)))
        server.command("CONFIG", "RESETSTAT")
        await _submit(store, "c", range(BATCH), 1)
        blocked = commands_of_scripts(server)
        assert sum(blocked.values()) - plain <= 2 * BATCH + 5, blocked


async def test_to_let_out_of_very_many_classes_looks_at_no_more_than_it_names(
    server: RedisServer, opener: Any
) -> None:
    async with opener(server) as store:
        fence = await _led(store)
        shuts = _shuts(range(1_000), Blocked.FULL)
        await _shut_away(store, fence, shuts)
        await _submit(store, "t", range(2_000), 1_000)
        named = tuple(one.text for one in shuts[:256])
        server.command("CONFIG", "RESETSTAT")
        answer = await store.dispatch(fence, [], [], skip=0, limit=10, lets=[Let(named, 5)])
        assert len(answer.page.tasks) == 5
        # Each class's number and its first task, and again to see which are empty.
        assert sum(commands_of_scripts(server).values()) <= 4 * 256 + 60, commands_of_scripts(
            server
        )
