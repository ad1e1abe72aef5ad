"""The Python client on a store: everything a program may ask of it, one module a kind of
question."""

from dsched.client.asking import (
    ClientError,
    ConflictError,
    NotFoundError,
    NotScheduledError,
    PreconditionError,
    RefusedError,
    TaskEndedBadlyError,
    answered,
)
from dsched.client.backfilling import Backfill
from dsched.client.bulk import Bulk, BulkAnswer
from dsched.client.changing import check_origin
from dsched.client.configs import ConfigOutcome, Configs
from dsched.client.declarations import Declarations
from dsched.client.gathering import BucketSize, Statistics
from dsched.client.migrating import Migrating
from dsched.client.operating import Operating, Skipped
from dsched.client.reading import Reading
from dsched.client.rearming import planned_rearm
from dsched.client.runs import Run, Runs
from dsched.client.sizes import Resizing
from dsched.client.tasks import Tasks
from dsched.functions.handles import TaskHandle

__all__ = [
    "Backfill",
    "BucketSize",
    "BulkAnswer",
    "Client",
    "ClientError",
    "ConfigOutcome",
    "ConflictError",
    "NotFoundError",
    "NotScheduledError",
    "PreconditionError",
    "RefusedError",
    "Run",
    "Skipped",
    "Statistics",
    "TaskEndedBadlyError",
    "TaskHandle",
    "answered",
    "check_origin",
    "planned_rearm",
]


class Client(Tasks, Bulk, Runs, Configs, Declarations, Reading, Operating, Resizing, Migrating):
    """Everything a program may ask of a dsched store. ``by`` names it in the event log.

    Calls that got no answer are repeated for some seconds, then `StoreUnavailableError` is raised;
    each call may be repeated by its caller too, with the same ids.
    """
