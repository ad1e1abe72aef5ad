"""The pool of warm child processes, and one attempt in one of them."""

import asyncio
import logging
import sys
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from dsched.contracts.executor import TaskFailed
from dsched.contracts.store.tasklogs import LineLevel, as_line
from dsched.functions.registry import Function
from dsched.model import JsonValue, TaskResult
from dsched_executor_local.child_process import ChildEndedError, ChildProcess
from dsched_executor_local.context import AttemptContext
from dsched_executor_local.frames import Message
from dsched_executor_local.options import LocalOptions
from dsched_executor_local.results import failed_from_json, result_of

log = logging.getLogger(__name__)

# A child past its attempt's deadline, the grace and this kills itself: the worker's loop may be
# blocked, or the worker stopped.
OVERTIME_S = 5.0
MAX_TRACE_ROWS = 200


class ProcessPool:
    """At most ``max_processes`` functions at once, each alone in a child process.

    Children start on demand, are used again while they are sound, and end when idle for long or
    after ``max_tasks_per_process`` functions.
    """

    def __init__(self, options: LocalOptions) -> None:
        self._options = options
        self._grace_s = _seconds(options.kill_grace)
        self._slots = asyncio.Semaphore(options.max_processes)
        self._idle: list[ChildProcess] = []
        self._children: set[ChildProcess] = set()
        self._busy: set[ChildProcess] = set()
        self._closed = False

    @property
    def pids(self) -> Sequence[int]:
        """The process ids of all children, for diagnosis."""
        return sorted(child.pid for child in self._children)

    async def run(self, function: Function, args: JsonValue, context: AttemptContext) -> TaskResult:
        """Run a function in a child. Cancelled, it ends only when the child is really gone."""
        async with self._slots:
            child = await self._take()
            child.printed_to(partial(_keep_line, context))
            sound = False
            try:
                try:
                    await child.send(self._request(child, function, args, context))
                    answer = await self._answer(child, context)
                except ChildEndedError as error:
                    raise await self._crashed(child, function, error) from error
                child.tasks_run += 1
                result = _outcome(answer, function, context)
                sound = True
                return result
            except TaskFailed as failed:
                sound = failed.code not in ("crashed", "MemoryError")
                raise
            finally:
                # If the child is killed here, what it has printed is read before it is gone.
                await self._give_back(child, sound, after_task=True)

    async def close(self) -> None:
        """End every child, and return once all are gone."""
        self._closed = True
        self._idle.clear()
        async with asyncio.TaskGroup() as killing:
            for child in self._children:
                killing.create_task(child.kill(self._grace_s), name=f"kill child {child.pid}")
        await asyncio.sleep(0)  # lets the transports close their sockets

    async def _take(self) -> ChildProcess:
        if self._closed:
            raise RuntimeError("the process pool is closed; run nothing after closing the executor")
        while self._idle:
            child = self._idle.pop()  # the one used last; so the others may end when idle for long
            child.clear_idle_timer()
            if not child.ended.done():
                self._busy.add(child)
                return child
        child = await ChildProcess.start(self._options, self._forget)
        self._children.add(child)
        self._busy.add(child)
        try:
            await self._set_up(child)
        except BaseException:
            await self._give_back(child, sound=False)
            raise
        return child

    async def _set_up(self, child: ChildProcess) -> None:
        limit_s = _seconds(self._options.process_start)
        try:
            async with asyncio.timeout(limit_s):
                await child.send(
                    {
                        "path": sys.path,
                        "setup": self._options.setup,
                        "app": list(self._options.app),
                        "memory_bytes": self._options.process_memory_bytes,
                        "hears_logging": self._options.capture_output,
                    }
                )
                answer = await child.receive()
        except TimeoutError as error:
            raise TaskFailed(
                f"a child process was not ready within {limit_s:g} s; if importing the "
                "application takes that long, raise executors.local.process_start",
                code="child_start",
            ) from error
        except ChildEndedError as error:
            await asyncio.wait([child.ended], timeout=self._grace_s)
            await child.kill(self._grace_s)
            raise TaskFailed(
                f"a child process {child.ending} before it was ready", code="child_start"
            ) from error
        if "broken" in answer:
            failed = failed_from_json(answer["broken"])
            raise TaskFailed(
                f"a child process could not {answer.get('what')}: {failed.message}; its "
                "environment has no DSCHED_* and no secrets, name what it needs in "
                "executors.local.pass_env",
                code="child_start",
                data=failed.data,
            )

    def _request(
        self, child: ChildProcess, function: Function, args: JsonValue, context: AttemptContext
    ) -> Message:
        remaining_s = context.remaining()
        facts = {
            "task_id": context.task_id,
            "config_id": context.config_id,
            "attempt": context.attempt,
            "deadline": context.deadline.isoformat(),
            "remaining_s": remaining_s,
            "idempotency_key": context.idempotency_key,
            "epoch": context.epoch,
            "worker_id": context.worker_id,
            "scheduled_time": context.scheduled_time.isoformat(),
            "labels": dict(context.labels),
            "log_level": context.logger.getEffectiveLevel(),
        }
        return {
            "n": child.tasks_run,
            "kill_after_s": remaining_s + self._grace_s + OVERTIME_S,
            "function": function.name,
            "module": None if function.module == "__main__" else function.module,
            "args": args,
            "facts": facts,
        }

    async def _answer(self, child: ChildProcess, context: AttemptContext) -> Message:
        """The message that ends the attempt; progress and log lines on the way are passed on."""
        while True:
            message = await child.receive()
            if message.get("n") != child.tasks_run:
                continue  # from a thread that an earlier function left behind
            try:
                if "progress" in message:
                    done, total, note = message["progress"]
                    context.progress(done, total, note)
                elif "log" in message:
                    level, line = message["log"]
                    context.logger.log(level, "%s", line)
                else:
                    return message
            except (TypeError, ValueError) as error:
                raise ChildEndedError(f"it sent no valid message: {error}") from error

    async def _crashed(
        self, child: ChildProcess, function: Function, error: ChildEndedError
    ) -> TaskFailed:
        # It may have closed its connection just before its end, and how it ended says more.
        await asyncio.wait([child.ended], timeout=self._grace_s)
        await child.kill(self._grace_s)
        return TaskFailed(
            f"the child process of function {function.name!r} {child.ending} without an answer "
            f"({error})",
            code="crashed",
        )

    async def _give_back(
        self, child: ChildProcess, sound: bool, *, after_task: bool = False
    ) -> None:
        self._busy.discard(child)
        if after_task and sound:
            child.printed_to(None)
        if not sound or child.ended.done():
            try:
                await child.kill(self._grace_s)
            finally:
                child.disconnect()
        elif self._closed or child.tasks_run >= self._options.max_tasks_per_process:
            child.retire(self._grace_s)
        else:
            child.set_idle_timer(_seconds(self._options.process_idle), self._retire)
            self._idle.append(child)

    def _retire(self, child: ChildProcess) -> None:
        self._idle.remove(child)
        child.retire(self._grace_s)

    def _forget(self, child: ChildProcess) -> None:
        """A child has ended, by whatever cause."""
        self._children.discard(child)
        if child not in self._busy:  # a busy one may have sent its answer before
            child.disconnect()
        if child in self._idle:
            self._idle.remove(child)
            log.warning("idle child %d %s; a new one starts on demand", child.pid, child.ending)


def _keep_line(context: AttemptContext, level: LineLevel, line: str) -> None:
    context.logger.info("%s", line, extra=as_line(level))


def _outcome(answer: Message, function: Function, context: AttemptContext) -> TaskResult:
    """The result or the failure in an answer; a child is not trusted to have checked it."""
    try:
        if "failed" in answer:
            failed = failed_from_json(answer["failed"])
            for row in str(failed.__cause__ or "").splitlines()[-MAX_TRACE_ROWS:]:
                context.logger.debug("%s", row, extra=as_line(LineLevel.ERROR))
            raise failed
        return result_of(TaskResult(**answer["result"]), function.name)
    except (KeyError, TypeError) as error:
        raise TaskFailed(
            f"the child process of function {function.name!r} sent no valid answer",
            code="crashed",
        ) from error


def _seconds(duration: timedelta) -> float:
    return duration.total_seconds()
