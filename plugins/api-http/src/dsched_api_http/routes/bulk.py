"""Acts on many tasks: asked for, listed, looked at, stopped."""

from dsched.selecting import SelectionError
from dsched_api_http.bulk_requests import BulkBody
from dsched_api_http.bulk_views import BulkPlan, BulkView, bulk_of, plan_of
from dsched_api_http.call import Answer, Call, Route, listing
from dsched_api_http.requests import Page, Reason
from dsched_api_http.routes.asking import named
from dsched_api_http.scopes import Scope
from dsched_api_http.selections import refused


async def make_bulk(call: Call) -> Answer:
    """Retry or cancel many tasks, or count them."""
    body: BulkBody = call.body
    try:
        answer = await call.client.bulk(
            body.act,
            config_id=body.config,
            labels=body.labels,
            owner=body.owner,
            status=body.status,
            since=body.since,
            until=body.until,
            rate=body.rate,
            reason=body.reason,
            dry_run=body.dry_run,
            key=call.claim.unique[:12],
        )
    except SelectionError as error:
        raise refused(error) from error
    call.act.object = answer.operation.id
    plan = plan_of(answer.operation, answer.estimate, dry_run=body.dry_run)
    return Answer(body=plan, status=201 if answer.made else 200)


async def list_bulk(call: Call) -> Answer:
    """Those that go on, and those that ended and are kept, the latest first."""
    found = await call.client.bulk_operations()

    async def fetch(cursor: str | None, limit: int) -> tuple[list[BulkView], str | None]:
        start = 0 if cursor is None else int(cursor)
        if start < 0:
            raise ValueError("a place in a list is not negative")
        page = [bulk_of(one) for one in found[start : start + limit]]
        return page, str(start + limit) if start + limit < len(found) else None

    return listing(*await call.page("bulk", fetch))


async def get_bulk(call: Call) -> Answer:
    """One of them, as far as it is."""
    return Answer(body=bulk_of(await call.client.bulk_operation(named(call, "bulk operation"))))


async def stop_bulk(call: Call) -> Answer:
    """Let it deal with no more tasks."""
    operation_id = named(call, "bulk operation")
    return Answer(body=bulk_of(await call.client.stop_bulk(operation_id, reason=call.body.reason)))


ROUTES = (
    Route(
        method="POST",
        path="/bulk",
        name="bulk.make",
        scope=Scope.OPERATE,
        handle=make_bulk,
        summary="Retry or cancel many tasks",
        body=BulkBody,
        answer=BulkPlan,
        status=201,
        also=(200,),
        problems=("quota_exceeded", "idempotency_mismatch"),
        audited=True,
        idempotent=True,
    ),
    Route(
        method="GET",
        path="/bulk",
        name="bulk.list",
        scope=Scope.READ,
        handle=list_bulk,
        summary="List acts on many tasks",
        query=Page,
        answer=BulkView,
        listed=True,
    ),
    Route(
        method="GET",
        path="/bulk/{id}",
        name="bulk.get",
        scope=Scope.READ,
        handle=get_bulk,
        summary="Get an act on many tasks",
        answer=BulkView,
        problems=("not_found",),
    ),
    Route(
        method="POST",
        path="/bulk/{id}/stop",
        name="bulk.stop",
        scope=Scope.OPERATE,
        handle=stop_bulk,
        summary="Stop an act on many tasks",
        body=Reason,
        answer=BulkView,
        problems=("not_found", "too_late", "moved"),
        audited=True,
    ),
)
