"""Which instants a config owes by plain arithmetic, and whether each was accounted for once."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from dsched.contracts.store.events import Event, EventKind

# A Thursday, midnight UTC: every period below divides a day, so instants are plain multiples.
ANCHOR = "2026-01-01T00:00:00Z"


@attrs.frozen(kw_only=True)
class Owed:
    """A config whose instants are all ``ms`` with ``ms % period_ms == offset_ms``."""

    config: Mapping[str, Any]
    period_ms: int
    offset_ms: int

    @property
    def id(self) -> str:
        return str(self.config["id"])

    def instants(self, first_ms: int, last_ms: int) -> set[int]:
        """The instants from ``first_ms`` to ``last_ms``, both included."""
        start = first_ms + (self.offset_ms - first_ms) % self.period_ms
        return set(range(start, last_ms + 1, self.period_ms))


def every_second(url: str) -> Owed:
    """One config, due at each whole second, whose tasks may run at the same time."""
    config = {
        "id": "tick",
        "every": "1s",
        "start_at": ANCHOR,
        "overlap": "allow",
        "executor": "http",
        "payload": {"url": url},
    }
    return Owed(config=config, period_ms=1000, offset_ms=0)


def twenty_configs(url: str, slow_url: str) -> list[Owed]:
    """Eight crons and twelve intervals, some in milliseconds; every third may not overlap."""
    crons = [
        ("*/2 * * * * *", 2, 0),
        ("1-59/2 * * * * *", 2, 1),
        ("*/3 * * * * *", 3, 0),
        ("*/4 * * * * *", 4, 0),
        ("*/5 * * * * *", 5, 0),
        ("2-59/5 * * * * *", 5, 2),
        ("*/6 * * * * *", 6, 0),
        ("3-59/10 * * * * *", 10, 3),
    ]
    out = []
    for at, (expression, period_s, offset_s) in enumerate(crons):
        trigger = {"cron_expr": expression, "timezone": ("UTC", "Asia/Kolkata")[at % 2]}
        out.append(_owed(f"cron-{at}", trigger, period_s * 1000, offset_s * 1000, url, at))
    for at in range(12):
        period_s = (1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 8, 10)[at]
        offset_ms = (0, 250, 500, 777)[at % 4]
        trigger = {
            "every": f"{period_s}s",
            "start_at": ANCHOR.replace("00Z", f"00.{offset_ms:03d}Z"),
        }
        target = slow_url if at % 3 == 1 else url
        out.append(_owed(f"every-{at}", trigger, period_s * 1000, offset_ms, target, at))
    return out


def _owed(
    config_id: str, trigger: Mapping[str, Any], period_ms: int, offset_ms: int, url: str, at: int
) -> Owed:
    config = {
        "id": config_id,
        "executor": "http",
        "payload": {"url": url},
        "overlap": "skip" if at % 3 == 0 else "allow",
        "retry": {"max_retries": 3, "retry_delay": "500ms", "backoff_rate": 1.0},
        **trigger,
    }
    return Owed(config=config, period_ms=period_ms, offset_ms=offset_ms)


@attrs.frozen(kw_only=True)
class Account:
    """What the log says of one config: instants fired with their tasks, and instants skipped."""

    fired: Mapping[int, str]
    skipped: frozenset[int]


def account(events: Iterable[Event], owed: Owed) -> Account:
    """Read the log for one config; no instant may be in it twice, none may be no instant of it."""
    fired: dict[int, str] = {}
    seen: Counter[int] = Counter()
    skipped: set[int] = set()
    for event in events:
        for item in event.items:
            if item.get("config") != owed.id:
                continue
            if event.kind is EventKind.FIRED:
                fired[item["ms"]] = item["task"]
                seen[item["ms"]] += 1
            elif event.kind is EventKind.SKIPPED:
                instants = owed.instants(item["first"], item["last"])
                assert item["count"] == len(instants), f"{owed.id}: {item}"
                skipped |= instants
                seen.update(instants)
    twice = [ms for ms, times in seen.items() if times > 1]
    assert twice == [], f"{owed.id}: decided about twice: {twice}"
    return Account(fired=fired, skipped=frozenset(skipped))


def check_accounts(
    events: list[Event], configs: Iterable[Owed], *, from_ms: int, upto_ms: int
) -> dict[str, int]:
    """Every instant in the window is fired or skipped, once; the fired ones, task id to instant."""
    tasks: dict[str, int] = {}
    for owed in configs:
        found = account(events, owed)
        expected = owed.instants(from_ms, upto_ms)
        decided = {ms for ms in {*found.fired, *found.skipped} if from_ms <= ms <= upto_ms}
        assert expected == decided, f"{owed.id}: {sorted(expected ^ decided)}"
        for ms, task_id in found.fired.items():
            assert f"{owed.id}@{ms}" == task_id
            if from_ms <= ms <= upto_ms:
                tasks[task_id] = ms
    return tasks
