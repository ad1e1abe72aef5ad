"""The context that functions on the loop and in threads receive."""

from collections.abc import Mapping
from datetime import datetime

from dsched.contracts.executor.context import ExecutionContext, TaskLogger
from dsched.model import Task


class AttemptContext:
    """A `FunctionContext` over the engine's context; adds the facts of the task."""

    def __init__(self, context: ExecutionContext, task: Task) -> None:
        self._context = context
        self._task = task

    @property
    def task_id(self) -> str:
        """The task this attempt belongs to."""
        return self._task.id

    @property
    def config_id(self) -> str | None:
        """The config of the task, or None for an ad-hoc submission."""
        return self._task.config_id

    @property
    def cancelled(self) -> bool:
        """True once the engine stops the attempt."""
        return self._context.cancelled

    @property
    def scheduled_time(self) -> datetime:
        """The aware UTC instant that the task is for."""
        return self._context.scheduled_time

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the task."""
        return self._context.labels

    @property
    def attempt(self) -> int:
        """Which claim of the task this is, from 1."""
        return self._context.attempt

    @property
    def deadline(self) -> datetime:
        """The aware UTC instant at which the attempt times out."""
        return self._context.deadline

    @property
    def idempotency_key(self) -> str:
        """The task id: equal for every attempt."""
        return self._context.idempotency_key

    @property
    def epoch(self) -> int:
        """The newest leader term's epoch when the attempt was claimed."""
        return self._context.epoch

    @property
    def worker_id(self) -> str:
        """The worker that runs the attempt."""
        return self._context.worker_id

    @property
    def logger(self) -> TaskLogger:
        """A logger whose lines carry the task's id, attempt and worker."""
        return self._context.logger

    def remaining(self) -> float:
        """Seconds until the deadline; 0 when it has passed."""
        return self._context.remaining()

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far the attempt is. Never blocks."""
        self._context.progress(done, total, note)
