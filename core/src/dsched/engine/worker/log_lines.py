"""The lines of one attempt on their way to the store: a bounded buffer that any thread fills."""

import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import attrs

from dsched.contracts.store.tasklogs import (
    MAX_LINES_A_CALL,
    LineLevel,
    NewLine,
    line_size,
    line_text,
    marked_level,
)

# Of one attempt, between two calls to the store: the first half, and the newest.
MAX_LINES = 1000
MAX_BYTES = 256 * 1024
# Of all attempts of a worker together.
MAX_BYTES_OF_ALL = 16 * 1024 * 1024
LINE_OVERHEAD_BYTES = 100
FULL_AT_LINES = 100
MAX_TRACE_ROWS = 200
LOWEST_LEVEL = logging.INFO
CUT_OFF = "the last lines were dropped: the worker holds too many that wait for the store"


class Room:
    """The memory that all buffers of a worker share, in bytes."""

    def __init__(self, most_bytes: int = MAX_BYTES_OF_ALL) -> None:
        self._lock = threading.Lock()
        self._left_bytes = most_bytes

    def take(self, size_bytes: int) -> bool:
        """Take some; False, and nothing taken, if there is not as much."""
        with self._lock:
            if size_bytes > self._left_bytes:
                return False
            self._left_bytes -= size_bytes
            return True

    def give(self, size_bytes: int) -> None:
        """Give some back."""
        with self._lock:
            self._left_bytes += size_bytes


@attrs.frozen
class _Line:
    """``size`` is what it takes of the room; 0 for a mark, which stands for dropped lines."""

    number: int
    at_s: float
    level: LineLevel
    text: str
    size: int = 0


class LineBuffer:
    """Takes lines at any rate, without blocking, and hands them out in portions.

    A portion stays until it is `acknowledged`: a lost reply repeats it, with what has come since
    behind it. The store knows a line by its number. When lines come faster than they can be stored,
    the middle is dropped; the numbers tell how many. ``notice`` is called, from the adding thread,
    when there is a first line to send, and once more when there are many.
    """

    def __init__(
        self,
        task_id: str,
        token: str,
        clock: Callable[[], float],
        room: Room,
        notice: Callable[["LineBuffer", bool], None],
    ) -> None:
        self.task_id = task_id
        self.token = token
        self._clock = clock
        self._room = room
        self._notice = notice
        self._lock = threading.Lock()
        self._number = 0
        self._portion: list[_Line] = []
        self._first: list[_Line] = []
        self._newest: deque[_Line] = deque()
        self._first_bytes = self._newest_bytes = 0
        self._dropped_upto = 0
        self._since_portion = 0
        self._closed = False

    @property
    def waiting(self) -> bool:
        """Whether there is anything to send."""
        with self._lock:
            return bool(self._portion or self._first or self._newest or self._dropped_upto)

    def add(self, level: LineLevel, text: str) -> None:
        """Add a line; ``text`` is as `line_text` makes it."""
        with self._lock:
            if self._closed:
                return
            self._number += 1
            size = line_size(text) + LINE_OVERHEAD_BYTES
            self._keep(_Line(self._number, self._clock(), level, text, size))
            self._since_portion += 1
            count = self._since_portion
        if count in (1, FULL_AT_LINES):
            self._notice(self, count == FULL_AT_LINES)

    def _keep(self, line: _Line) -> None:
        if not self._room.take(line.size):
            self._dropped_upto = line.number
            return
        in_first = len(self._first) < MAX_LINES // 2
        in_first = in_first and self._first_bytes + line.size <= MAX_BYTES // 2
        if in_first and not self._newest and not self._dropped_upto:
            self._first.append(line)
            self._first_bytes += line.size
            return
        self._newest.append(line)
        self._newest_bytes += line.size
        while len(self._newest) > MAX_LINES // 2 or self._newest_bytes > MAX_BYTES // 2:
            oldest = self._newest.popleft()
            self._newest_bytes -= oldest.size
            self._room.give(oldest.size)
            self._dropped_upto = oldest.number

    def portion(self) -> tuple[NewLine, ...]:
        """What to send now; it comes again until it is acknowledged."""
        with self._lock:
            # The rest, its mark included, must fit into one call too.
            if len(self._portion) + MAX_LINES < MAX_LINES_A_CALL:
                self._portion += self._rest()
            now_s = self._clock()
            return tuple(
                NewLine(
                    number=line.number,
                    age_ms=max(0, round((now_s - line.at_s) * 1000)),
                    text=line.text,
                    level=line.level,
                )
                for line in self._portion
            )

    def _rest(self) -> list[_Line]:
        lines = [*self._first, *self._newest]
        if self._dropped_upto and self._dropped_upto == self._number:
            # No later line follows, whose number would show the gap.
            lines.append(_Line(self._number, self._clock(), LineLevel.DROPPED, CUT_OFF))
        self._first, self._newest = [], deque()
        self._first_bytes = self._newest_bytes = 0
        self._dropped_upto = self._since_portion = 0
        return lines

    def acknowledged(self) -> None:
        """The store has the portion."""
        with self._lock:
            self._room.give(_taken(self._portion))
            self._portion.clear()

    def close(self) -> None:
        """The attempt is another's now: drop what is here, and whatever comes."""
        with self._lock:
            self._closed = True
            self._room.give(_taken([*self._portion, *self._first, *self._newest]))
            self._portion, self._first, self._newest = [], [], deque()
            self._dropped_upto = 0


def _taken(lines: list[_Line]) -> int:
    """The room that lines have taken."""
    return sum(line.size for line in lines)


class TaskLog(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines carry the task's id, attempt and worker, and become lines of the task.

    The task's log takes what is INFO or above, whatever the pod's own log shows, and what
    `as_line` marks.
    """

    def __init__(
        self, logger: logging.Logger, extra: Mapping[str, object], lines: LineBuffer | None = None
    ) -> None:
        super().__init__(logger, extra)
        self._lines = lines

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        """Add the facts to the record, beside what the caller adds."""
        extra = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, {**kwargs, "extra": extra}

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name in `logging`
        """Whether anybody wants records of this level: the pod's log, or the task's."""
        kept = self._lines is not None and level >= LOWEST_LEVEL
        return kept or super().isEnabledFor(level)

    def getEffectiveLevel(self) -> int:  # noqa: N802 - the name in `logging`
        """The lowest level that anybody wants."""
        level = super().getEffectiveLevel()
        return level if self._lines is None else min(level, LOWEST_LEVEL)

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log, and keep the line. Never raises for what cannot be put into words."""
        if self._lines is not None:
            marked = marked_level(kwargs.get("extra"))
            if marked is not None or level >= LOWEST_LEVEL:
                self._keep(self._lines, marked or level_of(level), msg, args, kwargs)
        # Most lines are for the task alone: find that out before a record's facts are put together.
        if self.logger.isEnabledFor(level):
            # Report the caller of this method as the place that logs.
            kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
            super().log(level, msg, *args, **kwargs)

    @staticmethod
    def _keep(
        lines: LineBuffer, level: LineLevel, msg: object, args: Any, kwargs: Mapping[str, Any]
    ) -> None:
        lines.add(level, line_text(_in_words(msg, args)))
        for row in trace_rows(kwargs.get("exc_info")):
            lines.add(level, line_text("    " + row))


def level_of(number: int) -> LineLevel:
    """The level of a line for a number of `logging`, the next lower one for those between."""
    for least, level in (
        (logging.CRITICAL, LineLevel.CRITICAL),
        (logging.ERROR, LineLevel.ERROR),
        (logging.WARNING, LineLevel.WARNING),
        (logging.INFO, LineLevel.INFO),
    ):
        if number >= least:
            return level
    return LineLevel.DEBUG


def _in_words(msg: object, args: Any) -> str:
    """The message with its arguments; `logging` itself says on stderr what is wrong with a bad
    one."""
    try:
        return logging.LogRecord("", 0, "", 0, msg, args, None).getMessage()
    except Exception as error:  # noqa: BLE001 - the arguments' own code may raise anything
        return f"(a message that cannot be written: {type(error).__name__})"


def trace_rows(exc_info: Any) -> list[str]:
    """The last rows of a traceback, as `exc_info` names it in a log call."""
    error = _error_in(exc_info)
    if error is None:
        return []
    try:
        text = "".join(traceback.format_exception(*error))
    except Exception:  # noqa: BLE001 - the exception's own __str__ may raise anything
        return [f"{error[0].__name__} (whose traceback cannot be written)"]
    return text.splitlines()[-MAX_TRACE_ROWS:]


def keep_trace(lines: LineBuffer, told: tuple[Any, BaseException, TracebackType | None]) -> None:
    """Keep the traceback of an attempt's end, as lines of the level error."""
    for row in trace_rows(told):
        lines.add(LineLevel.ERROR, line_text(row))


def _error_in(
    exc_info: Any,
) -> tuple[type[BaseException], BaseException, TracebackType | None] | None:
    if isinstance(exc_info, BaseException):
        return type(exc_info), exc_info, exc_info.__traceback__
    if isinstance(exc_info, tuple):
        return exc_info if isinstance(exc_info[1], BaseException) else None
    if exc_info:
        return _error_in(sys.exc_info()[1])
    return None
