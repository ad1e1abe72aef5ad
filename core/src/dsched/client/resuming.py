"""The snapshot of a run that goes on from one that has failed."""

import attrs

from dsched.client.gathering import Calls, member_lines
from dsched.contracts.store import Store
from dsched.errors import ConflictError
from dsched.model import Task, TaskSpec, TaskStatus
from dsched.planning.runs import resumption


async def resuming(store: Store, answered: Calls, task: Task, spec: TaskSpec) -> TaskSpec:
    """What a run is that takes over what succeeded of ``task``, which has ended, for its nominal
    instant; `ConflictError` for what is no run, and for one of which nothing failed."""
    flow = spec.workflow
    if flow is None:
        raise ConflictError(
            "no_run",
            f"task {task.id} is no run of many tasks, of which a part could have failed; retry it "
            "without asking for what failed only",
        )
    if task.status is TaskStatus.SUCCESS:
        raise ConflictError(
            "nothing_failed",
            f"run {task.id} succeeded, so that nothing is left to be run again; to run all of it "
            "once more, retry it without asking for what failed only",
        )
    lines = await member_lines(store, answered, task.id)
    resumes = resumption(
        flow, lines, run_id=task.id, instant_ms=task.nominal_ms, before=spec.resumes
    )
    return attrs.evolve(spec, resumes=resumes)
