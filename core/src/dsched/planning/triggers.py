"""From a trigger's plain value to its instants; what is expensive is remembered."""

from datetime import timedelta
from functools import lru_cache

from dsched.model import (
    AtTrigger,
    Calendar,
    CronTrigger,
    EveryTrigger,
    FixedDelayTrigger,
    TaskConfig,
    Trigger,
    to_ms,
)
from dsched.planning.cron.expression import CronInstants
from dsched.planning.cron.fields import CronExpression
from dsched.planning.cron.pattern import CronPattern
from dsched.planning.days import day_rule
from dsched.planning.errors import InvalidTriggerError
from dsched.planning.instants import LAST_MS, Instants, PeriodicInstants, SingleInstant
from dsched.planning.on_days import OnDays
from dsched.planning.zone import load_zone


def compile_trigger(
    trigger: Trigger, *, start_ms: int | None = None, end_ms: int | None = None
) -> Instants:
    """The instants of a trigger within optional bounds, both inclusive.

    Raises `InvalidTriggerError`, naming the field, for whatever cannot be meant. A fixed delay has
    one nominal instant of its own, the first; each later one is a run's end plus the delay.
    """
    match trigger:
        case CronTrigger():
            _check_text("cron_expr", trigger.expression)
            _check_text("timezone", trigger.timezone)
            return CronInstants(
                pattern=_pattern(trigger.expression, _seed_of(trigger)),
                zone=load_zone(trigger.timezone),
                dst_gap=trigger.dst_gap,
                dst_overlap=trigger.dst_overlap,
                start_ms=start_ms,
                end_ms=end_ms,
            )
        case EveryTrigger():
            return PeriodicInstants(
                anchor_ms=trigger.anchor_ms,
                period_ms=_whole_ms("every", trigger.period),
                start_ms=start_ms,
                end_ms=LAST_MS if end_ms is None else min(end_ms, LAST_MS),
            )
        case FixedDelayTrigger():
            _whole_ms("fixed_delay", trigger.delay)
            return _single(trigger.first_ms, start_ms, end_ms)
        case AtTrigger():
            return _single(trigger.at_ms, start_ms, end_ms)


def config_instants(config: TaskConfig) -> Instants:
    """The instants of a config: those of its trigger within its own ``start_at`` and ``end_at``
    that its calendar lets through."""
    instants = trigger_instants(config)
    if config.calendar is None:
        return instants
    return on_days(instants, config.calendar, config.timezone)


def trigger_instants(config: TaskConfig) -> Instants:
    """The instants of a config's trigger within its own bounds, whatever its calendar says."""
    return compile_trigger(
        config.trigger,
        start_ms=None if config.start_at is None else to_ms(config.start_at),
        end_ms=None if config.end_at is None else to_ms(config.end_at),
    )


def on_days(instants: Instants, calendar: Calendar, timezone: str) -> Instants:
    """Those of some instants that a calendar lets through."""
    days = OnDays(base=instants, days=day_rule(calendar), zone=load_zone(timezone))
    if isinstance(instants, SingleInstant):
        at_ms = instants.at_ms
        return instants if at_ms is None or days.has_day_of(at_ms) else SingleInstant(at_ms=None)
    return days


@lru_cache(maxsize=4096)
def _pattern(expression: str, seed: str) -> CronPattern:
    return CronExpression.parse(expression, seed).pattern()


def _seed_of(trigger: CronTrigger) -> str:
    # Without an H the seed changes nothing, and a thousand configs can share one parsed pattern.
    # A name with an H in it (THU) costs a parse of its own, nothing else.
    return trigger.seed if "H" in trigger.expression.upper() else ""


def _check_text(field: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidTriggerError(field, f"must be text, got {type(value).__name__}")


def _single(at_ms: int, start_ms: int | None, end_ms: int | None) -> SingleInstant:
    early = start_ms is not None and at_ms < start_ms
    late = end_ms is not None and at_ms > end_ms
    return SingleInstant(at_ms=None if early or late else at_ms)


def _whole_ms(field: str, span: timedelta) -> int:
    period_ms, rest = divmod(span, timedelta(milliseconds=1))
    if period_ms < 1 or rest:
        raise InvalidTriggerError(field, f"must be a whole number of milliseconds, got {span}")
    return period_ms
