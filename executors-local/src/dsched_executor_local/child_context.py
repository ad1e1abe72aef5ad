"""The context a function receives in a child process: the facts, and a way to speak."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from dsched.contracts.executor.context import TaskLogger
from dsched_executor_local.frames import Message

MAX_NOTE_CHARS = 1024
MAX_LINE_CHARS = 16 * 1024


class _ToWorker(logging.Handler):
    """Sends the lines of one attempt to the worker, whose own logger writes them."""

    def __init__(self, number: int, send: Callable[[Message], None]) -> None:
        super().__init__()
        self._number = number
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line, its traceback included."""
        try:
            line = self.format(record)[:MAX_LINE_CHARS]
            self._send({"n": self._number, "log": [record.levelno, line]})
        except Exception:  # noqa: BLE001 - as every logging handler: say it, never raise
            self.handleError(record)


class ChildContext:
    """A `FunctionContext` made of the facts that came with the request."""

    cancelled = False  # a cancel kills the process

    def __init__(
        self, number: int, facts: Mapping[str, Any], send: Callable[[Message], None]
    ) -> None:
        self._number = number
        self._send = send
        self._ends_at = time.monotonic() + float(facts["remaining_s"])
        self.task_id: str = facts["task_id"]
        self.config_id: str | None = facts["config_id"]
        self.attempt: int = facts["attempt"]
        self.deadline = datetime.fromisoformat(facts["deadline"])
        self.idempotency_key: str = facts["idempotency_key"]
        self.epoch: int = facts["epoch"]
        self.worker_id: str = facts["worker_id"]
        self.logger: TaskLogger = logging.Logger("dsched.task", facts["log_level"])
        self.logger.addHandler(_ToWorker(number, send))

    def remaining(self) -> float:
        """Seconds until the deadline; 0 when it has passed."""
        return max(0.0, self._ends_at - time.monotonic())

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far the attempt is."""
        whole = None if total is None else float(total)
        self._send(
            {"n": self._number, "progress": [float(done), whole, str(note)[:MAX_NOTE_CHARS]]}
        )
