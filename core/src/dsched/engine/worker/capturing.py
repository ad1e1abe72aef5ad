"""What running attempts say by `logging` and `print`, as lines of their tasks.

A context variable tells which attempt runs here: it holds in what an attempt awaits, in tasks that
it makes, and in threads that take its context along (`asyncio.to_thread`, the local executor's).
"""

import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from dsched.contracts.store.tasklogs import MAX_LINE_BYTES, LineLevel, line_text
from dsched.engine.worker.attempts import Attempt
from dsched.engine.worker.log_lines import LOWEST_LEVEL, level_of, trace_rows
from dsched.engine.worker.log_reporting import LineReporter

_STREAMS: Mapping[str, LineLevel] = {"stdout": LineLevel.STDOUT, "stderr": LineLevel.STDERR}
# Loggers of dsched itself: what they log of an attempt is in its task's record, or a line already.
_OURS = ("dsched.", "dsched_")


class Voice:
    """What one attempt says: lines of its task until it has ended, then nothing any more.

    A connection or an asyncio task that the attempt made may live on and keep its context for ever.
    """

    __slots__ = ("_attempt", "_begun", "_ended", "_lines", "_lock")

    def __init__(self, attempt: Attempt, lines: LineReporter) -> None:
        self._attempt = attempt
        self._lines = lines
        self._lock = threading.Lock()
        self._begun: dict[LineLevel, str] = {}
        self._ended = False

    def logged(self, record: logging.LogRecord) -> None:
        """Keep a record of `logging`, its traceback included."""
        level = level_of(record.levelno)
        self._keep(level, _message(record).splitlines() or [""])
        self._keep(level, (f"    {row}" for row in trace_rows(record.exc_info)))

    def printed(self, level: LineLevel, text: str) -> None:
        """Keep the lines that end in a printed text; what has not ended waits for its end."""
        with self._lock:
            *whole, rest = (self._begun.pop(level, "") + text).split("\n")
            if len(rest) >= MAX_LINE_BYTES:  # a progress bar, or a line that never ends
                whole.append(rest)
            elif rest:
                self._begun[level] = rest
        self._keep(level, whole)

    def end(self) -> None:
        """The attempt has ended: keep what was begun, and nothing that comes later."""
        with self._lock:
            begun, self._begun = self._begun, {}
        for level, text in begun.items():
            self._keep(level, [text])
        self._ended = True

    def _keep(self, level: LineLevel, texts: Iterable[str]) -> None:
        if self._ended:
            return
        for text in texts:
            # A progress bar that redraws itself: keep how it looked last.
            self._lines.open(self._attempt).add(level, line_text(text.rstrip("\r").split("\r")[-1]))


_SPEAKING: ContextVar[Voice | None] = ContextVar("dsched_attempt", default=None)


class _Captured(logging.Handler):
    """The handler on the root logger; others are not disturbed."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record of a running attempt."""
        voice = None if _CAPTURE.forked else _SPEAKING.get()
        if voice is not None and not record.name.startswith(_OURS):
            voice.logged(record)
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and self._is_alone(record):
            last.handle(record)  # without this handler it would have been written so

    def _is_alone(self, record: logging.LogRecord) -> bool:
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return False
            logger = logger.parent if logger.propagate else None
        return True


class _Heard:
    """Stands in for stdout or stderr. All is passed on to it; what attempts print is kept too."""

    def __init__(self, stream: Any, level: LineLevel) -> None:
        self.heard_stream = stream
        self._level = level

    def write(self, text: str) -> Any:
        """Write as the stream itself would."""
        answer = self.heard_stream.write(text)
        voice = None if _CAPTURE.forked else _SPEAKING.get()
        # A record of `logging` that a handler shows here is no print.
        if voice is not None and _caller_of_write() != "logging":
            voice.printed(self._level, str(text))
        return answer

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of them."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's."""
        return getattr(self.heard_stream, name)


def _caller_of_write() -> str:
    """The module that has written to a stream."""
    return str(sys._getframe(2).f_globals.get("__name__"))  # noqa: SLF001 - as `warnings` does


class _Capture:
    """What is in place in this process, for however many workers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handler = _Captured(LOWEST_LEVEL)
        self._loggers = 0
        self._printers = 0
        self.forked = False

    def hear(self, *, logging_too: bool, prints_too: bool) -> None:
        """Put in place what is not yet."""
        with self._lock:
            self._loggers += logging_too
            self._printers += prints_too
            if prints_too and self._printers == 1:
                for name, level in _STREAMS.items():
                    stream = getattr(sys, name)
                    if stream is not None:  # a daemon's may be closed
                        setattr(sys, name, _Heard(stream, level))

    def leave(self, *, logging_too: bool, prints_too: bool) -> None:
        """Take away what nobody wants any more; a stream that somebody else has put there stays."""
        with self._lock:
            self._loggers -= logging_too
            self._printers -= prints_too
            if logging_too and not self._loggers:
                logging.getLogger().removeHandler(self._handler)
            if prints_too and not self._printers:
                for name in _STREAMS:
                    stream = getattr(sys, name)
                    if isinstance(stream, _Heard):
                        setattr(sys, name, stream.heard_stream)

    def see_to_handler(self) -> None:
        """Only when an attempt starts: a program that sets up its logging after its pod has started
        must find no handler there (`basicConfig` would do nothing), and may take ours away."""
        if self._loggers and self._handler not in logging.getLogger().handlers:
            logging.getLogger().addHandler(self._handler)

    def after_fork(self) -> None:
        # The copy has no loop to send lines, and its locks may be held by threads it has not.
        self.forked = True


_CAPTURE = _Capture()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_CAPTURE.after_fork)


@contextmanager
def capturing(*, logging_too: bool, prints_too: bool) -> Iterator[None]:
    """While it lasts, what attempts that `speak` log and print becomes lines of their tasks."""
    _CAPTURE.hear(logging_too=logging_too, prints_too=prints_too)
    try:
        yield
    finally:
        _CAPTURE.leave(logging_too=logging_too, prints_too=prints_too)


def speak(attempt: Attempt, lines: LineReporter) -> Voice:
    """From here on, what is said in this context is said by the attempt."""
    _CAPTURE.see_to_handler()
    voice = Voice(attempt, lines)
    _SPEAKING.set(voice)
    return voice


def _message(record: logging.LogRecord) -> str:
    """The message. For structlog, whose message is a mapping to `logging`, the event and its
    facts."""
    said = record.msg
    if isinstance(said, Mapping) and "event" in said and not record.args:
        facts = " ".join(f"{key}={value!r}" for key, value in said.items() if key != "event")
        return f"{said['event']} {facts}".strip()
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - `logging` itself says it on stderr
        return f"(a message that cannot be written: {type(error).__name__})"
