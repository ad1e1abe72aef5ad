"""The settings of a pod as attrs classes, with the limits that hold."""

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import attrs

from dsched.config.durations import format_duration
from dsched.contracts.store.bounds import MAX_CAPACITY
from dsched.contracts.store.tasklogs import MAX_LINE_BYTES, LogCaps
from dsched.model import InvalidConfigError, InvalidIdError, RetryPolicy, check_id
from dsched.model.defaults import TaskDefaults, given_retry
from dsched.model.fields import MAX_DURATION, MAX_LABEL_LENGTH, MAX_LABELS, MAX_NAME_LENGTH

MAX_BACKLOG = 100_000
MAX_PROCESSES = 64
MAX_LOG_LINES = 100_000
MAX_LOG_BYTES = 64 * 1024 * 1024
MAX_KEPT = 100_000_000

LogFormat: TypeAlias = Literal["console", "json"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
EventLoop: TypeAlias = Literal["auto", "asyncio"]

_MS = timedelta(milliseconds=1)
_DAY = timedelta(days=1)


def _frozen(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(value))


@attrs.frozen(kw_only=True)
class ScheduleSettings:
    """How leaders are elected and how often they poll (docs/protocol.md, Leadership)."""

    leader_lock_ttl: timedelta = timedelta(seconds=10)
    leader_renew_interval: timedelta = timedelta(seconds=3)
    scan_interval: timedelta = timedelta(seconds=5)
    balancer: str = "least-tasks"
    dispatch_timeout: timedelta = timedelta(seconds=15)
    missed_after: timedelta = timedelta(seconds=60)

    def __attrs_post_init__(self) -> None:
        """Refuse settings with which a healthy leader would lose its lock."""
        _check_span("leader_lock_ttl", self.leader_lock_ttl, 100 * _MS, _DAY)
        _check_span("leader_renew_interval", self.leader_renew_interval, _MS, _DAY)
        _check_span("scan_interval", self.scan_interval, 10 * _MS, _DAY)
        _check_span("dispatch_timeout", self.dispatch_timeout, 100 * _MS, _DAY)
        _check_span("missed_after", self.missed_after, timedelta(seconds=1), _DAY)
        if not self.balancer:
            raise InvalidConfigError("balancer", "name one, such as least-tasks")
        # Checks of two fields come last, so that they hide no problem of a single field.
        _check_third(
            "leader_renew_interval",
            self.leader_renew_interval,
            "leader_lock_ttl",
            self.leader_lock_ttl,
        )


@attrs.frozen(kw_only=True)
class WorkerSettings:
    """The worker role. ``id`` empty: made up at each start; ``backlog`` None: the capacity.

    ``processes`` above 1: so many processes work, and each has all the other settings for itself.
    ``capture_logging``, ``capture_prints``: what running attempts write to `logging`, and what they
    print, becomes lines of their tasks too.
    """

    id: str = ""
    heartbeat_interval: timedelta = timedelta(seconds=10)
    heartbeat_timeout: timedelta = timedelta(seconds=30)
    max_concurrent_tasks: int = 10
    processes: int = 1
    backlog: int | None = None
    labels: Mapping[str, str] = attrs.field(factory=dict, converter=_frozen)
    drain_timeout: timedelta = timedelta(seconds=25)
    address: str = ""
    capture_logging: bool = True
    capture_prints: bool = True

    def __attrs_post_init__(self) -> None:
        """Refuse settings with which a healthy worker would lose its leases, or could run
        nothing."""
        if self.id:
            _check_id("id", self.id)
        _check_span("heartbeat_timeout", self.heartbeat_timeout, 100 * _MS, _DAY)
        _check_span("heartbeat_interval", self.heartbeat_interval, _MS, _DAY)
        _check_number("max_concurrent_tasks", self.max_concurrent_tasks, 1, MAX_CAPACITY)
        _check_number("processes", self.processes, 1, MAX_PROCESSES)
        if self.backlog is not None:
            _check_number("backlog", self.backlog, 0, MAX_BACKLOG)
        _check_labels(self.labels)
        _check_span("drain_timeout", self.drain_timeout, timedelta(0), _DAY)
        if len(self.address) > MAX_NAME_LENGTH or not self.address.isprintable():
            raise InvalidConfigError(
                "address", f"must be at most {MAX_NAME_LENGTH} printable characters"
            )
        _check_third(
            "heartbeat_interval",
            self.heartbeat_interval,
            "heartbeat_timeout",
            self.heartbeat_timeout,
        )

    @property
    def queue_bound(self) -> int:
        """How many tasks may wait in the worker's queue beyond its capacity."""
        return self.max_concurrent_tasks if self.backlog is None else self.backlog


@attrs.frozen(kw_only=True)
class TaskLogSettings:
    """How much of a task's log is kept: half of it for how it began, half for the newest lines."""

    enabled: bool = True
    lines: int = LogCaps().lines
    bytes: int = LogCaps().bytes

    def __attrs_post_init__(self) -> None:
        """Refuse halves that could not hold a line, and logs that no store should hold."""
        _check_number("lines", self.lines, 2, MAX_LOG_LINES)
        _check_number("bytes", self.bytes, 2 * MAX_LINE_BYTES, MAX_LOG_BYTES)

    @property
    def caps(self) -> LogCaps:
        """The same, as stores are told."""
        return LogCaps(lines=self.lines, bytes=self.bytes)


@attrs.frozen(kw_only=True)
class TaskSettings:
    """What holds for a task that does not set its own, and how long ended tasks are kept.

    ``keep_success`` and its like: how long after its end a task of that outcome is kept, instead of
    ``result_ttl``; ``keep_success_count``: how many of them at most.
    """

    default_timeout: timedelta = timedelta(minutes=5)
    max_retry: int = 3
    retry_delay: timedelta = timedelta(seconds=10)
    backoff_rate: float = 2.0
    result_ttl: timedelta = timedelta(days=7)
    logs: TaskLogSettings = attrs.field(factory=TaskLogSettings)
    keep_success: timedelta | None = None
    keep_success_count: int | None = None
    keep_failed: timedelta | None = None
    keep_failed_count: int | None = None
    keep_cancelled: timedelta | None = None
    keep_cancelled_count: int | None = None
    stats_ttl: timedelta = timedelta(days=30)

    def __attrs_post_init__(self) -> None:
        """Refuse what `TaskConfig` and `RetryPolicy` would refuse later, task by task."""
        _check_span("default_timeout", self.default_timeout, _MS, MAX_DURATION)
        _check_number("max_retry", self.max_retry, 0, 1_000_000)
        _check_span("retry_delay", self.retry_delay, timedelta(0), timedelta(days=30))
        if not 1.0 <= self.backoff_rate <= 100.0:
            raise InvalidConfigError("backoff_rate", f"must be 1 to 100, got {self.backoff_rate}")
        _check_span("result_ttl", self.result_ttl, timedelta(seconds=1), MAX_DURATION)
        for outcome in ("success", "failed", "cancelled"):
            self._check_kept(f"keep_{outcome}")
        _check_span("stats_ttl", self.stats_ttl, timedelta(hours=1), timedelta(days=366))

    def _check_kept(self, key: str) -> None:
        age, count = getattr(self, key), getattr(self, f"{key}_count")
        if age is not None:
            _check_span(key, age, timedelta(seconds=1), MAX_DURATION)
        if count is not None:
            _check_number(f"{key}_count", count, 1, MAX_KEPT)

    @property
    def retry(self) -> RetryPolicy:
        """The retry policy of a task that has none."""
        return _retry(self.max_retry, self.retry_delay, self.backoff_rate)

    @property
    def defaults(self) -> TaskDefaults:
        """What clients of these settings fill in."""
        return TaskDefaults(timeout=self.default_timeout, retry=self.retry)


@lru_cache(maxsize=16)
def _retry(max_retries: int, retry_delay: timedelta, backoff_rate: float) -> RetryPolicy:
    """Made once, because each entry that is read asks for it."""
    return given_retry(
        RetryPolicy(max_retries=max_retries, retry_delay=retry_delay, backoff_rate=backoff_rate)
    )


@attrs.frozen(kw_only=True)
class PodSettings:
    """This process. ``name`` is filled in from ``$POD_NAME`` or the host name when not given.

    ``app`` names the program whose code declares schedules; empty: the module that declares them.
    ``event_loop``: what `dsched-run` runs on; ``auto`` is uvloop where it is installed.
    """

    name: str = ""
    app: str = ""
    event_loop: EventLoop = "auto"

    def __attrs_post_init__(self) -> None:
        """The fence of a leader ends in the name, so it must be an id."""
        if self.name:
            _check_id("name", self.name)
        if self.app:
            _check_id("app", self.app)


@attrs.frozen(kw_only=True)
class PluginSettings:
    """Which installed plugins may be used; ``enabled`` is an allow-list of distributions."""

    enabled: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class LogSettings:
    """How the launcher writes its log."""

    format: LogFormat = "console"
    level: LogLevel = "info"


@attrs.frozen(kw_only=True)
class Settings:
    """Everything the core itself is told; ``sections`` holds what belongs to plugins, raw.

    ``cluster`` names the cluster that the store is for: the first pod (`--new-cluster`) writes it
    there, and pods of another one are refused.
    """

    schedule: ScheduleSettings = attrs.field(factory=ScheduleSettings)
    worker: WorkerSettings = attrs.field(factory=WorkerSettings)
    task: TaskSettings = attrs.field(factory=TaskSettings)
    store: str = "sqlite"
    cluster: str = ""
    pod: PodSettings = attrs.field(factory=PodSettings)
    plugins: PluginSettings = attrs.field(factory=PluginSettings)
    log: LogSettings = attrs.field(factory=LogSettings)
    # Raw options may hold secrets, so they are kept out of the representation.
    sections: Mapping[str, Any] = attrs.field(factory=dict, converter=_frozen, repr=False)

    def __attrs_post_init__(self) -> None:
        """Without a store there is nothing to run on."""
        if not self.store:
            raise InvalidConfigError("store", "name one, such as sqlite or redis")
        if self.cluster:
            _check_id("cluster", self.cluster)


def _check_span(field: str, span: timedelta, least: timedelta, most: timedelta) -> None:
    if not least <= span <= most:
        raise InvalidConfigError(
            field,
            f"must be {format_duration(least)} to {format_duration(most)}, "
            f"got {format_duration(span)}",
        )


def _check_third(field: str, interval: timedelta, of: str, whole: timedelta) -> None:
    if interval * 3 > whole:
        raise InvalidConfigError(
            field,
            f"must be at most a third of {of} ({format_duration(whole)}), so that two may fail; "
            f"got {format_duration(interval)}",
        )


def _check_number(field: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        raise InvalidConfigError(field, f"must be {least} to {most}, got {number}")


def _check_id(field: str, value: str) -> None:
    try:
        check_id(value, field)
    except InvalidIdError as error:
        raise InvalidConfigError(field, str(error).removeprefix(f"{field} ")) from error


def _check_labels(labels: Mapping[str, str]) -> None:
    if len(labels) > MAX_LABELS:
        raise InvalidConfigError("labels", f"at most {MAX_LABELS} labels, got {len(labels)}")
    for key, value in labels.items():
        if not 1 <= len(key) <= MAX_LABEL_LENGTH or len(value) > MAX_LABEL_LENGTH:
            raise InvalidConfigError("labels", f"1 to {MAX_LABEL_LENGTH} characters each")
