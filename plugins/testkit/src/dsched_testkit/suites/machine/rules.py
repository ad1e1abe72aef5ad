"""The machine itself: its acts by their weights, the normal flow more often than not."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.working import Progress, Release
from dsched_testkit.suites.machine.leading import configs, due_in, often, variants, workers
from dsched_testkit.suites.machine.pools import (
    FLOWS,
    INCARNATIONS,
    TASKS,
)
from dsched_testkit.suites.machine.runs import RunRules


class FlowRules(RunRules):
    """Whole stretches of the normal flow, so that deep states are reached often."""

    @often(5, worker_id=workers, count=st.integers(1, 3), variant=st.integers(0, 1))
    def work_arrives_and_starts(self, worker_id: str, count: int, variant: int) -> None:
        self._awake(worker_id)
        self._work_arrives(count, variant)
        self.dispatch(0, worker_id, defers=False, stale=False, count=4)
        self.claim(worker_id, 0, 0, 1, 3)

    @often(5, config_id=configs, worker_id=workers)
    def a_config_fires_and_starts(self, config_id: str, worker_id: str) -> None:
        self._awake(worker_id)
        self.put(config_id, 0, variant=self.terms % 2, due_in_ms=0, early=False)
        self.fire_what_is_due(0, 1)
        self.dispatch(0, worker_id, defers=False, stale=False, count=4)
        self.claim(worker_id, 0, 0, 1, 3)

    @often(
        5,
        worker_id=workers,
        variant=st.sampled_from(sorted(FLOWS)),
        config_id=st.none() | configs,
        hows=st.lists(st.sampled_from([0, 0, 0, 2, 4]), min_size=2, max_size=4),
    )
    def a_run_goes_on(
        self, worker_id: str, *, variant: int, config_id: str | None, hows: list[int]
    ) -> None:
        """A run is made, of a config perhaps; round by round its members are born and end."""
        self._awake(worker_id)
        if config_id is None:
            self._work_arrives(1, variant)
        else:
            self.put(config_id, 0, variant=variant, due_in_ms=0, early=False)
            self.fire_what_is_due(0, 1)
        for how in hows:
            self.advance_runs(0, known=1, limit=10)
            self.dispatch(0, worker_id, defers=False, stale=False, count=4)
            self.claim(worker_id, 0, 0, 1, 3)
            self.complete(0, 3, how)
        self.advance_runs(0, known=0, limit=10)

    @often(2, worker_id=workers, index=st.integers(0, 2))
    def a_worker_is_taken_over(self, worker_id: str, index: int) -> None:
        """Work on it; a newer process comes; both go on."""
        older = self.incarnation[worker_id]
        self.work_arrives_and_starts(worker_id, 2, 0)
        self.register_as(worker_id, INCARNATIONS[index], 2, 1)
        held = self.held(0, 2)
        self.step("heartbeat", worker_id, older, held)
        self.step("claim", worker_id, older, 1, 1, 2)
        self.step("drain", worker_id, older)
        self.claim(worker_id, 0, 1, 1, 2)

    @often(2, worker_id=workers, drains=st.booleans())
    def a_worker_stalls_or_drains(self, worker_id: str, drains: bool) -> None:
        """Its queue comes back; it gets nothing more, until it claims, where it stalled."""
        self._awake(worker_id)
        self._work_arrives(3, 0)
        self.dispatch(0, worker_id, defers=False, stale=False, count=2)
        self.recall(0, 5000, False)
        if drains:
            self.step("drain", worker_id, None)
        else:
            self.recall(0, 0, False)
        self.dispatch(0, worker_id, defers=False, stale=False, count=2)
        self.claim(worker_id, 0, 0, 1, 2)
        self.dispatch(0, worker_id, defers=False, stale=False, count=2)

    @often(3, worker_id=workers, how=st.integers(0, 5), variant=variants)
    def an_attempt_is_superseded(self, worker_id: str, how: int, variant: int) -> None:
        """It fails and runs again; then its old worker still acts for the old attempt."""
        self.work_arrives_and_starts(worker_id, 1, 0)
        running = self.held(0)
        self.complete(0, 1, 3)
        self.promote(0, 10)
        self.dispatch(0, worker_id, defers=False, stale=False, count=4)
        self.claim(worker_id, 0, 0, 1, 3)
        old = running[0]
        if how == 0:
            self.step(
                "release", [Release(task_id=old.task_id, token=old.token, reason="x")], by="w"
            )
        elif how == 1:
            self.step("heartbeat", worker_id, self.incarnation[worker_id], running)
        elif how == 2:
            self.step("progress", [Progress(old.task_id, old.token, 1)])
        elif how == 3:
            self.move_clock(31_000)
            self.step("reap", self.fence(0), [Reap(task_id=old.task_id, token=old.token)])
        else:
            self.complete(4, 1, variant)

    @often(2, worker_id=workers)
    def an_attempt_outlives_its_first_lease(self, worker_id: str) -> None:
        """Beats keep it, longer than one lease lasts; nobody may reap it."""
        self.work_arrives_and_starts(worker_id, 1, 0)
        running = self.held(0)
        for _ in range(2):
            self.move_clock(20_000)
            self.step("heartbeat", worker_id, self.incarnation[worker_id], running)
        self.reap(0, 0)
        self.step("reap", self.fence(0), [self._reap(running[0].task_id, running[0].token, 0)])

    @often(2, config_id=configs, variant=variants, due_in_ms=due_in)
    def a_config_pauses(self, config_id: str, variant: int, due_in_ms: int | None) -> None:
        """It is edited in its pause, perhaps; it goes on."""
        self.put(config_id, 0, variant=0, due_in_ms=due_in_ms, early=False)
        self.pause_resume_or_delete(config_id, 0, which=0, due_in_ms=due_in_ms, early=False)
        self.put(config_id, 0, variant=variant, due_in_ms=due_in_ms, early=False)
        self.fire_what_is_due(0, 1)
        self.pause_resume_or_delete(config_id, 0, which=2, due_in_ms=due_in_ms, early=False)

    @often(2, config_id=configs, in_ms=st.sampled_from([5000, 20_000]), runs=st.integers(0, 2))
    def a_pause_ends_by_itself(self, config_id: str, in_ms: int, runs: int) -> None:
        """Perhaps too early, and once more."""
        self.pause_until(config_id, 0, in_ms)
        self.fire_what_is_due(0, runs)
        self.move_clock(6000)
        self.fire_what_is_due(0, runs)
        if self.fires:
            self.step("fire", self.fence(0), [self.fires[-1]])

    def _work_arrives(self, count: int, variant: int) -> None:
        taken = self.twin.state.tasks
        free = [key for key in TASKS if key not in taken][:count] or TASKS[:1]
        self.submit([*free], variant, 0, False)

    def _awake(self, worker_id: str) -> None:
        """Let the worker beat, and register where it is not known or drains."""
        answer = self.step("heartbeat", worker_id, self.incarnation[worker_id], [])
        if answer.outcome is not Outcome.OK or answer.draining:
            taken = INCARNATIONS.index(self.incarnation[worker_id]) + 1
            incarnation = INCARNATIONS[min(taken, 2)] if answer.draining else INCARNATIONS[2]
            self.register_as(worker_id, incarnation, 2, 1)
            self.numbers.pop((worker_id, 0), None)

    @often(2, how=st.integers(0, 3))
    def leases_run_out(self, how: int) -> None:
        self.move_clock(31_000)
        self.reap(0, how)


def _acts() -> dict[str, tuple[int, dict[str, st.SearchStrategy[Any]]]]:
    members = {name: getattr(FlowRules, name) for name in dir(FlowRules)}
    return {name: act.often for name, act in members.items() if hasattr(act, "often")}


ACTS = _acts()
NAMES = st.sampled_from([name for name, (weight, _) in ACTS.items() for _ in range(weight)])


class Machine(FlowRules):
    """The acts by their weights, and repeats of the last step, as after lost replies."""

    @rule(data=st.data())
    def act(self, data: st.DataObject) -> None:
        name = data.draw(NAMES)
        _, strategies = ACTS[name]
        getattr(self, name)(**{key: data.draw(value) for key, value in strategies.items()})

    @rule(data=st.data())
    def act_twice(self, data: st.DataObject) -> None:
        self.act(data)
        self.twin.repeat()
