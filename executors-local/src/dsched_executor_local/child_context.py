"""The context of a function in a child process: the facts, and a way to send lines and progress."""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
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


def shows_its_records() -> bool:
    """Whether the application has a handler that writes to stdout or stderr, which are read."""
    shown = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return any(
        isinstance(handler, logging.StreamHandler) and handler.stream in shown
        for handler in logging.getLogger().handlers
    )


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
        self.scheduled_time = datetime.fromisoformat(facts["scheduled_time"])
        self.labels: Mapping[str, str] = facts["labels"]
        self.logger: TaskLogger = logging.Logger("dsched.task", facts["log_level"])
        self._to_worker = _ToWorker(number, send)
        self.logger.addHandler(self._to_worker)

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Within the block, what is written to `logging` goes to the worker too."""
        root = logging.getLogger()
        before = root.level
        if root.level == logging.WARNING and not root.handlers:
            root.setLevel(logging.INFO)  # nobody has set anything up
        root.addHandler(self._to_worker)
        try:
            yield
        finally:
            root.removeHandler(self._to_worker)
            root.setLevel(before)

    def remaining(self) -> float:
        """Seconds until the deadline; 0 when it has passed."""
        return max(0.0, self._ends_at - time.monotonic())

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far the attempt is."""
        whole = None if total is None else float(total)
        self._send(
            {"n": self._number, "progress": [float(done), whole, str(note)[:MAX_NOTE_CHARS]]}
        )
