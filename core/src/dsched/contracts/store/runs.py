"""Runs of many tasks: how the leader reads and advances them, and what these steps take and answer.

A snapshot with a `Workflow` makes a *run*: a task whose home is ``open`` (or ``held``), which no
worker ever has. Its *members* are ordinary tasks, made by `advance` under `member_id`. The *member
log* of a run has a line for each member that is born or has ended, and for each step that is
skipped; its length is the run's *version*. A run has *news* when the leader has something to
decide about it: at an instant of store time.

Whatever step ends a member appends its line, and gives its run news, now; a cancel of a running run
gives it news too. Both wake the leader. A run that may not start yet has news at its instant. A
run that ends, ends as any task does (``finish``): live, held, fixed delay. Members belong to no
config's live tasks.

Members that have ended are kept for as long as their run is, and are on no list of ended tasks of a
config. They go with their run, when that is pruned.

A run whose snapshot has `resumes` takes over members of earlier runs, its *sources*: from `submit`
on, whatever is past its time, these are there until the last run that they are sources of is
pruned.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import attrs

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import StoreTime
from dsched.model import MemberLine, MemberStep, Task, TaskSpec, TaskStatus
from dsched.model.json import dumps
from dsched.planning.runs import RunEnd, SkippedStep, StepWorkers

MAX_MEMBER_LINES = 2000  # in one answer
MAX_ADVANCED_BYTES = 1024 * 1024  # of snapshots in one call
# After runs with so many lines of log a step that prunes ends its walk: each is a member to remove.
PRUNED_LINES = 400


@attrs.frozen(kw_only=True)
class OpenRun:
    """A run that has news. ``task`` carries its spec unless the caller knows it (its version).

    ``version`` is the length of its log, ``lines`` those after the version that the caller knows:
    all of them, or the next ones. ``cancel_reason`` where a cancel was asked for.
    """

    task: Task
    version: int
    lines: tuple[MemberLine, ...] = ()
    cancel_reason: str | None = None


@attrs.frozen(kw_only=True)
class RunPage:
    """Runs with news that is due, the oldest first; in how many ms the next news is due that is not
    yet (None: never); ``more``: others are due."""

    time: StoreTime
    runs: tuple[OpenRun, ...]
    next_in_ms: int | None
    more: bool


@attrs.frozen(kw_only=True)
class Birth:
    """A member to make, with its snapshot."""

    name: str
    spec: TaskSpec


@attrs.frozen(kw_only=True)
class Advance:
    """What the leader decided about a run of which it knew ``version`` lines.

    ``cancel_known``: it knew that a cancel of the run was asked for. ``workers``: of steps with a
    member for each worker, which these are.
    ``again_in_ms``: when it has news again if none comes before (None: not at all).
    """

    run_id: str
    version: int
    skips: tuple[SkippedStep, ...] = ()
    births: tuple[Birth, ...] = ()
    cancels: tuple[str, ...] = ()
    cancel_reason: str = ""
    end: RunEnd | None = None
    again_in_ms: int | None = None
    cancel_known: bool = False
    workers: tuple[StepWorkers, ...] = ()


@attrs.frozen(kw_only=True)
class AdvanceAnswer:
    """``OK`` with the version now; else nothing changed: ``STALE`` (it is not open), ``MOVED`` (a
    cancel was asked for, or a line came), ``CONFLICT`` (it cannot end while a member lives)."""

    outcome: Outcome
    version: int = 0


class Runs(ABC):
    """The leader's steps on runs. Each takes the fence."""

    @abstractmethod
    async def open_runs(self, fence: str, known: Mapping[str, int], limit: int) -> RunPage:
        """The runs with news that is due (store time), by that instant and id, at most ``limit``,
        each with its lines after the version ``known``, at most `MAX_MEMBER_LINES` over all: the
        next run is on the next page. At most `MAX_BATCH` are known. A pending one is ``running``
        from now on, start_ms := wall. Writes no event."""

    @abstractmethod
    async def advance(self, fence: str, items: Sequence[Advance]) -> tuple[AdvanceAnswer, ...]:
        """Do what was decided: at most `MAX_BATCH` births, skips, cancels and steps with their
        workers over all.

        ``STALE`` unless the run is open and running. ``MOVED`` if a cancel was asked for and the
        item `overlooks_cancel`, or if it has an end and its version is not ``version``.
        ``CONFLICT`` for an end while a member lives, or with births. Then, in this order: each step
        (or member that is let off) that was not skipped before is, with its line; each step of
        ``workers`` that has no line of them gets it; each member whose id is new is made, pending
        and ready, scheduled_ms := wall, with its line; members are cancelled as `cancel` does; the
        run ends. Facts only accrue: births and skips do not ask for the version.

        If the version was ``version``, the run has news in ``again_in_ms`` and not before, or none,
        unless a member was cancelled that ended at once; else its news stays. Wakes the leader for
        births.
        Events: ``cancelled``, ``cancel_requested``, ``step_skipped``, ``born``, ``run_ended``.
        """


def overlooks_cancel(item: Advance) -> bool:
    """Whether what was decided is not for a run that is to be cancelled: who decided did not know,
    or it bears members, or ends the run otherwise."""
    otherwise = item.end is not None and item.end.status is not TaskStatus.CANCELLED
    return not item.cancel_known or bool(item.births) or otherwise


def check_advances(items: Sequence[Advance]) -> None:
    """Refuse what is too much for one call, or names anything twice."""
    total = sum(
        len(one.births) + len(one.skips) + len(one.cancels) + len(one.workers) for one in items
    )
    if total > MAX_BATCH or len(items) > MAX_BATCH:
        raise ValueError(f"more than {MAX_BATCH} births, skips, cancels and workers in one call")
    names = [one.run_id for one in items]
    if len(set(names)) < len(names):
        raise ValueError("a run occurs twice in one call")
    for one in items:
        born = [birth.name for birth in one.births]
        skipped = [skip.step for skip in one.skips]
        told = [known.step for known in one.workers]
        if any(len(set(names)) < len(names) for names in (born, skipped, told)):
            raise ValueError(f"run {one.run_id}: a member or a step occurs twice")
        if both := set(born) & set(one.cancels):
            raise ValueError(f"run {one.run_id}: {min(both)} is born and cancelled in one call")


def write_line(line: MemberLine) -> str:
    """A line as one JSON text."""
    record: list[object] = [line.what.value, line.name, line.at_ms]
    if line.what is MemberStep.ENDED:
        record += [line.status, line.code, line.attempts]
    elif line.what is MemberStep.SKIPPED:
        record += [line.status, line.reason]
    elif line.what is MemberStep.WORKERS:
        record.append(list(line.workers))
    return dumps(record)


def read_line(text: str | bytes) -> MemberLine:
    """A line from a text of `write_line`."""
    what, name, at_ms, *rest = json.loads(text)
    line = MemberLine(what=MemberStep(what), name=name, at_ms=at_ms)
    if line.what is MemberStep.BORN:
        return line
    if line.what is MemberStep.WORKERS:
        return attrs.evolve(line, workers=tuple(rest[0]))
    status = TaskStatus(rest[0])
    if line.what is MemberStep.SKIPPED:
        return attrs.evolve(line, status=status, reason=rest[1])
    return attrs.evolve(line, status=status, code=rest[1], attempts=rest[2])
