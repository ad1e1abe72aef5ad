"""Where a run begins in time: any time of day, the minutes before midnight, or those before the
clocks of a zone change."""

import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache

from dsched.contracts.store.events import Event, EventKind
from dsched_testkit.simulated_zones import ZONES, simulated_zone

START_MS = 1_800_000_000_000  # in January 2027
_YEAR_S = 365 * 86_400
_LEAD_S = 280  # a run begins at most this long before the change: its faults last 300 s


def random_time(chance: random.Random) -> int:
    """An instant (ms) of a day of UTC; every fourth is shortly before midnight, where calendars
    change what is due."""
    if chance.random() < 0.25:
        midnight_ms = START_MS + 57_600_000
        return midnight_ms - chance.randrange(20_000, _LEAD_S * 1000)
    return START_MS + chance.randrange(86_400_000)


def random_night(chance: random.Random) -> tuple[str, int]:
    """A zone, and the instant (ms) at which a run begins shortly before that zone's clocks
    change."""
    zone = chance.choice(ZONES)
    simulated_zone(zone)  # so that the engine of the run finds it by its name
    change_s = chance.choice(changes(zone))
    return zone, change_s * 1000 - chance.randrange(20_000, _LEAD_S * 1000)


@cache
def changes(zone: str) -> tuple[int, ...]:
    """The instants (s) within a year at which the zone's offset changes; found by bisection."""
    first_s = START_MS // 1000
    found = []
    for day_s in range(first_s, first_s + _YEAR_S, 86_400):
        low_s, high_s = day_s, day_s + 86_400
        if offset_s(zone, low_s) == offset_s(zone, high_s):
            continue
        while high_s - low_s > 1:
            middle_s = (low_s + high_s) // 2
            same = offset_s(zone, middle_s) == offset_s(zone, day_s)
            low_s, high_s = (middle_s, high_s) if same else (low_s, middle_s)
        found.append(high_s)
    return tuple(found)


def offset_s(zone: str, instant_s: int) -> int:
    """How far the zone's clocks are ahead of UTC at an instant."""
    ahead = datetime.fromtimestamp(instant_s, UTC).astimezone(simulated_zone(zone)).utcoffset()
    assert ahead is not None
    return round(ahead.total_seconds())


def night_paths(log: Iterable[Event], zone: str) -> Counter[str]:
    """What was fired at the very jump of the zone's clocks, and in the hour that came twice."""
    seen: Counter[str] = Counter()
    if zone == "UTC":
        return seen
    info, jumps = simulated_zone(zone), set(changes(zone))
    for event in log:
        if event.kind is not EventKind.FIRED:
            continue
        for item in event.items:
            here = datetime.fromtimestamp(item["ms"] // 1000, info)
            if not item["config"].startswith("cron"):
                continue
            if item["ms"] // 1000 in jumps:
                seen["fired at a jump of the clocks"] += 1
            if here.replace(fold=0).utcoffset() != here.replace(fold=1).utcoffset():
                seen["fired in an hour that comes twice"] += 1
    return seen
