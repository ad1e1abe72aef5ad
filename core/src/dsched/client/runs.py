"""What the client reads of runs of many tasks."""

import attrs

from dsched.client.asking import Asking, NotFoundError
from dsched.client.gathering import list_lengths, member_lines
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.reading import TaskPage, TaskQuery
from dsched.model import Home, MemberLine, Task, member_id, run_of
from dsched.planning.runs.picture import StepPicture, picture_of

MAX_RUNS = 25  # of a config that are told at once


@attrs.frozen(kw_only=True)
class Run:
    """A run as it is now, and its steps by level."""

    task: Task
    steps: tuple[StepPicture, ...]

    def members(
        self, *, step: str | None = None, state: str | None = None, cursor: str | None = None
    ) -> list["MemberPlace"]:
        """Its members after a cursor: see `Runs.run_members`."""
        if step is not None and all(one.id != step for one in self.steps):
            raise NotFoundError("UNKNOWN", f"run {self.task.id} has no step {step!r}")
        after = _place_of(cursor)
        return [
            MemberPlace(
                task_id=member_id(member.taken_from or self.task.id, member.name),
                cursor=f"{number}:{at}",
            )
            for number, one in enumerate(self.steps)
            if step in (None, one.id)
            for at, member in enumerate(one.members)
            if (number, at) > after and state in (None, member.state)
        ]


@attrs.frozen(kw_only=True)
class MemberPlace:
    """A member of a run by the id of its task; ``cursor`` is what comes after it. More members are
    born behind those of their step, so that a place stays the same."""

    task_id: str
    cursor: str


def _place_of(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return (-1, -1)
    number, mark, at = cursor.partition(":")
    if not (mark and number.isascii() and number.isdigit() and at.isascii() and at.isdigit()):
        raise ValueError(f"{cursor!r} is no cursor of the members of a run")
    return (int(number[:9]), int(at[:9]))


class Runs(Asking):
    """Runs of many tasks."""

    async def get_run(self, run_id: str) -> Run:
        """A run with its steps and their members; `NotFoundError` for what is no run."""
        (task,) = await self._answered(lambda: self._store.get([run_id], full=True))
        found = await self._run(task)
        if found is None:
            raise _no_run(run_id, there=task is not None)
        return found

    async def _run(self, task: Task | None) -> Run | None:
        """The run that a task is, read in full; None if it is none."""
        if task is None or task.spec is None or task.spec.workflow is None:
            return None
        lines = await member_lines(self._store, self._answered, task.id)
        spec = task.spec
        steps = picture_of(
            task.spec.workflow,
            lines,
            executor=spec.executor,
            resumes=spec.resumes,
            items=await list_lengths(self._store, self._answered, task, lines),
        )
        return Run(task=task, steps=steps)

    async def config_runs(self, config_id: str, *, limit: int = 10) -> tuple[Run, ...]:
        """The latest runs of a config, those that are open before those that have ended; at most
        `MAX_RUNS`, each for the price of its member log. Its tasks that are no runs are left out.

        A run that was triggered by hand and is open has no index by config: it is told if it is
        among the first `MAX_BATCH` that are open in the cluster. `NotFoundError` where there is
        neither such a config nor a run of it, `ValueError` for a ``limit`` that is not from 1 to
        `MAX_RUNS`.
        """
        if not 1 <= limit <= MAX_RUNS:
            raise ValueError(f"limit must be 1 to {MAX_RUNS}, got {limit}")
        ids = await self._tasks_of(config_id)
        tasks = await self._answered(lambda: self._store.get(ids[:limit], full=True)) if ids else ()
        found = [await self._run(task) for task in tasks]
        (stored,) = await self._answered(lambda: self._store.get_configs([config_id]))
        if stored is None and not any(found):
            raise NotFoundError("UNKNOWN", f"there is no config {config_id}")
        return tuple(run for run in found if run is not None)

    async def _tasks_of(self, config_id: str) -> list[str]:
        """The ids of the latest tasks of a config that are no members, the live ones first."""
        found: dict[str, None] = {}
        for query, most in (
            (TaskQuery(live_of=config_id), MAX_RUNS),
            (TaskQuery(home=Home.OPEN), MAX_BATCH),
            (TaskQuery(config_id=config_id), MAX_RUNS),
        ):
            page = await self._answered(lambda: self._store.list_tasks(query, None, most))  # noqa: B023
            found |= {one.id: None for one in page.tasks if one.config_id == config_id}
        return [task_id for task_id in found if run_of(task_id) is None]

    async def run_members(
        self,
        run_id: str,
        *,
        step: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int = MAX_BATCH,
    ) -> TaskPage:
        """A page of the members of a run as tasks, step by step in the order of their births: those
        of one ``step``, and in one ``state`` (``live``, how they ended, or ``skipped``: let off, as
        their worker had left), or all. One that was taken over is a task of the run in which it
        ran. At most `MAX_BATCH` a page.

        `NotFoundError` for what is no run, and for a step that it does not have; `ValueError` for a
        cursor that is none.
        """
        run = await self.get_run(run_id)
        found = run.members(step=step, state=state, cursor=cursor)
        page = found[: min(limit, MAX_BATCH)]
        ids = [one.task_id for one in page]
        tasks = await self._answered(lambda: self._store.get(ids)) if ids else ()
        return TaskPage(
            tasks=tuple(task for task in tasks if task is not None),
            cursor=page[-1].cursor if len(page) < len(found) else None,
        )

    async def run_log(self, run_id: str) -> tuple[MemberLine, ...]:
        """What became of the members and steps of a run so far: its member log; `NotFoundError`
        for what is no run."""
        if await self._answered(lambda: self._store.run_lines(run_id, 0, 1)) is None:
            (task,) = await self._answered(lambda: self._store.get([run_id]))
            raise _no_run(run_id, there=task is not None)
        return await member_lines(self._store, self._answered, run_id)


def _no_run(run_id: str, *, there: bool) -> NotFoundError:
    whole = run_of(run_id)
    if whole is not None:
        text = f"{run_id} names a member of run {whole}; ask for {whole}"
    elif there:
        text = f"task {run_id} is no run: it has neither steps nor shards"
    else:
        text = f"there is no run {run_id} (any more)"
    return NotFoundError("UNKNOWN", text)
