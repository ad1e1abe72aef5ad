"""The lines of tasks: what a worker hands over, what a reader gets, and the store's group of steps.

A task has one log of numbered lines over all its attempts. It is bounded (`LogCaps`): what came
first is kept, and what came last. The first half of the caps is for the *head*; the first line
that does not fit there closes it for ever. All later lines are the *tail*, whose oldest lines go
when it outgrows the other half. So a flood costs the middle: neither how it began nor how it
ended.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from enum import StrEnum

import attrs

from dsched.contracts.store.outcomes import Outcome

MAX_LINE_BYTES = 4096  # of one line's text in UTF-8, escapes included
MAX_LINES_A_CALL = 2000  # over all items of one `append_lines`
MAX_LINE_PAGE = 1000

_TAB = " " * 4


class LineLevel(StrEnum):
    """What kind of line it is: the levels of `logging`, and other places that lines come from."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"
    STDOUT = "stdout"  # printed by a child process
    STDERR = "stderr"
    RESPONSE = "response"  # an excerpt of what a remote target answered
    DROPPED = "dropped"  # stands for lines that were not kept, and says how many


@attrs.frozen(kw_only=True)
class LogCaps:
    """How much of a task's log is kept: lines, and bytes of their texts."""

    lines: int = 1000
    bytes: int = 256 * 1024


@attrs.frozen(kw_only=True)
class NewLine:
    """A line of an attempt. ``number`` counts the lines of this attempt from 1; where it jumps,
    the worker has dropped some.

    ``age_ms`` is how long ago it was written: clients know no store time. ``text`` is as
    `line_text` makes it: printable, at most `MAX_LINE_BYTES`.
    """

    number: int
    age_ms: int
    text: str
    level: LineLevel = LineLevel.INFO


@attrs.frozen(kw_only=True)
class LineBatch:
    """Lines of one attempt, by ascending number."""

    task_id: str
    token: str
    lines: tuple[NewLine, ...]


@attrs.frozen(kw_only=True)
class TaskLine:
    """A line as read. ``n`` counts the lines of the *task* from 1, dropped ones included; ``at_ms``
    is wall.

    A line of level ``dropped`` and of attempt 0 was never written: it stands for those that this
    reader cannot have, up to its ``n``.
    """

    n: int
    at_ms: int
    attempt: int
    text: str
    level: LineLevel = LineLevel.INFO


@attrs.frozen(kw_only=True)
class LinePage:
    """Lines in their order. ``cursor`` continues after them, also when more have come by then.

    ``complete``: the task has ended, and this is all there was when it was read.
    """

    lines: tuple[TaskLine, ...]
    cursor: str
    complete: bool


class TaskLogs(ABC):
    """Lines of tasks. They live as long as their task, and are removed with it."""

    @abstractmethod
    async def append_lines(self, items: Sequence[LineBatch]) -> tuple[Outcome, ...]:
        """Add lines of attempts: ``OK``, or ``STALE`` unless the token is the task's latest one.

        The latest token is that of the last claim, unless it was forgotten (release, reap). The
        attempt need not run any more: its last lines may come after its completion, until the
        next claim. Lines whose number is not higher than the highest of this attempt so far
        are ignored, so a repeat adds nothing; where numbers jump, so does ``n``. At most
        `MAX_LINES_A_CALL` lines. Writes no event.
        """

    @abstractmethod
    async def task_lines(
        self, task_id: str, after: str | None, limit: int, *, attempt: int | None = None
    ) -> LinePage | None:
        """Lines after a cursor (None: from the first), at most ``limit`` (<= `MAX_LINE_PAGE`).

        A cursor is the ``n`` of the last line read, as text. With ``attempt`` only that attempt's
        lines, and the marks of what was dropped. None for a task that is unknown or past the
        result TTL. Raises ValueError for what is no cursor.
        """


# --- what stores share ---------------------------------------------------------------------------


def check_lines(items: Sequence[LineBatch]) -> None:
    """Refuse too much for one call, and what is no line: a caller's mistake is a ValueError."""
    if sum(len(item.lines) for item in items) > MAX_LINES_A_CALL:
        raise ValueError(f"more than {MAX_LINES_A_CALL} lines in one call")
    for item in items:
        last = 0
        for line in item.lines:
            if line.number <= last:
                raise ValueError(f"{item.task_id}: line numbers must ascend from 1")
            if line.age_ms < 0:
                raise ValueError(f"{item.task_id}: a line cannot be of the future")
            if not line.text.isprintable() or line_size(line.text) > MAX_LINE_BYTES:
                raise ValueError(
                    f"{item.task_id}: line {line.number} is not printable or has more than "
                    f"{MAX_LINE_BYTES} bytes; make it with line_text"
                )
            last = line.number


def line_size(text: str) -> int:
    """What a line counts against the caps: the bytes of its text."""
    return len(text) if text.isascii() else len(text.encode())


def line_cursor(after: str | None) -> int:
    """The number of the last line read, from a cursor; ValueError for a foreign one."""
    if after is None:
        return 0
    if not (after.isascii() and after.isdigit() and len(after) <= 15):
        raise ValueError(f"{after!r} is not a cursor of task lines")
    return int(after)


def line_page(
    kept: Iterable[TaskLine], *, after: int, limit: int, attempt: int | None, ended: bool
) -> LinePage:
    """The page that a reader gets of the kept lines after ``after``.

    ``kept`` may be cut behind its first ``limit`` + 1 lines where ``attempt`` is None.
    """
    found: list[TaskLine] = []
    seen = after
    for line in kept:
        if line.n > seen + 1:
            found.append(_gap(line, line.n - seen - 1))
        if attempt is None or line.attempt == attempt:
            found.append(line)
        seen = line.n
    more = len(found) > limit
    lines = tuple(found[:limit])
    cursor = lines[-1].n if more else seen
    return LinePage(lines=lines, cursor=str(cursor), complete=ended and not more)


def _gap(following: TaskLine, count: int) -> TaskLine:
    noun = "line was" if count == 1 else "lines were"
    return TaskLine(
        n=following.n - 1,
        at_ms=following.at_ms,
        attempt=0,
        text=f"{count:,} {noun} not kept: more, or faster, than the log of a task can take",
        level=LineLevel.DROPPED,
    )


def line_text(text: str) -> str:
    """A text as one line: control characters escaped, so that none can forge another line.

    Tabs become spaces. What is longer than `MAX_LINE_BYTES` is cut, and says so. Costs no more
    for a text of a megabyte than for a line.
    """
    rest = len(text) - MAX_LINE_BYTES
    shown = text[:MAX_LINE_BYTES].replace("\t", _TAB)
    if not shown.isprintable():
        shown = "".join(char if char.isprintable() else _escape(char) for char in shown)
    if rest <= 0 and line_size(shown) <= MAX_LINE_BYTES:
        return shown
    mark = f"... (cut; {len(text):,} characters in all)"
    room = MAX_LINE_BYTES - len(mark)
    return shown.encode()[:room].decode(errors="ignore") + mark


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


# --- marks on log records ------------------------------------------------------------------------

_MARK = "dsched_line"


def as_line(level: LineLevel) -> dict[str, object]:
    """The ``extra`` of a log call on a context's logger that makes it a line of the task's log
    with this level, whatever the record's own level is.

        context.logger.debug("answered %d", 200, extra=as_line(LineLevel.RESPONSE))
    """
    return {_MARK: level}


def marked_level(extra: object) -> LineLevel | None:
    """The level that `as_line` has put into an ``extra``, or None."""
    level = extra.get(_MARK) if isinstance(extra, dict) else None
    return level if isinstance(level, LineLevel) else None
