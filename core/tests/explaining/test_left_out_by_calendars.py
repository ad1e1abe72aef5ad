"""Why a config did not fire on a day that its calendar leaves out: now, ahead, after an edit."""

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from dsched.client.rearming import planned_put, planned_rearm
from dsched.contracts.store.configs import StoredConfig
from dsched.explaining import Answer, ConfigFacts, explain_config
from dsched.model import Decision, SkippedRange, SkipReason, TaskConfig, Verdict, to_ms
from dsched.planning import InvalidTriggerError, config_upcoming, plan_edit

DE = {"name": "de-holidays", "dates": {"2026-12-25": "Christmas Day", "2026-12-26": "Boxing Day"}}
CALENDAR = {"skip": [DE], "only": [{"name": "workdays", "weekdays": "mon-fri"}]}


def at(text: str) -> int:
    return to_ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


NOW_MS = at("2026-12-29T12:00:00")


def a_config(**fields: Any) -> TaskConfig:
    made: dict[str, Any] = {"cron_expr": "0 9 * * *", "calendar": CALENDAR}
    config = TaskConfig(id="c", executor="local", **(made | fields))
    made_ms = at("2026-12-01T00:00:00")
    return config.stamped(created_ms=made_ms, updated_ms=made_ms, revision=1)


def stored(config: TaskConfig, **fields: Any) -> StoredConfig:
    return StoredConfig(config=config, **{"due_ms": at("2026-12-30T09:00:00"), **fields})


def asked(at_ms: int, **facts: Any) -> Any:
    given: dict[str, Any] = {"stored": stored(a_config()), "now_ms": NOW_MS, **facts}
    return explain_config(ConfigFacts(config_id="c", at_ms=at_ms, **given))


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("2026-12-25", "left out by calendar de-holidays: Christmas Day."),
        ("2026-12-27", "left out by calendar workdays: Sunday is not one of its days."),
    ],
)
def test_a_day_that_was_left_out_is_told_with_its_name(day: str, words: str):
    told = asked(at(f"{day}T09:00:00"))
    assert told.verdict == Answer.NOT_DUE
    assert told.summary == f"c did not fire for {day}T09:00:00.000Z: {words}"
    ahead = asked(at(f"{day}T09:00:00"), now_ms=at("2026-12-20T00:00:00"))
    assert ahead.summary == f"c does not fire for {day}T09:00:00.000Z: {words}"


def test_a_time_that_is_no_instant_at_all_is_not_left_out():
    assert "calendar" not in asked(at("2026-12-25T10:00:00")).summary


def decision_of(found: SkippedRange, at_ms: int) -> Decision:
    return Decision(
        config_id="c",
        verdict=Verdict.SKIPPED,
        first_ms=found.first_ms,
        last_ms=found.last_ms,
        count=found.count,
        reason=found.reason,
        at_ms=at_ms,
        trigger=found.trigger,
    )


@pytest.mark.parametrize("act", ["edit", "same schedule", "delete", "edit of an owed one"])
def test_it_is_still_told_after_the_config_is_another_or_gone(act: str):
    old = stored(a_config())
    if act == "edit of an owed one":
        old = attrs.evolve(old, due_ms=at("2026-12-29T09:00:00"))
    if act == "delete":
        rearm = planned_rearm(old, NOW_MS, SkipReason.DELETED, None)
        after = None
    else:
        fields: dict[str, Any] = {"priority": 1}
        if act != "same schedule":
            fields = {"cron_expr": "0 10 * * *", "calendar": None}
        put = planned_put(a_config(**fields), old, NOW_MS)
        rearm, after = put.rearm, stored(put.config.stamped(created_ms=0, updated_ms=NOW_MS))
    assert [one.reason for one in rearm.ranges][-1] == SkipReason.CALENDAR
    assert (len(rearm.ranges) == 2) is (act == "edit of an owed one")
    decisions = [decision_of(one, NOW_MS) for one in rearm.ranges]
    told = asked(at("2026-12-25T09:00:00"), stored=after, decisions=decisions)
    assert "left out by calendar de-holidays: Christmas Day" in told.summary
    assert told.verdict == Answer.NOT_DUE
    fired_then = asked(at("2026-12-24T09:00:00"), stored=after, decisions=decisions)
    assert "calendar" not in fired_then.summary


def test_nothing_is_noted_where_nothing_was_left_out():
    config = a_config().stamped(created_ms=NOW_MS, updated_ms=NOW_MS)
    put = planned_put(a_config(priority=1), stored(config), NOW_MS + 1000)
    assert put.rearm.ranges == ()


def test_a_longer_horizon_keeps_what_is_owed_and_other_days_do_not():
    old, now_ms = a_config(), at("2026-12-29T12:00:00")
    longer = {**DE["dates"], "2031-12-25": "Christmas Day"}
    for dates, kept in ((longer, True), ({"2026-12-29": "Shutdown"}, False)):
        new = a_config(calendar={"skip": [{"name": "de-holidays", "dates": dates}], **ONLY})
        edit = plan_edit(
            old,
            new,
            due_ms=at("2026-12-28T09:00:00"),
            paused_gap_from_ms=None,
            last_fired_ms=None,
            now_ms=now_ms,
        )
        assert (edit.skipped is None) is kept
        if kept:
            assert edit.next_due_ms == at("2026-12-28T09:00:00")


ONLY = {"only": CALENDAR["only"]}


def test_what_is_next_says_what_was_left_out_before_it():
    found = config_upcoming(a_config(), after_ms=at("2026-12-24T09:00:00"), limit=2)
    first, second = found.items
    assert first.at_ms == at("2026-12-28T09:00:00")
    assert first.note == (
        "3 instants left out before: 2026-12-25 (de-holidays: Christmas Day), 2026-12-26 "
        "(de-holidays: Boxing Day), 2026-12-27 (workdays: Sunday is not one of its days)"
    )
    assert second.note == ""


def test_what_leaves_nothing_is_refused_where_it_is_put():
    for fields in (
        {"calendar": {"skip": [{"name": "all", "weekdays": "mon-sun"}]}},
        {"cron_expr": None, "at": "2026-12-25T09:00:00+00:00"},
        {"cron_expr": None, "every": "7d", "start_at": "2026-12-26T09:00:00+00:00"},
    ):
        with pytest.raises(InvalidTriggerError, match="calendar"):
            planned_put(a_config(**fields), None, NOW_MS)
    past = {"only": [{"name": "past", "dates": ["2020-01-01"]}]}
    assert planned_put(a_config(calendar=past), None, NOW_MS).rearm.next_due_ms is None
