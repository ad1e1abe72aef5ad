"""The calls that list tasks and configs."""

from collections.abc import Mapping
from datetime import datetime

from dsched.model import whole_ms
from dsched_client import values
from dsched_client.reading import page_of
from dsched_client.requests import Call, path_of, request
from dsched_client.values import Page
from dsched_client.writing import instant


def list_tasks(
    *,
    home: str | None,
    worker_id: str | None,
    config_id: str | None,
    status: str | None,
    live_of: str | None,
    labels: Mapping[str, str] | None,
    owner: str | None,
    since: datetime | None,
    until: datetime | None,
    cursor: str | None,
    limit: int,
) -> Call[Page[values.Task]]:
    """A page of tasks by one index, of the configs that are meant, or of the latest."""
    query = {
        "home": home,
        "worker": worker_id,
        "config": config_id,
        "status": status,
        "live_of": live_of,
        "label": _labels(labels),
        "owner": owner,
        "since": None if since is None else instant(whole_ms(since)),
        "until": None if until is None else instant(whole_ms(until)),
        "cursor": cursor,
        "limit": limit,
    }
    return Call(request("GET", path_of("tasks"), query=query), page_of(values.Task))


def list_configs(
    *,
    config_id: str | None,
    labels: Mapping[str, str] | None,
    owner: str | None,
    cursor: str | None,
    limit: int,
) -> Call[Page[values.Config]]:
    """A page of configs by their id: all, or those that are meant."""
    query = {
        "config": config_id,
        "label": _labels(labels),
        "owner": owner,
        "cursor": cursor,
        "limit": limit,
    }
    return Call(request("GET", path_of("configs"), query=query), page_of(values.Config))


def _labels(labels: Mapping[str, str] | None) -> tuple[str, ...]:
    """Each label as one parameter."""
    for key in labels or {}:
        if "=" in key:
            raise ValueError(f"{key!r} is no key that a list can be asked by: it has a =")
    return tuple(f"{key}={value}" for key, value in (labels or {}).items())
