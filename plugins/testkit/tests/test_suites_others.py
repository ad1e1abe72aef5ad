"""The suites for balancers, executors and observers: good ones pass, broken ones do not."""

import asyncio
import random
import time
from contextlib import asynccontextmanager

import pytest

from dsched.contracts import Executor, TaskFailed
from dsched.model import TaskResult
from dsched_testkit.suites.balancer import BalancerContract
from dsched_testkit.suites.executor import Case, ExecutorContract
from dsched_testkit.suites.observer import ObserverContract


class FirstWithRoom:
    def choose(self, task, workers, turn):
        return workers[turn % len(workers)] if workers else None


class TestFirstWithRoom(BalancerContract):
    def balancer(self):
        return FirstWithRoom()


class Remembers:
    """Chooses the worker it chose before: after a change of leaders that is another one."""

    def __init__(self):
        self._seen = []

    def choose(self, task, workers, turn):
        self._seen += workers
        return self._seen[0] if self._seen else None


class Random:
    def choose(self, task, workers, turn):
        return random.choice(workers) if workers else None


class RaisesOnNone:
    def choose(self, task, workers, turn):
        return min(workers, key=lambda worker: worker.load)


class NeverContent:
    def choose(self, task, workers, turn):
        return None


class Sorts:
    def choose(self, task, workers, turn):
        if workers:
            workers.sort(key=lambda worker: worker.load)
        return workers[0] if workers else None


class Slow:
    def choose(self, task, workers, turn):
        time.sleep(0.003)
        return workers[0] if workers else None


@pytest.mark.parametrize(
    ("broken", "caught_by"),
    [
        (Remembers, "test_it_chooses_one_of_the_workers_given_or_none"),
        (Random, "test_equal_arguments_give_equal_answers"),
        (RaisesOnNone, "test_it_chooses_nothing_from_nothing"),
        (NeverContent, "test_it_uses_the_one_worker_there_is"),
        (Sorts, "test_it_takes_the_workers_in_any_sequence_and_leaves_them_as_they_are"),
        (Slow, "test_it_is_fast_enough_for_the_leaders_loop"),
    ],
)
def test_a_broken_balancer_fails_the_test_that_looks_for_it(broken, caught_by):
    class Suite(BalancerContract):
        def balancer(self):
            return broken()

    with pytest.raises((AssertionError, ValueError, AttributeError)):
        getattr(Suite(), caught_by)()


class Sleeper(Executor):
    """Runs payloads that are numbers of seconds; negative: a failure."""

    def __init__(self):
        self.running = set()

    async def execute(self, context, task):
        seconds = task.spec.payload
        if seconds < 0:
            raise TaskFailed("less than nothing", code="negative")
        self.running.add(task.id)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.running.discard(task.id)
        return TaskResult(data=seconds)


class ExecutorCases(ExecutorContract):
    """The cases of `Sleeper` and of its broken siblings."""

    executor_class = Sleeper

    @asynccontextmanager
    async def open_executor(self):
        self.executor = self.executor_class()
        yield self.executor

    def succeeds(self):
        return Case(payload=0, data=0)

    def fails(self):
        return Case(payload=-1)

    def hangs(self):
        return Case(payload=60)

    async def still_running(self, task):
        return task.id in self.executor.running


class TestSleeper(ExecutorCases):
    pass


class ReturnsFailures(Sleeper):
    async def execute(self, context, task):
        try:
            return await super().execute(context, task)
        except TaskFailed as failure:
            return TaskResult(code=failure.code)


class SwallowsTheCancel(Sleeper):
    async def execute(self, context, task):
        try:
            return await super().execute(context, task)
        except asyncio.CancelledError:
            return TaskResult(code="stopped")


class LeavesWorkBehind(Sleeper):
    async def execute(self, context, task):
        if task.spec.payload > 1:
            self.running.add(task.id)
            await asyncio.sleep(60)
        return await super().execute(context, task)


class OneAtATime(Sleeper):
    def __init__(self):
        super().__init__()
        self._lock = asyncio.Lock()

    async def execute(self, context, task):
        async with self._lock:
            return await super().execute(context, task)


class AnswersWithObjects(Sleeper):
    async def execute(self, context, task):
        await super().execute(context, task)
        return TaskResult(data=object())


@pytest.mark.parametrize(
    ("broken", "caught_by"),
    [
        (ReturnsFailures, "test_a_failure_is_raised_with_a_message"),
        (SwallowsTheCancel, "test_a_cancelled_attempt_re_raises_and_has_really_stopped"),
        (LeavesWorkBehind, "test_a_cancelled_attempt_re_raises_and_has_really_stopped"),
        (OneAtATime, "test_it_serves_many_attempts_at_once"),
        (AnswersWithObjects, "test_a_success_gives_a_result_that_json_can_carry"),
    ],
)
async def test_a_broken_executor_fails_the_test_that_looks_for_it(broken, caught_by, monkeypatch):
    monkeypatch.setattr("dsched_testkit.suites.executor.WAIT_S", 0.5)

    class Suite(ExecutorCases):
        executor_class = broken

    with pytest.raises((AssertionError, TimeoutError, ValueError, pytest.fail.Exception)):
        await getattr(Suite(), caught_by)()


class Counting:
    def __init__(self):
        self.count = 0

    def notify(self, notice):
        self.count += 1


class ObserverCases(ObserverContract):
    observer_class = Counting

    @asynccontextmanager
    async def open_observer(self):
        yield self.observer_class()


class TestCounting(ObserverCases):
    pass


class KnowsAll(Counting):
    def notify(self, notice):
        if type(notice).__module__ != "dsched.contracts.observer":
            raise TypeError(f"what is a {type(notice).__name__}?")


class OnlyEvents(Counting):
    def notify(self, notice):
        self.count += len(notice.event.items)


class OnceOnly(Counting):
    def notify(self, notice):
        assert self.count == 0
        self.count = 1


class Blocks(Counting):
    def notify(self, notice):
        time.sleep(0.003)


@pytest.mark.parametrize(
    ("broken", "caught_by"),
    [
        (KnowsAll, "test_it_ignores_notices_it_does_not_know"),
        (OnlyEvents, "test_it_takes_note_of_every_kind_of_notice"),
        (OnceOnly, "test_it_takes_an_entry_that_comes_twice"),
        (Blocks, "test_it_never_blocks"),
    ],
)
async def test_a_broken_observer_fails_the_test_that_looks_for_it(broken, caught_by):
    class Suite(ObserverCases):
        observer_class = broken

    with pytest.raises((AssertionError, TypeError, AttributeError)):
        await getattr(Suite(), caught_by)()
