"""The calls that change workers, as values."""

from dsched.model import JsonValue
from dsched_client.reading import one
from dsched_client.requests import Call, path_of, request
from dsched_client.values import Worker


def resize_worker(worker_id: str, capacity: int | None, *, reason: str) -> Call[Worker]:
    """Change how many tasks a worker runs at once; None: as many as it is configured to."""
    body: dict[str, JsonValue] = {"capacity": capacity}
    if reason:
        body["reason"] = reason
    return Call(request("POST", path_of("workers", worker_id, "resize"), body=body), one(Worker))


def drain_worker(worker_id: str, *, reason: str, give_back: bool) -> Call[Worker]:
    """Let a worker take no more tasks."""
    body: dict[str, JsonValue] = {"reason": reason}
    if give_back:
        body["give_back"] = True
    return Call(request("POST", path_of("workers", worker_id, "drain"), body=body), one(Worker))
