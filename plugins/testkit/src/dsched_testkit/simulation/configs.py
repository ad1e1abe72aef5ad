"""Random configs: every kind of trigger, every policy."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from dsched.model import (
    DstGap,
    DstOverlap,
    Misfire,
    OnCrash,
    Overlap,
    RetryPolicy,
    TaskConfig,
    TaskSpec,
    from_ms,
)
from dsched.model.calendars import WEEKDAYS
from dsched_testkit.simulated_zones import simulated_zone
from dsched_testkit.simulation.bodies import random_payload
from dsched_testkit.simulation.night import offset_s

# By kind: a fixed delay and an `at` never overlap themselves, so none of the policies is theirs
# alone.
OVERLAPS = (
    *(Overlap.SKIP, Overlap.ALLOW, Overlap.QUEUE_ONE, Overlap.QUEUE_ALL, Overlap.SKIP),
    *(Overlap.QUEUE_ALL, Overlap.QUEUE_ONE, Overlap.CANCEL_PREVIOUS, Overlap.SKIP, Overlap.ALLOW),
)
LABEL = {"disk": "fast"}


def random_configs(
    chance: random.Random, faults: frozenset[str], now_ms: int, zone: str = "UTC"
) -> list[TaskConfig]:
    """Ten configs: four `every`, three crons, two fixed delays, one `at`."""
    configs = []
    for number in range(10):
        kind = ("every", "cron", "every", "delay", "at", "every", "cron", "every", "cron", "delay")
        config_id = f"{kind[number]}{number}"
        trigger = random_trigger(chance, config_id, now_ms, zone)
        policies = random_policies(chance, faults, OVERLAPS[number])
        configs.append(TaskConfig(id=config_id, executor="fn", **trigger, **policies))
    return configs


def random_trigger(
    chance: random.Random, config_id: str, now_ms: int, zone: str = "UTC"
) -> dict[str, Any]:
    """A trigger of the kind that the id begins with, some with a calendar; crons in ``zone``."""
    found = _trigger(chance, config_id, now_ms, zone)
    ends = not found.keys().isdisjoint(("at", "fixed_delay", "end_at"))
    if not ends and chance.random() < 0.15:
        found["calendar"] = random_calendar(chance, now_ms, found.get("timezone", "UTC"))
    return found


def random_calendar(chance: random.Random, now_ms: int, zone: str) -> dict[str, Any]:
    """Today or tomorrow, by date or by weekday, is left out, or the only day; never all days."""
    day = datetime.fromtimestamp(now_ms / 1000, simulated_zone(zone))
    day += timedelta(days=chance.choice((0, 0, 1)))
    weekdays, dates = {"weekdays": [WEEKDAYS[day.weekday()]]}, {"dates": [day.date().isoformat()]}
    sets = ({"skip": dates}, {"skip": weekdays}, {"only": weekdays})
    return {kind: [{"name": "days", **days}] for kind, days in chance.choice(sets).items()}


def _trigger(chance: random.Random, config_id: str, now_ms: int, zone: str) -> dict[str, Any]:
    if config_id.startswith("every"):
        found: dict[str, Any] = {"every": timedelta(milliseconds=chance.randint(2000, 25_000))}
        if chance.random() < 0.2:
            found["start_at"] = from_ms(now_ms + chance.randint(-60_000, 60_000))
            found["end_at"] = from_ms(now_ms + chance.randint(100_000, 250_000))
        return found
    if config_id.startswith("cron"):
        if zone != "UTC" and chance.random() < 0.7:
            return night_cron(chance, now_ms, zone)
        some = ",".join(str(n) for n in sorted(chance.sample(range(60), 5)))
        cron = chance.choice((f"*/{chance.choice((4, 7, 15))} * * * * *", f"{some} * * * * *"))
        return {"cron_expr": chance.choice((cron, f"{chance.randrange(60)} */2 * * * *"))}
    if config_id.startswith("delay"):
        return {"fixed_delay": timedelta(milliseconds=chance.randint(1500, 10_000))}
    return {"at": from_ms(now_ms + chance.randint(-90_000, 150_000))}


def night_cron(chance: random.Random, now_ms: int, zone: str) -> dict[str, Any]:
    """A cron of a few times of day around now, as the zone's clocks show it, or skip it."""
    around = [now_ms // 1000 + 60 * chance.randint(-1, 6) for _ in range(4)]
    shown = [datetime.fromtimestamp(at_s, simulated_zone(zone)) for at_s in around]
    # Also times of a clock that was not changed: within a gap no other clock shows them.
    plain = timedelta(seconds=offset_s(zone, now_ms // 1000))
    shown += [datetime.fromtimestamp(at_s, UTC) + plain for at_s in around]
    minutes = ",".join(str(n) for n in sorted({one.minute for one in shown}))
    hours = ",".join(str(n) for n in sorted({one.hour for one in shown}))
    seconds = chance.choice(("0", "*/20", "7,41"))
    hours, minutes = chance.choice(((hours, minutes), (hours, minutes), ("*", minutes)))
    return {
        "cron_expr": f"{seconds} {minutes} {hours} * * *",
        "timezone": zone,
        "dst_gap": chance.choice(tuple(DstGap)),
        "dst_overlap": chance.choice(tuple(DstOverlap)),
    }


def random_policies(
    chance: random.Random, faults: frozenset[str], overlap: Overlap
) -> dict[str, Any]:
    """Everything about a config but its id and its trigger."""
    return {
        "overlap": overlap,
        "misfire": chance.choice([one for one in Misfire if keeps_its_word(one, overlap)]),
        "misfire_cap": chance.choice((2, 5, 100)),
        "misfire_grace": timedelta(seconds=chance.choice((0, 3, 60))),
        "jitter": timedelta(seconds=chance.choice((0, 0, 2))),
        "timeout": timedelta(seconds=chance.choice((5, 20))),
        "retry": random_retry(chance),
        "on_crash": chance.choice(tuple(OnCrash)),
        "max_crashes": chance.choice((0, 1, 3)),
        "start_deadline": chance.choice((None, None, timedelta(seconds=15))),
        "priority": chance.randint(0, 9),
        "required_labels": LABEL if chance.random() < 0.1 else {},
        "payload": random_payload(chance, faults),
    }


def keeps_its_word(misfire: Misfire, overlap: Overlap) -> bool:
    """Whether a config may be declared with both."""
    return misfire is not Misfire.FIRE_ALL or overlap in (Overlap.ALLOW, Overlap.QUEUE_ALL)


def random_retry(chance: random.Random) -> RetryPolicy:
    """Few retries, and soon: a run lasts minutes."""
    return RetryPolicy(
        max_retries=chance.choice((0, 0, 1, 2)),
        retry_delay=timedelta(seconds=chance.choice((0.5, 2))),
        backoff_rate=2.0,
        max_delay=timedelta(seconds=3),
    )


def random_spec(chance: random.Random, faults: frozenset[str]) -> TaskSpec:
    """What a client submits."""
    policies = random_policies(chance, faults, Overlap.ALLOW)
    kept = {name: value for name, value in policies.items() if name in _SPEC_FIELDS}
    if "kill" in faults and chance.random() < 0.05:
        kept["payload"] = {"do": "kill", "s": 1}
        kept["max_crashes"] = min(kept["max_crashes"], 1)
    return TaskSpec(executor="fn", **kept)


_SPEC_FIELDS = {field.name for field in attrs.fields(TaskSpec)}
