"""What an edit does to instants that are owed: kept under an equal schedule, else left behind."""

from datetime import timedelta

import attrs
import pytest

from dsched.model import SkippedRange, SkipReason, TaskConfig, from_ms
from dsched.planning import Edit, plan_edit, plan_fire

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NOON_MS = 1_750_075_200_000  # 2025-06-16T12:00:00Z

SCHEDULES = [
    {"cron_expr": "0 * * * *"},
    {"cron_expr": "0 * * * *", "start_at": from_ms(NOON_MS - 9 * HOUR_MS)},
    {"every": timedelta(hours=1), "end_at": from_ms(NOON_MS + DAY_MS)},
    {"fixed_delay": timedelta(hours=1)},
    {"at": from_ms(NOON_MS - 2 * HOUR_MS)},
]


def _config(**fields: object) -> TaskConfig:
    if not {"cron_expr", "every", "fixed_delay", "at"} & set(fields):
        fields["cron_expr"] = "0 * * * *"
    return TaskConfig(
        **{"id": "report", "executor": "local", "created_ms": NOON_MS - DAY_MS, **fields}
    )


def _edit(old: TaskConfig, new: TaskConfig, **read: object) -> Edit:
    defaults = {
        "due_ms": NOON_MS - 2 * HOUR_MS,
        "paused_gap_from_ms": None,
        "last_fired_ms": NOON_MS - 3 * HOUR_MS,
        "now_ms": NOON_MS,
    }
    return plan_edit(old, new, **{**defaults, **read})


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_what_is_owed_stays_owed_where_the_schedule_is_equal(schedule):
    edit = _edit(_config(**schedule), _config(**schedule, timeout=timedelta(seconds=9)))

    assert edit == Edit(next_due_ms=NOON_MS - 2 * HOUR_MS, upto_ms=NOON_MS)


@pytest.mark.parametrize(
    ("policy", "runs", "skipped"),
    [
        ({"misfire": "fire_once"}, 1, 2),
        ({"misfire": "fire_all"}, 3, 0),
        ({"misfire": "skip", "misfire_grace": timedelta(0)}, 1, 2),
        ({"misfire_grace": timedelta(hours=1)}, 2, 1),
    ],
)
def test_what_stays_owed_goes_by_the_policies_that_hold_after_the_edit(policy, runs, skipped):
    new = _config(**policy)

    edit = _edit(_config(misfire="skip", misfire_grace=timedelta(0)), new)
    plan = plan_fire(new, due_ms=edit.next_due_ms, now_ms=NOON_MS, max_runs=40)

    assert len(plan.runs) == runs
    assert (0 if plan.skipped is None else plan.skipped.count) == skipped


@pytest.mark.parametrize(
    "change",
    [
        {"cron_expr": "30 * * * *"},
        {"timezone": "Asia/Kolkata"},
        {"dst_gap": "skip"},
        {"dst_overlap": "both"},
        {"start_at": from_ms(NOON_MS - DAY_MS)},
        {"end_at": from_ms(NOON_MS + DAY_MS)},
        {"cron_expr": None, "every": timedelta(hours=1)},
    ],
)
def test_under_another_schedule_the_old_owed_instants_are_skipped_and_the_new_begin_now(change):
    new = _config(**change)

    edit = _edit(_config(), new)

    first_ms = NOON_MS - 2 * HOUR_MS
    # Which trigger a range remembers has tests of its own.
    assert attrs.evolve(edit.skipped, trigger="") == SkippedRange(
        first_ms=first_ms, last_ms=NOON_MS, count=3, reason=SkipReason.EDITED
    )
    assert NOON_MS < edit.next_due_ms <= NOON_MS + HOUR_MS


def test_a_config_that_is_switched_off_owes_nothing_any_more():
    edit = _edit(_config(), _config(enabled=False))

    assert edit.skipped is not None
    assert (edit.skipped.count, edit.skipped.reason) == (3, SkipReason.DISABLED)
    assert edit.next_due_ms is None


def test_a_config_that_is_switched_on_owes_nothing_yet():
    edit = _edit(_config(enabled=False), _config(), due_ms=None)

    assert (edit.skipped, edit.next_due_ms) == (None, NOON_MS + HOUR_MS)


def test_a_fixed_delay_that_waits_is_not_drawn_nearer_by_an_edit():
    # It ended an hour after it was fired, so that it is due later than a delay after that.
    delay = timedelta(hours=2)
    due_ms = NOON_MS + HOUR_MS

    edit = _edit(
        _config(fixed_delay=delay),
        _config(fixed_delay=delay, priority=9),
        due_ms=due_ms,
        last_fired_ms=NOON_MS - 2 * HOUR_MS,
    )

    assert (edit.skipped, edit.next_due_ms) == (None, due_ms)


def test_an_edit_within_a_pause_leaves_its_gap_to_the_pause():
    gap_ms = NOON_MS - 3 * HOUR_MS
    paused = {"due_ms": None, "paused_gap_from_ms": gap_ms}

    kept = _edit(_config(), _config(priority=9), **paused)
    assert (kept.skipped, kept.upto_ms) == (None, gap_ms)

    another = _edit(_config(), _config(cron_expr="30 * * * *"), **paused)
    assert another.upto_ms == NOON_MS
    assert another.skipped is not None
    assert (another.skipped.count, another.skipped.reason) == (3, SkipReason.EDITED)


def test_what_is_not_owed_yet_is_due_as_before():
    edit = _edit(_config(), _config(priority=9), due_ms=NOON_MS + HOUR_MS, last_fired_ms=NOON_MS)

    assert edit == Edit(next_due_ms=NOON_MS + HOUR_MS, upto_ms=NOON_MS)
