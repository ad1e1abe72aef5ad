"""What the tests of the local executor share: contexts, tasks, looking at processes."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dsched.model import Home, Task, TaskSpec, TaskStatus
from dsched_executor_local.executor import LocalExecutor

APP = "dsched_local_test_app"
APP_FOLDER = str(Path(__file__).parent)


class Context:
    """An attempt's context that keeps what it is told."""

    def __init__(self, timeout_s: float = 60.0) -> None:
        self.attempt = 2
        self.deadline = datetime.now(UTC) + timedelta(seconds=timeout_s)
        self.idempotency_key = "config@1000"
        self.epoch = 7
        self.worker_id = "worker-1"
        self.cancelled = False
        self.scheduled_time = datetime(2027, 1, 15, 8, tzinfo=UTC)
        self.labels = {"team": "billing"}
        self.logger = logging.getLogger("dsched.test.task")
        self.said: list[tuple[float, float | None, str]] = []
        self._end = time.monotonic() + timeout_s

    def stop(self, attempt: "asyncio.Future[Any]") -> None:
        """Cancel an attempt as the engine does."""
        self.cancelled = True
        attempt.cancel()

    def remaining(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        self.said.append((done, total, note))


def make_task(payload: Any) -> Task:
    return Task(
        id="config@1000",
        status=TaskStatus.RUNNING,
        home=Home.LEASE,
        scheduled_ms=1000,
        spec=TaskSpec(executor="local", payload=payload),
    )


class Run:
    """Runs functions by name on one executor."""

    def __init__(self, executor: LocalExecutor) -> None:
        self.executor = executor

    async def __call__(self, function: str, args: Any = None, context: Any = None) -> Any:
        payload = {"function": function, "args": args}
        return await self.executor.execute(context or Context(), make_task(payload))


def is_alive(pid: int) -> bool:
    """Whether a process still runs; one that is only waiting to be collected does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


async def until(condition: Callable[[], Any], what: str, timeout_s: float = 10.0) -> Any:
    """Wait for a condition; the value that made it true."""
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {timeout_s} s for {what}"
        await asyncio.sleep(0.01)
    return value


async def pids_in(mark: Path) -> list[int]:
    """The process ids a function has written into a file."""
    await until(lambda: mark.exists() and mark.read_text(), f"{mark.name} to be written")
    return [int(word) for word in mark.read_text().split()]


Opener = Callable[..., AbstractAsyncContextManager[Run]]
