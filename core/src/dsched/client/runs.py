"""What the client reads of runs of many tasks."""

import attrs

from dsched.client.asking import Asking, NotFoundError
from dsched.client.gathering import list_lengths, member_lines
from dsched.model import MemberLine, Task, run_of
from dsched.planning.runs.picture import StepPicture, picture_of


@attrs.frozen(kw_only=True)
class Run:
    """A run as it is now, and its steps by level."""

    task: Task
    steps: tuple[StepPicture, ...]


class Runs(Asking):
    """Runs of many tasks."""

    async def get_run(self, run_id: str) -> Run:
        """A run with its steps and their members; `NotFoundError` for what is no run."""
        (task,) = await self._answered(lambda: self._store.get([run_id], full=True))
        if task is None or task.spec is None or task.spec.workflow is None:
            raise _no_run(run_id, there=task is not None)
        lines = await member_lines(self._store, self._answered, run_id)
        spec = task.spec
        steps = picture_of(
            task.spec.workflow,
            lines,
            executor=spec.executor,
            resumes=spec.resumes,
            items=await list_lengths(self._store, self._answered, task, lines),
        )
        return Run(task=task, steps=steps)

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
