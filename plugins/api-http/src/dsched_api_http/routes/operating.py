"""The verbs of operators: skip, backfill, resume a worker, who leads and who runs, step down."""

from dsched_api_http.call import Answer, Call, Route, listing
from dsched_api_http.facts import (
    BackfillView,
    BreakView,
    PodInfo,
    SkippedView,
    SteppedDown,
    TermView,
    backfill_of,
    break_of,
    pod_of,
    skipped_of,
    term_of,
)
from dsched_api_http.requests import (
    BackfillBody,
    OptionalReason,
    Page,
    Reason,
    Restored,
    SkipBody,
)
from dsched_api_http.routes.asking import named
from dsched_api_http.routes.workers import answered
from dsched_api_http.scopes import Scope
from dsched_api_http.worker_views import WorkerView


async def skip_config(call: Call) -> Answer:
    """Do not fire it at an instant to come, or at those of a range."""
    body: SkipBody = call.body
    skipped = await call.client.skip_config(
        named(call, "config"), at=body.at, from_=body.from_, to=body.to, why=body.reason
    )
    return Answer(body=skipped_of(skipped))


async def backfill_config(call: Call) -> Answer:
    """Run past instants after all, a page at a time."""
    body: BackfillBody = call.body
    found = await call.client.backfill_config(
        named(call, "config"),
        from_=body.from_,
        to=body.to,
        why=body.reason,
        dry_run=body.dry_run,
        limit=body.limit,
        again=body.again,
        key=body.key,
        params=body.params,
    )
    return Answer(body=backfill_of(found))


async def resume_worker(call: Call) -> Answer:
    """Undo an operator's drain."""
    worker_id = named(call, "worker")
    await call.client.resume_worker(worker_id)
    return await answered(call, worker_id)


async def list_pods(call: Call) -> Answer:
    """The pods that run, by name."""
    pods = sorted(await call.client.pods(), key=lambda one: (one.name, one.id))
    fence = await call.store.leader()

    async def fetch(cursor: str | None, limit: int) -> tuple[list[PodInfo], str | None]:
        start = 0 if cursor is None else int(cursor)
        last = start + limit
        page = [pod_of(one, fence) for one in pods[start:last]]
        return page, str(last) if last < len(pods) else None

    return listing(*await call.page("pods", fetch))


async def list_terms(call: Call) -> Answer:
    """The terms of leadership, newest first."""

    async def fetch(cursor: str | None, limit: int) -> tuple[list[TermView], str | None]:
        page = await call.client.terms(cursor=cursor, limit=limit)
        fence = await call.store.leader()
        return [term_of(one, fence) for one in page.terms], page.cursor

    return listing(*await call.page("terms", fetch))


async def step_down(call: Call) -> Answer:
    """Let another pod lead."""
    pod = await call.client.step_down(why=call.body.reason)
    call.act.object = pod
    return Answer(body=SteppedDown(pod=pod))


async def restored(call: Call) -> Answer:
    """Record that a backup was put in the store's place."""
    body: Restored = call.body
    found = await call.client.declare_restored(why=body.reason, since=body.since)
    call.act.object = str(found.generation)
    return Answer(body=break_of(found))


ROUTES = (
    Route(
        method="POST",
        path="/configs/{id}/skip",
        name="config.skip",
        scope=Scope.OPERATE,
        handle=skip_config,
        summary="Do not fire a config at instants to come",
        body=SkipBody,
        answer=SkippedView,
        problems=("not_found", "too_late", "quota_exceeded", "moved"),
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
        problems=("not_found",),
        audited=True,
    ),
    Route(
        method="POST",
        path="/workers/{id}/resume",
        name="worker.resume",
        scope=Scope.OPERATE,
        handle=resume_worker,
        summary="Undo the drain of a worker",
        body=OptionalReason,
        body_optional=True,
        answer=WorkerView,
        problems=("not_found", "conflict"),
        audited=True,
    ),
    Route(
        method="GET",
        path="/cluster/pods",
        name="cluster.pods",
        shared=True,
        scope=Scope.READ,
        handle=list_pods,
        summary="The pods that run",
        query=Page,
        answer=PodInfo,
        listed=True,
    ),
    Route(
        method="GET",
        path="/cluster/terms",
        name="cluster.terms",
        shared=True,
        scope=Scope.READ,
        handle=list_terms,
        summary="The terms of leadership",
        query=Page,
        answer=TermView,
        listed=True,
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
        problems=("leaderless",),
        audited=True,
    ),
    Route(
        method="POST",
        path="/cluster/restored",
        name="cluster.restored",
        scope=Scope.ADMIN,
        handle=restored,
        summary="Say that a backup was put in the store's place",
        body=Restored,
        answer=BreakView,
        status=201,
        audited=True,
    ),
)
