"""What a config's calendar leaves out: why, in which span, and whether it leaves anything."""

from datetime import timedelta

from dsched.model import Calendar, SkippedRange, SkipReason, TaskConfig, from_ms
from dsched.planning.days import LAST_DAY, LeftOut, day_rule, why_left_out
from dsched.planning.errors import InvalidTriggerError
from dsched.planning.instants import SingleInstant
from dsched.planning.on_days import OnDays, local_day
from dsched.planning.remembered import remembering
from dsched.planning.triggers import config_instants, trigger_instants
from dsched.planning.zone import load_zone

# How long before its last covered day a calendar is told of.
COVERED_FOR = timedelta(days=30)
_LOOKED_FROM_MS = 946_684_800_000  # 2000-01-01: the same answer whenever one asks


def left_out(config: TaskConfig, at_ms: int) -> LeftOut | None:
    """Why a config's calendar leaves an instant of its trigger out; None if it does not, or it is
    no instant."""
    calendar = config.calendar
    if calendar is None or trigger_instants(config).count_between(at_ms, at_ms) == 0:
        return None
    return why_left_out(calendar, local_day(load_zone(config.timezone), at_ms))


def left_out_between(config: TaskConfig, first_ms: int, last_ms: int) -> int:
    """How many instants of its trigger a config's calendar leaves out, both ends included."""
    found = config_instants(config)
    return found.without().count_between(first_ms, last_ms) if isinstance(found, OnDays) else 0


def same_days(old: TaskConfig, new: TaskConfig, *, first_ms: int, last_ms: int) -> bool:
    """Whether the calendars of two configs agree on all days of a span, in one zone."""
    if old.calendar is None and new.calendar is None:
        return True
    if old.timezone != new.timezone:
        return False
    if old.calendar == new.calendar or first_ms > last_ms:
        return True
    zone = load_zone(new.timezone)
    first, last = local_day(zone, first_ms) - 1, local_day(zone, last_ms) + 1
    return _days(old.calendar, first, last) == _days(new.calendar, first, last)


def _days(calendar: Calendar | None, first: int, last: int) -> list[tuple[int, int]]:
    first, last = max(first, 1), min(last, LAST_DAY)
    return [(first, last)] if calendar is None else [*day_rule(calendar).stretches(first, last)]


def off_days_range(config: TaskConfig, *, now_ms: int) -> SkippedRange | None:
    """A note of what a config's calendar has left out between its last change and now; none of it
    was owed. Not of a disabled config, nor of an `at`."""
    if config.calendar is None or not config.enabled or config.at is not None:
        return None
    try:
        found = config_instants(config)
    except InvalidTriggerError:
        return None  # it can be deleted, and edited, all the same
    if not isinstance(found, OnDays):
        return None
    others = found.without()
    last_ms = others.last_before(now_ms, not_before_ms=config.updated_ms + 1)
    if last_ms is None:
        return None
    first_ms = others.next_after(config.updated_ms)
    return remembering(
        config,
        SkippedRange(
            first_ms=last_ms if first_ms is None else first_ms,
            last_ms=last_ms,
            count=0,
            reason=SkipReason.CALENDAR,
        ),
    )


def check_calendar(config: TaskConfig) -> None:
    """Raise `InvalidTriggerError` if the calendar leaves nothing of the schedule, ever.

    What was left out in the past, or is from now on, is no reason: it would refuse tomorrow what
    was good today. A period that counts from a creation to come is not judged.
    """
    if config.calendar is None or config.fixed_delay is not None:
        return
    if config.every is not None and config.start_at is None and not config.created_ms:
        return
    every_day, left = trigger_instants(config), config_instants(config)
    if isinstance(every_day, SingleInstant):
        if every_day.at_ms is None or left.next_after(every_day.at_ms - 1) is not None:
            return
        why = left_out(config, every_day.at_ms)
        raise InvalidTriggerError("calendar", f"leaves out the one instant of at ({why})")
    first_ms = every_day.next_after(_LOOKED_FROM_MS)
    if first_ms is None or left.next_after(first_ms - 1) is not None:
        return
    why = left_out(config, first_ms)
    raise InvalidTriggerError(
        "calendar",
        f"leaves nothing of the schedule ({from_ms(first_ms):%Y-%m-%d} is left out by {why}, and "
        "so on); give it days on which the schedule has an instant",
    )


def calendar_warnings(config: TaskConfig, *, now_ms: int) -> tuple[str, ...]:
    """What whoever declared the config has to know in time: the last covered day of a calendar is
    near or past, or the calendar leaves nothing of what is to come. A disabled config has none."""
    if config.calendar is None or not config.enabled:
        return ()
    today = from_ms(now_ms).date()
    found = []
    for days in (*config.calendar.skip, *config.calendar.only):
        if days.until is None or days.until > today + COVERED_FOR:
            continue
        then = (
            "it fires as if there were no such days"
            if days in config.calendar.skip
            else ("none of its days is let through")
        )
        verb = "covers nothing after" if days.until >= today else "has covered nothing since"
        found.append(
            f"calendar: {days.name} {verb} {days.until}: from then on {then}; declare the config "
            "anew, with a file that goes on or a later `until`"
        )
    try:
        every_day, left = trigger_instants(config), config_instants(config)
    except InvalidTriggerError:
        return tuple(found)  # stored by another version, and told as what cannot be planned
    if every_day.next_after(now_ms) is not None and left.next_after(now_ms) is None:
        found.append("calendar: leaves nothing of what is to come: it never fires again")
    return tuple(found)
