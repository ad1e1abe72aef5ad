"""The call that runs a config's task now."""

from dsched.model import JsonValue
from dsched_client import values
from dsched_client.reading import one
from dsched_client.requests import Call, path_of, request
from dsched_client.writing import Entry


def trigger(
    config_id: str, *, key: str, reason: str, params: Entry | None = None
) -> Call[values.Task]:
    """Run a config's task now."""
    body: dict[str, JsonValue] = {"reason": reason} if reason else {}
    if params is not None:
        body["params"] = dict(params)
    path = path_of("configs", config_id, "trigger")
    return Call(request("POST", path, body=body, key=key), one(values.Task))
