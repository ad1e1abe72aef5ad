"""A recorded range remembers the trigger that made it, as a text that stands by itself."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsched.model import DstGap, DstOverlap, SkipReason, TaskConfig
from dsched.planning import (
    config_instants,
    disabled_range,
    plan_fire,
    plan_rearm,
    remembered,
    trigger_text,
)

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NOON_MS = 1_750_075_200_000  # 2025-06-16T12:00:00Z
BERLIN = {"timezone": "Europe/Berlin"}

TRIGGERS = [
    {"cron_expr": "*/10 * * * *"},
    {"cron_expr": "H 2 * * *", **BERLIN},
    {"cron_expr": "30 2 * * *", "dst_gap": DstGap.SKIP, "dst_overlap": DstOverlap.BOTH, **BERLIN},
    {"cron_expr": "0 * * * *", "end_at": datetime(2025, 6, 17, tzinfo=UTC)},
    {"every": timedelta(minutes=7)},
    {"every": timedelta(minutes=7), "start_at": datetime(2025, 6, 15, 1, 2, 3, tzinfo=UTC)},
]


def _config(**fields: object) -> TaskConfig:
    return TaskConfig(id="report", executor="local", created_ms=NOON_MS - DAY_MS, **fields)


@pytest.mark.parametrize("fields", TRIGGERS)
@given(
    begin_ms=st.integers(NOON_MS - 400 * DAY_MS, NOON_MS + 400 * DAY_MS), off_ms=st.integers(0, 1)
)
def test_what_is_remembered_has_the_same_instants(fields, begin_ms, off_ms):
    config = _config(**fields)
    past = remembered(trigger_text(config), config.id)
    instants = config_instants(config)
    at_ms = (instants.next_after(begin_ms) or begin_ms) + off_ms
    assert past.has(at_ms) == (instants.count_between(at_ms, at_ms) == 1)


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", '{"cron":"x","zone":"UTC"}', "null"])
def test_what_cannot_be_read_is_not_remembered(text):
    assert remembered(text, "report") is None


def test_a_range_remembers_only_where_its_ends_do_not_say_it_all():
    config = _config(cron_expr="0 * * * *")
    counted = {}
    for hours in range(2, 5):
        plan = plan_fire(config, due_ms=NOON_MS, now_ms=NOON_MS + hours * HOUR_MS, max_runs=9)
        counted[plan.skipped.count] = plan.skipped.trigger
    assert counted == {2: "", 3: trigger_text(config), 4: trigger_text(config)}


def test_an_edit_remembers_the_trigger_before_it():
    owed = plan_rearm(
        _config(cron_expr="*/10 * * * *"),
        due_ms=NOON_MS,
        paused_gap_from_ms=None,
        now_ms=NOON_MS + HOUR_MS,
        last_fired_ms=None,
        reason=SkipReason.EDITED,
        successor=_config(cron_expr="0 1 * * *"),
    )
    assert owed.trigger == '{"cron":"*/10 * * * *","zone":"UTC"}'


def test_a_disabled_time_is_noted_from_its_first_to_its_last_instant_and_counts_none():
    config = _config(cron_expr="0 * * * *", enabled=False, updated_ms=NOON_MS + 5)
    noted = disabled_range(config, now_ms=NOON_MS + 3 * HOUR_MS + 1)
    assert (noted.first_ms, noted.last_ms) == (NOON_MS + HOUR_MS, NOON_MS + 3 * HOUR_MS)
    assert (noted.count, noted.reason) == (0, SkipReason.DISABLED)
    assert noted.trigger == trigger_text(config)


@pytest.mark.parametrize(
    "fields",
    [
        {"cron_expr": "0 0 * * *", "enabled": False},
        {"cron_expr": "0 * * * *"},
        {"at": datetime(2025, 6, 16, 12, 30, tzinfo=UTC), "enabled": False},
        {"fixed_delay": timedelta(minutes=1), "enabled": False},
    ],
    ids=["no instant", "enabled", "at", "fixed_delay"],
)
def test_there_is_nothing_to_note_of_what_had_no_instant_or_may_be_owed(fields):
    assert disabled_range(_config(updated_ms=NOON_MS, **fields), now_ms=NOON_MS + HOUR_MS) is None
