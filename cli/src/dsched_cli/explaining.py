"""A trigger in words: which seconds, minutes, hours, days and months, and what DST does to it."""

import itertools
from collections.abc import Sequence

from dsched.model import AtTrigger, CronTrigger, EveryTrigger, FixedDelayTrigger, Trigger, from_ms
from dsched.planning import compile_trigger, zone_rules_version
from dsched.planning.cron.expression import CronInstants
from dsched.planning.cron.fields import CronExpression

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def explain(trigger: Trigger) -> list[str]:
    """Lines that say what the trigger means, and how it was read."""
    match trigger:
        case CronTrigger():
            return _cron(trigger)
        case EveryTrigger():
            anchor = from_ms(trigger.anchor_ms).isoformat()
            return [
                f"every {trigger.period}, counted from {anchor}",
                "a fixed rate knows no time zone: clock changes do not move it",
            ]
        case FixedDelayTrigger():
            return [f"{trigger.delay} after the end of each run, so later ones are not known yet"]
        case AtTrigger():
            return ["once"]


def _cron(trigger: CronTrigger) -> list[str]:
    fields = CronExpression.parse(trigger.expression, trigger.seed).fields
    instants = compile_trigger(trigger)
    if not isinstance(instants, CronInstants):
        raise TypeError("a cron trigger has cron instants")
    pattern = instants.pattern
    lines = [
        f"second        {_values(pattern.seconds, 60)}",
        f"minute        {_values(pattern.minutes, 60)}",
        f"hour          {_values(pattern.hours, 24)}",
        f"day of month  {_days(fields[3])}",
        f"month         {_months(pattern.months)}",
        f"day of week   {_days(fields[5])}",
    ]
    if "*" not in (fields[3][:1], fields[5][:1]):
        lines.append("both kinds of day are given: a day fires that matches either")
    elif fields[3] != "*" and fields[5] != "*":
        lines.append("one kind of day starts with *: a day fires that matches both")
    often = "once" if pattern.times_a_day == 1 else f"{pattern.times_a_day} times"
    lines.append(f"{often} on each such day, on the wall of {trigger.timezone}")
    return lines + _clock_changes(trigger, fixed=pattern.fixed_time)


def _clock_changes(trigger: CronTrigger, *, fixed: bool) -> list[str]:
    rules = f"(zone rules {zone_rules_version()})"
    if trigger.timezone in ("UTC", "Etc/UTC"):
        return ["UTC knows no clock changes"]
    if not fixed:
        return [f"hour or minute is open: it runs straight through clock changes {rules}"]
    gap = {
        "next": "a time that the clocks jump over runs at the jump",
        "skip": "a time that the clocks jump over is skipped",
    }
    twice = {
        "first": "one that exists twice runs the first time",
        "last": "one that exists twice runs the second time",
        "both": "one that exists twice runs both times",
    }
    return [f"fixed time: {gap[trigger.dst_gap]}; {twice[trigger.dst_overlap]} {rules}"]


def _values(values: Sequence[int], size: int) -> str:
    if len(values) == size:
        return "each"
    steps = {after - before for before, after in itertools.pairwise(values)}
    if len(values) > 3 and len(steps) == 1 and (step := steps.pop()) > 0:
        return f"{values[0]} to {values[-1]}" + (f" in steps of {step}" if step > 1 else "")
    return ", ".join(map(str, values))


def _months(mask: int) -> str:
    found = [name for number, name in enumerate(_MONTHS, 1) if mask >> number & 1]
    return "each" if len(found) == 12 else ", ".join(found)


def _days(field: str) -> str:
    return "each" if field == "*" else field.replace(",", ", ")
