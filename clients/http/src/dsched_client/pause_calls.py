"""Pausing and resuming: what is sent, and how the answer is read."""

from datetime import datetime, timedelta

from dsched.model import JsonValue
from dsched_client import values
from dsched_client.reading import one
from dsched_client.requests import Call, path_of, request
from dsched_client.writing import duration, instant


def pause_config(
    config_id: str, *, why: str, until: datetime | timedelta | None
) -> Call[values.Config]:
    """Pause a config, until an instant or for so long if that is given."""
    path = path_of("configs", config_id, "pause")
    body: dict[str, JsonValue] = {"reason": why}
    if isinstance(until, timedelta):
        body["for"] = duration(until)
    elif until is not None:
        body["until"] = instant(until)
    return Call(request("POST", path, body=body), one(values.Config))


def resume_config(config_id: str, *, why: str) -> Call[values.Config]:
    """Resume a config."""
    path = path_of("configs", config_id, "resume")
    return Call(request("POST", path, body={"reason": why} if why else {}), one(values.Config))
