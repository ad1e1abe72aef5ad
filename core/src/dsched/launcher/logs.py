"""How `dsched-run` writes its log: plain words for people, or JSON lines for machines."""

import json
import logging
import sys
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from dsched.contracts.executor import TaskFailed
from dsched.model import rfc3339

FACTS = ("task_id", "attempt", "worker_id")
REPEAT_S = 10.0
REMEMBERED = 100
_SHORT = {"task_id": "task", "attempt": "attempt", "worker_id": "worker"}


def configure(style: str, level: str) -> None:
    """Send everything that is logged to stderr, in this style, from this level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else PlainWords())
    handler.addFilter(OnceInAWhile())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # These libraries log much: show only their warnings.
    for name in ("aiohttp", "asyncio", "grpc", "redis"):
        logging.getLogger(name).setLevel(logging.WARNING)


class OnceInAWhile(logging.Filter):
    """Drops a warning that was shown word for word within the last ten seconds.

    A pod opens several handles on one store, and each finds the same things to warn of.
    """

    def __init__(self) -> None:
        super().__init__()
        self._shown: OrderedDict[tuple[str, str], float] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to show it."""
        if record.levelno != logging.WARNING or hasattr(record, "task_id"):
            return True
        key = (record.name, record.getMessage())
        last = self._shown.get(key)
        if last is not None and record.created - last < REPEAT_S:
            return False
        self._shown[key] = record.created
        self._shown.move_to_end(key)
        if len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)
        return True


class PlainWords(logging.Formatter):
    """``10:30:00.123 info  worker: ended: 200 (task=a@1 attempt=1 worker=w)``, in local time."""

    def __init__(self) -> None:
        super().__init__()
        self._second = -1.0
        self._clock = ""

    def _time(self, created: float) -> str:
        """The clock with milliseconds; its text is made once a second, because records are many."""
        second, fraction = divmod(created, 1)
        if second != self._second:
            self._second = second
            self._clock = time.strftime("%H:%M:%S", time.localtime(second))
        return f"{self._clock}.{int(fraction * 1000):03d}"

    def format(self, record: logging.LogRecord) -> str:
        """One line a record; a traceback follows on lines of its own, indented."""
        facts = " ".join(
            f"{_SHORT[name]}={getattr(record, name)}" for name in FACTS if hasattr(record, name)
        )
        area = record.name.removeprefix("dsched.")
        text = escaped(record.getMessage())
        line = f"{self._time(record.created)} "
        line += f"{record.levelname.lower():7} {area}: {text}"
        if facts:
            line += f" ({escaped(facts)})"
        if record.exc_info and _tells_more(record.exc_info[1]):
            trace = self.formatException(record.exc_info)
            line += "\n" + "\n".join(f"    {escaped(row)}" for row in trace.splitlines())
        return line


class JsonLines(logging.Formatter):
    """One JSON object a line, times in RFC 3339 UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with its task's facts."""
        moment = rfc3339(_moment(record))
        fields: dict[str, Any] = {
            "time": moment,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {name: getattr(record, name) for name in FACTS if hasattr(record, name)}
        if record.exc_info and _tells_more(record.exc_info[1]):
            fields["exception"] = self.formatException(record.exc_info)
        return _only_printable(json.dumps(fields, ensure_ascii=False, default=str))


def _tells_more(error: BaseException | None) -> bool:
    """Whether a traceback adds anything to the message: for an executor's own failure it does
    not."""
    return not isinstance(error, TaskFailed) or error.__cause__ is not None


def _only_printable(line: str) -> str:
    """JSON escapes newlines and ESC by itself; the rest (C1 controls, surrogates) here."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)


def escaped(text: str) -> str:
    """The text with control characters shown, so that no message can forge a line or a colour."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _shown(char) for char in text)


def _shown(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)
