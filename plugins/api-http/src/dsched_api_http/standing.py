"""What `GET /now` answers with: the shapes of the contract."""

from collections.abc import Mapping
from typing import Any

import attrs

from dsched_api_http.models import TIME, TaskView


@attrs.frozen(kw_only=True)
class LeaderNow:
    """The pod that leads, its term, and since when that lasts."""

    pod: str
    epoch: int
    since: str | None = attrs.field(metadata=TIME)


@attrs.frozen(kw_only=True)
class WorkersNow:
    """Workers that are registered, those that are heard of, and the slots of the latter."""

    count: int
    present: int
    capacity: int
    running: int


@attrs.frozen(kw_only=True)
class ConfigsNow:
    """How many configs there are; ``late`` are those overdue by more than a minute."""

    total: int
    paused: int
    disabled: int
    late: int


@attrs.frozen(kw_only=True)
class TasksNow:
    """Live tasks. ``held`` wait for an older task of their config, and are among ``waiting``."""

    running: int
    waiting: int
    retrying: int
    held: int
    oldest_waiting: str | None = attrs.field(metadata=TIME)


@attrs.frozen(kw_only=True)
class DayNow:
    """The last 24 hours, whole hours of UTC; ``wait_p99_ms`` is from an instant to its start."""

    success: int
    failed: int
    cancelled: int
    retries: int
    fires: int
    skipped: int
    missed: int
    wait_p99_ms: int | None


@attrs.frozen(kw_only=True)
class HourNow:
    """An hour: how tasks ended in it, and how many fires are due from now on."""

    start: str = attrs.field(metadata=TIME)
    success: int
    failed: int
    cancelled: int
    missed: int
    due: int


@attrs.frozen(kw_only=True)
class RunningNow:
    """A task that runs, and how long those of its config took in the last day."""

    task: TaskView
    p50_ms: int | None
    p90_ms: int | None


@attrs.frozen(kw_only=True)
class NextFire:
    """A config that is due next; ``trigger`` are the keys of its entry that say when."""

    config_id: str
    due: str = attrs.field(metadata=TIME)
    trigger: Mapping[str, Any]


@attrs.frozen(kw_only=True)
class ProblemNow:
    """What needs a person: ``kind`` is failing, missed, late or worker. ``count`` tasks in a row
    (at least, if ``more``) or instants; ``task_id`` is the newest of them."""

    kind: str
    config_id: str | None
    worker_id: str | None
    task_id: str | None
    since: str | None = attrs.field(metadata=TIME)
    count: int
    more: bool
    detail: str


@attrs.frozen(kw_only=True)
class Now:
    """The state of the cluster. ``hours`` ascend; not ``hours_complete``: there are too many
    configs or fires to count all of what is due."""

    time: str = attrs.field(metadata=TIME)
    leader: LeaderNow | None
    pods: int
    workers: WorkersNow
    configs: ConfigsNow
    tasks: TasksNow
    day: DayNow
    hours: tuple[HourNow, ...]
    hours_complete: bool
    running: tuple[RunningNow, ...]
    next: tuple[NextFire, ...]
    problems: tuple[ProblemNow, ...]
