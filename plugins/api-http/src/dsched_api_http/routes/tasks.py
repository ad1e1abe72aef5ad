"""Tasks: submit, get, result, wait, cancel, retry."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any

import attrs

from dsched.client.limits import first_wrong, unknown_limits
from dsched.contracts import EntryError, Outcome
from dsched.contracts.store import Store
from dsched.contracts.store.working import Submission
from dsched.model import (
    InvalidConfigError,
    InvalidIdError,
    check_id,
    to_ms,
    whole_ms,
)
from dsched.model.json import dumps
from dsched_api_http.batches import Batch, BatchItem, BatchProblem, id_given
from dsched_api_http.bodies import structured
from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.list_requests import TaskList
from dsched_api_http.models import Cancelled, Result, TaskView, result_of, task_of
from dsched_api_http.problems import Problem, invalid
from dsched_api_http.refused import problem_of
from dsched_api_http.requests import (
    Reason,
    Submit,
    SubmitBatch,
    TaskQueryFull,
    WaitQuery,
)
from dsched_api_http.routes.asking import named_task
from dsched_api_http.routes.task_lists import list_tasks
from dsched_api_http.run_requests import Retry
from dsched_api_http.scopes import Scope
from dsched_api_http.streams import until_stopped

_APART = frozenset({"id", "delay", "at"})
_MILLISECOND = timedelta(milliseconds=1)


def _submission(call: Call, wanted: Submit, unique: str) -> Submission:
    """A task to create; raises `EntryError` or `Problem`."""
    fields = attrs.asdict(wanted, recurse=False)
    entry = {
        name: value for name, value in fields.items() if name not in _APART and value is not None
    }
    try:
        task_id = check_id(wanted.id or unique, "id")
    except InvalidIdError as error:
        raise invalid("id", str(error)) from error
    return Submission(
        task_id=task_id,
        spec=call.intake.spec(entry),
        delay_ms=wanted.delay // _MILLISECOND,
        at_ms=None if wanted.at is None else to_ms(whole_ms(wanted.at)),
    )


def _sizes(items: Sequence[Submission]) -> dict[str, int]:
    """How large the arguments of each are, about."""
    return {item.task_id: _size(item) for item in items}


def _size(item: Submission) -> int:
    flow = item.spec.workflow
    steps = () if flow is None else flow.steps
    return len(item.spec.payload_text) + sum(
        len(dumps(step.payload)) + len(dumps(step.for_each)) for step in steps
    )


async def submit(call: Call) -> Answer:
    """Run something once."""
    item = _submission(call, call.body, call.claim.unique)
    async with call.api.backlog.room(call.principal, _sizes([item])):
        (outcome,) = await call.client.submit_many([item])
    if outcome is Outcome.CONFLICT:
        raise Problem("conflict", f"task id {item.task_id} is taken by a task with another spec")
    task = await call.client.get(item.task_id, full=False)
    return Answer(body=task_of(task), status=200 if outcome is Outcome.DUP else 201)


async def submit_batch(call: Call) -> Answer:
    """Run up to a hundred things once; one that is refused refuses no other."""
    found: list[BatchItem | None] = []
    wanted: dict[str, Submission] = {}
    places: dict[str, int] = {}
    for index, raw in enumerate(call.body.items):
        unique = f"{call.claim.unique}-{index}"
        try:
            item = _submission(call, structured(Submit, raw), unique)
            if item.task_id in wanted:
                raise invalid("id", f"{item.task_id} occurs twice in the batch")
        except (Problem, EntryError, InvalidConfigError) as error:
            found.append(_invalid(id_given(raw), error))
            continue
        wanted[item.task_id] = item
        places[item.task_id] = index
        found.append(None)
    for task_id, wrong in (await _limitless(call.store, wanted)).items():
        del wanted[task_id]
        index = places[task_id]
        found[index] = _invalid(id_given(call.body.items[index]), wrong)
    items = list(wanted.values())
    async with call.api.backlog.room(call.principal, _sizes(items)):
        outcomes = await call.client.submit_many(items) if items else ()
    done = iter(zip(wanted, outcomes, strict=True))
    return Answer(
        body=Batch(items=tuple(one if one is not None else _done(*next(done)) for one in found))
    )


async def _limitless(
    store: Store, wanted: Mapping[str, Submission]
) -> dict[str, InvalidConfigError]:
    """Those that name a limit which is not there, and what is wrong."""
    named = {task_id: item.spec.limits for task_id, item in wanted.items()}
    unknown = await unknown_limits(store, chain.from_iterable(named.values()))
    wrong = {task_id: first_wrong(limits, unknown) for task_id, limits in named.items()}
    return {task_id: error for task_id, error in wrong.items() if error is not None}


def _invalid(task_id: str | None, error: Problem | EntryError | InvalidConfigError) -> BatchItem:
    problem = problem_of(error)
    told = BatchProblem(code=problem.code, detail=problem.detail)
    return BatchItem(id=task_id, outcome="INVALID", problem=told)


def _done(task_id: str, outcome: Outcome) -> BatchItem:
    problem = None
    if outcome is Outcome.CONFLICT:
        problem = BatchProblem(
            code="conflict", detail=f"task id {task_id} is taken by a task with another spec"
        )
    return BatchItem(id=task_id, outcome=outcome.value, problem=problem)


async def get_task(call: Call) -> Answer:
    """One task; in full with its spec and result."""
    full = call.query.full
    task = await call.client.get(named_task(call), full=full)
    intake = call.intake if full else None
    return Answer(body=task_of(task, intake, show_payload=call.sees_payloads))


async def get_result(call: Call) -> Answer:
    """The result of an ended task."""
    task = await call.client.get(named_task(call))
    if task.result is None:
        raise Problem("not_found", f"task {task.id} is {task.status.value} and has no result")
    return Answer(body=result_of(task.result))


async def wait_for_task(call: Call) -> Answer:
    """Wait until the task has ended or the time is over."""
    task_id = named_task(call)
    await call.client.get(task_id, full=False)

    async def wait() -> None:
        try:
            await call.client.wait(task_id, timeout_s=call.query.timeout.total_seconds())
        except TimeoutError:
            return

    with call.api.waits.one_more(call.principal.id):
        await until_stopped(call.api.stopping, wait())
    return Answer(body=task_of(await call.client.get(task_id, full=False)))


async def cancel_task(call: Call) -> Answer:
    """Cancel a task: at once where it waits, soon where it runs."""
    task_id = named_task(call)
    answer = await call.client.cancel(task_id, reason=call.body.reason)
    if answer.outcome is Outcome.TOO_LATE:
        ended = "ended" if answer.status is None else f"ended {answer.status.value}"
        raise Problem("too_late", f"task {task_id} has {ended}")
    task = await call.client.get(task_id, full=False)
    return Answer(body=Cancelled(outcome=answer.outcome.value, task=task_of(task)))


async def retry_task(call: Call) -> Answer:
    """Run an ended task once more, as a new task."""
    body = call.body
    new_id = await call.client.retry(
        named_task(call), key=call.claim.unique, reason=body.reason, failed=body.failed
    )
    call.act.after = new_id
    return Answer(body=task_of(await call.client.get(new_id, full=False)))


_ONE = "/tasks/{id}"
_POST: Mapping[str, Any] = {"method": "POST", "answer": TaskView, "status": 201}

ROUTES = (
    Route(
        method="GET",
        path="/tasks",
        name="task.list",
        shared=True,
        scope=Scope.READ,
        handle=list_tasks,
        summary="List tasks by one index, of some configs, or the latest of all",
        query=TaskList,
        answer=TaskView,
        listed=True,
    ),
    Route(
        **_POST,
        path="/tasks",
        name="task.submit",
        scope=Scope.SUBMIT,
        handle=submit,
        summary="Submit a task",
        body=Submit,
        also=(200,),
        problems=("conflict", "idempotency_mismatch", "backlog_full"),
        idempotent=True,
    ),
    Route(
        method="POST",
        path="/tasks/batch",
        name="task.submit_batch",
        scope=Scope.SUBMIT,
        handle=submit_batch,
        summary="Submit up to 100 tasks",
        body=SubmitBatch,
        answer=Batch,
        status=207,
        problems=("idempotency_mismatch", "backlog_full"),
        idempotent=True,
    ),
    Route(
        method="GET",
        path=_ONE,
        name="task.get",
        shared=True,
        scope=Scope.READ,
        handle=get_task,
        summary="Get a task",
        query=TaskQueryFull,
        answer=TaskView,
        problems=("not_found",),
    ),
    Route(
        method="GET",
        path=f"{_ONE}/result",
        name="task.result",
        scope=Scope.READ,
        handle=get_result,
        summary="Get the result of an ended task",
        answer=Result,
        problems=("not_found",),
    ),
    Route(
        method="GET",
        path=f"{_ONE}/wait",
        name="task.wait",
        scope=Scope.READ,
        handle=wait_for_task,
        summary="Wait until a task has ended",
        query=WaitQuery,
        answer=TaskView,
        problems=("not_found", "too_many_requests"),
    ),
    Route(
        method="POST",
        path=f"{_ONE}/cancel",
        name="task.cancel",
        scope=Scope.OPERATE,
        handle=cancel_task,
        summary="Cancel a task",
        body=Reason,
        answer=Cancelled,
        problems=("not_found", "too_late"),
        audited=True,
    ),
    Route(
        **_POST,
        path=f"{_ONE}/retry",
        name="task.retry",
        scope=Scope.OPERATE,
        handle=retry_task,
        summary="Run an ended task once more",
        body=Retry,
        body_optional=True,
        problems=("not_found", "not_ended", "idempotency_mismatch"),
        audited=True,
        idempotent=True,
    ),
)
