"""Limits: how many tasks workers have at once, and what holds and waits for their places."""

import attrs

from dsched.model import API_ORIGIN, InvalidConfigError, Limit
from dsched.model.limits import limit_name
from dsched_api_http.audit import fingerprint
from dsched_api_http.call import Answer, Call, Route, listing
from dsched_api_http.limit_sums import own_records, sums_of
from dsched_api_http.limit_views import (
    DeleteLimit,
    GetLimit,
    LimitDetail,
    LimitList,
    LimitUseView,
    LimitView,
    PutLimit,
    PutLimitQuery,
    PutLimitView,
    limit_view_of,
    use_of,
)
from dsched_api_http.problems import invalid, not_found
from dsched_api_http.scopes import Scope
from dsched_api_http.wire import plain


async def list_limits(call: Call) -> Answer:
    """All limits by id; with how full they are, if that is asked for."""

    async def fetch(cursor: str | None, limit: int) -> tuple[list[Limit], str | None]:
        page = await call.client.list_limits(cursor=cursor, limit=limit)
        return list(page.limits), page.cursor

    limits, cursor = await call.page("limits", fetch)
    origins = await call.client.limit_origins()
    views = [limit_view_of(one, origins.get(one.id, API_ORIGIN)) for one in limits]
    if call.query.uses:
        whole = cursor is None and call.query.cursor is None
        sums = await sums_of(call.client, call.store, limits, whole=whole, most=call.query.uses)
        views = [attrs.evolve(one, use=sums[one.id]) for one in views]
    return listing(views, cursor)


def _named(call: Call) -> str:
    """The id of the address, as it is stored; what can be none is not there."""
    try:
        return limit_name(call.path["id"])
    except InvalidConfigError:
        raise not_found("limit", call.path["id"]) from None


async def get_limit(call: Call) -> Answer:
    """A limit, with what is in use of it."""
    limit = await call.client.get_limit(_named(call))

    async def fetch(cursor: str | None, most: int) -> tuple[list[LimitUseView], str | None]:
        page = await call.client.limit_uses(of=limit.id, cursor=cursor, limit=most)
        own = await own_records(call.store, (one.name for one in page.uses), known=(limit.id,))
        return [use_of(one, own.get(one.name, limit).max_running) for one in page.uses], page.cursor

    uses, cursor = await call.page(f"uses of limit {limit.id}", fetch)
    known = await call.client.limit_origin(limit.id)
    detail = LimitDetail(
        **attrs.asdict(limit), origin=known.origin, uses=tuple(uses), cursor=cursor
    )
    return Answer(body=detail)


async def put_limit(call: Call) -> Answer:
    """A limit is made or changed, and holds at once."""
    try:
        numbers = attrs.asdict(call.body, filter=lambda field, _: field.name != "reason")
        limit = Limit(id=limit_name(call.path["id"]), **numbers)
    except InvalidConfigError as error:
        field = "id" if error.field == "limits" else error.field
        raise invalid(field, error.reason) from None
    origin, adopt = call.query.origin, call.query.adopt
    changed = await call.client.put_limit(limit, origin=origin, adopt=adopt)
    call.act.after = fingerprint(plain(limit_view_of(limit, origin)))
    return Answer(body=PutLimitView(**attrs.asdict(limit), changed=changed))


async def delete_limit(call: Call) -> Answer:
    """A limit bounds nothing any more."""
    limit_id = _named(call)
    before = await call.client.get_limit(limit_id)
    call.act.reason = call.query.reason
    known = await call.client.limit_origin(limit_id)
    await call.client.delete_limit(limit_id, force=call.query.force, origin=call.query.origin)
    call.act.before = fingerprint(plain(limit_view_of(before, known.origin)))
    return Answer()


ROUTES = (
    Route(
        method="GET",
        path="/limits",
        name="limit.list",
        shared=True,
        scope=Scope.READ,
        handle=list_limits,
        summary="List limits",
        query=LimitList,
        answer=LimitView,
        listed=True,
    ),
    Route(
        method="GET",
        path="/limits/{id}",
        name="limit.get",
        shared=True,
        scope=Scope.READ,
        handle=get_limit,
        summary="Get a limit and what is in use of it",
        query=GetLimit,
        answer=LimitDetail,
        problems=("not_found",),
    ),
    Route(
        method="PUT",
        path="/limits/{id}",
        name="limit.put",
        scope=Scope.OPERATE,
        handle=put_limit,
        summary="Create or change a limit",
        query=PutLimitQuery,
        body=PutLimit,
        answer=PutLimitView,
        problems=("conflict", "moved", "origin_conflict", "quota_exceeded"),
        audited=True,
    ),
    Route(
        method="DELETE",
        path="/limits/{id}",
        name="limit.delete",
        scope=Scope.OPERATE,
        handle=delete_limit,
        summary="Remove a limit",
        query=DeleteLimit,
        status=204,
        problems=("not_found", "conflict", "origin_conflict"),
        audited=True,
    ),
)
