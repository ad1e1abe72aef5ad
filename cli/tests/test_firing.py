"""What a schedule fires in a span is counted once for all that fire alike, and for no other."""

from typing import Any

import pytest

from dsched.planning import config_instants
from dsched_cli import firing
from dsched_cli.firing import FireDifference, compare, config_of

HOUR = 3_600_000
FIRST = 1_790_000_000_000
SPAN = {"first_ms": FIRST, "last_ms": FIRST + 30 * 24 * HOUR}


def record(config_id: str = "a", created: str = "2026-01-01T00:00:00.000Z", **spec: Any) -> Any:
    return {"id": config_id, "created": created, "spec": spec}


ALIKE = {
    "one of an H of its own": [record(name, cron_expr="H H(0-1) * * *") for name in "abcdef"],
    "one from its creation on": [
        record(created=f"2026-01-01T{hour:02}:00:00.000Z", every="700h") for hour in range(0, 24, 5)
    ],
    "one in another zone, or other days": [
        record(cron_expr="30 2 * * *", timezone=zone, start_at=start)
        for zone in ("UTC", "America/New_York", "Asia/Tokyo")
        for start in (None, "2026-10-01T04:00:00Z")
    ],
    "one that is paused, or disabled": [
        record(cron_expr="0 5 * * *"),
        record(cron_expr="0 5 * * *") | {"paused": {"who": "x"}},
        record(cron_expr="0 5 * * *") | {"enabled": False},
        record(cron_expr="0 5,6 * * *"),
    ],
}


@pytest.mark.parametrize("case", ALIKE)
def test_schedules_that_differ_in_one_thing_are_counted_apart(
    case: str, monkeypatch: pytest.MonkeyPatch
):
    pairs = [(old, new) for old in [None, *ALIKE[case]] for new in [None, *ALIKE[case]]]
    monkeypatch.setattr(firing, "_known", {})
    told = [compare(old, new, **SPAN) for old, new in pairs]
    fired = [(_fires(old), _fires(new)) for old, new in pairs]
    assert told == [
        FireDifference(removed=len(old - new), added=len(new - old), kept=len(old & new))
        for old, new in fired
    ]
    assert len({frozenset(new) for _, new in fired}) > 2, "they do differ"


def _fires(one: Any) -> set[int]:
    if one is None or one.get("paused") or not one.get("enabled", True):
        return set()
    return set(config_instants(config_of(one)).all_between(SPAN["first_ms"], SPAN["last_ms"]))


def test_a_schedule_that_others_have_is_not_counted_again(monkeypatch: pytest.MonkeyPatch):
    read: list[str] = []
    real = firing.config_of

    def counted(one: Any) -> Any:
        read.append(one["id"])
        return real(one)

    monkeypatch.setattr(firing, "_known", {})
    monkeypatch.setattr(firing, "config_of", counted)
    for name in ("a", "b", "c"):
        new = record(name, created=f"2026-01-0{len(read) + 1}T00:00:00Z", cron_expr="0 5 * * *")
        assert compare(None, new, **SPAN) == FireDifference(added=30)
    assert read == ["a"]
