"""What a run of many tasks waits for, or how it ended, step by step."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from dsched.explaining.words import plural, span
from dsched.model import MemberLine, Resumption, Task, Workflow, step_of_name
from dsched.planning.runs import RunProgress, StepProgress, StepState
from dsched.planning.runs.deciding import EXPIRED
from dsched.planning.runs.picture import progress_of

MAX_STEPS_TOLD = 100
SHOWN = 5  # workers that a sentence names


def run_told(
    task: Task,
    flow: Workflow,
    lines: Sequence[MemberLine],
    now_ms: int,
    *,
    lists: Mapping[str, int],
) -> tuple[str, list[str]]:
    """A sentence about a run, and one for each of its steps."""
    resumes = None if task.spec is None else task.spec.resumes
    progress = progress_of(flow, lines, resumes, lists)
    told = [_step_told(step_id, flow, progress) for step_id in progress.steps][:MAX_STEPS_TOLD]
    if resumes is not None:
        told.insert(0, _taken_over(resumes, progress))
    if task.status.terminal:
        if task.reason == EXPIRED:
            told.insert(0, _expired(task))
        why = f": {task.reason}" if task.reason else ""
        return f"Run {task.id} ended {task.status}{why}.", told
    if task.cancel_requested:
        told.append("Its cancellation was asked for: it ends when its last member has.")
    if task.start_ms is None:
        return f"Run {task.id} is not open yet; the leader opens it when its instant comes.", told
    living = len(progress.living)
    for_ms = max(0, now_ms - task.start_ms)
    what = f"{plural(living, 'member')} of it {'live' if living != 1 else 'lives'}"
    return f"Run {task.id} is open since {span(for_ms)}; {what}.", told


def _expired(task: Task) -> str:
    deadline = None if task.spec is None else task.spec.start_deadline
    of = "" if deadline is None else f" of {span(deadline // timedelta(milliseconds=1))}"
    return f"It had waited longer than its start_deadline{of} before any of its members was made."


def _taken_over(resumes: Resumption, progress: RunProgress) -> str:
    steps = [step_id for step_id, one in progress.steps.items() if one.taken]
    what = "nothing of it had succeeded" if not steps else "it takes over what had succeeded there"
    named = f" of {', '.join(steps)}" if any(steps) else ""
    return f"It goes on from run {resumes.run_id}: {what}{named}."


def _step_told(step_id: str, flow: Workflow, progress: RunProgress) -> str:
    one = progress.steps[step_id]
    name = f"Step {step_id}" if step_id else "It"
    step = flow.step(step_id)
    what = "items" if step is not None and step.listed else "shards"
    what = "workers" if one.each_worker else what
    if one.taken and one.counted and not one.members:
        runs = dict.fromkeys(taken.run_id for taken in one.taken)
        return f"{name} was taken over from {' and '.join(runs)}."
    well = one.ended - one.failed - len(one.let_off)
    parts = f", {well} of {one.members} {what} well" if one.members > 1 else ""
    parts += f"; let off, as they left or drained: {_let_off(one)}" if one.let_off else ""
    match one.state:
        case StepState.SUCCESS:
            return f"{name} succeeded{_why(one) or parts}."
        case StepState.FAILED:
            return f"{name} failed{_why(one) if one.has_no_list else parts}."
        case StepState.SKIPPED:
            return f"{name} was skipped{_why(one)}."
        case StepState.RUNNING:
            return f"{name} runs{_running(one, what)}."
    waits = [need for need in (step.needs if step else ()) if not progress.steps[need].settled]
    return f"{name} waits for {', '.join(waits) or 'the leader to make its members'}."


def _let_off(one: StepProgress) -> str:
    """The workers of the members that were let off, by their order in the step."""
    indexes = sorted(index for _, index in map(step_of_name, one.let_off) if index is not None)
    names = [one.workers[index] for index in indexes[:SHOWN]]
    more = [f"{len(indexes) - SHOWN} more"] if len(indexes) > SHOWN else []
    return ", ".join([*names, *more])


def _why(one: StepProgress) -> str:
    return "" if one.skipped is None else f": {one.skipped.reason}"


def _running(one: StepProgress, what: str) -> str:
    if one.members == 1:
        return ""
    left = f", {one.members - one.born} not born yet" if one.born < one.members else ""
    return f": {one.ended} of {one.members} {what} have ended, {one.born - one.ended} live{left}"
