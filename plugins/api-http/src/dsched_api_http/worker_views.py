"""What the API answers about workers."""

from collections.abc import Mapping

import attrs

from dsched.contracts.store.sizes import Size
from dsched.model import Worker, rfc3339_ms
from dsched_api_http.wire import TIME


@attrs.frozen(kw_only=True)
class WorkerView:
    """A worker. ``own_capacity``: what it is configured to have; ``resized_to``: what an operator
    gave it instead, which it has by its next heartbeat."""

    id: str
    status: str
    address: str
    last_heartbeat: str = attrs.field(metadata=TIME)
    capacity: int
    own_capacity: int
    resized_to: int | None
    running: int
    queued: int
    labels: Mapping[str, str]
    incarnation: str
    draining: bool
    stalled: bool
    gone: bool
    silent: bool


def worker_of(worker: Worker, size: Size | None) -> WorkerView:
    """A worker as answered, with what an operator gave it."""
    return WorkerView(
        id=worker.id,
        status=worker.status.value,
        address=worker.address,
        last_heartbeat=rfc3339_ms(worker.last_heartbeat_ms),
        capacity=worker.capacity,
        own_capacity=worker.capacity if size is None else size.own,
        resized_to=None if size is None else size.capacity,
        running=worker.running,
        queued=worker.queued,
        labels=dict(worker.labels),
        incarnation=worker.incarnation,
        draining=worker.draining,
        stalled=worker.stalled,
        gone=worker.gone,
        silent=worker.silent,
    )
