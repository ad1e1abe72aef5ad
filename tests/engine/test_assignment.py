"""Which worker gets which ready task, and how much of what is ready is read for it."""

import asyncio
from types import SimpleNamespace

import attrs
import pytest
from engine_cluster import (
    spec,
)
from engine_parts import new_term, new_worker, store_time

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.dispatching import Dispatched, Promoted, ReadyPage, ReadyTask
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.working import Submission
from dsched.engine.leader.assignment import Assigner
from dsched.engine.leader.dispatching import PAGES_A_TICK, DispatchStep, with_new
from dsched.engine.leader.term import Term
from dsched_balancers.least_tasks import LeastTasks
from dsched_testkit.kernel.virtual_time import virtual_runtime


def _ready_page(*tasks, more=False):
    return ReadyPage(time=store_time(1_000_000), tasks=tasks, workers=(), more=more)


def test_new_tasks_join_a_page_in_the_order_of_ready_tasks():
    old = ReadyTask(id="old", priority=5, scheduled_ms=1_000)
    low, high = (ReadyTask(id=f"p{p}", priority=p, scheduled_ms=2_000) for p in (1, 9))
    page = with_new(_ready_page(old), [low, high], more=False)
    assert ([task.id for task in page.tasks], page.more) == (["p9", "old", "p1"], False)
    assert with_new(page, [], more=False) is page
    assert with_new(page, [], more=True).more


def test_a_page_stays_one_page_when_new_tasks_join_it():
    old = [ReadyTask(id=f"old{at}", priority=5, scheduled_ms=at) for at in range(MAX_BATCH)]
    page = with_new(
        _ready_page(*old), [ReadyTask(id="new", priority=9, scheduled_ms=9_999)], more=False
    )
    assert [task.id for task in page.tasks] == ["new", *(task.id for task in old[:-1])]
    assert page.more


def _ready(number):
    return [ReadyTask(id=f"t{n}", priority=5, scheduled_ms=0) for n in range(number)]


@pytest.mark.parametrize("state", [{"draining": True}, {"gone": True}])
def test_a_worker_that_is_draining_or_gone_is_never_chosen(state):
    assigner = Assigner("least-tasks", LeastTasks())
    task = ReadyTask(id="t", priority=5, scheduled_ms=0)
    plan = assigner.assign([task], [new_worker("a", **state), new_worker("b", queued=2)], 0)
    assert [choice.worker_id for choice in plan.choices] == ["b"]
    alone = assigner.assign([task], [new_worker("a", **state)], 0)
    assert [deferral.task_id for deferral in alone.deferrals] == ["t"]


def test_a_stalled_or_full_worker_is_not_chosen_and_each_choice_counts():
    assigner = Assigner("least-tasks", LeastTasks())
    full, stalled = new_worker("full", queued=8), new_worker("stalled", stalled=True)
    plan = assigner.assign(_ready(2), [full, stalled, new_worker("room", queued=7)], 0)
    assert [choice.worker_id for choice in plan.choices] == ["room"]
    assert plan.deferrals == ()


def test_a_silent_worker_gets_nothing_as_long_as_another_matches_even_a_full_one():
    assigner = Assigner("least-tasks", LeastTasks())
    silent, fast = new_worker("silent", silent=True), {"kind": "fast"}
    plan = assigner.assign(_ready(3), [silent, new_worker("heard", running=4, queued=2)], 0)
    assert [choice.worker_id for choice in plan.choices] == ["heard"] * 2
    assert (plan.passed, plan.deferrals) == (0, ())
    full = assigner.assign(_ready(2000), [silent, new_worker("heard", running=4, queued=4)], 0)
    assert (full.choices, full.passed, full.deferrals) == ((), 0, ())
    # A silent worker gets a task only if no other matches, or if all workers are silent.
    tasks = [attrs.evolve(task, required_labels=fast) for task in _ready(2)]
    workers = [attrs.evolve(silent, labels=fast), new_worker("heard")]
    assert [c.worker_id for c in assigner.assign(tasks, workers, 0).choices] == ["silent"] * 2
    assert [c.worker_id for c in assigner.assign(_ready(1), [silent], 0).choices] == ["silent"]


def test_what_a_silent_worker_is_given_takes_no_room_from_those_that_are_heard():
    assigner = Assigner("least-tasks", LeastTasks())
    workers = [new_worker("silent", silent=True, labels={"a": "b"}), new_worker("heard", queued=7)]
    labelled = [attrs.evolve(task, required_labels={"a": "b"}) for task in _ready(1)]
    plan = assigner.assign([*labelled, ReadyTask(id="u", priority=5, scheduled_ms=0)], workers, 0)
    assert [choice.worker_id for choice in plan.choices] == ["silent", "heard"]


def test_what_waits_for_full_workers_is_read_past_while_another_one_has_room():
    assigner = Assigner("least-tasks", LeastTasks())
    workers = [new_worker("full", queued=8, labels={"kind": "a"}), new_worker("room", queued=6)]
    tasks = [attrs.evolve(task, required_labels={"kind": "a"}) for task in _ready(3)] + _ready(4)
    plan = assigner.assign(tasks, workers, 0)
    assert [choice.worker_id for choice in plan.choices] == ["room"] * 2
    assert plan.passed == 3


def test_where_nobody_has_room_nothing_is_read_past_and_nothing_put_to_sleep():
    assigner = Assigner("least-tasks", LeastTasks())
    workers = [
        new_worker("full", queued=8),
        new_worker("a", queued=6),
        new_worker("b", running=3, queued=2),
    ]
    plan = assigner.assign(_ready(9), workers, 5000)
    assert sorted(choice.worker_id for choice in plan.choices) == ["a"] * 2 + ["b"] * 3
    assert (plan.passed, plan.deferrals) == (0, ())


class Refusing:
    """A store whose only worker fills up before each dispatch arrives."""

    def __init__(self):
        self.skips = []

    def page(self):
        return ReadyPage(
            time=store_time(1), tasks=tuple(_ready(1)), workers=(new_worker("w"),), more=True
        )

    async def dispatch(self, fence, choices, deferrals, *, skip, limit, shuts=(), lets=()):
        self.skips.append(skip)
        return Dispatched(choices=(Outcome.FULL,), deferrals=(), page=self.page())


async def test_what_was_refused_is_read_past_and_spins_no_loop():
    store = Refusing()
    step = DispatchStep(store, new_term(), Assigner("least-tasks", LeastTasks()))
    assert await step.dispatch(store.page()) is False
    assert store.skips == list(range(PAGES_A_TICK))


def _page(tasks, **workers):
    """A page of as many tasks, and workers by name with so many free slots of eight."""
    workers = [new_worker(name, queued=8 - free) for name, free in workers.items()]
    return ReadyPage(
        time=store_time(1), tasks=tuple(_ready(tasks)), workers=tuple(workers), more=True
    )


async def test_the_next_page_is_as_long_as_there_is_room_or_as_what_has_just_been_given():
    answers = [_page(2, a=4), _page(4, a=4), _page(1, a=1), _page(1, a=0)]
    limits = []

    async def dispatch(fence, choices, deferrals, *, skip, limit, shuts=(), lets=()):
        limits.append(limit)
        done = (Outcome.OK,) * len(choices)
        return Dispatched(choices=done, deferrals=(), page=answers.pop(0))

    store = SimpleNamespace(dispatch=dispatch)
    step = DispatchStep(store, new_term(), Assigner("least-tasks", LeastTasks()))
    await step.dispatch(_page(3, a=8))
    # 3 of 8 given, 2 of 4, 4 of 4, 1 of 1; and where nobody has room, that is all.
    assert limits == [5, 2, 4, 1]


async def test_where_more_is_promoted_than_a_tick_takes_the_next_tick_comes_at_once():
    async def promote(fence, limit):
        return Promoted(count=limit, next_in_ms=None)

    step = DispatchStep(SimpleNamespace(promote=promote), new_term(), Assigner("", LeastTasks()))
    assert await step.promote(Promoted(count=MAX_BATCH, next_in_ms=None)) == 0.0


async def test_more_delayed_tasks_than_one_step_takes_become_ready_in_one_tick(cluster):
    for page in range(3):
        ids = [f"d{page}-{number}" for number in range(MAX_BATCH)]
        items = [Submission(task_id=key, spec=spec("ok"), delay_ms=1000) for key in ids]
        await cluster.client.submit_many(items)
    await asyncio.sleep(2)
    won = await cluster.store.acquire("a", "t", 60_000)
    loop, store = asyncio.get_running_loop(), cluster.store
    term = Term(won.fence, 60, loop.time(), virtual_runtime(loop, 1))
    look = await store.poll(won.fence, MAX_BATCH)
    step = DispatchStep(store, term, Assigner("least-tasks", LeastTasks()))
    assert await step.promote(look.promoted) is None, "nothing is delayed any more"
    assert (len(cluster.state.ready), len(cluster.state.delayed)) == (3 * MAX_BATCH, 0)
