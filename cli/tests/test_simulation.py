"""A task file played in virtual time: counts against a plain walk, overlap policies, the
command."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsched.model import Calendar, NamedDays, Overlap, TaskConfig, to_ms
from dsched.planning import config_instants, jitter_ms
from dsched_cli.simulation import ConfigLoad, Load, simulate

if TYPE_CHECKING:
    from conftest import Done

START = to_ms(datetime(2026, 3, 1, tzinfo=UTC))
DAY_MS = 86_400_000
MINUTE_MS = 60_000


def config(name: str, **more: Any) -> TaskConfig:
    return TaskConfig(
        **{"id": name, "executor": "local", "created_ms": START, "timeout": timedelta(days=1)}
        | more
    )


def play(*configs: TaskConfig, days: int = 1, run_ms: int = 10_000) -> Load:
    return simulate(
        configs, start_ms=START, end_ms=START + days * DAY_MS, run_ms={}, default_run_ms=run_ms
    )


def every(minutes: int, **more: Any) -> TaskConfig:
    return config("c", every=timedelta(minutes=minutes), **more)


def only(load: Load) -> ConfigLoad:
    (one,) = load.configs
    return one


def test_runs_shorter_than_the_period_all_run():
    one = only(play(every(10)))
    assert (one.fires, one.runs, one.skipped, one.at_once) == (144, 144, 0, 1)
    assert one.shortest_gap_ms == 10 * MINUTE_MS


def test_skip_leaves_out_what_falls_into_a_run():
    one = only(play(every(10), run_ms=25 * MINUTE_MS))
    assert (one.fires, one.runs, one.skipped) == (144, 48, 96)


def test_queue_one_holds_one_and_skips_the_rest():
    one = only(play(every(10, overlap=Overlap.QUEUE_ONE), run_ms=25 * MINUTE_MS))
    assert one.fires == one.runs + one.skipped
    assert one.held > 0
    assert one.at_once == 1
    # Back to back: a day holds 57.6 runs of 25 minutes.
    assert 57 <= one.runs <= 59


def test_queue_all_holds_as_many_as_misfire_cap_and_runs_them_back_to_back():
    one = only(play(every(10, overlap=Overlap.QUEUE_ALL), run_ms=11 * MINUTE_MS))
    assert (one.fires, one.runs, one.skipped, one.at_once) == (144, 144, 0, 1)
    assert one.held == 143
    few = only(play(every(10, overlap=Overlap.QUEUE_ALL, misfire_cap=2), run_ms=25 * MINUTE_MS))
    assert few.fires == few.runs + few.skipped
    assert 58 <= few.runs <= 60
    single = every(10, overlap=Overlap.QUEUE_ALL, misfire_cap=1)
    like = only(play(every(10, overlap=Overlap.QUEUE_ONE), run_ms=25 * MINUTE_MS))
    assert only(play(single, run_ms=25 * MINUTE_MS)).runs == like.runs


def test_cancel_previous_cuts_every_run_but_the_last():
    one = only(play(every(10, overlap=Overlap.CANCEL_PREVIOUS), run_ms=25 * MINUTE_MS))
    assert (one.fires, one.cut, one.skipped) == (144, 143, 0)
    assert one.run_ms == 143 * 10 * MINUTE_MS + 25 * MINUTE_MS


def test_allow_counts_how_many_run_at_once():
    load = play(every(10, overlap=Overlap.ALLOW), run_ms=25 * MINUTE_MS)
    assert only(load).at_once == 3
    assert load.most_at_once == 3


def test_a_fixed_delay_waits_for_the_end():
    load = play(config("c", fixed_delay=timedelta(minutes=10)), run_ms=20 * MINUTE_MS)
    assert only(load).fires == 48


def test_a_run_lasts_at_most_its_timeout():
    one = only(play(every(10, timeout=timedelta(minutes=5)), run_ms=25 * MINUTE_MS))
    assert (one.takes_ms, one.skipped) == (5 * MINUTE_MS, 0)


def test_a_disabled_config_does_nothing():
    assert only(play(every(10, enabled=False))).fires == 0


def test_what_a_calendar_leaves_out_is_counted_and_is_no_fire():
    weekend = Calendar(skip=(NamedDays(name="weekend", weekdays=0b1100000),))
    load = play(every(60, calendar=weekend), days=14)
    assert (only(load).fires, only(load).left_out) == (10 * 24, 4 * 24)
    plain = only(play(every(60), days=14))
    assert (plain.fires, plain.left_out) == (14 * 24, 0)
    assert only(play(every(60, calendar=weekend, enabled=False), days=14)).left_out == 0


def test_the_busiest_minute_names_who_starts_in_it():
    load = play(
        config("a", cron_expr="0 3 * * *"),
        config("b", cron_expr="0 3,4 * * *"),
        config("c", cron_expr="*/15 * * * *"),
    )
    assert load.busiest_ms == START + 3 * 3_600_000
    assert (load.busiest_starts, dict(load.busiest)) == (3, {"a": 1, "b": 1, "c": 1})


def test_nothing_to_play_is_no_load():
    load = play()
    assert (load.busiest_ms, load.most_at_once, sum(load.hours)) == (None, 0, 0)


def test_too_long_a_span_is_refused():
    with pytest.raises(ValueError, match="92 days"):
        play(every(10), days=93)


@settings(max_examples=25, deadline=None)
@given(
    expression=st.sampled_from(["*/7 * * * *", "H H/3 * * *", "0 2 * * 0", "30 1-5 * * *"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/Santiago"]),
    jitter_s=st.sampled_from([0, 600]),
    run_min=st.integers(1, 90),
)
def test_starts_by_hour_and_the_peak_are_those_of_a_plain_walk(
    expression: str, zone: str, jitter_s: int, run_min: int
):
    one = config(
        "walked",
        cron_expr=expression,
        timezone=zone,
        jitter=timedelta(seconds=jitter_s),
        overlap=Overlap.ALLOW,
    )
    load = play(one, days=3, run_ms=run_min * MINUTE_MS)
    starts, at_ms = [], START - 1
    while (at_ms := config_instants(one).next_after(at_ms)) < START + 3 * DAY_MS:
        starts.append(at_ms + jitter_ms(one.id, at_ms, one.jitter))
    inside = [ms for ms in starts if ms < START + 3 * DAY_MS]
    hours = Counter((ms - START) // 3_600_000 for ms in inside)
    assert list(load.hours) == [hours[number] for number in range(3 * 24)]
    # The most runs at one time is reached at some start.
    length_ms = run_min * MINUTE_MS
    most = max(sum(other <= ms < other + length_ms for other in starts) for ms in starts)
    assert only(load).at_once == most


def test_the_command_draws_a_histogram_and_the_counts(
    dsched: "Callable[..., Done]", tmp_path: Path
):
    path = tmp_path / "tasks.yaml"
    path.write_text(
        "tasks:\n"
        "  - {id: nightly, cron_expr: '0 3 * * *', executor: local, payload: {function: f}}\n"
        "  - {id: slow, every: 10m, executor: local, payload: {function: f}, timeout: 1h}\n"
    )
    args = ("-f", str(path), "--days", "2", "--from", "2026-03-01", "--tz", "UTC")
    done = dsched("simulate", *args, "--duration", "slow=15m")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "2 days from 2026-03-01 00:00:00+00:00: 2 configs, 290 fires"
    assert "busiest minute: 2026-03-01 03:00:00+00:00, 2 starts (nightly, slow)" in done.out
    assert "03:00  ████" in done.out
    record = dsched("simulate", *args, "--duration", "slow=15m", "-o", "json").data
    (slow,) = [one for one in record["configs"] if one["id"] == "slow"]
    assert (slow["fires"], slow["skipped"]) == (288, 144)
    wrong = dsched("simulate", *args, "--duration", "solw=15m")
    assert (wrong.code, "did you mean 'slow'?" in wrong.err) == (2, True)
