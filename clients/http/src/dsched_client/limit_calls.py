"""The calls about limits, as values."""

from dsched.model import JsonValue, Limit
from dsched_client.declared_limit import DeclaredLimit
from dsched_client.limit_values import LimitDetail, PutLimit
from dsched_client.reading import nothing, one, page_of
from dsched_client.requests import Call, path_of, request
from dsched_client.values import Page


def put_limit(limit: Limit, *, origin: str, adopt: bool, reason: str = "") -> Call[PutLimit]:
    """Create or change a limit."""
    body: dict[str, JsonValue] = {
        "max_running": limit.max_running,
        "rate": limit.rate,
        "burst": limit.burst,
        "reason": reason or None,
    }
    given: JsonValue = {key: value for key, value in body.items() if value is not None}
    query = {"origin": origin, "adopt": adopt or None}
    path = path_of("limits", limit.id)
    return Call(request("PUT", path, query=query, body=given), one(PutLimit))


def get_limit(limit_id: str, *, cursor: str | None, limit: int) -> Call[LimitDetail]:
    """A limit with a page of its uses."""
    query = {"cursor": cursor, "limit": limit}
    return Call(request("GET", path_of("limits", limit_id), query=query), one(LimitDetail))


def list_limits(*, cursor: str | None, limit: int) -> Call[Page[DeclaredLimit]]:
    """A page of limits by id."""
    query = {"cursor": cursor, "limit": limit}
    return Call(request("GET", path_of("limits"), query=query), page_of(DeclaredLimit))


def delete_limit(limit_id: str, *, force: bool, origin: str | None, reason: str = "") -> Call[None]:
    """Remove a limit; with ``origin`` only if it is of this one."""
    query = {"force": force or None, "origin": origin, "reason": reason or None}
    return Call(request("DELETE", path_of("limits", limit_id), query=query), nothing)
