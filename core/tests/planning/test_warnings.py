"""What is allowed in a config but probably a mistake gives a warning, and is never refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dsched.model import TaskConfig, to_ms
from dsched.planning import calendar_warnings, config_warnings

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def warned(**fields: object) -> tuple[str, ...]:
    if not {"cron_expr", "every", "fixed_delay", "at"} & set(fields):
        fields["every"] = timedelta(hours=1)
    return config_warnings(TaskConfig(id="c", executor="local", **fields))


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        (
            {"start_deadline": MINUTE, "jitter": 2 * MINUTE},
            "start_deadline",
            "0:01:00 is shorter than the jitter of 0:02:00",
        ),
        (
            {"every": MINUTE, "jitter": 2 * MINUTE},
            "jitter",
            "0:02:00 is longer than the 0:01:00 between two instants",
        ),
        (
            {"cron_expr": "0,5 * * * *", "jitter": 6 * MINUTE},
            "jitter",
            "longer than the 0:05:00 between two instants",
        ),
        ({"at": NOON, "end_at": NOON - MINUTE}, "at", "is after end_at"),
        ({"at": NOON, "start_at": NOON + MINUTE}, "at", "is before start_at"),
        ({"cron_expr": "0 0 * * 7/2"}, "cron_expr", "write 0/ for 7/"),
    ],
)
def test_what_is_hardly_meant_is_told_under_its_field(fields, field, words):
    (text,) = warned(**fields)
    assert text.startswith(f"{field}: ")
    assert words in text


@pytest.mark.parametrize(
    ("expression", "here", "quartz"),
    [
        ("0 0 9 * * 2-6", "TUE-SAT", "MON-FRI"),
        ("0 0 9 * * 1,7", "MON,SUN", "SUN,SAT"),
        ("0 0 9 * * 2", "TUE", "MON"),
        ("0 0 9 * * 6#3", "SAT#3", "FRI#3"),
        ("0 0 9 * * 6L", "SATL", "FRIL"),
    ],
)
def test_weekday_numbers_that_may_come_from_quartz_are_named_both_ways(expression, here, quartz):
    (text,) = warned(cron_expr=expression)
    assert f" is {here} here" in text
    assert text.endswith(f"write {quartz}")
    assert warned(cron_expr=" ".join([*expression.split()[:-1], quartz])) == ()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"jitter": timedelta(hours=1)},
        {"start_deadline": MINUTE, "jitter": MINUTE},
        {"cron_expr": "0 * * * *", "jitter": timedelta(hours=1)},
        {"cron_expr": "0 0 29 2 *", "jitter": timedelta(days=30)},
        {"fixed_delay": MINUTE, "jitter": 2 * MINUTE},
        {"at": NOON, "start_at": NOON, "end_at": NOON + MINUTE},
        {"cron_expr": "0 9 * * 2-6"},
        {"cron_expr": "0 0 9 * * 1-5"},
        {"cron_expr": "0 0 9 * * 0,6"},
        {"cron_expr": "0 0 9 * * MON-FRI"},
        {"cron_expr": "0 0 9 * * *"},
        {"cron_expr": "@daily"},
    ],
)
def test_what_may_well_be_meant_is_not_warned_of(fields):
    assert warned(**fields) == ()


def test_a_calendar_is_told_of_a_month_before_it_ends_and_from_then_on():
    def told(until: str, now: str, kind: str = "skip") -> tuple[str, ...]:
        days = {"name": "de", "dates": ["2026-12-25"], "until": until}
        calendar: dict[str, Any] = {kind: [days]}
        if kind == "only":
            calendar[kind].append({"name": "mondays", "weekdays": ["mon"]})
        config = TaskConfig(id="c", executor="local", cron_expr="0 9 * * *", calendar=calendar)
        now_ms = to_ms(datetime.fromisoformat(now).replace(tzinfo=UTC))
        return calendar_warnings(config, now_ms=now_ms)

    assert told("2026-12-31", "2026-11-30T00:00:00") == ()
    (near,) = told("2026-12-31", "2026-12-01T00:00:00")
    assert near.startswith("calendar: de covers nothing after 2026-12-31: from then on it fires as")
    (past,) = told("2026-12-31", "2027-03-01T00:00:00")
    assert past.startswith("calendar: de has covered nothing since 2026-12-31")
    (only,) = told("2026-12-31", "2026-12-01T00:00:00", "only")
    assert "none of its days is let through" in only


def test_a_calendar_that_leaves_nothing_any_more_is_told_of():
    days = {"only": [{"name": "once", "dates": ["2026-12-25"]}]}
    config = TaskConfig(id="c", executor="local", cron_expr="0 9 * * *", calendar=days)
    christmas_ms = to_ms(datetime(2026, 12, 25, tzinfo=UTC))
    assert calendar_warnings(config, now_ms=christmas_ms) == ()
    (last,) = calendar_warnings(config, now_ms=christmas_ms + 86_400_000)
    assert last == "calendar: leaves nothing of what is to come: it never fires again"
