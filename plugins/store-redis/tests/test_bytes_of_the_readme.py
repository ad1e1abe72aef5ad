"""The README's bytes of a task are what this test measures, not what somebody remembers."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dsched.contracts.store.dispatching import Choice
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Completion, Submission
from dsched.model import TaskResult, TaskSpec
from dsched_store_redis.store import RedisStore
from dsched_testkit.servers import RedisServer

README = Path(__file__).parents[1] / "README.md"
# "523 bytes a waiting, 523 a delayed and 406 a finished task"
SENTENCE = re.compile(
    r"(\d+)\s+bytes\s+a\s+waiting,\s+(\d+)\s+a\s+delayed\s+and\s+(\d+)\s+a\s+finished\s+task"
)
TASKS, BATCH = 1000, 100
# The lists and sets of ids grow by steps.
TOLERANCE = 0.03
SPEC = TaskSpec(executor="local", payload={"data": "x" * 89})
RESULT = TaskResult(data={"data": "y" * 70})
# The log has a bound of its own; what is there once does not grow with the tasks.
LEFT_OUT = ("events", "meta", "schedule:", "worker:", "bell:", "stats:")


SUM = """
local sum = 0
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left_out = false
  for _, prefix in ipairs(ARGV) do
    left_out = left_out or string.sub(key, 1, #prefix) == prefix
  end
  if not left_out then
    sum = sum + redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0')
  end
end
return sum
"""


def _bytes(server: RedisServer) -> int:
    """What all keys of tasks take, as the server counts it (MEMORY USAGE)."""
    return int(server.command("EVAL", SUM, "0", *LEFT_OUT))


def _is_of_the_readme(server: RedisServer) -> bool:
    """Whether this is the server whose figures the README has: later ones take less."""
    info = str(server.command("INFO", "server"))
    return "valkey_version" not in info and "redis_version:6." in info


async def _submit(store: RedisStore, delay_ms: int) -> None:
    for start in range(0, TASKS, BATCH):
        items = [
            Submission(task_id=f"task-{n:06d}", spec=SPEC, delay_ms=delay_ms)
            for n in range(start, start + BATCH)
        ]
        await store.submit(items, by="me")


async def _waiting(store: RedisStore) -> None:
    await _submit(store, 0)


async def _delayed(store: RedisStore) -> None:
    await _submit(store, 3_600_000)


async def _finished(store: RedisStore) -> None:
    fence = (await store.acquire("pod", "token", 600_000)).fence
    worker = Registration(
        worker_id="w1",
        incarnation="1-a",
        capacity=BATCH,
        backlog=BATCH,
        heartbeat_timeout_ms=600_000,
    )
    await store.register(worker)
    await _submit(store, 0)
    for number in range(TASKS // BATCH):
        page = await store.ready(fence, 0, BATCH)
        chosen = [Choice(task_id=task.id, worker_id="w1") for task in page.tasks]
        await store.dispatch(fence, chosen, [], skip=0, limit=1)
        claimed = await store.claim("w1", "1-a", 0, number + 1, BATCH)
        done = [
            Completion(task_id=task.id, token=claimed.token, success=True, result=RESULT)
            for task in claimed.tasks
        ]
        await store.complete(done, by="w1")


def _remembered() -> dict[str, int]:
    found = SENTENCE.search(README.read_text(encoding="utf-8"))
    assert found, f"{README} says how many bytes a task takes: {SENTENCE.pattern}"
    return dict(zip(("waiting", "delayed", "finished"), map(int, found.groups()), strict=True))


@pytest.mark.parametrize(
    ("state", "arrange"),
    [("waiting", _waiting), ("delayed", _delayed), ("finished", _finished)],
)
async def test_the_readme_says_what_a_task_takes(
    state: str, arrange: Callable[[RedisStore], Awaitable[None]], opener: Any
) -> None:
    remembered = _remembered()[state]
    with RedisServer() as server:
        async with opener(server, key_prefix="") as store:
            await arrange(store)
            measured = _bytes(server) / TASKS
        print(f"{measured:.0f} bytes a {state} task")
        assert measured <= remembered * (1 + TOLERANCE)
        if _is_of_the_readme(server):
            assert measured >= remembered * (1 - TOLERANCE)
