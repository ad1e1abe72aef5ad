"""What an executor is told about its attempt."""

import logging
from datetime import datetime
from functools import cached_property
from typing import Any

from dsched.engine.attempts import Attempt
from dsched.engine.runtime import Runtime
from dsched.model import JsonValue, from_ms
from dsched.model.json import check_json

log = logging.getLogger("dsched.task")

MAX_NOTE_CHARS = 500
MAX_PROGRESS_BYTES = 4096


class TaskLog(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines carry the task's id, attempt and worker."""

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        """Add the facts to the record, beside what the caller adds."""
        extra = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, {**kwargs, "extra": extra}


class AttemptContext:
    """The `ExecutionContext` of one attempt."""

    def __init__(self, attempt: Attempt, runtime: Runtime) -> None:
        self._attempt = attempt
        self._runtime = runtime
        self.attempt = attempt.task.attempt
        self.worker_id = attempt.worker_id
        self.epoch = attempt.epoch
        self.idempotency_key = attempt.task.id

    @cached_property
    def logger(self) -> TaskLog:
        """Made when it is asked for: most attempts log nothing of their own."""
        return TaskLog(log, self._attempt.facts())

    @property
    def deadline(self) -> datetime:
        """When the attempt times out, by the store's wall clock at its claim."""
        start_ms = self._attempt.task.start_ms or 0
        return from_ms(start_ms) + self._attempt.spec.timeout

    def remaining(self) -> float:
        """Seconds until the timeout, on the monotonic clock."""
        return max(0.0, self._attempt.timeout_s - self._runtime.monotonic())

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Remember how far it is; the worker reports the latest every second."""
        value: JsonValue = {"done": done}
        if total is not None:
            value["total"] = total
        if note:
            value["note"] = str(note)[:MAX_NOTE_CHARS]
        # Refuse NaN and the like here, where the caller can see it.
        check_json(value, "progress", MAX_PROGRESS_BYTES)
        self._attempt.progress, self._attempt.progress_changed = value, True
