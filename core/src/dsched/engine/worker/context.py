"""What an executor is told about its attempt."""

import logging
import threading
from collections.abc import Mapping
from datetime import datetime

from dsched.contracts.store import Store
from dsched.engine.runtime import Runtime
from dsched.engine.worker.attempts import Attempt
from dsched.engine.worker.callbacks import AttemptCallback
from dsched.engine.worker.log_lines import TaskLog
from dsched.engine.worker.log_reporting import LineReporter
from dsched.model import JsonValue, from_ms
from dsched.model.json import check_json
from dsched.model.progress import Pace, paced, rounded

log = logging.getLogger("dsched.task")

MAX_NOTE_CHARS = 500
MAX_PROGRESS_BYTES = 4096

# One for all attempts: it is held for microseconds, and a lock for each would cost every task.
_PACING = threading.Lock()


class AttemptContext:
    """The `ExecutionContext` of one attempt. Without ``lines`` its task keeps no log, without
    ``store`` nobody can call back."""

    def __init__(
        self,
        attempt: Attempt,
        runtime: Runtime,
        lines: LineReporter | None = None,
        store: Store | None = None,
    ) -> None:
        self._attempt = attempt
        self._store = store
        self._runtime = runtime
        self._lines = lines
        self._logger: TaskLog | None = None
        self._pace: Pace | None = None
        self.attempt = attempt.task.attempt
        self.worker_id = attempt.worker_id
        self.epoch = attempt.epoch
        self.idempotency_key = attempt.task.id

    @property
    def logger(self) -> TaskLog:
        """Made when it is asked for: most attempts log nothing of their own."""
        # No `cached_property`, which takes a lock on Python 3.11. Two loggers would do no harm.
        if self._logger is None:
            kept = None if self._lines is None else self._lines.open(self._attempt)
            self._logger = TaskLog(log, self._attempt.facts(), kept)
        return self._logger

    @property
    def callback(self) -> AttemptCallback:
        """How its target completes it later."""
        if self._store is None:
            raise RuntimeError(
                "this attempt belongs to no worker with a store: nobody can call back"
            )
        return AttemptCallback(self._attempt, self._store, self._runtime, self.logger)

    @property
    def deadline(self) -> datetime:
        """When the attempt times out, by the store's wall clock at its claim."""
        start_ms = self._attempt.task.start_ms or 0
        return from_ms(start_ms) + self._attempt.spec.timeout

    @property
    def cancelled(self) -> bool:
        """True once the engine stops the attempt."""
        return self._attempt.cancelled

    @property
    def scheduled_time(self) -> datetime:
        """The instant that the task is for."""
        return self._attempt.task.scheduled_time

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the task's own snapshot."""
        return self._attempt.spec.labels

    def remaining(self) -> float:
        """Seconds until the timeout, on the monotonic clock."""
        return max(0.0, self._attempt.timeout_s - self._runtime.monotonic())

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Remember how far it is, and how fast it goes; the worker reports the latest every second.

        Kept are ``done``, ``total`` and ``note`` as given, and ``rate_per_s`` and ``eta_s`` (the
        seconds left from this progress on) where they can be told.
        """
        value: dict[str, JsonValue] = {"done": done}
        if total is not None:
            value["total"] = total
        if note:
            value["note"] = str(note)[:MAX_NOTE_CHARS]
        # Refuse NaN and the like here, where the caller can see it.
        check_json(value, "progress", MAX_PROGRESS_BYTES)
        with _PACING:
            value |= self._estimate(done, total)
            self._attempt.progress, self._attempt.progress_changed = value, True

    def _estimate(self, done: float, total: float | None) -> dict[str, JsonValue]:
        """The rate and the seconds left, as far as they are known."""
        try:
            self._pace = paced(self._pace, float(done), self._runtime.monotonic())
            rate, left_s = self._pace.rate_per_s, total and self._pace.eta_s(float(total))
        except (OverflowError, TypeError, ValueError):  # beyond any float, or no number at all
            return {}
        known = {"rate_per_s": rate, "eta_s": left_s}
        return {name: rounded(value) for name, value in known.items() if value is not None}
