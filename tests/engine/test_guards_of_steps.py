"""Guards within one step of an engine's loop, each looked at by itself with a store of a few lines."""

import asyncio
from types import SimpleNamespace

import attrs
import pytest
from engine_cluster import Line, config, first, only, seconds, spec, unreachable

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.configs import ConfigPage, StoredConfig
from dsched.contracts.store.dispatching import Dispatched, Promoted, ReadyPage, ReadyTask
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.firing import DuePage, FireAnswer
from dsched.contracts.store.outcomes import Outcome, RunOutcome, StoreUnavailableError
from dsched.contracts.store.recovering import QueuedTask
from dsched.contracts.store.timing import StoreTime
from dsched.contracts.store.workers import HeartbeatAnswer, Registration
from dsched.contracts.store.working import Claimed
from dsched.engine.assertions import Assertions, AttemptWatch
from dsched.engine.clock_watch import ClockWatch
from dsched.engine.leader.assignment import Assigner
from dsched.engine.leader.collecting import CollectStep
from dsched.engine.leader.dispatching import PAGES_A_TICK, DispatchStep, with_new
from dsched.engine.leader.firing import NO_PROGRESS_S, Fired, FiringStep
from dsched.engine.leader.recovery import to_recall
from dsched.engine.leader.replanning import ReplanStep
from dsched.engine.leader.supervision import supervise
from dsched.engine.leader.term import Term, TermOverError
from dsched.engine.observers import Announcer
from dsched.engine.worker.attempts import Attempt, Attempts, StopReason
from dsched.engine.worker.heartbeat import Heartbeat, HeartbeatTimes
from dsched.engine.worker.log_reporting import LineReporter
from dsched.engine.worker.reporting import Reporter
from dsched.engine.worker.running import Runner
from dsched.model import Task, TaskStatus, Worker, from_ms
from dsched_balancers.least_tasks import LeastTasks
from dsched_testkit.virtual_time import virtual_runtime

QUIET = Announcer({})


def _runtime():
    return virtual_runtime(asyncio.get_running_loop(), 1)


def _term(fence="7:t:a", ttl_s=60.0):
    return Term(fence, ttl_s, asyncio.get_running_loop().time(), _runtime())


def _time(wall_ms, clock_gen=0):
    return StoreTime(wall_ms=wall_ms, now_ms=wall_ms, clock_gen=clock_gen)


# --- the leader's loops ---


async def _ticks(outcomes, **how):
    """Supervise a loop whose ticks raise or pass by turns; how many there were."""
    left = list(outcomes)

    async def tick():
        await asyncio.sleep(1)
        if not left:
            raise TermOverError("the end")
        if left.pop(0):
            raise ValueError("a defect")

    with pytest.raises(TermOverError):
        await supervise("test", how.pop("term", _term()), tick, _none, hang_s=5, **how)
    return len(outcomes) - len(left)


async def _none():
    return None


async def test_only_ticks_that_fail_in_a_row_end_a_term():
    assert await _ticks([True, True, False] * 4) == 12
    assert await _ticks([True, True, True, False]) == 3


@pytest.mark.parametrize(("asks", "silent_s"), [(True, 1), (False, 7)])
async def test_a_tick_that_asks_nothing_tells_nothing_of_the_store(asks, silent_s):
    term = _term()
    await _ticks([False] * 6, term=term, asks=asks)
    assert term.disturbed() == silent_s


async def test_after_a_jump_of_the_clock_reaping_waits_anew():
    term, watch = _term(), ClockWatch(_runtime())
    step = FiringStep(SimpleNamespace(), term, watch, QUIET)
    watch.read(_time(1_000_000))
    await asyncio.sleep(5)
    for jump_ms, steady_s in ((0, 5), (60_000, 0)):
        now = _time(1_000_000 + 5_000 + jump_ms)
        assert await step.fire(DuePage(time=now, configs=(), next_due_ms=None)) == Fired()
        assert term.steady_s() == steady_s


async def test_after_a_step_back_of_the_clock_reaping_waits_anew():
    async def list_configs(cursor, limit):
        return ConfigPage(configs=(), cursor=None)

    term, watch = _term(), ClockWatch(_runtime())
    step = ReplanStep(SimpleNamespace(now=_now, list_configs=list_configs), term, watch)
    watch.read(_time(1_000_000, clock_gen=1))
    await asyncio.sleep(5)
    assert await step.replan() is False
    assert term.steady_s() == 0


async def _now():
    return _time(1_000_000)


async def test_a_wall_behind_the_instants_does_not_make_the_loop_spin():
    calls = []

    async def fire(fence, fires):
        calls.append(len(fires))
        return tuple(FireAnswer(outcome=Outcome.EARLY) for _ in fires)

    step = FiringStep(SimpleNamespace(fire=fire), _term(), ClockWatch(_runtime()), QUIET)
    due = StoredConfig(config=config(every=seconds(1), created_ms=0), due_ms=1_000_000)
    page = DuePage(time=_time(1_000_000), configs=(due,), next_due_ms=None)
    assert await step.fire(page) == Fired(again_in_s=NO_PROGRESS_S)
    assert calls == [1]


async def test_a_call_fires_no_more_runs_than_it_may_and_leaves_the_rest_due():
    """A page of dues owes 240 runs: 100 are fired for it, at most 40 in a call."""
    calls = []

    async def fire(fence, fires):
        calls.append([len(one.runs) for one in fires])
        return tuple(FireAnswer(outcome=Outcome.OK) for _ in fires)

    step = FiringStep(SimpleNamespace(fire=fire), _term(), ClockWatch(_runtime()), QUIET)
    owed = config(every=seconds(1), created_ms=0, misfire_grace=seconds(3600))
    configs = tuple(StoredConfig(config=owed, due_ms=1_001_000) for _ in range(4))
    page = DuePage(time=_time(1_060_000), configs=configs, next_due_ms=None)
    assert (await step.fire(page)).again_in_s == 0
    assert calls == [[40], [40], [20]]


async def test_what_is_ready_after_a_fire_is_known_without_reading_it():
    runs = (RunOutcome.FIRED, RunOutcome.SKIPPED, RunOutcome.FIRED)

    async def fire(fence, fires):
        return tuple(FireAnswer(outcome=Outcome.OK, runs=runs) for _ in fires)

    step = FiringStep(SimpleNamespace(fire=fire), _term(), ClockWatch(_runtime()), QUIET)
    owed = config(
        every=seconds(1), created_ms=0, priority=7, required_labels={"a": "b"}, misfire="fire_all"
    )
    due = StoredConfig(config=owed, due_ms=1_001_000)
    page = DuePage(time=_time(1_003_000), configs=(due,), next_due_ms=None)
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
    page = DuePage(time=_time(3_600_000), configs=(due,), next_due_ms=None)
    fired = await step.fire(page)
    assert fired.tasks == ()
    assert fired.again_in_s == (starts[0] - 3_600_000) / 1000


def _step(*outcomes):
    """A step whose store answers with these outcomes, and the instants its runs may start at."""
    starts = []

    async def fire(fence, fires):
        starts.extend(run.not_before_ms for one in fires for run in one.runs)
        return tuple(FireAnswer(outcome=o, runs=(RunOutcome.FIRED,)) for o in outcomes)

    return FiringStep(SimpleNamespace(fire=fire), _term(), ClockWatch(_runtime()), QUIET), starts


def _due_page(*configs, next_due_ms=None):
    """These configs, due at second 1,000, and a clock ten milliseconds later."""
    stored = tuple(StoredConfig(config=one, due_ms=1_000_000) for one in configs)
    return DuePage(time=_time(1_000_010), configs=stored, next_due_ms=next_due_ms)


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

    step = FiringStep(SimpleNamespace(fire=fire), _term(), ClockWatch(_runtime()), QUIET)
    every = [config(every=seconds(5), created_ms=0)] * MAX_BATCH
    assert (await step.fire(_due_page(*every))).again_in_s == 0
    assert calls == [40, 40, 20]


def _ready_page(*tasks, more=False):
    return ReadyPage(time=_time(1_000_000), tasks=tasks, workers=(), more=more)


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


async def test_observers_hear_of_each_entry_once_and_before_the_cursor_moves(cluster):
    for number in range(3):
        await cluster.client.submit(spec("ok"), task_id=f"t{number}")
    won = await cluster.store.acquire("a", "t", 60_000)
    line, told = Line(only(first(1, unreachable), steps={"project"})), []
    observers = SimpleNamespace(tell=lambda notice: told.append(notice.event.cursor))
    watch = AttemptWatch(Assertions(QUIET))
    step = CollectStep(line.over(cluster.store, "main"), _term(won.fence), observers, watch)
    with pytest.raises(StoreUnavailableError):
        await step.collect()
    assert len(told) == len(cluster.state.log)
    await step.collect()
    assert told == [event.cursor for event in cluster.state.log]


def _broken(assertions):
    found = []
    assertions._announcer = SimpleNamespace(tell=lambda notice: found.append(notice.name))
    return found


def test_an_answer_is_judged_by_what_was_known_before_its_call():
    assertions = Assertions(QUIET)
    broken = _broken(assertions)
    assertions.answered("now", 0, (), _time(10))
    assertions.answered("now", 5, (), _time(7))  # called before the answer that says 10
    assert broken == []
    assertions.answered("now", 10, (), _time(9))
    assert broken == ["I13"]


def test_what_a_gap_in_the_log_hides_is_not_judged():
    assertions = Assertions(QUIET)
    broken, watch = _broken(assertions), AttemptWatch(assertions)
    claimed = [
        Event(
            cursor="1",
            kind=EventKind.CLAIMED,
            at_ms=1,
            by="w",
            items=({"task": "t", "attempt": n},),
        )
        for n in (1, 2)
    ]
    gap = Event(cursor="1", kind=EventKind.GAP, at_ms=1, by="7:t:a", items=({"dropped": 1},))
    watch.entries([claimed[0], gap, claimed[1]])
    assert broken == []
    watch.entries([claimed[1]])
    assert broken == ["I4"]


# --- who gets what ---


def _worker(worker_id, **state):
    state = {"capacity": 4, "backlog": 4, **state}
    return Worker(
        id=worker_id, incarnation="1", heartbeat_timeout_ms=1000, last_heartbeat_ms=0, **state
    )


def _ready(number):
    return [ReadyTask(id=f"t{n}", priority=5, scheduled_ms=0) for n in range(number)]


def test_a_stalled_or_full_worker_is_not_chosen_and_each_choice_counts():
    assigner = Assigner("least-tasks", LeastTasks())
    full, stalled = _worker("full", queued=8), _worker("stalled", stalled=True)
    plan = assigner.assign(_ready(2), [full, stalled, _worker("room", queued=7)], 0)
    assert [choice.worker_id for choice in plan.choices] == ["room"]
    assert plan.deferrals == ()


def test_what_waits_for_full_workers_is_read_past_while_another_one_has_room():
    assigner = Assigner("least-tasks", LeastTasks())
    workers = [_worker("full", queued=8, labels={"kind": "a"}), _worker("room", queued=6)]
    tasks = [attrs.evolve(task, required_labels={"kind": "a"}) for task in _ready(3)] + _ready(4)
    plan = assigner.assign(tasks, workers, 0)
    assert [choice.worker_id for choice in plan.choices] == ["room"] * 2
    assert plan.passed == 3


def test_where_nobody_has_room_nothing_is_read_past_and_nothing_put_to_sleep():
    assigner = Assigner("least-tasks", LeastTasks())
    workers = [_worker("full", queued=8), _worker("a", queued=6), _worker("b", running=3, queued=2)]
    plan = assigner.assign(_ready(9), workers, 5000)
    assert sorted(choice.worker_id for choice in plan.choices) == ["a"] * 2 + ["b"] * 3
    assert (plan.passed, plan.deferrals) == (0, ())


BUSY = {"running": 4}
ELSEWHERE = [
    ("a free slot elsewhere", BUSY, {}, True),
    ("none elsewhere", BUSY, {"running": 4}, False),
    ("one that is gone", BUSY, {"gone": True}, False),
    ("one that drains", BUSY, {"draining": True}, False),
    ("one that is stalled", BUSY, {"stalled": True}, False),
    ("other labels", BUSY, {"labels": {"zone": "b"}}, False),
    ("a slot of its own that it does not use", {"running": 3}, {"running": 4}, True),
    ("its worker drains", {**BUSY, "draining": True}, {"running": 4}, True),
    ("its worker is gone", {**BUSY, "gone": True}, {"running": 4}, True),
]


@pytest.mark.parametrize(
    ("own", "other", "moves"), [row[1:] for row in ELSEWHERE], ids=[row[0] for row in ELSEWHERE]
)
def test_an_old_entry_moves_only_to_where_it_does_better(own, other, moves):
    workers = [_worker("own", **own), _worker("other", **{"labels": {"zone": "a"}, **other})]
    entry = QueuedTask(task_id="t", worker_id="own", age_ms=9, required_labels={"zone": "a"})
    assert to_recall([entry], workers) == ([entry] if moves else [])


class Refusing:
    """A store whose only worker fills up before each dispatch arrives."""

    def __init__(self):
        self.skips = []

    def page(self):
        return ReadyPage(time=_time(1), tasks=tuple(_ready(1)), workers=(_worker("w"),), more=True)

    async def dispatch(self, fence, choices, deferrals, *, skip, limit):
        self.skips.append(skip)
        return Dispatched(choices=(Outcome.FULL,), deferrals=(), page=self.page())


async def test_what_was_refused_is_read_past_and_spins_no_loop():
    store = Refusing()
    step = DispatchStep(store, _term(), Assigner("least-tasks", LeastTasks()))
    assert await step.dispatch(store.page()) is False
    assert store.skips == list(range(PAGES_A_TICK))


def _page(tasks, **workers):
    """A page of as many tasks, and workers by name with so many free slots of eight."""
    workers = [_worker(name, queued=8 - free) for name, free in workers.items()]
    return ReadyPage(time=_time(1), tasks=tuple(_ready(tasks)), workers=tuple(workers), more=True)


async def test_the_next_page_is_as_long_as_there_is_room_or_as_what_has_just_been_given():
    answers = [_page(2, a=4), _page(4, a=4), _page(1, a=1), _page(1, a=0)]
    limits = []

    async def dispatch(fence, choices, deferrals, *, skip, limit):
        limits.append(limit)
        done = (Outcome.OK,) * len(choices)
        return Dispatched(choices=done, deferrals=(), page=answers.pop(0))

    store = SimpleNamespace(dispatch=dispatch)
    step = DispatchStep(store, _term(), Assigner("least-tasks", LeastTasks()))
    await step.dispatch(_page(3, a=8))
    # 3 of 8 given, 2 of 4, 4 of 4, 1 of 1; and where nobody has room, that is all.
    assert limits == [5, 2, 4, 1]


async def test_where_more_is_promoted_than_a_tick_takes_the_next_tick_comes_at_once():
    async def promote(fence, limit):
        return Promoted(count=limit, next_in_ms=None)

    step = DispatchStep(SimpleNamespace(promote=promote), _term(), Assigner("", LeastTasks()))
    assert await step.promote(Promoted(count=MAX_BATCH, next_in_ms=None)) == 0.0


# --- the worker's parts ---


def _task(task_id="t", body="body"):
    return Task(
        id=task_id,
        status=TaskStatus.RUNNING,
        worker_id="w",
        attempt=1,
        scheduled_ms=0,
        spec=spec(body),
    )


def _attempt(task_id="t", token="w.1.0.1"):
    task = _task(task_id)
    times = {"started_s": 0, "timeout_s": 5, "deadline_s": 10}
    return Attempt(task=task, spec=task.spec, worker_id="w", token=token, epoch=1, **times)


async def _beating(store):
    attempts = Attempts()
    worker = Registration(
        worker_id="w", incarnation="1", capacity=300, backlog=0, heartbeat_timeout_ms=30_000
    )
    beat = Heartbeat(worker, attempts, _runtime(), QUIET, HeartbeatTimes(), None, None)
    for number in range(2 * MAX_BATCH + 1):
        attempts.add(_attempt(f"t{number}"))
    await beat._beat(store, 0.0)
    return beat, attempts


async def test_a_beat_lists_all_that_runs_and_counts_from_its_beginning():
    listed = []

    async def heartbeat(worker_id, incarnation, held):
        await asyncio.sleep(2)
        listed.extend(held)
        return HeartbeatAnswer(outcome=Outcome.OK)

    began_s = asyncio.get_running_loop().time()
    beat, attempts = await _beating(SimpleNamespace(heartbeat=heartbeat))
    assert listed == attempts.held()
    assert beat._answered_s == began_s


def test_an_end_that_waits_for_the_report_before_it_takes_its_slot():
    attempts = Attempts()
    for number in range(4):
        attempt = _attempt(f"t{number}")
        attempts.add(attempt)
        attempt.ended = number < 3
    assert attempts.slots_taken == 4
    attempts.reporting = 2  # the report under way has two of the three
    assert attempts.slots_taken == 2


class Parts:
    """A runner and what it reports to, without a worker around."""

    def __init__(self, cluster, body):
        self.attempts, runtime = Attempts(), _runtime()
        lines = LineReporter(cluster.store, runtime)
        self.reporter = Reporter(cluster.store, runtime, "w", self.attempts, lambda: None, lines)
        executors = {"fn": type(cluster.executor)({"body": body})}
        self.runner = Runner("w", executors, runtime, self.attempts, self.reporter)

    def start(self, token="w.1.0.1"):
        claimed = Claimed(outcome=Outcome.OK, tasks=(_task(),), token=token, epoch=1)
        self.runner.start(claimed, asyncio.get_running_loop().time())
        return self.attempts.get("t", token)


async def test_an_attempt_that_is_stopped_before_its_first_step_runs_nothing(cluster):
    ran = []

    async def body(context, task):
        ran.append(task.id)

    parts = Parts(cluster, body)
    async with parts.runner:
        parts.runner.stop(parts.start(), StopReason.LOST)
    assert ran == []
    assert len(parts.attempts) == 0


async def test_the_first_reason_to_stop_stands_and_a_newer_attempt_stops_the_older(cluster):
    async def body(context, task):
        await asyncio.sleep(60)

    parts = Parts(cluster, body)
    async with parts.runner:
        older = parts.start("w.1.0.1")
        await asyncio.sleep(1)
        newer = parts.start("w.1.0.2")
        assert older.stop is StopReason.LOST
        parts.runner.stop(older, StopReason.RELEASE)
        assert older.stop is StopReason.LOST
        parts.runner.stop(newer, StopReason.CANCEL)


async def test_a_worker_that_is_torn_down_cancels_each_attempt_once_and_waits_for_it(cluster):
    cancels = []

    async def stubborn(context, task):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancels.append(task.id)
            await asyncio.sleep(5)
            cancels.append("its clean-up went on to its end")
            raise

    parts = Parts(cluster, stubborn)

    async def worker():
        async with parts.runner:
            parts.start()
            await asyncio.sleep(1)
            parts.runner.tear_down()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await worker()
    assert cancels == ["t", "its clean-up went on to its end"]


async def test_waiting_for_attempts_is_cancelled_together_with_them(cluster):
    parts = Parts(cluster, lambda context, task: asyncio.sleep(60))
    began_s = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2), parts.runner:
            parts.start()
    assert asyncio.get_running_loop().time() - began_s == 2


async def test_what_no_attempt_may_raise_ends_the_worker(cluster, monkeypatch):
    def defective(attempt, completion):
        raise ZeroDivisionError("a defect")

    parts = Parts(cluster, _none)
    monkeypatch.setattr(parts.reporter, "report", defective)
    async with parts.runner:
        parts.start()
        with pytest.raises(ZeroDivisionError, match="a defect"):
            await parts.runner.raise_when_broken()


async def test_a_call_names_a_task_once_and_progress_is_told_of_what_is_listed(cluster):
    told = []

    async def progress(items):
        told.extend(items)

    async with asyncio.TaskGroup() as group:
        parts = Parts(cluster, _none)
        older, newer = _attempt(token="w.1.0.1"), _attempt(token="w.1.0.2")
        for attempt in (older, newer):
            parts.attempts.add(attempt)
            attempt.progress, attempt.progress_changed = "half", True
            parts.reporter.report(attempt, object())
        assert [attempt for attempt, _ in parts.reporter._next_batch()] == [older]
        parts.reporter._store = SimpleNamespace(progress=progress)
        telling = group.create_task(parts.reporter.report_progress())
        await asyncio.sleep(1.5)
        telling.cancel()
    assert [(item.task_id, item.token) for item in told] == [("t", "w.1.0.2")]
