"""What a page of dues fires, in how many calls, what is known of it, and when the next is read."""

from types import SimpleNamespace

import pytest
from engine_cluster import config, seconds
from engine_parts import QUIET, new_runtime, new_term, store_time

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.firing import DuePage, FireAnswer
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.engine.clock_watch import ClockWatch
from dsched.engine.leader.firing import NO_PROGRESS_S, Fired, FiringStep
from dsched.model import from_ms


async def test_a_wall_behind_the_instants_does_not_make_the_loop_spin():
    calls = []

    async def fire(fence, fires):
        calls.append(len(fires))
        return tuple(FireAnswer(outcome=Outcome.EARLY) for _ in fires)

    step = FiringStep(SimpleNamespace(fire=fire), new_term(), ClockWatch(new_runtime()), QUIET)
    due = StoredConfig(config=config(every=seconds(1), created_ms=0), due_ms=1_000_000)
    page = DuePage(time=store_time(1_000_000), configs=(due,), next_due_ms=None)
    assert await step.fire(page) == Fired(again_in_s=NO_PROGRESS_S)
    assert calls == [1]


async def test_a_call_fires_no_more_runs_than_it_may_and_leaves_the_rest_due():
    """A page of dues owes 240 runs: 100 are fired for it, at most 40 in a call."""
    calls = []

    async def fire(fence, fires):
        calls.append([len(one.runs) for one in fires])
        return tuple(FireAnswer(outcome=Outcome.OK) for _ in fires)

    step = FiringStep(SimpleNamespace(fire=fire), new_term(), ClockWatch(new_runtime()), QUIET)
    owed = config(every=seconds(1), created_ms=0, misfire_grace=seconds(3600))
    configs = tuple(StoredConfig(config=owed, due_ms=1_001_000) for _ in range(4))
    page = DuePage(time=store_time(1_060_000), configs=configs, next_due_ms=None)
    assert (await step.fire(page)).again_in_s == 0
    assert calls == [[40], [40], [20]]


async def test_what_is_ready_after_a_fire_is_known_without_reading_it():
    runs = (RunOutcome.FIRED, RunOutcome.SKIPPED, RunOutcome.FIRED)

    async def fire(fence, fires):
        return tuple(FireAnswer(outcome=Outcome.OK, runs=runs) for _ in fires)

    step = FiringStep(SimpleNamespace(fire=fire), new_term(), ClockWatch(new_runtime()), QUIET)
    owed = config(
        every=seconds(1), created_ms=0, priority=7, required_labels={"a": "b"}, misfire="fire_all"
    )
    due = StoredConfig(config=owed, due_ms=1_001_000)
    page = DuePage(time=store_time(1_003_000), configs=(due,), next_due_ms=None)
    tasks = (await step.fire(page)).tasks
    assert [(task.id, task.scheduled_ms) for task in tasks] == [
        (f"{owed.id}@1001000", 1_001_000),
        (f"{owed.id}@1003000", 1_003_000),
    ]
    assert {(task.priority, task.required_labels["a"]) for task in tasks} == {(7, "b")}


async def test_a_fire_that_is_spread_by_jitter_is_not_ready_yet():
    step, starts = _step(Outcome.OK)
    late = config(every=seconds(3600), created_ms=0, jitter=seconds(1800))
    due = StoredConfig(config=late, due_ms=3_600_000)
    page = DuePage(time=store_time(3_600_000), configs=(due,), next_due_ms=None)
    fired = await step.fire(page)
    assert fired.tasks == ()
    assert fired.again_in_s == (starts[0] - 3_600_000) / 1000


def _step(*outcomes):
    """A step whose store answers with these outcomes, and the instants its runs may start at."""
    starts = []

    async def fire(fence, fires):
        starts.extend(run.not_before_ms for one in fires for run in one.runs)
        return tuple(FireAnswer(outcome=o, runs=(RunOutcome.FIRED,)) for o in outcomes)

    return FiringStep(
        SimpleNamespace(fire=fire), new_term(), ClockWatch(new_runtime()), QUIET
    ), starts


def _due_page(*configs, next_due_ms=None):
    """These configs, due at second 1,000, and a clock ten milliseconds later."""
    stored = tuple(StoredConfig(config=one, due_ms=1_000_000) for one in configs)
    return DuePage(time=store_time(1_000_010), configs=stored, next_due_ms=next_due_ms)


async def test_after_a_fire_the_next_look_is_at_the_next_instant_of_anything():
    step, _ = _step(Outcome.OK, Outcome.OK)
    every = [config(every=seconds(n), created_ms=0) for n in (5, 4)]
    assert (await step.fire(_due_page(*every))).again_in_s == 3.99
    assert (await step.fire(_due_page(*every, next_due_ms=1_000_500))).again_in_s == 0.49


async def test_after_the_last_instant_of_all_nothing_is_due_any_more():
    step, _ = _step(Outcome.OK)
    once = config(every=seconds(1), created_ms=0, end_at=from_ms(1_000_500))
    assert (await step.fire(_due_page(once))).again_in_s is None


@pytest.mark.parametrize("outcome", [Outcome.MOVED, Outcome.REVISED, Outcome.EARLY])
async def test_what_was_not_fired_as_planned_is_looked_at_again_at_once(outcome):
    step, _ = _step(Outcome.OK, outcome)
    every = [config(every=seconds(n), created_ms=0) for n in (5, 4)]
    assert (await step.fire(_due_page(*every))).again_in_s == 0


async def test_when_a_fixed_delay_comes_again_only_the_store_knows():
    step, _ = _step(Outcome.OK)
    delayed = config(every=None, fixed_delay=seconds(60), created_ms=0)
    assert (await step.fire(_due_page(delayed))).again_in_s == 0


async def test_a_full_page_is_followed_by_another_at_once():
    calls = []

    async def fire(fence, fires):
        calls.append(len(fires))
        return tuple(FireAnswer(outcome=Outcome.OK) for _ in fires)

    step = FiringStep(SimpleNamespace(fire=fire), new_term(), ClockWatch(new_runtime()), QUIET)
    every = [config(every=seconds(5), created_ms=0)] * MAX_BATCH
    assert (await step.fire(_due_page(*every))).again_in_s == 0
    assert calls == [40, 40, 20]
