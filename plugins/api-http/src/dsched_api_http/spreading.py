"""Who fires in one minute, and what `H` in place of the minute would make of it. Pure functions."""

from collections.abc import Iterable, Sequence

import attrs

from dsched.contracts.store.configs import StoredConfig
from dsched.model import InvalidConfigError, TaskConfig
from dsched_api_http.occupancy import Due, Span, due_of, fires

MINUTE_MS = 60_000
MINUTES = 60
FIELDS = 5  # of an expression that has no seconds
MAX_STEPS = 20_000  # instants that are looked at for one answer


@attrs.frozen(kw_only=True)
class FiringConfig:
    """A config that fires in the minute: when first, and as it would be with its minute spread."""

    config: TaskConfig
    at_ms: int
    spread: TaskConfig | None
    spread_ms: int | None


@attrs.frozen(kw_only=True)
class Minute:
    """Those that fire in a minute; what the hour has due, and would have. Not ``complete``: more
    instants than are looked at."""

    firing: tuple[FiringConfig, ...]
    due: tuple[Due, ...]
    due_spread: tuple[Due, ...]
    complete: bool


def hour_of(at_ms: int) -> Span:
    """The minutes of the hour that an instant lies in."""
    hour_ms = at_ms - at_ms % (MINUTES * MINUTE_MS)
    return Span(from_ms=hour_ms, cell_ms=MINUTE_MS, cells=MINUTES)


def minute_of(configs: Iterable[StoredConfig], at_ms: int) -> Minute:
    """What there is to say of the minute that ``at_ms`` lies in, were it all to come."""
    hour = hour_of(at_ms)
    minute_ms = at_ms - at_ms % MINUTE_MS
    firing: list[FiringConfig] = []
    due: list[Due] = []
    moved: list[Due] = []
    steps = MAX_STEPS
    for stored in configs:
        if not fires(stored):
            continue
        now = due_of(stored.config, hour, after_ms=hour.from_ms - 1, steps=max(0, steps))
        steps -= len(now.instants) + 1
        due.append(now)
        one = _firing(stored.config, now, hour, minute_ms)
        if one is not None:
            firing.append(one)
        if one is None or one.spread is None:
            moved.append(now)
        else:
            moved.append(due_of(one.spread, hour, after_ms=hour.from_ms - 1))
    return Minute(
        firing=tuple(firing),
        due=tuple(due),
        due_spread=tuple(moved),
        complete=all(one.complete for one in due),
    )


def _firing(config: TaskConfig, due: Due, hour: Span, minute_ms: int) -> FiringConfig | None:
    cell = hour.cell_of(minute_ms)
    if cell not in due.by_cell(hour):
        return None
    inside = [at for at in due.instants if minute_ms <= at < minute_ms + MINUTE_MS]
    spread = spread_of(config)
    later: Sequence[int] = ()
    if spread is not None:
        later = due_of(spread, hour, after_ms=hour.from_ms - 1).instants
    return FiringConfig(
        config=config,
        at_ms=inside[0] if inside else minute_ms,
        spread=spread if later else None,
        spread_ms=later[0] if later else None,
    )


def spread_of(config: TaskConfig) -> TaskConfig | None:
    """This config with `H` in place of its minute; None unless that is one number."""
    fields = (config.cron_expr or "").split()
    if len(fields) != FIELDS or not fields[0].isdigit():
        return None
    try:
        return attrs.evolve(config, cron_expr=" ".join(("H", *fields[1:])))
    except InvalidConfigError:
        return None
