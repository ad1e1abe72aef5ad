"""What a trigger will do next, as people read it: instants, local times, and DST oddities in
words."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import attrs

from dsched.model import (
    Calendar,
    CronTrigger,
    DstGap,
    DstOverlap,
    FixedDelayTrigger,
    TaskConfig,
    Trigger,
    from_ms,
    to_ms,
)
from dsched.planning.cron.expression import CronInstants
from dsched.planning.left_out_note import left_out_note
from dsched.planning.triggers import compile_trigger, on_days
from dsched.planning.zone import DAY_S, Segment, Zone, load_zone

MAX_UPCOMING = 1000
# How far ahead to search: a rare instant costs by the years until it.
MAX_SPAN_MS = 100 * 366 * DAY_S * 1000


@attrs.frozen(kw_only=True)
class UpcomingInstant:
    """One nominal instant (ms), the wall clock of its zone with its offset, and what is odd.

    ``note`` is empty for an ordinary instant. It says when a DST change moved the instant, made its
    local time one of two, or left out a local time since the instant before.
    """

    at_ms: int
    local: str
    note: str = ""


@attrs.frozen(kw_only=True)
class Upcoming:
    """Instants in ascending order; ``truncated`` if the limit, or the longest span that is
    searched, left out more within the bounds."""

    items: tuple[UpcomingInstant, ...] = ()
    truncated: bool = False


def config_upcoming(
    config: TaskConfig, *, after_ms: int, limit: int, until_ms: int | None = None
) -> Upcoming:
    """`upcoming` for a config's trigger, zone and bounds; whether it is enabled is not asked."""
    return upcoming(
        config.trigger,
        timezone=config.timezone,
        after_ms=after_ms,
        until_ms=until_ms,
        limit=limit,
        start_ms=None if config.start_at is None else to_ms(config.start_at),
        end_ms=None if config.end_at is None else to_ms(config.end_at),
        calendar=config.calendar,
    )


def upcoming(
    trigger: Trigger,
    *,
    timezone: str = "UTC",
    after_ms: int,
    limit: int,
    until_ms: int | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
    calendar: Calendar | None = None,
) -> Upcoming:
    """The first ``limit`` instants (1 to 1000) strictly later than ``after_ms``.

    ``until_ms`` is inclusive; None looks as far as the trigger does. A hundred years after the
    first instant nothing more is looked for (`MAX_SPAN_MS`). A cron trigger brings its own zone;
    ``timezone`` is how the local times of the others are shown. An instant that comes after days
    that the ``calendar`` leaves out says which. Raises `InvalidTriggerError` for
    what cannot be meant, `ValueError` for a limit out of bounds.
    """
    if not 1 <= limit <= MAX_UPCOMING:
        raise ValueError(f"limit must be 1 to {MAX_UPCOMING}, got {limit}")
    zone = load_zone(trigger.timezone if isinstance(trigger, CronTrigger) else timezone)
    every_day = compile_trigger(trigger, start_ms=start_ms, end_ms=end_ms)
    instants = every_day if calendar is None else on_days(every_day, calendar, zone.name)
    items: list[UpcomingInstant] = []
    before_ms, at_ms = after_ms, instants.next_after(after_ms)
    while at_ms is not None and (until_ms is None or at_ms <= until_ms):
        if len(items) == limit or (items and at_ms - items[0].at_ms > MAX_SPAN_MS):
            return Upcoming(items=tuple(items), truncated=True)
        note = ""
        if isinstance(every_day, CronInstants):
            note = _note(every_day, before_ms, at_ms)
        elif isinstance(trigger, FixedDelayTrigger):
            note = "the first; each later one is due a fixed delay after the end of a run"
        if calendar is not None:
            days = left_out_note(every_day, calendar, zone=zone, before_ms=before_ms, at_ms=at_ms)
            note = "; ".join(filter(None, (note, days)))
        items.append(UpcomingInstant(at_ms=at_ms, local=_local(at_ms, zone), note=note))
        before_ms, at_ms = at_ms, instants.next_after(at_ms)
    return Upcoming(items=tuple(items))


def clock_note(trigger: CronTrigger, at_ms: int) -> str:
    """What a clock change does to this instant: it moved a time here, made it one of two that the
    wall shows, or left one out that people would look for here. Empty where it does nothing.
    """
    instants = compile_trigger(trigger)
    if not isinstance(instants, CronInstants) or at_ms % 1000:
        return ""
    at_s = at_ms // 1000
    if not instants.reaches(at_s):
        return ""
    notes = []
    for segment in instants.zone.segments(at_s, at_s):
        gap_s = segment.offset_s - segment.before_s
        if gap_s > 0 and abs(at_s - segment.start_s) <= gap_s:
            notes.append(_lost_note(instants, segment))
        shown_s = at_s + segment.offset_s
        here = segment.start_s <= at_s < segment.end_s
        if here and instants.pattern.next_from(shown_s, shown_s) is not None:
            notes.append(_twice_note(instants, segment, at_s))
    return "; ".join(note for note in notes if note)


def _lost_note(instants: CronInstants, segment: Segment) -> str:
    """A fixed time that the clocks jumped over, wherever near it one asks."""
    from_s = segment.start_s + segment.before_s
    to_s = segment.start_s + segment.offset_s
    lost_s = instants.pattern.next_from(from_s, to_s - 1)
    if lost_s is None or not instants.pattern.fixed_time:
        return ""
    fate = "dst_gap skip leaves it out"
    if instants.dst_gap == DstGap.NEXT:
        fate = f"dst_gap next makes it due at the jump, {_wall(to_s)}"
    jump = f"clocks jump from {_wall(from_s)} to {_wall(to_s)}"
    return (
        f"{_wall(lost_s)} does not exist on {_date(lost_s)} in {instants.zone.name} ({jump}): "
        f"{fate}"
    )


def _local(at_ms: int, zone: Zone) -> str:
    """The wall clock of a zone; of UTC on the days at which the calendar begins and ends."""
    instant = from_ms(at_ms)
    with suppress(OverflowError):
        instant = instant.astimezone(zone.info)
    return instant.isoformat(timespec="milliseconds" if at_ms % 1000 else "seconds")


def _note(instants: CronInstants, before_ms: int, at_ms: int) -> str:
    """What clock changes did to this instant, or between the one before and this one."""
    at_s = at_ms // 1000
    # A gap further back than two days lies before the last instant of any but a rare cron; looking
    # from the instant before (at most a year) finds it for those as well.
    from_s = max(before_ms // 1000 + 1, at_s - 366 * DAY_S)
    if instants.start_ms is not None:
        from_s = max(from_s, -(-instants.start_ms // 1000))
    notes = []
    for segment in instants.zone.segments(from_s, at_s):
        if segment.offset_s > segment.before_s and from_s <= segment.start_s <= at_s:
            notes.append(_gap_note(instants, segment, at_s))
        if segment.start_s <= at_s < segment.end_s:
            notes.append(_twice_note(instants, segment, at_s))
    return "; ".join(note for note in notes if note)


def _gap_note(instants: CronInstants, segment: Segment, at_s: int) -> str:
    """A local time that the clocks jumped over: moved to the jump, or left out."""
    from_s = segment.start_s + segment.before_s
    to_s = segment.start_s + segment.offset_s
    lost_s = instants.pattern.next_from(from_s, to_s - 1)
    if lost_s is None:
        return ""
    jump = f"clocks jump from {_wall(from_s)} to {_wall(to_s)}"
    if not instants.pattern.fixed_time:
        # Only the first instant after the jump notes it; a wildcard simply follows the wall.
        return jump
    lost = f"{_wall(lost_s)} does not exist on {_date(lost_s)}"
    if instants.dst_gap == DstGap.SKIP:
        return f"{lost} and was skipped ({jump})"
    if at_s != segment.start_s:
        return ""
    itself = instants.pattern.next_from(to_s, to_s) is not None
    verb = "stands also for a time in" if itself else "moved by"
    return f"{verb} the gap of {_span(to_s - from_s)}: {lost} ({jump})"


def _twice_note(instants: CronInstants, segment: Segment, at_s: int) -> str:
    """A local time that the wall shows twice."""
    local_s = at_s + segment.offset_s
    first = local_s >= segment.end_s + segment.after_s
    second = local_s < segment.start_s + segment.before_s
    if not first and not second:
        return ""
    fixed, policy = instants.pattern.fixed_time, instants.dst_overlap
    other = "both fire"
    if fixed and policy == DstOverlap.FIRST:
        other = "the second does not fire"
    elif fixed and policy == DstOverlap.LAST:
        other = "the first does not fire"
    which = "first" if first else "second"
    return f"{which} of two {_wall(local_s)}: clocks go back; {other}"


def _wall(local_s: int) -> str:
    at = _EPOCH + timedelta(seconds=local_s)
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"


def _date(local_s: int) -> str:
    return f"{_EPOCH + timedelta(seconds=local_s):%Y-%m-%d}"


def _span(span_s: int) -> str:
    hours, rest_s = divmod(span_s, 3600)
    minutes, seconds = divmod(rest_s, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)


# Wall clocks are counted from here; the zone of this datetime is never shown.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
