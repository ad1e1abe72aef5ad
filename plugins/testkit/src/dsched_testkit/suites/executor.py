"""The executor contract as named tests: subclass `ExecutorContract`, override its four methods.

class TestMine(ExecutorContract):
    def open_executor(self):
        return open_my_executor(MyOptions())

    def succeeds(self):
        return Case(payload={"call": "double", "args": [2]}, data=4)

    def fails(self):
        return Case(payload={"call": "boom"})

    def hangs(self):
        return Case(payload={"call": "sleep_for_a_minute"})

    async def still_running(self, task):
        return task.id in calls_that_run_now
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import attrs
import pytest

from dsched.contracts.executor import Executor, TaskFailed
from dsched.model import Home, JsonValue, Task, TaskResult, TaskSpec, TaskStatus
from dsched.model.json import check_json

WAIT_S = 10.0


@attrs.frozen(kw_only=True)
class Case:
    """A payload, and the result's data where that is known (``...``: any)."""

    payload: JsonValue
    data: Any = ...


@attrs.frozen(kw_only=True)
class PlainContext:
    """The `ExecutionContext` of one attempt, for tests of executors."""

    task_id: str
    attempt: int = 1
    epoch: int = 7
    worker_id: str = "w1"
    timeout_s: float = 60.0
    notes: list[tuple[float, float | None, str]] = attrs.field(factory=list)
    started: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    labels: Mapping[str, str] = attrs.field(factory=dict)
    scheduled_time: datetime = datetime(2027, 1, 15, 8, tzinfo=UTC)
    _stopped: list[bool] = attrs.field(factory=list)

    def stop(self, attempt: "asyncio.Future[TaskResult]") -> None:
        """Cancel the attempt as the engine does: the context says so before the executor is
        told."""
        self._stopped.append(True)
        attempt.cancel()

    @property
    def cancelled(self) -> bool:
        """Whether it was stopped."""
        return bool(self._stopped)

    @property
    def deadline(self) -> datetime:
        """When the attempt times out."""
        return self.started + timedelta(seconds=self.timeout_s)

    @property
    def idempotency_key(self) -> str:
        """The task id."""
        return self.task_id

    @property
    def logger(self) -> logging.Logger:
        """A plain logger."""
        return logging.getLogger("dsched.testkit.executor")

    def remaining(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, (self.deadline - datetime.now(UTC)).total_seconds())

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Kept in ``notes``."""
        self.notes.append((done, total, note))


def an_attempt(case: Case) -> tuple[PlainContext, Task]:
    """The context and the task of one attempt at this payload."""
    task_id = f"report@{uuid4().int % 10**12}"
    task = Task(
        id=task_id,
        status=TaskStatus.RUNNING,
        home=Home.LEASE,
        scheduled_ms=1_800_000_000_000,
        attempt=1,
        spec=TaskSpec(executor="tested", payload=case.payload),
    )
    return PlainContext(task_id=task_id), task


class ExecutorContract:
    """What every executor does."""

    pytestmark = pytest.mark.asyncio

    def open_executor(self) -> AbstractAsyncContextManager[Executor]:
        """Open the executor under test, with targets that the cases below can reach."""
        raise NotImplementedError("override open_executor: it opens the executor under test")

    def succeeds(self) -> Case:
        """A payload that succeeds quickly."""
        raise NotImplementedError("override succeeds: a payload that succeeds")

    def fails(self) -> Case:
        """A payload whose attempt fails."""
        raise NotImplementedError("override fails: a payload that fails")

    def hangs(self) -> Case:
        """A payload that takes at least a minute, unless it is stopped."""
        raise NotImplementedError("override hangs: a payload that takes a minute")

    async def still_running(self, task: Task) -> bool:
        """Whether the work of a task that `hangs` goes on: ask the target, not the executor."""
        raise NotImplementedError("override still_running: ask the target")

    async def test_a_success_gives_a_result_that_json_can_carry(self) -> None:
        """With the data that the case expects."""
        case = self.succeeds()
        async with self.open_executor() as executor:
            result = await executor.execute(*an_attempt(case))
        assert isinstance(result, TaskResult)
        assert isinstance(result.code, str)
        assert isinstance(result.message, str)
        check_json(result.data, "result")
        assert case.data is ... or case.data == result.data

    async def test_a_failure_is_raised_with_a_message(self) -> None:
        """As `TaskFailed`, or as whatever user code raised; never returned, never a
        BaseException."""
        attempt = an_attempt(self.fails())
        async with self.open_executor() as executor:
            with pytest.raises(Exception) as caught:
                await executor.execute(*attempt)
        assert str(caught.value)
        if isinstance(caught.value, TaskFailed):
            assert caught.value.code
            check_json(caught.value.data, "data")

    async def test_it_serves_others_after_a_failure(self) -> None:
        """One instance serves many attempts."""
        failing, good = an_attempt(self.fails()), an_attempt(self.succeeds())
        async with self.open_executor() as executor:
            with pytest.raises(Exception):  # noqa: B017 - any exception is a failure
                await executor.execute(*failing)
            assert isinstance(await executor.execute(*good), TaskResult)

    async def test_it_serves_many_attempts_at_once(self) -> None:
        """A hanging attempt blocks no other."""
        async with self.open_executor() as executor:
            context, task = an_attempt(self.hangs())
            hanging = asyncio.create_task(executor.execute(context, task))
            async with asyncio.timeout(WAIT_S):
                results = await asyncio.gather(
                    *(executor.execute(*an_attempt(self.succeeds())) for _ in range(5))
                )
            assert len(results) == 5
            assert not hanging.done()
            await self._stop(context, hanging)

    async def test_a_cancelled_attempt_re_raises_and_has_really_stopped(self) -> None:
        """When ``execute`` has raised, the work goes on no more."""
        context, task = an_attempt(self.hangs())
        async with self.open_executor() as executor:
            attempt = asyncio.create_task(executor.execute(context, task))
            await self._until_running(task, attempt)
            await self._stop(context, attempt)
            assert attempt.cancelled()
            assert not await self.still_running(task)

    async def test_it_never_blocks_the_event_loop(self) -> None:
        """The loop goes on turning while an attempt hangs."""
        async with self.open_executor() as executor:
            context, task = an_attempt(self.hangs())
            attempt = asyncio.create_task(executor.execute(context, task))
            await self._until_running(task, attempt)
            async with asyncio.timeout(WAIT_S):
                for _ in range(100):
                    await asyncio.sleep(0)
            assert not attempt.done()
            await self._stop(context, attempt)

    async def _until_running(self, task: Task, attempt: "asyncio.Future[TaskResult]") -> None:
        async with asyncio.timeout(WAIT_S):
            while not await self.still_running(task):
                assert not attempt.done(), "the hanging case ended by itself"
                await asyncio.sleep(0.01)

    async def _stop(self, context: PlainContext, attempt: "asyncio.Future[TaskResult]") -> None:
        context.stop(attempt)
        await asyncio.wait([attempt], timeout=WAIT_S)
        assert attempt.done(), f"the attempt did not stop within {WAIT_S} s"
