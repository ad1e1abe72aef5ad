"""What leaders do about runs of many tasks, in the machine."""

import attrs
from hypothesis import strategies as st

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.runs import Advance, Birth, OpenRun, RunPage
from dsched.contracts.store.working import Submission
from dsched.model import TaskSpec, TaskStatus, Workflow, member_name
from dsched.planning.runs import (
    Moment,
    NextMove,
    RunEnd,
    RunProgress,
    SkippedStep,
    decide,
    resumption,
)
from dsched.planning.runs import member_spec as snapshot_of
from dsched_testkit.suites.machine.leading import age, often, rarely
from dsched_testkit.suites.machine.operating import OperatorRules
from dsched_testkit.suites.machine.pools import FLOWS, TASKS, spec_of_kind
from dsched_testkit.suites.store.arrange import MINUTE_MS

_STEPS = ("", "a", "b", "c", "s", "z")
ONLY = ("", None)  # what stands for all shards names no member
_REASON = 'why "so"'
_ENDS = (TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED)
_MEMBERS = st.tuples(st.sampled_from(_STEPS), st.none() | st.integers(0, 2))


class RunRules(OperatorRules):
    """What leaders do about runs, and what clients do to them."""

    @often(4, index=age, known=st.integers(0, 2), limit=st.sampled_from([1, 10]))
    def advance_runs(self, index: int, known: int, limit: int) -> None:
        """Read runs with news, knowing nothing, all or a part of them, and do what is decided."""
        fence = self.fence(index)
        versions = {key: len(log) for key, log in self.twin.state.member_logs.items()}
        if known == 0:
            versions = {}
        elif known == 2:
            versions = {key: version // 2 for key, version in list(versions.items())[::2]}
        page = self.step("open_runs", fence, versions, limit)
        if isinstance(page, RunPage) and page.runs:
            self.step("advance", fence, [self._decided(run) for run in page.runs])

    @often(2, index=age, stale=st.integers(0, 2), which=age)
    def advance_from_an_old_reading(self, index: int, stale: int, which: int) -> None:
        """Decide from the first lines of a log only, as a leader does that lines overtake."""
        opened = [key for key in self.twin.state.open if key in self.twin.state.tasks]
        if not opened:
            return
        run_id = opened[which % len(opened)]
        version = max(0, len(self.twin.state.member_logs.get(run_id, ())) - stale)
        row = self.twin.state.tasks[run_id]
        run = OpenRun(task=row.view(with_spec=True), version=version)
        self.step("advance", self.fence(index), [self._decided(run)])

    @often(
        3,
        index=age,
        which=st.integers(0, 30),
        stale=st.sampled_from([0, 0, 0, 1, -1]),
        births=st.lists(_MEMBERS, max_size=3, unique=True),
        skips=st.lists(st.sampled_from(_STEPS), max_size=2, unique=True),
        cancels=st.lists(_MEMBERS, max_size=2, unique=True),
        end=st.sampled_from([None, None, *_ENDS]),
        again_in_ms=st.sampled_from([None, 0, 5000, MINUTE_MS]),
        cancel_known=st.booleans(),
    )
    def advance_anyhow(
        self,
        index: int,
        which: int,
        *,
        stale: int,
        births: list[tuple[str, int | None]],
        skips: list[str],
        cancels: list[tuple[str, int | None]],
        end: TaskStatus | None,
        again_in_ms: int | None,
        cancel_known: bool,
    ) -> None:
        """Whatever a leader says about whatever task: it is done whole, or refused whole."""
        state = self.twin.state
        anything = [*sorted(state.tasks), "nobody"]
        pool = (which % 4 and list(state.open)) or anything
        run_id = pool[which % len(pool)]
        version = max(0, len(state.member_logs.get(run_id, ())) - stale)
        spec = spec_of_kind(0)
        item = Advance(
            run_id=run_id,
            version=version,
            births=tuple(Birth(name=member_name(*one), spec=spec) for one in births if one != ONLY),
            skips=tuple(
                SkippedStep(step=one, status=_ENDS[at % 2], reason=_REASON)
                for at, one in enumerate(skips)
            ),
            cancels=tuple(member_name(*one) for one in cancels if one != ONLY),
            cancel_reason=_REASON,
            end=None if end is None else RunEnd(status=end, reason=_REASON if stale else ""),
            again_in_ms=again_in_ms,
            cancel_known=cancel_known,
        )
        self.step("advance", self.fence(index), [item])

    def _decided(self, run: OpenRun) -> Advance:
        """What the planning decides about a run of which so many lines are known."""
        row = self.twin.state.tasks[run.task.id]
        log = self.twin.state.member_logs.get(row.id, [])
        flow = row.spec.workflow
        progress = RunProgress(flow or Workflow(shards=1), row.spec.resumes)
        progress.take(log[: run.version])
        if flow is None:
            return Advance(run_id=row.id, version=run.version)
        moment = Moment(
            now_ms=self.wall_ms,
            started_ms=row.start_ms or self.wall_ms,
            cancelled=run.cancel_reason,
        )
        return _item(run, row.spec, decide(flow, progress, moment), self.wall_ms)

    @often(1, index=age, whole=rarely)
    def cancel_runs_or_members(self, index: int, whole: bool) -> None:
        """A client cancels members, or a run and its members in one call."""
        logs = self.twin.state.member_logs
        members = [key for key in sorted(self.twin.state.tasks) if "~" in key]
        chosen = members[index::4][:3]
        if whole:
            chosen += sorted(logs)[:2]
        if chosen:
            self.step("cancel", chosen, by="client", reason=_REASON)

    @often(1, which=st.integers(0, 30))
    def retry(self, which: int) -> None:
        """A client makes a run, or a task, once more: its snapshot under another id."""
        ended = [row for row in self.twin.state.tasks.values() if row.status.terminal]
        free = [key for key in TASKS if key not in self.twin.state.tasks]
        if ended and free:
            again = ended[which % len(ended)]
            if again.spec.member is None:
                item = Submission(task_id=free[0], spec=again.spec)
                self.step("submit", [item], by="client")

    @often(2, which=st.integers(0, 30), living=rarely)
    def retry_from_failure(self, which: int, living: bool) -> None:
        """A client makes a run that takes over what another has done, which has ended; or lives
        still, and then nothing is made."""
        state = self.twin.state
        rows = [row for row in state.tasks.values() if row.spec.workflow is not None]
        found = [row for row in rows if row.status.terminal is not living]
        free = [key for key in TASKS if key not in state.tasks]
        if not found or not free:
            return
        source = found[which % len(found)].view(with_spec=True)
        spec = state.tasks[source.id].spec
        if spec.workflow is None:
            return
        resumes = resumption(
            spec.workflow,
            state.member_logs.get(source.id, ()),
            run_id=source.id,
            instant_ms=source.nominal_ms,
            before=spec.resumes,
        )
        item = Submission(task_id=free[0], spec=attrs.evolve(spec, resumes=resumes))
        (outcome,) = self.step("submit", [item], by="client")
        assert outcome is Outcome.UNKNOWN if living else outcome in (Outcome.OK, Outcome.UNKNOWN)

    @often(2, after=st.integers(0, 4), limit=st.integers(1, 3))
    def read_runs(self, after: int, limit: int) -> None:
        """Anybody reads pages of member logs; of what is no run there are none."""
        for task_id in [*sorted(self.twin.state.tasks)[:6], "nobody"]:
            self.step("run_lines", task_id, after, limit)

    @often(1, variant=st.sampled_from(sorted(FLOWS)), delay_ms=st.sampled_from([0, 4000]))
    def submit_a_run(self, variant: int, delay_ms: int) -> None:
        taken = self.twin.state.tasks
        free = [key for key in TASKS if key not in taken][:1] or list(TASKS[:1])
        item = Submission(task_id=free[0], spec=spec_of_kind(variant), delay_ms=delay_ms)
        (outcome,) = self.step("submit", [item], by="client")
        assert outcome in (Outcome.OK, Outcome.DUP, Outcome.CONFLICT)


def _item(run: OpenRun, spec: TaskSpec, move: NextMove, wall_ms: int) -> Advance:
    return Advance(
        run_id=run.task.id,
        version=run.version,
        skips=move.skips,
        births=tuple(
            Birth(
                name=member_name(step, index),
                spec=snapshot_of(spec, step, index, instant_ms=run.task.nominal_ms),
            )
            for step, index in move.births
        ),
        cancels=move.cancels,
        cancel_reason=move.cancel_reason,
        end=move.end,
        again_in_ms=None if move.again_ms is None else max(0, move.again_ms - wall_ms),
        cancel_known=run.cancel_reason is not None,
    )
