"""How many fires are due in each hour to come: counted from the triggers, bounded, remembered."""

from collections.abc import Iterable

import attrs

from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.statistics import HOUR_MS
from dsched.model import EveryTrigger, FixedDelayTrigger, TaskConfig, to_ms
from dsched.planning import InvalidTriggerError, config_instants

HOURS = 12
MAX_STEPS = 30_000  # instants that are looked at for one answer
MAX_REMEMBERED = 10_000


@attrs.frozen(kw_only=True)
class Forecast:
    """Fires by hour: the rest of the hour that ``now`` lies in, then whole hours. Not ``complete``
    where there are too many to count."""

    hours: tuple[int, ...]
    complete: bool


class Forecaster:
    """Counts what is due. The count of a config is kept until the config changes or the hour
    ends."""

    def __init__(self) -> None:
        self._hour_ms = 0
        self._whole: dict[tuple[str, int], tuple[int, ...]] = {}

    def forecast(self, configs: Iterable[StoredConfig], now_ms: int) -> Forecast:
        """What the enabled and unpaused of these configs will fire."""
        hour_ms = now_ms - now_ms % HOUR_MS
        if hour_ms != self._hour_ms or len(self._whole) > MAX_REMEMBERED:
            self._hour_ms, self._whole = hour_ms, {}
        sums = [0] * HOURS
        steps = MAX_STEPS
        for stored in configs:
            config = stored.config
            if stored.paused is not None or not config.enabled:
                continue
            if isinstance(config.trigger, FixedDelayTrigger):
                continue  # nobody knows when its runs will end
            rest, taken = _counted(config, now_ms, hour_ms + HOUR_MS - 1, steps)
            sums[0] += rest
            steps -= taken
            for index, count in enumerate(self._hours_after(config, hour_ms, steps), 1):
                sums[index] += count
            if (config.id, config.revision) not in self._whole:
                return Forecast(hours=tuple(sums), complete=False)
        return Forecast(hours=tuple(sums), complete=True)

    def _hours_after(self, config: TaskConfig, hour_ms: int, steps: int) -> tuple[int, ...]:
        key = (config.id, config.revision)
        known = self._whole.get(key)
        if known is not None:
            return known
        found: list[int] = []
        for number in range(1, HOURS):
            first_ms = hour_ms + number * HOUR_MS
            count, taken = _counted(config, first_ms - 1, first_ms + HOUR_MS - 1, steps)
            steps -= taken
            if steps <= 0:
                return ()
            found.append(count)
        self._whole[key] = tuple(found)
        return self._whole[key]


def _counted(config: TaskConfig, after_ms: int, upto_ms: int, steps: int) -> tuple[int, int]:
    """How many instants lie in ``(after_ms, upto_ms]``, and how many were looked at for that."""
    start_ms = None if config.start_at is None else to_ms(config.start_at)
    end_ms = None if config.end_at is None else to_ms(config.end_at)
    trigger = config.trigger
    if isinstance(trigger, EveryTrigger) and config.calendar is None:
        low_ms = max(after_ms, trigger.anchor_ms - 1, -1 if start_ms is None else start_ms - 1)
        high_ms = upto_ms if end_ms is None else min(upto_ms, end_ms)
        period_ms = to_ms_of(trigger)
        if high_ms <= low_ms:
            return 0, 1
        return (high_ms - trigger.anchor_ms) // period_ms - (
            low_ms - trigger.anchor_ms
        ) // period_ms, 1
    try:
        instants = config_instants(config)
    except InvalidTriggerError:
        return 0, 1  # stored by another version; the view of the config says so
    if config.calendar is not None:
        return instants.count_between(after_ms + 1, upto_ms), 8
    count, at_ms = 0, instants.next_after(after_ms)
    while at_ms is not None and at_ms <= upto_ms and count < steps:
        count += 1
        at_ms = instants.next_after(at_ms)
    return count, count + 1


def to_ms_of(trigger: EveryTrigger) -> int:
    """The period in ms."""
    return max(1, round(trigger.period.total_seconds() * 1000))
