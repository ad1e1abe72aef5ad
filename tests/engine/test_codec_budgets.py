"""How often values are checked, written and read on their way through a pod, counted a task.

Each task has a payload of its own and returns a result of its own, so that no cache is counted.
"""

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager, contextmanager

import pytest

import dsched
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.working import Submission
from dsched.model import TaskSpec, TaskStatus
from dsched.model import json as codec
from dsched_testkit.servers import RedisServer

REAL_TIME = True
TASKS = 500
BATCH = 100


@dsched.task("budget.work")
async def work(number: int, text: str, lines: list[object]) -> dict[str, object]:
    return {"number": number, "lines": len(lines), "text": text[::-1]}


class Counted:
    """A codec of `dsched.model.json`, each of whose calls is counted."""

    def __init__(self, inner, counts: Counter[str], what: str) -> None:
        self._inner, self._counts, self._what = inner, counts, what

    def __getattr__(self, name: str):
        call = getattr(self._inner, name)

        def counted(*args):
            self._counts[self._what] += 1
            return call(*args)

        return counted


@pytest.fixture
def counts(monkeypatch) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, what in (
        ("_FAST", "written"),
        ("_STANDARD", "written by the standard library"),
        ("_READER", "read"),
    ):
        monkeypatch.setattr(codec, name, Counted(getattr(codec, name), found, what))
    checks, loads = codec._is_plain, json.loads

    def checked(value, most):
        found["looked through"] += 1
        return checks(value, most)

    def loaded(*args, **kwargs):
        found["read by the standard library"] += 1
        return loads(*args, **kwargs)

    monkeypatch.setattr(codec, "_is_plain", checked)
    monkeypatch.setattr(json, "loads", loaded)
    return found


@contextmanager
def _redis(tmp_path):
    with RedisServer() as server:
        yield {"store": "redis", "redis": {"addr": server.addr, "durability": "dev"}}


@contextmanager
def _sqlite(tmp_path):
    yield {"store": "sqlite", "sqlite": {"path": str(tmp_path / "dsched.db")}}


@asynccontextmanager
async def _opened(settings):
    worker = {"max_concurrent_tasks": BATCH, "capture_logging": False, "capture_prints": False}
    async with dsched.pod({**settings, "worker": worker}) as pod:
        yield pod


def _spec(number: int) -> TaskSpec:
    lines = [{"sku": f"A-{number}", "count": 2}, {"sku": f"B-{number}", "count": 1}]
    args = {"number": number, "text": f"for customer {number}", "lines": lines}
    return TaskSpec(executor="local", payload={"function": "budget.work", "args": args})


async def _submit(client, counts: Counter[str]) -> Counter[str]:
    """Submit all; what was counted meanwhile."""
    before = counts.copy()
    for first in range(0, TASKS, BATCH):
        numbers = range(first, first + BATCH)
        items = [Submission(task_id=f"t{number}", spec=_spec(number)) for number in numbers]
        outcomes = await client.submit_many(items)
        assert set(outcomes) == {Outcome.OK}
    return counts - before


@pytest.mark.slow
@pytest.mark.parametrize("store", [_redis, _sqlite])
async def test_a_value_is_checked_once_written_once_and_read_once(store, tmp_path, counts):
    with store(tmp_path) as settings:
        async with dsched.connect(settings) as client:
            submitted = await _submit(client, counts)
        # A payload, and the record around it, in which its text stands as it is.
        # The entries of the log, one for each batch, are the rest.
        assert submitted["looked through"] / TASKS < 2.1
        assert submitted["written"] / TASKS < 2.1
        assert submitted["read"] / TASKS < 0.1
        assert submitted["written by the standard library"] == 0
        assert submitted["read by the standard library"] / TASKS < 0.1
        counts.clear()
        async with _opened(settings) as pod:
            while (await pod.client.counts()).by_status.get(TaskStatus.SUCCESS, 0) < TASKS:
                await asyncio.sleep(0.01)
            run = {what: count / TASKS for what, count in counts.items()}
            last = TASKS - 1
            text = f"for customer {last}"[::-1]
            expected = {"number": last, "lines": 2, "text": text}
            assert await pod.client.result(f"t{last}", timeout_s=60) == expected
    print(run)
    # The payload is read, and the result is written: its text is the record's. What pods do now
    # and then (their own record, pages of the log) is the rest.
    assert run["read"] < 1.3, run
    assert run["written"] < 1.3, run
    assert run["looked through"] < 1.3, run
    assert run.get("written by the standard library", 0) < 0.05, run
    assert run.get("read by the standard library", 0) < 0.1, run
