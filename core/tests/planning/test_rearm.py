"""What an edit, pause, resume or delete owes, and when the config is due again."""

from datetime import timedelta

import attrs
import pytest

from dsched.model import SkippedRange, SkipReason, TaskConfig, from_ms
from dsched.planning import InvalidTriggerError, next_due, plan_rearm

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NOON_MS = 1_750_075_200_000  # 2025-06-16T12:00:00Z


def _config(**fields: object) -> TaskConfig:
    if not {"cron_expr", "every", "fixed_delay", "at"} & set(fields):
        fields["cron_expr"] = "0 * * * *"
    return TaskConfig(
        **{"id": "report", "executor": "local", "created_ms": NOON_MS - DAY_MS, **fields}
    )


def _owed(config: TaskConfig | None, **more: object) -> SkippedRange | None:
    """What is owed; which trigger it remembers has tests of its own."""
    defaults = {
        "due_ms": None,
        "paused_gap_from_ms": None,
        "now_ms": NOON_MS,
        "last_fired_ms": None,
        "reason": SkipReason.EDITED,
    }
    found = plan_rearm(config, **{**defaults, **more})
    return None if found is None else attrs.evolve(found, trigger="")


def _range(first_ms: int, last_ms: int, count: int, reason: SkipReason) -> SkippedRange:
    return SkippedRange(first_ms=first_ms, last_ms=last_ms, count=count, reason=reason)


@pytest.mark.parametrize("reason", [SkipReason.EDITED, SkipReason.PAUSED, SkipReason.DELETED])
def test_what_was_due_and_not_fired_goes_into_one_range_with_the_reason(reason):
    owed = _owed(_config(), due_ms=NOON_MS - 2 * HOUR_MS, reason=reason)

    assert owed == _range(NOON_MS - 2 * HOUR_MS, NOON_MS, 3, reason)


def test_a_config_that_was_not_due_yet_owes_nothing():
    assert _owed(_config(), due_ms=NOON_MS + HOUR_MS) is None
    assert _owed(_config(), due_ms=None) is None
    assert _owed(None, due_ms=NOON_MS) is None
    assert _owed(_config(enabled=False), due_ms=NOON_MS) is None


def test_the_gap_of_a_pause_begins_after_the_pause_and_ends_now():
    gap = _owed(_config(), paused_gap_from_ms=NOON_MS - 3 * HOUR_MS, reason=SkipReason.PAUSED)
    assert gap == _range(NOON_MS - 2 * HOUR_MS, NOON_MS, 3, SkipReason.PAUSED)
    assert _owed(_config(), paused_gap_from_ms=NOON_MS) is None


def test_an_instant_that_fired_is_never_owed_again():
    owed = _owed(_config(), due_ms=NOON_MS - 2 * HOUR_MS, last_fired_ms=NOON_MS - HOUR_MS)

    assert owed == _range(NOON_MS, NOON_MS, 1, SkipReason.EDITED)
    assert _owed(_config(), due_ms=NOON_MS - HOUR_MS, last_fired_ms=NOON_MS) is None


def test_a_gap_of_a_year_costs_what_a_gap_of_an_hour_costs(work):
    config = _config(cron_expr="* * * * * *", timezone="Europe/Berlin")

    def act(gap_ms: int) -> SkippedRange | None:
        return _owed(config, paused_gap_from_ms=NOON_MS - gap_ms)

    year = act(365 * DAY_MS)
    assert year.count == 365 * 86_400
    assert work.of(lambda: act(365 * DAY_MS)) < work.of(lambda: act(HOUR_MS)) + 500


def test_a_fixed_delay_owes_its_due_and_no_pause_has_instants_of_it():
    config = _config(fixed_delay=timedelta(seconds=30))

    assert _owed(config, due_ms=NOON_MS - 5) == _range(
        NOON_MS - 5, NOON_MS - 5, 1, SkipReason.EDITED
    )
    assert _owed(config, paused_gap_from_ms=NOON_MS - DAY_MS) is None
    assert _owed(config, due_ms=NOON_MS + 5) is None


def test_an_at_that_the_change_keeps_stays_owed_and_is_due_at_once():
    config = _config(at=from_ms(NOON_MS - HOUR_MS))
    edited = _config(at=from_ms(NOON_MS - HOUR_MS), payload={"new": True})

    assert _owed(config, due_ms=NOON_MS - HOUR_MS, successor=edited) is None
    assert next_due(edited, now_ms=NOON_MS) == NOON_MS - HOUR_MS
    assert _owed(config, due_ms=NOON_MS - HOUR_MS, reason=SkipReason.PAUSED) is None
    assert _owed(config, paused_gap_from_ms=NOON_MS - DAY_MS, successor=config) is None


def test_an_at_that_the_change_drops_is_accounted_for():
    config = _config(at=from_ms(NOON_MS - HOUR_MS))
    moved = _config(at=from_ms(NOON_MS + HOUR_MS))
    expected = {
        reason: _range(NOON_MS - HOUR_MS, NOON_MS - HOUR_MS, 1, reason) for reason in SkipReason
    }

    for successor in (moved, _config()):
        owed = _owed(config, due_ms=NOON_MS - HOUR_MS, successor=successor)
        assert owed == expected[SkipReason.EDITED]
    deleted = _owed(config, due_ms=NOON_MS - HOUR_MS, reason=SkipReason.DELETED)
    assert deleted == expected[SkipReason.DELETED]
    # Deleted while paused, its instant having passed before or during the pause:
    for gap_ms in (NOON_MS - DAY_MS, NOON_MS - 1):
        gap = _owed(config, paused_gap_from_ms=gap_ms, reason=SkipReason.DELETED)
        assert gap == expected[SkipReason.DELETED]
    fired = _owed(config, paused_gap_from_ms=NOON_MS - DAY_MS, last_fired_ms=NOON_MS - HOUR_MS)
    assert fired is None


def test_the_next_due_is_the_first_instant_after_now_and_after_the_last_fire():
    assert next_due(_config(), now_ms=NOON_MS) == NOON_MS + HOUR_MS
    assert next_due(_config(), now_ms=NOON_MS - 1) == NOON_MS
    # The clock went back after a fire:
    assert next_due(_config(), now_ms=NOON_MS - 1, last_fired_ms=NOON_MS) == NOON_MS + HOUR_MS


def test_a_disabled_or_ended_config_is_not_due():
    assert next_due(_config(enabled=False), now_ms=NOON_MS) is None
    assert next_due(_config(end_at=from_ms(NOON_MS + 1)), now_ms=NOON_MS) is None


def test_an_at_is_due_until_it_has_fired():
    future, past = _config(at=from_ms(NOON_MS + 5)), _config(at=from_ms(NOON_MS - 5))

    assert next_due(future, now_ms=NOON_MS) == NOON_MS + 5
    assert next_due(past, now_ms=NOON_MS) == NOON_MS - 5
    assert next_due(past, now_ms=NOON_MS, last_fired_ms=NOON_MS - 5, ever_fired=True) is None
    assert next_due(past, now_ms=NOON_MS, ever_fired=True) is None
    assert next_due(future, now_ms=NOON_MS, ever_fired=True) == NOON_MS + 5
    # It fired at an earlier instant, and was then edited to this one:
    assert next_due(past, now_ms=NOON_MS, last_fired_ms=NOON_MS - DAY_MS) == NOON_MS - 5
    bounded = _config(at=from_ms(NOON_MS - 5), start_at=from_ms(NOON_MS))
    assert next_due(bounded, now_ms=NOON_MS) is None


def test_a_new_fixed_delay_is_due_at_its_start_or_now():
    delay = timedelta(seconds=30)

    assert next_due(_config(fixed_delay=delay), now_ms=NOON_MS) == NOON_MS
    later = _config(fixed_delay=delay, start_at=from_ms(NOON_MS + HOUR_MS))
    assert next_due(later, now_ms=NOON_MS) == NOON_MS + HOUR_MS
    ended = _config(fixed_delay=delay, end_at=from_ms(NOON_MS - 1))
    assert next_due(ended, now_ms=NOON_MS) is None


def test_an_edited_fixed_delay_keeps_its_distance_and_waits_for_a_live_task():
    config = _config(fixed_delay=timedelta(seconds=30))

    assert next_due(config, now_ms=NOON_MS, last_fired_ms=NOON_MS - 10_000) == NOON_MS + 20_000
    assert next_due(config, now_ms=NOON_MS, last_fired_ms=NOON_MS - DAY_MS) == NOON_MS
    assert next_due(config, now_ms=NOON_MS, live=True) is None


def test_a_fixed_rate_keeps_its_anchor_over_every_edit():
    config = _config(every=timedelta(minutes=7), created_ms=NOON_MS - 60_000)

    assert next_due(config, now_ms=NOON_MS) == NOON_MS + 6 * 60_000
    assert next_due(config, now_ms=NOON_MS + 6 * 60_000) == NOON_MS + 13 * 60_000


@pytest.mark.parametrize("fields", [{"cron_expr": "5-1 * * * *"}, {"timezone": "Mars"}])
def test_a_trigger_that_cannot_be_meant_is_refused_when_put(fields):
    with pytest.raises(InvalidTriggerError):
        next_due(_config(**fields), now_ms=NOON_MS)
