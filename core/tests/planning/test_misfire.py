"""What a due config owes after whatever outage (F21, I2): runs and skips share out what is owed."""

from datetime import timedelta

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsched.model import Misfire, SkippedRange, SkipReason, TaskConfig, from_ms
from dsched.planning import FirePlan, config_instants, jitter_ms, plan_fire

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
NOON_MS = 1_750_075_200_000  # 2025-06-16T12:00:00Z


def _config(**fields: object) -> TaskConfig:
    if not {"cron_expr", "every", "fixed_delay", "at"} & set(fields):
        fields["cron_expr"] = "0 * * * *"
    return TaskConfig(**{"id": "report", "executor": "local", "created_ms": 0, **fields})


def _plan(config: TaskConfig, due_ms: int, now_ms: int, **more: object) -> FirePlan:
    return plan_fire(config, due_ms=due_ms, now_ms=now_ms, **{"max_runs": 100, **more})


def _runs(plan: FirePlan) -> list[int]:
    return [run.scheduled_ms for run in plan.runs]


def _misfired(first_ms: int, last_ms: int, count: int) -> SkippedRange:
    return SkippedRange(first_ms=first_ms, last_ms=last_ms, count=count, reason=SkipReason.MISFIRE)


def _skipped(plan: FirePlan) -> SkippedRange | None:
    """The skipped range; which trigger it remembers has tests of its own."""
    return None if plan.skipped is None else attrs.evolve(plan.skipped, trigger="")


def test_an_instant_on_time_runs_and_the_next_is_due():
    plan = _plan(_config(), NOON_MS, NOON_MS)

    assert _runs(plan) == [NOON_MS]
    assert plan.skipped is None
    assert plan.next_due_ms == NOON_MS + HOUR_MS


def test_a_config_that_is_not_due_keeps_its_due():
    assert _plan(_config(), NOON_MS, NOON_MS - 1) == FirePlan(next_due_ms=NOON_MS)
    # Also one that is no instant of it, or not its next one.
    later_ms = NOON_MS + HOUR_MS + 1
    assert _plan(_config(), later_ms, NOON_MS) == FirePlan(next_due_ms=later_ms)
    delay = _config(fixed_delay=timedelta(seconds=30))
    assert _plan(delay, NOON_MS, NOON_MS - 1) == FirePlan(next_due_ms=NOON_MS)


def test_a_disabled_config_plans_nothing():
    assert _plan(_config(enabled=False), NOON_MS, NOON_MS + 1) == FirePlan()


@pytest.mark.parametrize("policy", Misfire)
def test_within_the_grace_every_policy_runs_what_is_late(policy):
    config = _config(cron_expr="*/20 * * * * *", misfire=policy)

    plan = _plan(config, NOON_MS, NOON_MS + MINUTE_MS)

    assert _runs(plan) == [NOON_MS, NOON_MS + 20_000, NOON_MS + 40_000, NOON_MS + 60_000]
    assert plan.skipped is None
    assert plan.next_due_ms == NOON_MS + 80_000


def test_a_millisecond_beyond_the_grace_is_missed():
    config = _config(misfire=Misfire.SKIP)

    assert _runs(_plan(config, NOON_MS, NOON_MS + MINUTE_MS)) == [NOON_MS]
    plan = _plan(config, NOON_MS, NOON_MS + MINUTE_MS + 1)
    assert plan == FirePlan(skipped=_misfired(NOON_MS, NOON_MS, 1), next_due_ms=NOON_MS + HOUR_MS)


def test_fire_once_runs_the_latest_missed_and_skips_the_rest():
    now_ms = NOON_MS + 5 * HOUR_MS + 30 * MINUTE_MS

    plan = _plan(_config(), NOON_MS, now_ms)

    assert _runs(plan) == [NOON_MS + 5 * HOUR_MS]
    assert _skipped(plan) == _misfired(NOON_MS, NOON_MS + 4 * HOUR_MS, 5)
    assert plan.next_due_ms == NOON_MS + 6 * HOUR_MS


def test_fire_once_is_one_run_also_when_the_outage_ends_within_the_grace_of_an_instant():
    plan = _plan(_config(), NOON_MS, NOON_MS + 5 * HOUR_MS + 30_000)

    assert _runs(plan) == [NOON_MS + 5 * HOUR_MS]
    assert _skipped(plan) == _misfired(NOON_MS, NOON_MS + 4 * HOUR_MS, 5)


def test_skip_drops_the_missed_and_runs_the_late():
    config = _config(misfire=Misfire.SKIP)

    plan = _plan(config, NOON_MS, NOON_MS + 5 * HOUR_MS + 30 * MINUTE_MS)
    assert (_runs(plan), _skipped(plan)) == ([], _misfired(NOON_MS, NOON_MS + 5 * HOUR_MS, 6))
    assert plan.next_due_ms == NOON_MS + 6 * HOUR_MS

    plan = _plan(config, NOON_MS, NOON_MS + 5 * HOUR_MS + 30_000)
    assert _runs(plan) == [NOON_MS + 5 * HOUR_MS]
    assert _skipped(plan) == _misfired(NOON_MS, NOON_MS + 4 * HOUR_MS, 5)


def test_fire_all_runs_the_latest_of_the_cap_oldest_first_and_skips_what_is_older():
    config = _config(misfire=Misfire.FIRE_ALL, misfire_cap=3)

    plan = _plan(config, NOON_MS, NOON_MS + 5 * HOUR_MS + 30 * MINUTE_MS)

    assert _runs(plan) == [NOON_MS + hour * HOUR_MS for hour in (3, 4, 5)]
    assert _skipped(plan) == _misfired(NOON_MS, NOON_MS + 2 * HOUR_MS, 3)
    assert plan.next_due_ms == NOON_MS + 6 * HOUR_MS


def test_late_instants_run_beside_the_cap_of_fire_all():
    config = _config(misfire=Misfire.FIRE_ALL, misfire_cap=2)

    plan = _plan(config, NOON_MS, NOON_MS + 5 * HOUR_MS + 30_000)

    assert _runs(plan) == [NOON_MS + hour * HOUR_MS for hour in (3, 4, 5)]


def test_what_exceeds_max_runs_stays_due():
    config = _config(misfire=Misfire.FIRE_ALL)
    now_ms = NOON_MS + 5 * HOUR_MS + 30 * MINUTE_MS

    plan = _plan(config, NOON_MS, now_ms, max_runs=4)
    assert _runs(plan) == [NOON_MS + hour * HOUR_MS for hour in range(4)]
    assert plan.next_due_ms == NOON_MS + 4 * HOUR_MS

    rest = _plan(config, plan.next_due_ms, now_ms, max_runs=4)
    assert _runs(rest) == [NOON_MS + 4 * HOUR_MS, NOON_MS + 5 * HOUR_MS]
    assert rest.next_due_ms == NOON_MS + 6 * HOUR_MS


def test_no_room_for_a_run_is_the_callers_mistake():
    with pytest.raises(ValueError, match="max_runs"):
        _plan(_config(), NOON_MS, NOON_MS, max_runs=0)


def test_after_a_forward_jump_of_the_clock_one_run_catches_up_whatever_the_policy():
    now_ms = NOON_MS + 2 * DAY_MS + 10_000
    for policy in Misfire:
        config = _config(cron_expr="*/5 * * * * *", misfire=policy)
        plan = _plan(config, NOON_MS, now_ms, one_catch_up=True)
        assert _runs(plan) == [now_ms]
        assert _skipped(plan) == _misfired(NOON_MS, now_ms - 5_000, 2 * 17_280 + 2)
    hourly = _config(misfire=Misfire.SKIP)
    plan = _plan(hourly, NOON_MS, now_ms + 10 * MINUTE_MS, one_catch_up=True)
    assert _runs(plan) == []
    assert plan.skipped.count == 49


def test_an_at_runs_once_and_is_due_no_more():
    config = _config(at=from_ms(NOON_MS))

    assert _plan(config, NOON_MS, NOON_MS + 5) == FirePlan(
        runs=_plan(config, NOON_MS, NOON_MS).runs
    )
    late = _plan(config, NOON_MS, NOON_MS + 30 * DAY_MS)
    assert _runs(late) == [NOON_MS]
    skipping = _config(at=from_ms(NOON_MS), misfire=Misfire.SKIP)
    assert _plan(skipping, NOON_MS, NOON_MS + DAY_MS) == FirePlan(
        skipped=_misfired(NOON_MS, NOON_MS, 1)
    )


def test_a_fixed_delay_runs_its_due_and_leaves_the_next_to_the_end_of_the_run():
    config = _config(fixed_delay=timedelta(seconds=30))

    assert _runs(_plan(config, NOON_MS + 7, NOON_MS + 9)) == [NOON_MS + 7]
    assert _plan(config, NOON_MS, NOON_MS + DAY_MS).next_due_ms is None
    assert _runs(_plan(config, NOON_MS, NOON_MS + DAY_MS)) == [NOON_MS]


def test_a_fixed_delay_that_skips_does_not_die_of_it():
    config = _config(fixed_delay=timedelta(seconds=30), misfire=Misfire.SKIP)
    now_ms = NOON_MS + DAY_MS

    assert _plan(config, NOON_MS, now_ms) == FirePlan(
        skipped=_misfired(NOON_MS, NOON_MS, 1), next_due_ms=now_ms + 30_000
    )
    ended = _config(
        fixed_delay=timedelta(seconds=30), misfire=Misfire.SKIP, end_at=from_ms(NOON_MS + 1)
    )
    assert _plan(ended, NOON_MS, now_ms).next_due_ms is None
    assert _plan(ended, NOON_MS + 2, now_ms) == FirePlan()


def test_the_end_is_the_last_instant_that_runs():
    config = _config(end_at=from_ms(NOON_MS + HOUR_MS), misfire=Misfire.FIRE_ALL)

    plan = _plan(config, NOON_MS, NOON_MS + DAY_MS)
    assert _runs(plan) == [NOON_MS, NOON_MS + HOUR_MS]
    assert plan.next_due_ms is None


def test_a_due_that_new_zone_rules_no_longer_know_is_not_fired():
    # F24: the stored due is only where to start looking; nominal instants alone are fired.
    plan = _plan(_config(), NOON_MS + 123, NOON_MS + 30 * MINUTE_MS)

    assert plan == FirePlan(next_due_ms=NOON_MS + HOUR_MS)


def test_jitter_delays_the_run_and_not_its_instant():
    jitter = timedelta(minutes=10)
    (run,) = _plan(_config(jitter=jitter), NOON_MS, NOON_MS).runs

    assert run.scheduled_ms == NOON_MS
    assert run.not_before_ms == NOON_MS + jitter_ms("report", NOON_MS, jitter)
    assert run.not_before_ms > NOON_MS


@pytest.mark.parametrize("policy", Misfire)
@pytest.mark.parametrize("cron", ["* * * * * *", "*/5 * * * *"])
def test_an_outage_of_a_year_costs_about_what_an_outage_of_a_day_costs(policy, cron, work):
    config = _config(cron_expr=cron, misfire=policy, timezone="Europe/Berlin")
    now_ms = NOON_MS + 500

    def act(outage_ms: int) -> int:
        _plan(config, now_ms - outage_ms, now_ms)  # zone rules are read once
        return work.of(lambda: _plan(config, now_ms - outage_ms, now_ms))

    day, year = act(DAY_MS), act(365 * DAY_MS)
    assert year < day + 1_000
    assert year < 20_000


_CONFIGS = st.builds(
    _config,
    misfire=st.sampled_from(Misfire),
    misfire_grace=st.sampled_from([0, 1, 59, 60, 3_600, 100_000]).map(
        lambda s: timedelta(seconds=s)
    ),
    misfire_cap=st.integers(1, 100),
    cron_expr=st.sampled_from(
        ["* * * * *", "*/15 * * * *", "30 2 * * *", "0,30 1-3 * * *", "*/20 * * * * *", "0 0 1 * *"]
    ),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
    jitter=st.sampled_from([timedelta(0), timedelta(seconds=30)]),
)


@settings(deadline=None, max_examples=150)
@given(
    config=_CONFIGS,
    now_ms=st.integers(1_743_200_000_000, 1_743_400_000_000),  # around Berlin's change in spring
    outage_ms=st.integers(0, 2 * DAY_MS),
    max_runs=st.integers(1, 100),
    one_catch_up=st.booleans(),
)
def test_runs_and_skips_share_out_exactly_what_is_owed(
    config, now_ms, outage_ms, max_runs, one_catch_up
):
    instants = config_instants(config)
    due_ms = instants.next_after(now_ms - outage_ms)
    owed, at_ms = [], due_ms - 1
    while (at_ms := instants.next_after(at_ms)) <= now_ms:
        owed.append(at_ms)

    fired, skipped, plans = [], [], 0
    while due_ms is not None and due_ms <= now_ms:
        plan = _plan(config, due_ms, now_ms, max_runs=max_runs, one_catch_up=one_catch_up)
        plans += 1
        assert len(plan.runs) <= max_runs
        here = _runs(plan)
        if plan.skipped:
            part = [at for at in owed if plan.skipped.first_ms <= at <= plan.skipped.last_ms]
            assert (part[0], part[-1]) == (plan.skipped.first_ms, plan.skipped.last_ms)
            assert len(part) == plan.skipped.count
            assert not here or part[-1] < here[0]
            skipped += part
        fired += here
        assert plan.next_due_ms > max([*here, *skipped, due_ms - 1])
        due_ms = plan.next_due_ms

    assert sorted(fired + skipped) == owed
    assert fired == sorted(fired)
    grace_ms = config.misfire_grace // timedelta(milliseconds=1)
    late = [at for at in owed if now_ms - at <= grace_ms]
    missed = owed[: len(owed) - len(late)]
    if one_catch_up:
        assert len(fired) <= 1
    else:
        expected = {
            Misfire.SKIP: late,
            Misfire.FIRE_ONCE: late or missed[-1:],
            Misfire.FIRE_ALL: missed[-config.misfire_cap :] + late,
        }[config.misfire]
        assert fired == expected
    assert plans <= len(fired) // max_runs + 1


def test_an_instant_to_be_skipped_is_left_out_and_its_neighbours_run():
    config = _config(cron_expr="* * * * *", misfire=Misfire.FIRE_ALL)
    skips = [NOON_MS + MINUTE_MS]

    plan = _plan(config, NOON_MS, NOON_MS + 2 * MINUTE_MS, skips=skips)

    assert _runs(plan) == [NOON_MS, NOON_MS + 2 * MINUTE_MS]
    assert plan.left_out == (NOON_MS + MINUTE_MS,)
    assert plan.next_due_ms == NOON_MS + 3 * MINUTE_MS


def test_an_instant_to_be_skipped_is_waited_for():
    plan = _plan(_config(), NOON_MS, NOON_MS, skips=[NOON_MS + HOUR_MS])

    assert (plan.left_out, plan.next_due_ms) == ((), NOON_MS + HOUR_MS)


def test_an_instant_to_be_skipped_that_comes_alone_runs_nothing():
    plan = _plan(_config(), NOON_MS, NOON_MS + 5, skips=[NOON_MS])

    assert plan == FirePlan(left_out=(NOON_MS,), next_due_ms=NOON_MS + HOUR_MS)


def test_a_skip_of_what_is_no_instant_any_more_is_not_left_out():
    plan = _plan(_config(), NOON_MS, NOON_MS + 5, skips=[NOON_MS + 1])

    assert (_runs(plan), plan.left_out) == ([NOON_MS], ())


def test_one_run_catches_up_and_it_is_none_that_was_to_be_skipped():
    latest_ms = NOON_MS + 5 * HOUR_MS
    plan = _plan(
        _config(), NOON_MS, latest_ms + 5 * MINUTE_MS, skips=[latest_ms, NOON_MS + HOUR_MS]
    )

    assert _runs(plan) == [latest_ms - HOUR_MS]
    assert _skipped(plan) == _misfired(NOON_MS, latest_ms - 2 * HOUR_MS, 3)
    assert plan.left_out == (NOON_MS + HOUR_MS, latest_ms)


@given(
    policy=st.sampled_from(Misfire),
    minutes=st.integers(0, 40),
    grace=st.integers(0, 10),
    cap=st.integers(1, 10),
    max_runs=st.integers(1, 10),
    skips=st.sets(st.integers(-2, 45), max_size=20),
    jumped=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_runs_skips_and_what_is_left_out_share_out_exactly_what_is_owed(
    policy, minutes, grace, cap, max_runs, skips, jumped
):
    """Page after page, as the leader does it, until nothing is owed."""
    config = _config(
        cron_expr="* * * * *",
        misfire=policy,
        misfire_grace=timedelta(minutes=grace),
        misfire_cap=cap,
    )
    now_ms = NOON_MS + minutes * MINUTE_MS
    asked = [NOON_MS + skip * MINUTE_MS for skip in skips]
    due_ms, account = NOON_MS, []
    while due_ms <= now_ms:
        plan = _plan(config, due_ms, now_ms, max_runs=max_runs, skips=asked, one_catch_up=jumped)
        left_out = set(plan.left_out)
        assert left_out <= set(asked)
        account += [*_runs(plan), *left_out]
        if plan.skipped is not None:
            first_ms, last_ms = plan.skipped.first_ms, plan.skipped.last_ms
            inside = set(range(first_ms, last_ms + 1, MINUTE_MS)) - set(asked)
            assert len(inside) == plan.skipped.count
            account += inside
        assert plan.next_due_ms is not None
        assert plan.next_due_ms > due_ms
        due_ms = plan.next_due_ms
    assert sorted(account) == list(range(NOON_MS, now_ms + 1, MINUTE_MS))
