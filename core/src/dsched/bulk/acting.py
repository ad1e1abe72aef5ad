"""What is done to the tasks in hand. Doing it again, by whatever leader, makes nothing twice."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence

import attrs

from dsched.bulk.operation import BulkAct, BulkOperation
from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import FencedError, Outcome, StoreUnavailableError
from dsched.contracts.store.working import Submission
from dsched.model import Task, config_of, manual_task_id, run_of
from dsched.planning.again import again
from dsched.wording import printable

ALREADY_RETRIED = "was run once more already"
NOT_ENDED = "has not ended"
NOT_KEPT = "is not kept any more"
OF_A_RUN = "is a member of a run, which is run once more with its run only"
ENDED = "has ended"
MAX_ERROR = 200


@attrs.define(kw_only=True)
class Results:
    """What became of some tasks: those that were done, and why others were skipped, or failed."""

    done: list[str] = attrs.field(factory=list)
    skipped: dict[str, str] = attrs.field(factory=dict)
    failed: dict[str, str] = attrs.field(factory=dict)


def retried_id(task_id: str) -> str:
    """The id of the task by which any bulk retry runs ``task_id`` once more.

    It depends on that task alone: another leader, or another operation, makes no second one. What
    failed again is itself the source of the next one.
    """
    unique = f"again-{hashlib.sha256(task_id.encode()).hexdigest()[:24]}"
    config_id = config_of(task_id)
    return unique if config_id is None else manual_task_id(config_id, unique)


async def act(store: Store, operation: BulkOperation, fence: str) -> Results:
    """Do what is to be done to the tasks in hand, as the leader of this fence."""
    results = Results()
    if operation.act is BulkAct.RETRY:
        await _retry(store, operation, fence, results)
    else:
        await _cancel(store, operation, fence, results)
    return results


async def _retry(store: Store, operation: BulkOperation, fence: str, results: Results) -> None:
    tasks = await store.get(operation.in_hand, full=True)
    items: dict[str, Submission] = {}
    for task_id, task in zip(operation.in_hand, tasks, strict=True):
        item = _submission(task_id, task, operation.why)
        if isinstance(item, str):
            results.skipped[task_id] = item
        else:
            items[task_id] = item
    known: list[str] = []

    async def submit(task_ids: Sequence[str]) -> None:
        wanted = [items[one] for one in task_ids]
        outcomes = await store.submit(wanted, by=operation.by, fence=fence)
        for task_id, outcome in zip(task_ids, outcomes, strict=True):
            if outcome is Outcome.OK:
                results.done.append(task_id)
            elif outcome in (Outcome.DUP, Outcome.CONFLICT):
                known.append(task_id)
            else:
                results.skipped[task_id] = NOT_KEPT

    await _each(list(items), submit, results)
    await _tell_apart(store, operation, known, results)


def _submission(task_id: str, task: Task | None, why: str) -> Submission | str:
    """The task that runs it once more, or why there can be none."""
    if run_of(task_id) is not None:
        return OF_A_RUN
    if task is None:
        return NOT_KEPT
    if not task.status.terminal:
        return NOT_ENDED
    if task.spec is None:
        return NOT_KEPT
    spec = again(task.spec, task.nominal_ms)
    return Submission(task_id=retried_id(task_id), spec=spec, why=why)


async def _tell_apart(
    store: Store, operation: BulkOperation, known: Sequence[str], results: Results
) -> None:
    """Of tasks that were run once more before: by a leader that died at this, or earlier."""
    if not known:
        return
    made = await store.get([retried_id(one) for one in known])
    for task_id, task in zip(known, made, strict=True):
        if task is not None and task.scheduled_ms >= operation.made_ms:
            results.done.append(task_id)
        else:
            results.skipped[task_id] = ALREADY_RETRIED


async def _cancel(store: Store, operation: BulkOperation, fence: str, results: Results) -> None:
    async def cancel(task_ids: Sequence[str]) -> None:
        answers = await store.cancel(task_ids, by=operation.by, reason=operation.why, fence=fence)
        for task_id, answer in zip(task_ids, answers, strict=True):
            match answer.outcome:
                case Outcome.OK | Outcome.REQUESTED | Outcome.ALREADY:
                    results.done.append(task_id)
                case Outcome.TOO_LATE:
                    results.skipped[task_id] = ENDED
                case _:
                    results.skipped[task_id] = NOT_KEPT

    await _each(operation.in_hand, cancel, results)


async def _each(
    task_ids: Sequence[str],
    step: Callable[[Sequence[str]], Awaitable[None]],
    results: Results,
) -> None:
    """Take a step for all of them at once; one by one where the store refuses them together, so
    that one that it cannot take keeps no other from being done."""
    if not task_ids:
        return
    try:
        await step(task_ids)
    except (FencedError, StoreUnavailableError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        if len(task_ids) == 1:
            results.failed[task_ids[0]] = printable(str(error) or type(error).__name__, MAX_ERROR)
            return
        for task_id in task_ids:
            await _each([task_id], step, results)
