"""What a task costs: calls, commands and memory, as numbers that do not depend on the machine."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm
from dsched.contracts.store.dispatching import Choice
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.tasklogs import LineBatch, LineLevel, NewLine
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Completion, Progress, Submission
from dsched.model import TaskConfig, TaskResult, TaskSpec
from dsched_store_redis.store import RedisStore
from dsched_testkit.servers import RedisServer

TASKS = 1000
BATCH = 100
SPEC = TaskSpec(executor="local", payload={"data": "x" * 89})


def _info(server: RedisServer, section: str) -> dict[str, str]:
    rows = (line.partition(":") for line in str(server.command("INFO", section)).splitlines())
    return {name: value for name, colon, value in rows if colon}


def _memory(server: RedisServer, pattern_keys: list[str]) -> int:
    return sum(int(server.command("MEMORY", "USAGE", key, "SAMPLES", "0")) for key in pattern_keys)


def _commands(server: RedisServer) -> int:
    """How many commands scripts have run (those of the script calls themselves left out)."""
    total = 0
    for name, row in _info(server, "commandstats").items():
        command = name.removeprefix("cmdstat_")
        if command not in {
            "evalsha",
            "eval",
            "info",
            "config",
            "config|resetstat",
            "memory",
            "memory|usage",
        }:
            total += int(row.partition("calls=")[2].partition(",")[0])
    return total


def _own_spec(number: int) -> TaskSpec:
    return TaskSpec(executor="local", payload={"data": f"{number:089d}"})


async def _submit(store: RedisStore) -> None:
    for first in range(0, TASKS, BATCH):
        # A payload of each task's own: nothing of one task may pass for that of another.
        items = [
            Submission(task_id=f"task-{n:06d}", spec=_own_spec(n))
            for n in range(first, first + BATCH)
        ]
        await store.submit(items, by="me")


async def _drain(store: RedisStore, fence: str) -> None:
    page = await store.ready(fence, 0, BATCH)
    number = (await store.now()).wall_ms
    while page.tasks:
        chosen = [Choice(task_id=task.id, worker_id="w1") for task in page.tasks]
        page = (await store.dispatch(fence, chosen, [], skip=0, limit=BATCH)).page
        number += 1
        claimed = await store.claim("w1", "1-a", 0, number, BATCH)
        done = [
            Completion(
                task_id=task.id,
                token=claimed.token,
                success=True,
                result=TaskResult(data={"data": task.id + "y" * (70 - len(task.id))}),
            )
            for task in claimed.tasks
        ]
        await store.complete(done, by="w1")


@pytest.fixture
def server() -> Any:
    """A server of this test alone: its statistics are compared."""
    with RedisServer() as alone:
        yield alone


async def test_a_lifecycle_stays_within_its_budget_of_calls_commands_and_memory(
    server: RedisServer, opener: Any
) -> None:
    async with opener(server, key_prefix="") as store:
        fence = (await store.acquire("pod", "token", 600_000)).fence
        await store.register(
            Registration(
                worker_id="w1",
                incarnation="1-a",
                capacity=BATCH,
                backlog=BATCH,
                heartbeat_timeout_ms=60_000,
            )
        )
        # The scripts themselves take memory, once: they are loaded before anything is measured.
        await store.submit([Submission(task_id="first", spec=SPEC)], by="me")
        await _drain(store, fence)
        server.command("CONFIG", "RESETSTAT")
        calls = store._footing.calls
        await _submit(store)
        waiting = _memory(server, [*_keys("detail", "body"), "task:ready"])
        await _drain(store, fence)
        # Four calls a batch, the first page, and one reading of the clock.
        assert store._footing.calls - calls <= 4 * TASKS / BATCH + 2
        assert _commands(server) / TASKS < 4
        # The log is left out: it has a bound of its own.
        kept = _memory(server, [*_keys("detail"), "task:ended:success"])
        assert server.command("EXISTS", "task:body:task-000001") == 0
        print(f"{_commands(server) / TASKS:.1f} commands a task")
        print(f"{waiting / TASKS:.0f} bytes waiting, {kept / TASKS:.0f} kept at the end a task")
        assert waiting / TASKS < 450
        assert kept / TASKS < 450


def _keys(*kinds: str) -> list[str]:
    return [f"task:{kind}:task-{n:06d}" for kind in kinds for n in range(TASKS)]


async def test_the_row_of_a_task_stays_small(server: RedisServer, opener: Any) -> None:
    """Each step of the task reads and writes it whole, so long texts lie beside it."""
    async with opener(server, key_prefix="") as store:
        fence = (await store.acquire("pod", "token", 600_000)).fence
        worker_id = "pod-7f9c-" + "5" * 40
        await store.register(
            Registration(
                worker_id=worker_id,
                incarnation="1795511449784-a1b2c3",
                capacity=10,
                backlog=0,
                heartbeat_timeout_ms=60_000,
            )
        )
        await store.submit([Submission(task_id="a", spec=SPEC)], by="me")
        await store.dispatch(fence, [Choice(task_id="a", worker_id=worker_id)], [], skip=0, limit=1)
        claimed = await store.claim(worker_id, "1795511449784-a1b2c3", 7, 10**9, 1)
        await store.progress([Progress("a", claimed.token, {"note": "n" * 400})])
        await store.cancel(["a"], by="me", reason="since " + "c" * 100)
        assert int(server.command("STRLEN", "task:detail:a")) < 250
        failed = Completion(
            task_id="a",
            token=claimed.token,
            success=False,
            result=TaskResult(message="m" * 500),
            error="traceback\n" * 100,
            reason="not retryable, since " + "r" * 100,
        )
        await store.complete([failed], by=worker_id)
        (task,) = await store.get(["a"])
        assert task is not None
        assert task.error == failed.error
        assert task.reason == "since " + "c" * 100


async def _put_configs(store: RedisStore, names: Sequence[str], origin: str) -> None:
    configs = [
        TaskConfig(id=name, executor="local", every=timedelta(days=1), origin=origin)
        for name in names
    ]
    rearm = Rearm(read=ConfigVersion(), upto_ms=0)
    answers = await store.put([PutConfig(config=one, rearm=rearm) for one in configs], by="me")
    assert {answer.outcome for answer in answers} == {Outcome.OK}


async def test_only_what_is_declared_takes_room_in_the_index_of_origins(
    server: RedisServer, opener: Any
) -> None:
    async with opener(server, key_prefix="") as store:
        await _put_configs(store, ["a"], "api")
        assert server.command("EXISTS", "config:origin") == 0
        assert server.command("HEXISTS", "config:detail:a", "origin") == 0
        await _put_configs(store, ["b"], "file:tasks")
        assert server.command("ZRANGE", "config:origin", "0", "-1") == "file:tasks\tb"
        (stored,) = await store.get_configs(["b"])
        assert stored is not None
        await store.delete("b", Rearm(read=stored.version, upto_ms=0), by="me")
        assert server.command("EXISTS", "config:origin") == 0


async def test_a_page_of_an_origin_costs_what_it_is_long(server: RedisServer, opener: Any) -> None:
    async with opener(server, key_prefix="") as store:
        for first in range(0, 500, 20):
            await _put_configs(store, [f"f{n:03}" for n in range(first, first + 20)], "code:a")
        await _put_configs(store, ["x"], "file:a")
        await _put_configs(store, ["z"], "api")
        for origin, most in (("file:a", 10), ("api", 50)):
            server.command("CONFIG", "RESETSTAT")
            page = await store.list_configs(None, 10, origin=origin)
            assert _commands(server) <= most, origin
            assert len(page.configs) == (1 if origin == "file:a" else 0)
        # Nothing yet, and a cursor: the walk over what others declare has not come to its end.
        assert page.cursor == "f039"


async def test_everything_that_ended_expires(server: RedisServer, opener: Any) -> None:
    async with opener(server, key_prefix="") as store:
        fence = (await store.acquire("pod", "token", 600_000)).fence
        await store.submit([Submission(task_id="a", spec=SPEC)], by="me")
        assert server.command("PTTL", "task:detail:a") == -1
        await store.cancel(["a"], by="me", reason="r" * 100)
        for key in ("task:detail:a", "task:note:a"):
            assert int(server.command("PTTL", key)) > 0, key
        assert int(server.command("PTTL", "schedule:leader")) > 0
        assert fence == server.command("GET", "schedule:leader")


async def test_lines_that_come_after_the_end_do_not_keep_a_task_from_expiring(
    server: RedisServer, opener: Any
) -> None:
    async with opener(server, key_prefix="") as store:
        fence = (await store.acquire("pod", "token", 600_000)).fence
        await store.register(
            Registration(
                worker_id="w1",
                incarnation="1-a",
                capacity=1,
                backlog=0,
                heartbeat_timeout_ms=60_000,
            )
        )
        await store.submit([Submission(task_id="a", spec=SPEC)], by="me")
        await store.dispatch(fence, [Choice(task_id="a", worker_id="w1")], [], skip=0, limit=1)
        token = (await store.claim("w1", "1-a", 0, 1, 1)).token
        done = Completion(task_id="a", token=token, success=True, result=TaskResult())
        assert await store.complete([done], by="w1") == (Outcome.OK,)
        late = LineBatch(
            task_id="a",
            token=token,
            lines=(NewLine(number=1, age_ms=0, text="late", level=LineLevel.INFO),),
        )
        assert await store.append_lines([late]) == (Outcome.OK,)
        for key in ("task:detail:a", "task:lines:a"):
            assert int(server.command("PTTL", key)) > 0, key
