"""What a calendar left out between two instants, as people read it beside the later one."""

from datetime import date

from dsched.model import Calendar
from dsched.planning.days import why_left_out
from dsched.planning.instants import Instants
from dsched.planning.on_days import first_after_day, local_day
from dsched.planning.zone import Zone

SHOWN_DAYS = 3


def left_out_note(
    every_day: Instants, calendar: Calendar, *, zone: Zone, before_ms: int, at_ms: int
) -> str:
    """The days that a calendar left out between an instant and the one before it, and how many
    instants they had; empty if there are none."""
    count = every_day.count_between(before_ms + 1, at_ms - 1)
    if not count:
        return ""
    days: list[str] = []
    found = every_day.next_after(before_ms)
    while found is not None and found < at_ms and len(days) <= SHOWN_DAYS:
        day = local_day(zone, found)
        why = why_left_out(calendar, day)
        told = f"{date.fromordinal(day)}" + (f" ({why})" if why else "")
        if told not in days:
            days.append(told)
        found = every_day.next_after(max(found, first_after_day(zone, found) - 1))
    more = ", ..." if len(days) > SHOWN_DAYS else ""
    instants = f"{count} instant" if count == 1 else f"{count} instants"
    return f"{instants} left out before: {', '.join(days[:SHOWN_DAYS])}{more}"
