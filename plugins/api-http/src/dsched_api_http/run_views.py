"""What the API answers about runs of many tasks."""

import attrs

from dsched.client import Run
from dsched.model import MemberLine, MemberStep, member_id, rfc3339_ms
from dsched.planning.runs.picture import MemberPicture, StepPicture
from dsched_api_http.models import TIME, TaskView, task_of
from dsched_api_http.wire import optional_time


@attrs.frozen(kw_only=True)
class RunMember:
    """A member that was born; ``state`` is how it ended, or ``live``; ``skipped``, where it was let
    off since its worker had left. ``taken_from`` is the earlier run in which it ran, where it was
    taken over; ``id`` is of that run then. ``worker`` is the one that alone may run it."""

    id: str
    name: str
    index: int | None
    state: str
    attempts: int
    code: str
    born: str | None = attrs.field(metadata=TIME)
    ended: str | None = attrs.field(metadata=TIME)
    taken_from: str | None
    worker: str | None


@attrs.frozen(kw_only=True)
class RunStep:
    """A step: ``level`` others come before it, one after the other. ``state`` is waiting, running,
    success, failed or skipped, ``reason`` why it has no members (any more), ``total`` how many it
    has, ``taken`` how many of them were taken over from an earlier run. The id of a run without
    steps is empty."""

    id: str
    level: int
    executor: str
    needs: tuple[str, ...]
    when: str
    allow_failure: bool
    state: str
    reason: str
    total: int
    born: int
    ended: int
    failed: int
    taken: int
    start_time: str | None = attrs.field(metadata=TIME)
    end_time: str | None = attrs.field(metadata=TIME)
    members: tuple[RunMember, ...]


@attrs.frozen(kw_only=True)
class RunView:
    """A run, and its steps by level; in a list of runs without their members."""

    id: str
    task: TaskView
    steps: tuple[RunStep, ...]


@attrs.frozen(kw_only=True)
class RunLine:
    """A line of a run's log: ``what`` became of the member ``name``, or of a step: born, ended or
    skipped; or for which ``workers`` a step has a member each."""

    what: str
    name: str
    at: str = attrs.field(metadata=TIME)
    status: str | None
    code: str
    attempts: int
    reason: str
    workers: tuple[str, ...]


_WORDS = {
    MemberStep.BORN: "born",
    MemberStep.ENDED: "ended",
    MemberStep.SKIPPED: "skipped",
    MemberStep.WORKERS: "workers",
}


def run_of(run: Run) -> RunView:
    """A run as answered."""
    task = run.task
    return RunView(
        id=task.id,
        task=task_of(task),
        steps=tuple(_step_of(task.id, one) for one in run.steps),
    )


def run_in_list(run: Run) -> RunView:
    """A run as answered among others: its steps without their members."""
    found = run_of(run)
    return attrs.evolve(found, steps=tuple(attrs.evolve(one, members=()) for one in found.steps))


def run_line_of(line: MemberLine) -> RunLine:
    """A line as answered."""
    return RunLine(
        what=_WORDS[line.what],
        name=line.name,
        at=rfc3339_ms(line.at_ms),
        status=None if line.status is None else line.status.value,
        code=line.code,
        attempts=line.attempts,
        reason=line.reason,
        workers=line.workers,
    )


def _step_of(run_id: str, step: StepPicture) -> RunStep:
    return RunStep(
        id=step.id,
        level=step.level,
        executor=step.executor,
        needs=step.needs,
        when=step.when.value,
        allow_failure=step.allow_failure,
        state=step.state.value,
        reason=step.reason,
        total=step.total,
        born=step.born,
        ended=step.ended,
        failed=step.failed,
        taken=step.taken,
        start_time=optional_time(step.started_ms),
        end_time=optional_time(step.ended_ms),
        members=tuple(_member_of(run_id, one) for one in step.members),
    )


def _member_of(run_id: str, member: MemberPicture) -> RunMember:
    return RunMember(
        id=member_id(member.taken_from or run_id, member.name),
        name=member.name,
        index=member.index,
        state=member.state,
        attempts=member.attempts,
        code=member.code,
        born=optional_time(member.born_ms),
        ended=optional_time(member.ended_ms),
        taken_from=member.taken_from,
        worker=member.worker,
    )
