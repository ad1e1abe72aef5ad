"""The calls about acts on many tasks, as values."""

from collections.abc import Mapping
from datetime import datetime

from dsched.model import JsonValue, whole_ms
from dsched_client.bulk_values import Bulk, BulkPlan
from dsched_client.reading import one, page_of
from dsched_client.requests import Call, path_of, request
from dsched_client.values import Page
from dsched_client.writing import instant


def bulk(
    act: str,
    *,
    config_id: str | None,
    labels: Mapping[str, str] | None,
    owner: str | None,
    status: str | None,
    since: datetime | None,
    until: datetime | None,
    rate: str | None,
    reason: str,
    dry_run: bool,
    key: str,
) -> Call[BulkPlan]:
    """Retry or cancel many tasks."""
    told: dict[str, JsonValue] = {
        "act": act,
        "config": config_id,
        "labels": None if labels is None else dict(labels),
        "owner": owner,
        "status": status,
        "since": None if since is None else instant(whole_ms(since)),
        "until": None if until is None else instant(whole_ms(until)),
        "rate": rate,
        "reason": reason or None,
        "dry_run": dry_run or None,
    }
    body: JsonValue = {name: value for name, value in told.items() if value is not None}
    return Call(request("POST", path_of("bulk"), body=body, key=key), one(BulkPlan))


def bulk_operations(*, cursor: str | None, limit: int) -> Call[Page[Bulk]]:
    """A page of acts on many tasks."""
    query = {"cursor": cursor, "limit": limit}
    return Call(request("GET", path_of("bulk"), query=query), page_of(Bulk))


def bulk_operation(operation_id: str) -> Call[Bulk]:
    """An act on many tasks."""
    return Call(request("GET", path_of("bulk", operation_id)), one(Bulk))


def stop_bulk(operation_id: str, *, reason: str) -> Call[Bulk]:
    """Stop an act on many tasks."""
    path = path_of("bulk", operation_id, "stop")
    return Call(request("POST", path, body={"reason": reason}), one(Bulk))
