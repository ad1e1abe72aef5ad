"""What operators ask for: skip, backfill, call a worker back, change the leader, see who runs."""

from dsched.client import Backfill
from dsched.model import InvalidIdError, check_id
from dsched_api_http.asked import BackfillBody, Skip
from dsched_api_http.call import Answer, Call, Route, listing
from dsched_api_http.models import WorkerView, worker_of
from dsched_api_http.problems import FieldError, invalid, not_found, of_errors
from dsched_api_http.reasons import (
    BackfillView,
    PodRow,
    SkippedView,
    SteppedDown,
    TermView,
    pod_of,
    term_of,
)
from dsched_api_http.requests import OptionalReason, Page, Reason
from dsched_api_http.scopes import Scope
from dsched_api_http.wire import instant_text, time_text


def _id(call: Call, what: str) -> str:
    try:
        return check_id(call.path["id"])
    except InvalidIdError:
        raise not_found(what, call.path["id"]) from None


async def skip_config(call: Call) -> Answer:
    """Do not fire it at an instant, or at those of a span."""
    asked: Skip = call.body
    if (asked.at is None) == (asked.from_ is None and asked.to is None):
        raise invalid("at", "name one instant (at), or a span (from and to)")
    if (asked.from_ is None) != (asked.to is None):
        raise invalid("to", "a span has both from and to")
    done = await call.client.skip_config(
        _id(call, "config"), at=asked.at, from_=asked.from_, to=asked.to, why=asked.reason
    )
    call.act.after = f"{time_text(done.first_ms)} to {time_text(done.last_ms)}"
    return Answer(
        body=SkippedView(
            skipped=done.count, first=time_text(done.first_ms), last=time_text(done.last_ms)
        )
    )


async def backfill_config(call: Call) -> Answer:
    """Run its past instants of a span, as tasks of their own."""
    asked: BackfillBody = call.body
    if asked.from_ > asked.to:
        raise of_errors([FieldError("from", "must not be later than to")])
    if asked.key:
        try:
            check_id(asked.key, "key")
        except InvalidIdError as error:
            raise invalid("key", str(error)) from error
    done = await call.client.backfill_config(
        _id(call, "config"),
        from_=asked.from_,
        to=asked.to,
        why=asked.reason,
        dry_run=asked.dry_run,
        limit=asked.limit,
        again=asked.again,
        key=asked.key,
    )
    call.act.after = f"{0 if asked.dry_run else len(done.tasks)} tasks"
    return Answer(body=_backfill_of(done))


def _backfill_of(done: Backfill) -> BackfillView:
    return BackfillView(
        instants=tuple(map(time_text, done.instants)),
        fired=tuple(map(time_text, done.fired)),
        known=tuple(map(time_text, done.known)),
        tasks=tuple(done.tasks),
        count=len(done.tasks),
        done=done.done,
        next_from=None if done.next_from is None else instant_text(done.next_from),
        waits_for=done.waits_for,
    )


async def resume_worker(call: Call) -> Answer:
    """Undo an operator's drain."""
    worker_id = _id(call, "worker")
    await call.client.resume_worker(worker_id)
    for worker in await call.client.workers():
        if worker.id == worker_id:
            return Answer(body=worker_of(worker))
    raise not_found("worker", worker_id)


async def step_down(call: Call) -> Answer:
    """Let another pod lead."""
    pod = await call.client.step_down(why=call.body.reason)
    call.act.object = pod
    return Answer(body=SteppedDown(pod=pod))


async def list_terms(call: Call) -> Answer:
    """Terms of leadership, newest first."""

    async def fetch(cursor: str | None, limit: int) -> tuple[list[TermView], str | None]:
        page = await call.client.terms(cursor=cursor, limit=limit)
        return [term_of(one) for one in page.terms], page.cursor

    return listing(*await call.page("terms", fetch))


async def list_pods(call: Call) -> Answer:
    """Every pod that runs, by name."""
    pods = sorted(await call.client.pods(), key=lambda one: (one.name, one.id))

    async def fetch(cursor: str | None, limit: int) -> tuple[list[PodRow], str | None]:
        start = 0 if cursor is None else int(cursor)
        page, last = pods[start : start + limit], start + limit
        return [pod_of(one) for one in page], str(last) if last < len(pods) else None

    return listing(*await call.page("pods", fetch))


_CHANGES = ("not_found", "moved", "conflict", "too_late")

ROUTES = (
    Route(
        method="POST",
        path="/configs/{id}/skip",
        name="config.skip",
        scope=Scope.OPERATE,
        handle=skip_config,
        summary="Do not fire a config at instants to come",
        body=Skip,
        answer=SkippedView,
        problems=_CHANGES,
        audited=True,
    ),
    Route(
        method="POST",
        path="/configs/{id}/backfill",
        name="config.backfill",
        scope=Scope.OPERATE,
        handle=backfill_config,
        summary="Run past instants of a config",
        body=BackfillBody,
        answer=BackfillView,
        problems=_CHANGES,
        audited=True,
    ),
    Route(
        method="POST",
        path="/workers/{id}/resume",
        name="worker.resume",
        scope=Scope.OPERATE,
        handle=resume_worker,
        summary="Undo an operator's drain of a worker",
        body=OptionalReason,
        body_optional=True,
        answer=WorkerView,
        problems=("not_found", "conflict"),
        audited=True,
    ),
    Route(
        method="POST",
        path="/cluster/step-down",
        name="cluster.step_down",
        scope=Scope.ADMIN,
        handle=step_down,
        summary="Let another pod lead",
        body=Reason,
        answer=SteppedDown,
        status=202,
        problems=("not_found",),
        audited=True,
    ),
    Route(
        method="GET",
        path="/cluster/terms",
        name="cluster.terms",
        scope=Scope.READ,
        handle=list_terms,
        summary="Terms of leadership, newest first",
        query=Page,
        answer=TermView,
        listed=True,
    ),
    Route(
        method="GET",
        path="/cluster/pods",
        name="cluster.pods",
        scope=Scope.READ,
        handle=list_pods,
        summary="The pods that run",
        query=Page,
        answer=PodRow,
        listed=True,
    ),
)
