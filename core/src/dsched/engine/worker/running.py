"""Runs attempts: one asyncio task each, from claim to report."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Mapping
from types import CoroutineType, TracebackType
from typing import Self

from dsched.contracts.executor import Executor, TaskFailed
from dsched.contracts.store.codec import UNREADABLE
from dsched.contracts.store.working import Claimed, Completion, Release
from dsched.engine.runtime import Runtime
from dsched.engine.worker.attempts import Attempt, Attempts, StopReason
from dsched.engine.worker.capturing import speak
from dsched.engine.worker.completion import (
    can_be_written,
    cancelled,
    in_words,
    judge_error,
    judge_result,
    timed_out,
    users_part,
)
from dsched.engine.worker.context import AttemptContext
from dsched.engine.worker.exits import mark_attempt
from dsched.engine.worker.interrupts import is_of_a_signal
from dsched.engine.worker.log_lines import keep_trace
from dsched.engine.worker.log_rate import LogRate
from dsched.engine.worker.log_reporting import LineReporter
from dsched.engine.worker.rendering import rendered
from dsched.engine.worker.reporting import Reporter
from dsched.engine.worker.timeouts import Timeouts
from dsched.model import OnCrash, Task, TaskSpec

log = logging.getLogger("dsched.worker")

TIMEOUT_GRACE_S = 5.0


class Runner:
    """Starts and stops attempts. Every attempt ends in exactly one report, or is lost."""

    def __init__(
        self,
        worker_id: str,
        executors: Mapping[str, Executor],
        runtime: Runtime,
        attempts: Attempts,
        reporter: Reporter,
        lines: LineReporter | None = None,
        *,
        captures: bool = False,
    ) -> None:
        """Without ``lines`` tasks keep no log; with ``captures`` what they log and print is in
        it."""
        self._worker_id = worker_id
        self._executors = executors
        self._runtime = runtime
        self._attempts = attempts
        self._reporter = reporter
        self._loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self._torn_down = False
        self._timeouts = Timeouts(runtime, attempts.all, self._expire)
        self._ration = LogRate(log, "attempts that start and end", runtime)
        self._lines = lines
        self._captures = captures
        self._store = reporter.store

    def start(self, claimed: Claimed, started_s: float) -> None:
        """Start every attempt of a claim. Their timeouts count from ``started_s`` (monotonic)."""
        for task in claimed.tasks:
            spec = task.spec or TaskSpec(executor="unknown")
            timeout_s = started_s + spec.timeout.total_seconds()
            attempt = Attempt(
                task=task,
                spec=spec,
                worker_id=self._worker_id,
                token=claimed.token,
                epoch=claimed.epoch,
                started_s=started_s,
                timeout_s=timeout_s,
                deadline_s=timeout_s + TIMEOUT_GRACE_S,
            )
            older = self._attempts.add(attempt)
            if older is None:
                continue  # a repeated claim answered with what is running already
            for each in older:
                self.stop(each, StopReason.LOST)  # superseded, but it has not stopped yet
            # No task group: its work for each task takes longer than a short task runs.
            attempt.runner = self._loop.create_task(self._run(attempt), name=f"task {task.id}")

    def stop(self, attempt: Attempt, reason: StopReason) -> None:
        """Stop an attempt: cancel its executor; how it is reported follows from the reason.

        What has run out of time has failed already: to be given back only ends its cleaning up.
        """
        if attempt.stop is None:
            if not (attempt.timed_out and reason is StopReason.RELEASE):
                attempt.stop = reason
            if attempt.begun and attempt.runner is not None:
                attempt.runner.cancel()

    async def raise_when_broken(self) -> None:
        """Raise an error that no attempt may raise, if one did: a defect of dsched."""
        await self._broken

    async def __aenter__(self) -> Self:
        """Attempts may be started now."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Mind no timeouts any more, and wait until all that runs has ended."""
        self._timeouts.close()
        if kind is not None:
            self.tear_down()
        cancelled: asyncio.CancelledError | None = None
        while running := self._running():
            try:
                await asyncio.wait(running)
            except asyncio.CancelledError as cancel:
                cancelled = cancel
                self.tear_down()
        self._broken.cancel()
        if cancelled is not None:
            raise cancelled

    def tear_down(self) -> None:
        """Cancel all that runs, once: the worker ends without a drain, and nothing is reported."""
        if not self._torn_down:
            self._torn_down = True
            for attempt in self._attempts.all():
                attempt.torn_down = True
            for task in self._running():
                task.cancel()

    def _running(self) -> list[asyncio.Task[None]]:
        runners = (attempt.runner for attempt in self._attempts.all())
        return [task for task in runners if task is not None and not task.done()]

    def _expire(self, attempt: Attempt) -> None:
        attempt.timed_out = True
        if attempt.stop is None and attempt.runner is not None:
            attempt.runner.cancel()

    async def _run(self, attempt: Attempt) -> None:
        mark_attempt()
        voice = None
        if self._captures and self._lines is not None:
            voice = speak(attempt, self._lines)
        try:
            await self._carry_out(attempt)
        except Exception as error:  # noqa: BLE001 - it goes to whoever minds the worker's loops
            if not self._broken.done():
                self._broken.set_exception(error)
        finally:
            if voice is not None:
                voice.end()  # before another task reports its end

    async def _carry_out(self, attempt: Attempt) -> None:
        attempt.begun = True
        if attempt.stop is not None:
            self._stopped(attempt)  # stopped before its first step: cancelling would skip this
            return
        self._timeouts.watch(attempt)
        if self._ration.allows():
            log.info("starts", extra=attempt.facts())
        try:
            result = await self._begun(attempt)
        except asyncio.CancelledError as error:
            if attempt.told_to_stop:
                self._stopped(attempt)
            elif attempt.timed_out:
                self._failed(attempt, timed_out(attempt.spec))
            else:
                # It cancelled itself: handing it back would never end. (Or the whole worker is
                # torn down, and nothing is reported any more.)
                self._failed(attempt, error)
        except BaseException as error:
            if is_of_a_signal(error):
                raise  # the operator's: a second Ctrl-C in a program that embeds us
            # Not only `Exception`: a panic in a Rust extension, for example, is not one.
            self._failed(attempt, error)
        else:
            completion = judge_result(attempt.task, attempt.token, result)
            if self._ration.allows():
                log.info("ended: %s", in_words(completion.result), extra=attempt.facts())
            self._reporter.report(attempt, completion)

    def _begun(self, attempt: Attempt) -> Awaitable[object]:
        """What the executor does for an attempt, to be awaited."""
        if attempt.spec.executor == UNREADABLE:
            raise TaskFailed(attempt.spec.payload["reason"], "unreadable", retryable=False)
        executor = self._executors.get(attempt.spec.executor)
        if executor is None:
            known = ", ".join(sorted(self._executors)) or "none"
            raise TaskFailed(
                f"this worker has no executor {attempt.spec.executor!r} (it has: {known}); "
                "install its plugin, or route the task with required_labels",
                "no_executor",
            )
        if attempt.spec.member is not None or attempt.spec.template:
            return self._rendered(executor, attempt)
        return self._executed(executor, attempt, attempt.task)

    async def _rendered(self, executor: Executor, attempt: Attempt) -> object:
        """A payload with references is rendered for each attempt."""
        task = await rendered(attempt.task, self._store, self._runtime)
        return await self._executed(executor, attempt, task)

    def _executed(self, executor: Executor, attempt: Attempt, task: Task) -> Awaitable[object]:
        context = AttemptContext(attempt, self._runtime, self._lines, self._store)
        running = executor.execute(context, task)
        if type(running) is not CoroutineType and not inspect.isawaitable(running):
            raise TaskFailed(
                f"execute of {type(executor).__name__} is a plain function; "
                "define it with async def",
                "bad_executor",
                retryable=False,
            )
        return running

    def _stopped(self, attempt: Attempt) -> None:
        """The executor has really stopped after `stop`."""
        match attempt.stop:
            case StopReason.CANCEL:
                self._failed(attempt, cancelled())
            case StopReason.LOST:
                log.info("stopped: the attempt is another worker's now", extra=attempt.facts())
                self._reporter.drop(attempt)
            case _:
                log.info("given back", extra=attempt.facts())
                self._reporter.report(attempt, released(attempt))

    def _failed(self, attempt: Attempt, error: BaseException) -> None:
        completion = judge_error(
            attempt.task, attempt.spec, attempt.token, error, self._runtime.uniform()
        )
        level, then = _what_now(completion, attempt)
        told = (type(error), error, users_part(error))
        if self._lines is not None and not isinstance(error, TaskFailed):
            keep_trace(self._lines.open(attempt), told)
        log.log(
            level,
            "failed: %s (%s)",
            in_words(completion.result),
            then,
            extra=attempt.facts(),
            exc_info=told if level >= logging.ERROR and can_be_written(error) else None,
        )
        self._reporter.report(attempt, completion)


def _what_now(completion: Completion, attempt: Attempt) -> tuple[int, str]:
    """How loudly to say that an attempt failed, and what happens next."""
    retries = attempt.task.retry_count
    if completion.retry_delay_ms is not None:
        seconds, most = completion.retry_delay_ms / 1000, attempt.spec.retry.max_retries
        return logging.WARNING, f"again in {seconds:g} s, retry {retries + 1} of {most}"
    if completion.reason == "cancelled":
        return logging.INFO, "its cancellation was asked for"
    if completion.reason == "not retryable":
        return logging.ERROR, "a retry would not help"
    return logging.ERROR, f"given up after {retries} retries"


def released(attempt: Attempt) -> Release:
    """How an attempt that was stopped, not finished, is given back."""
    return Release(
        task_id=attempt.task.id,
        token=attempt.token,
        reason="released",
        fail=attempt.spec.on_crash is OnCrash.FAIL,
    )
