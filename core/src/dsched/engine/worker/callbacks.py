"""An attempt whose target calls back: it waits here, with its slot and its lease, for the inbox."""

import asyncio
import logging
import secrets
from typing import Any

import attrs

from dsched.contracts.executor import TaskFailed
from dsched.contracts.executor.context import TaskLogger
from dsched.contracts.store import Store
from dsched.contracts.store.callbacks import Inbox, digest_of, read_inbox, write_inbox
from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.store.tasklogs import LineLevel, as_line
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import answered_within, until_answered
from dsched.engine.worker.attempts import Attempt
from dsched.model import TaskResult
from dsched.model.progress import WAITS, WAITS_FOR_CALLBACK

log = logging.getLogger("dsched.worker")

FIRST_LOOK_S = 0.1
LOOK_EVERY_S = 2.0
ANSWER_S = 5.0
LAST_LOOK_S = 2.0
EARLIER = 3  # attempts of before that are asked after


class AttemptCallback:
    """The `Callback` of one attempt."""

    def __init__(
        self, attempt: Attempt, store: Store, runtime: Runtime, logger: TaskLogger
    ) -> None:
        self._attempt = attempt
        self._store = store
        self._runtime = runtime
        self._logger = logger

    async def earlier(self) -> TaskResult | None:
        """What was said of an attempt that was taken from its worker before it could report it."""
        task = self._attempt.task
        for number in range(task.attempt - 1, max(0, task.attempt - 1 - EARLIER), -1):
            inbox, _ = await until_answered(
                self._runtime,
                "asking for a callback",
                lambda number=number: read_inbox(self._store, task.id, number),  # type: ignore[misc]
            )
            # One that was reported and is tried again has counted already.
            if inbox is not None and inbox.done is not None and inbox.retries == task.retry_count:
                facts = self._attempt.facts()
                log.info("its target has completed attempt %d by callback", number, extra=facts)
                return _told(inbox.done)
        return None

    async def expect(self) -> str:
        """Open the inbox."""
        task, token = self._attempt.task, secrets.token_urlsafe(32)
        left_s = max(0.0, self._attempt.timeout_s - self._runtime.monotonic())

        async def opened() -> Outcome:
            now_ms = (await self._store.now()).now_ms
            inbox = Inbox(
                task=task.id,
                attempt=task.attempt,
                sha256=digest_of(token),
                until_ms=now_ms + round(left_s * 1000),
                retries=task.retry_count,
            )
            _, version = await read_inbox(self._store, task.id, task.attempt)
            return await write_inbox(self._store, inbox, read=version, now_ms=now_ms)

        await until_answered(self._runtime, "opening a callback", opened)
        return token

    async def wait(self) -> TaskResult:
        """Look into the inbox until it says how the attempt ended."""
        self._attempt.progress = {WAITS: WAITS_FOR_CALLBACK}
        self._attempt.progress_changed = True
        pause_s = FIRST_LOOK_S
        try:
            while True:
                done = await self._look(ANSWER_S)
                if done is not None:
                    return _told(done)
                await self._runtime.sleep(pause_s)
                pause_s = min(LOOK_EVERY_S, 2 * pause_s)
        except asyncio.CancelledError:
            if not self._attempt.timed_out or self._attempt.told_to_stop:
                raise
            # What was accepted in time counts, though it is read a moment later.
            done = await self._look(LAST_LOOK_S)
            if done is None:
                raise
            return _told(done)

    async def _look(self, within_s: float) -> Any:
        """Take over what has come; how the attempt ended, None while that is open."""
        task = self._attempt.task
        try:
            async with answered_within(within_s):
                inbox, version = await read_inbox(self._store, task.id, task.attempt)
                if inbox is None:
                    return None
                if inbox.lines or inbox.progress is not None:
                    await self._take_over(inbox, version)
                return inbox.done
        except StoreUnavailableError:
            return None  # the other parts of the worker say so; the timeout goes on

    async def _take_over(self, inbox: Inbox, version: int) -> None:
        """Lines and progress become the attempt's own; if more has come meanwhile, at the next
        look."""
        now_ms = (await self._store.now()).now_ms
        emptied = attrs.evolve(inbox, lines=(), progress=None)
        if await write_inbox(self._store, emptied, read=version, now_ms=now_ms) is Outcome.MOVED:
            return
        for level, text in inbox.lines:
            kind = LineLevel(level)
            self._logger.log(logging.INFO, "%s", text, extra=as_line(kind))
        if isinstance(inbox.progress, dict):
            self._attempt.progress = {**inbox.progress, WAITS: WAITS_FOR_CALLBACK}
            self._attempt.progress_changed = True


def _told(done: Any) -> TaskResult:
    """The end of the attempt as its target said."""
    if done["success"]:
        return TaskResult(code=done["code"], message=done["message"], data=done["data"])
    raise TaskFailed(
        done["message"] or "its target's callback says that it failed",
        done["code"],
        retryable=done["retryable"],
        data=done["data"],
    )
