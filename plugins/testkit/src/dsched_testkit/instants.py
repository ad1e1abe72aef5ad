"""The instants that a config owes, found by walking through time, unlike the production code."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import attrs

from dsched.model import JsonValue, TaskConfig
from dsched_testkit.simulated_zones import simulated_zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_NAMES = {
    name: number + 1
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    )
} | {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_FIRST = (0, 0, 0, 1, 1, 0)
_LAST = (59, 59, 23, 31, 12, 7)


class UnknownTriggerError(ValueError):
    """A trigger that this enumerator does not know, so that nothing is said about it."""


@attrs.frozen(kw_only=True)
class Content:
    """What of a config its instants depend on; all instants and spans in ms."""

    cron: str | None = None
    every_ms: int | None = None
    at_ms: int | None = None
    fixed_delay_ms: int | None = None
    timezone: str = "UTC"
    dst_gap: str = "next"
    dst_overlap: str = "first"
    start_ms: int | None = None
    end_ms: int | None = None
    created_ms: int = 0
    enabled: bool = True
    overlap: str = "skip"
    calendar: Mapping[str, Any] | None = None


def content_of(config: TaskConfig) -> Content:
    """The same of a real config."""
    return Content(
        cron=config.cron_expr,
        every_ms=_span(config.every),
        at_ms=_ms(config.at),
        fixed_delay_ms=_span(config.fixed_delay),
        timezone=config.timezone,
        dst_gap=config.dst_gap.value,
        dst_overlap=config.dst_overlap.value,
        start_ms=_ms(config.start_at),
        end_ms=_ms(config.end_at),
        created_ms=config.created_ms,
        enabled=config.enabled,
        overlap=config.overlap.value,
        calendar=None if config.calendar is None else config.calendar.record(),
    )


def content_line(config: TaskConfig) -> dict[str, JsonValue]:
    """`content_of` as it stands in a line of evidence; what is at its default is left out."""
    return attrs.asdict(
        content_of(config),
        filter=lambda field, value: value != field.default,
    )


def read_content(found: Mapping[str, Any]) -> Content:
    """The content in a line of evidence."""
    return Content(**found)


def owed(config: TaskConfig | Content, after_ms: int, upto_ms: int) -> list[int]:
    """Every instant in (after, upto] at which ``config`` is due, its bounds and days considered.

    For `every`, `at`, and crons of numbers, names, lists, ranges and steps, in any zone.
    """
    content = content_of(config) if isinstance(config, TaskConfig) else config
    if not content.enabled:
        return []
    low_ms = after_ms + 1 if content.start_ms is None else max(after_ms + 1, content.start_ms)
    high_ms = upto_ms if content.end_ms is None else min(upto_ms, content.end_ms)
    found = (ms for ms in _all(content, low_ms, high_ms) if low_ms <= ms <= high_ms)
    if content.calendar is None:
        return list(found)
    zone = simulated_zone(content.timezone)
    return [
        ms for ms in found if _is_on(content.calendar, datetime.fromtimestamp(ms // 1000, zone))
    ]


def _is_on(calendar: Mapping[str, Any], here: datetime) -> bool:
    """Whether a calendar leaves the day of this local time in."""
    day = here.date()
    if any(_has(days, day) for days in calendar.get("skip", ())):
        return False
    only = calendar.get("only", ())
    return not only or any(_has(days, day) for days in only)


def _has(days: Mapping[str, Any], day: date) -> bool:
    if ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[day.weekday()] in days.get("weekdays", ()):
        return True
    spans = (text.split("/") for text in days.get("dates", ()))
    return any(span[0] <= day.isoformat() <= span[-1] for span in spans)


def _all(content: Content, low_ms: int, high_ms: int) -> Iterator[int]:
    if content.at_ms is not None:
        yield content.at_ms
    elif content.every_ms is not None:
        at_ms = content.created_ms if content.start_ms is None else content.start_ms
        at_ms += max(0, (low_ms - at_ms) // content.every_ms - 1) * content.every_ms
        while at_ms <= high_ms:
            yield at_ms
            at_ms += content.every_ms
    elif content.cron is not None:
        yield from _cron(content, low_ms // 1000, high_ms // 1000)


def _cron(content: Content, low_s: int, high_s: int) -> Iterator[int]:
    """Walk second by second, or minute by minute, as a clock on a wall of that zone shows it."""
    fields = _fields(content.cron or "")
    texts = (content.cron or "").split()
    zone = simulated_zone(content.timezone)
    # A cron of given times of day follows the policies; any other matches what the wall shows.
    fixed = "*" not in texts[-5] + texts[-4]
    step_s = 60 if fields[0] == {0} else 1
    low_s -= low_s % step_s
    before = datetime.fromtimestamp(low_s - step_s, zone)
    for second in range(low_s, high_s + 1, step_s):
        here = datetime.fromtimestamp(second, zone)
        shown = _shows(fields, here) and not (fixed and _left_out(content, here))
        if shown or (fixed and content.dst_gap == "next" and _in_gap(fields, before, here, step_s)):
            yield second * 1000
        before = here


def _fields(text: str) -> list[set[int]]:
    """The matching numbers of second, minute, hour, day, month, weekday; and how days combine."""
    parts = text.lower().split()
    if len(parts) == 5:
        parts.insert(0, "0")
    if len(parts) != 6:
        raise UnknownTriggerError(f"this enumerator does not know {text!r}")
    spans = zip(parts, _FIRST, _LAST, strict=True)
    fields = [_numbers(part, least, last, text) for part, least, last in spans]
    fields[5] = {number % 7 for number in fields[5]}
    either = not parts[3].startswith("*") and not parts[5].startswith("*")
    return [*fields, {1} if either else set()]


def _numbers(field: str, least: int, last: int, text: str) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        try:
            first = least if low == "*" else _NAMES[low] if low in _NAMES else int(low)
            upto = last if low == "*" or (step and not high) else first
            if high:
                upto = _NAMES[high] if high in _NAMES else int(high)
            found |= set(range(first, upto + 1, int(step or 1)))
        except ValueError as error:
            raise UnknownTriggerError(f"this enumerator does not know {text!r}") from error
    return found


def _shows(fields: list[set[int]], here: datetime) -> bool:
    seconds, minutes, hours, days, months, weekdays, either = fields
    if here.second not in seconds or here.minute not in minutes or here.hour not in hours:
        return False
    day, weekday = here.day in days, (here.weekday() + 1) % 7 in weekdays
    return here.month in months and ((day or weekday) if either else (day and weekday))


def _left_out(content: Content, here: datetime) -> bool:
    """Whether this local time comes twice, and the policy wants the other one."""
    if here.replace(fold=0).utcoffset() == here.replace(fold=1).utcoffset():
        return False
    if content.dst_overlap == "both":
        return False
    return here.fold != (0 if content.dst_overlap == "first" else 1)


def _in_gap(fields: list[set[int]], before: datetime, here: datetime, step_s: int) -> bool:
    """Whether the clocks jumped here, over a time that matches."""
    local, upto = before.replace(tzinfo=None), here.replace(tzinfo=None)
    if upto - local <= timedelta(seconds=step_s):
        return False
    while (local := local + _SECOND) < upto:
        if _shows(fields, local):
            return True
    return False


def _ms(instant: datetime | None) -> int | None:
    return None if instant is None else (instant - _EPOCH) // timedelta(milliseconds=1)


def _span(span: timedelta | None) -> int | None:
    return None if span is None else span // timedelta(milliseconds=1)
