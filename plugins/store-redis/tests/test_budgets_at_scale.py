"""What a step costs does not depend on how much there is: commands, bytes and what is looked at."""

from typing import Any

import attrs
import pytest
from command_counts import commands_of_scripts

from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm
from dsched.contracts.store.dispatching import Choice
from dsched.contracts.store.firing import Fire
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Completion, Submission
from dsched.model import Home, TaskConfig, TaskResult, TaskSpec
from dsched.planning import PlannedRun
from dsched_store_redis.store import RedisStore
from dsched_testkit.servers import RedisServer

BATCH = 100
DEEP = 20_000
SPEC = TaskSpec(executor="local", payload={"data": "x" * 89})
FIRST = attrs.evolve(SPEC, priority=9)
DUE = 10


@pytest.fixture
def server() -> Any:
    """A server of this test alone: its statistics are compared."""
    with RedisServer() as alone:
        yield alone


def _looked_at(server: RedisServer) -> int:
    """Keys that have been looked up since the last reset, there or not."""
    text = str(server.command("INFO", "stats"))
    rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(rows["keyspace_hits"]) + int(rows["keyspace_misses"])


async def _put(store: RedisStore, first: int, count: int, due_ms: int) -> None:
    rearm = Rearm(read=ConfigVersion(), upto_ms=0, next_due_ms=due_ms)
    for start in range(first, first + count, BATCH):
        items = [
            PutConfig(
                config=TaskConfig(id=f"c{n:06d}", executor="local", cron_expr="0 0 1 1 *"),
                rearm=rearm,
            )
            for n in range(start, min(start + BATCH, first + count))
        ]
        await store.put(items, by="me")


async def _tick(store: RedisStore, fence: str) -> None:
    """What a leader's tick does when ten configs are due."""
    look = await store.poll(fence, BATCH)
    fires = [
        Fire(
            config_id=stored.config.id,
            revision=stored.config.revision,
            due_ms=stored.due_ms or 0,
            runs=(PlannedRun(scheduled_ms=stored.due_ms or 0, not_before_ms=0),),
            next_due_ms=look.due.time.wall_ms + 10**9,
        )
        for stored in look.due.configs
    ]
    assert len(fires) == DUE
    await store.fire(fence, fires)
    await store.ready(fence, 0, BATCH)
    await store.raise_missed(60_000, 0, BATCH, by="me")


# Copies of one config that is not due: to put so many takes half a minute.
COPIES = """
local p, far = ARGV[1], ARGV[2]
for n = tonumber(ARGV[3]) + 1, tonumber(ARGV[4]) do
  local id = 'copy' .. n
  for _, kind in ipairs({'config:detail:', 'config:body:', 'config:spec:'}) do
    redis.call('COPY', p .. kind .. 'c000000', p .. kind .. id)
  end
  redis.call('ZADD', p .. 'config:index', 0, id)
  redis.call('ZADD', p .. 'config:due', far, id)
end
"""


async def _measured_tick(opener: Any, server: RedisServer, configs: int) -> tuple[Any, int, int]:
    """The commands, the keys looked at and the bytes answered of one tick."""
    async with opener(server) as store:
        fence = (await store.acquire("pod", "token", 600_000)).fence
        now_ms = (await store.now()).wall_ms
        await _put(store, 0, 1, now_ms + 10**9)
        prefix = store._footing.prefix
        for first in range(0, configs, DEEP):
            span = str(first), str(min(configs, first + DEEP))
            server.command("EVAL", COPIES, "0", prefix, str(now_ms + 10**9), *span)
        assert server.command("ZCARD", f"{prefix}config:due") == configs + 1
        await _put(store, configs, DUE, now_ms - 1)
        await store.ready(fence, 0, BATCH)
        server.command("CONFIG", "RESETSTAT")
        await _tick(store, fence)
        stats = str(server.command("INFO", "stats"))
        answered = int(stats.split("total_net_output_bytes:")[1].split()[0])
        return commands_of_scripts(server), _looked_at(server), answered


async def test_a_tick_looks_at_as_much_with_a_hundred_thousand_configs_as_with_a_thousand(
    server: RedisServer, opener: Any
) -> None:
    few = await _measured_tick(opener, server, 1_000)
    many = await _measured_tick(opener, server, 100_000)
    assert many[:2] == few[:2]
    assert abs(many[2] - few[2]) < 500


async def _lifecycles(store: RedisStore, fence: str, prefix: str) -> None:
    """A batch of tasks that come before all others: submitted, dispatched, claimed, completed."""
    ids = [f"{prefix}-{n:03d}" for n in range(BATCH)]
    await store.submit([Submission(task_id=one, spec=FIRST) for one in ids], by="me")
    page = await store.ready(fence, 0, BATCH)
    chosen = [Choice(task_id=task.id, worker_id="w1") for task in page.tasks]
    await store.dispatch(fence, chosen, [], skip=0, limit=BATCH)
    claimed = await store.claim("w1", "1-a", 0, int(prefix[1:]) + 1, BATCH)
    assert [task.id for task in claimed.tasks] == ids
    result = TaskResult(data={"data": "y" * 70})
    done = [
        Completion(task_id=task.id, token=claimed.token, success=True, result=result)
        for task in claimed.tasks
    ]
    await store.complete(done, by="w1")


async def test_a_task_costs_as_many_calls_and_commands_at_depth_as_on_an_empty_store(
    server: RedisServer, opener: Any
) -> None:
    async with opener(server) as store:
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
        found = []
        for number, waiting in enumerate((0, BATCH, DEEP)):
            for start in range(0, waiting, BATCH):
                ids = (f"deep{number}-{n}" for n in range(start, start + BATCH))
                await store.submit([Submission(task_id=one, spec=SPEC) for one in ids], by="me")
            calls = store._footing.calls
            server.command("CONFIG", "RESETSTAT")
            await _lifecycles(store, fence, f"t{number}")
            found.append((store._footing.calls - calls, commands_of_scripts(server)))
        empty, shallow, deep = found
        # On an empty store there is no next page to read.
        assert deep == shallow
        assert deep[0] == empty[0] == 5
        assert sum(deep[1].values()) <= sum(empty[1].values()) + 5
        assert sum(deep[1].values()) / BATCH < 15


async def test_a_page_from_the_middle_of_a_long_list_looks_at_no_more_than_a_page(
    server: RedisServer, opener: Any
) -> None:
    async with opener(server) as store:
        for start in range(0, DEEP, BATCH):
            ids = (f"t{n:06d}" for n in range(start, start + BATCH))
            await store.submit([Submission(task_id=one, spec=SPEC) for one in ids], by="me")
        looked = []
        for cursor in (None, str(DEEP // 2)):
            server.command("CONFIG", "RESETSTAT")
            page = await store.list_tasks(TaskQuery(home=Home.READY), cursor, BATCH)
            assert len(page.tasks) == BATCH
            looked.append((commands_of_scripts(server), _looked_at(server)))
        assert looked[0] == looked[1]
