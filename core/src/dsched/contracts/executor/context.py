"""What an executor is told about its attempt."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from logging import Logger, LoggerAdapter
from typing import Any, Protocol, TypeAlias

import attrs

from dsched.model import Task, rfc3339_ms

MAX_CACHED_INSTANTS = 1024
TaskLogger: TypeAlias = "Logger | LoggerAdapter[Any]"


class ExecutionContext(Protocol):
    """What an attempt knows about itself. Handed to `Executor.execute`; read-only."""

    @property
    def attempt(self) -> int:
        """Which claim of the task this is, from 1. It always grows: crashes and releases count."""

    @property
    def deadline(self) -> datetime:
        """The aware UTC instant at which the attempt times out."""

    @property
    def idempotency_key(self) -> str:
        """The task id: equal for every attempt, so that a target can recognise a repeat."""

    @property
    def epoch(self) -> int:
        """The newest leader term's epoch when the attempt was claimed; a fencing number."""

    @property
    def worker_id(self) -> str:
        """The worker that runs the attempt."""

    @property
    def logger(self) -> TaskLogger:
        """A logger whose lines carry the task's id, attempt and worker."""

    @property
    def cancelled(self) -> bool:
        """True once the engine stops the attempt: cancelled, timed out, or taken from the worker.

        Nothing else says so: what `asyncio.Task.cancelling` counts may be a group's or a timeout's
        of the work itself.
        """

    @property
    def scheduled_time(self) -> datetime:
        """The aware UTC instant that the task is for (`Task.scheduled_time`)."""

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the task's config, or of its submission."""

    def remaining(self) -> float:
        """Seconds until the deadline, on the monotonic clock; 0 when it has passed."""

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far the attempt is. Never blocks, may be called from any thread; latest wins."""


@attrs.frozen(kw_only=True)
class TaskFacts:
    """The facts about an attempt that every remote target is told, in headers or metadata."""

    task_id: str
    config_id: str | None
    attempt: int
    scheduled_time: str
    epoch: int

    @classmethod
    def of(cls, context: ExecutionContext, task: Task) -> "TaskFacts":
        """The facts of this attempt; times are RFC 3339, UTC, with milliseconds."""
        return cls(
            task_id=task.id,
            config_id=task.config_id,
            attempt=context.attempt,
            scheduled_time=_in_text(task.nominal_ms),
            epoch=context.epoch,
        )

    def as_headers(self) -> Mapping[str, str]:
        """``Idempotency-Key`` and the ``X-Dsched-*`` headers, for HTTP and for gRPC metadata."""
        headers = {
            "Idempotency-Key": self.task_id,
            "X-Dsched-Task-Id": self.task_id,
            "X-Dsched-Attempt": str(self.attempt),
            "X-Dsched-Scheduled-Time": self.scheduled_time,
            "X-Dsched-Epoch": str(self.epoch),
        }
        if self.config_id is not None:
            headers["X-Dsched-Config-Id"] = self.config_id
        return headers

    @property
    def traceparent(self) -> str:
        """A W3C trace context: one trace for all attempts of a task, one span for each."""
        trace = blake2b(self.task_id.encode(), digest_size=16).hexdigest()
        span = blake2b(f"{self.attempt} {self.task_id}".encode(), digest_size=8).hexdigest()
        return f"00-{trace}-{span}-01"


# Tasks that fire together are for one instant, and so are all attempts of a task.
@lru_cache(maxsize=MAX_CACHED_INSTANTS)
def _in_text(instant_ms: int) -> str:
    return rfc3339_ms(instant_ms)
