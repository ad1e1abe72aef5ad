"""Runs of the reference store: what the leader reads of them, and how it advances them."""

from collections.abc import Mapping, Sequence

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.checks import check_limit
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.runs import (
    MAX_MEMBER_LINES,
    Advance,
    AdvanceAnswer,
    OpenRun,
    RunPage,
    Runs,
    check_advances,
    overlooks_cancel,
)
from dsched.model import Home, MemberLine, MemberStep, TaskStatus, member_id
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.state import NEVER_MS, Item, State, Step, TaskRow


class MemoryRuns(OnState, Runs):
    """The leader's steps on runs."""

    async def open_runs(self, fence: str, known: Mapping[str, int], limit: int) -> RunPage:
        """The runs with news."""
        check_limit(limit)
        if len(known) > MAX_BATCH:
            raise ValueError(f"at most {MAX_BATCH} runs are known in one call")
        with self._state.step() as step:
            step.check_fence(fence)
            found: list[OpenRun] = []
            due = self._state.open.upto(step.now_ms, limit + 1)
            room = MAX_MEMBER_LINES
            for run_id in due[:limit]:
                if room <= 0:
                    break
                found.append(self._open(step, self._state.tasks[run_id], known, room))
                room -= len(found[-1].lines)
            more = len(due) > len(found)
            next_in_ms = 0 if more else news_in_ms(self._state, step, after_ms=step.now_ms)
            return RunPage(time=step.time, runs=tuple(found), next_in_ms=next_in_ms, more=more)

    def _open(self, step: Step, row: TaskRow, known: Mapping[str, int], room: int) -> OpenRun:
        if row.status is TaskStatus.PENDING:
            row.start_ms = step.wall_ms
            step.place(row, TaskStatus.RUNNING, Home.OPEN, row.at_ms)
        log = self._state.member_logs[row.id]
        after = known.get(row.id, 0)
        return OpenRun(
            task=row.view(with_spec=row.id not in known),
            version=len(log),
            lines=tuple(log[after : after + room]),
            cancel_reason=row.cancel_reason if row.cancel_requested else None,
        )

    async def advance(self, fence: str, items: Sequence[Advance]) -> tuple[AdvanceAnswer, ...]:
        """Do what was decided."""
        check_advances(items)
        with self._state.step() as step:
            step.check_fence(fence)
            return tuple(self._advance(step, fence, item) for item in items)

    def _advance(self, step: Step, fence: str, item: Advance) -> AdvanceAnswer:
        row = self._state.tasks.get(item.run_id)
        if row is None or row.home is not Home.OPEN or row.status is not TaskStatus.RUNNING:
            return AdvanceAnswer(outcome=Outcome.STALE)
        log = self._state.member_logs[row.id]
        current = len(log) == item.version
        overlooked = row.cancel_requested and overlooks_cancel(item)
        if overlooked or (item.end is not None and len(log) != item.version):
            return AdvanceAnswer(outcome=Outcome.MOVED, version=len(log))
        if item.end is not None and (self._living(row.id) or item.births):
            return AdvanceAnswer(outcome=Outcome.CONFLICT, version=len(log))
        self._skip(step, fence, row, item)
        self._tell_workers(step, row, item)
        self._bear(step, fence, row, item)
        if current:
            again_ms = item.again_in_ms
            row.at_ms = NEVER_MS if again_ms is None else step.now_ms + again_ms
            self._state.open.add(row.id, row.at_ms)
        for name in item.cancels:
            member = self._state.tasks.get(member_id(row.id, name))
            if member is not None and not member.status.terminal:
                step.cancel(member, fence, item.cancel_reason)
        if item.end is not None:
            self._end(step, fence, row, item)
        return AdvanceAnswer(outcome=Outcome.OK, version=len(log))

    def _living(self, run_id: str) -> bool:
        log = self._state.member_logs[run_id]
        born = sum(line.what is MemberStep.BORN for line in log)
        return born > sum(line.what is MemberStep.ENDED for line in log)

    def _skip(self, step: Step, fence: str, row: TaskRow, item: Advance) -> None:
        log = self._state.member_logs[row.id]
        skipped = {line.name for line in log if line.what is MemberStep.SKIPPED}
        for skip in item.skips:
            if skip.step in skipped:
                continue
            log.append(
                MemberLine(
                    what=MemberStep.SKIPPED,
                    name=skip.step,
                    at_ms=step.wall_ms,
                    status=skip.status,
                    reason=skip.reason,
                )
            )
            event: Item = {
                "run": row.id,
                "step": skip.step,
                "status": skip.status.value,
                "reason": skip.reason,
            }
            step.note(EventKind.STEP_SKIPPED, fence, event)

    def _tell_workers(self, step: Step, row: TaskRow, item: Advance) -> None:
        log = self._state.member_logs[row.id]
        told = {line.name for line in log if line.what is MemberStep.WORKERS}
        for one in item.workers:
            if one.step not in told:
                line = MemberLine(
                    what=MemberStep.WORKERS,
                    name=one.step,
                    at_ms=step.wall_ms,
                    workers=one.workers,
                )
                log.append(line)

    def _bear(self, step: Step, fence: str, row: TaskRow, item: Advance) -> None:
        for birth in item.births:
            task_id = member_id(row.id, birth.name)
            if task_id in self._state.tasks:
                continue
            task = TaskRow(id=task_id, spec=birth.spec, scheduled_ms=step.wall_ms)
            step.create(task, Home.READY)
            line = MemberLine(what=MemberStep.BORN, name=birth.name, at_ms=step.wall_ms)
            self._state.member_logs[row.id].append(line)
            step.note(EventKind.BORN, fence, {"task": task_id, "run": row.id})

    def _end(self, step: Step, fence: str, row: TaskRow, item: Advance) -> None:
        end = item.end
        assert end is not None
        row.reason = end.reason
        step.finish(row, end.status)
        event: Item = {
            "task": row.id,
            "status": end.status.value,
            "run": step.wall_ms - (row.start_ms or step.wall_ms),
        }
        if end.reason:
            event["reason"] = end.reason
        step.note(EventKind.RUN_ENDED, fence, event)


def news_in_ms(state: State, step: Step, *, after_ms: int | None = None) -> int | None:
    """In how many ms the next news is due, None if no run has any."""
    if after_ms is not None:
        found = state.open.first_after(after_ms)
    else:
        first = state.open.page(0, 1)
        found = state.open.key_of(first[0]) if first else None
    if found is None or found >= NEVER_MS:
        return None
    return max(0, int(found) - step.now_ms)
