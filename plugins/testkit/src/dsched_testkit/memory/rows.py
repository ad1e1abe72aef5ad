"""Rows of the reference store: a task, a worker and a config, as kept."""

from collections.abc import Mapping
from datetime import timedelta

import attrs

from dsched.contracts.store.classes import class_text
from dsched.contracts.store.codec import read_result, read_spec, write_spec
from dsched.contracts.store.configs import Pause, StoredConfig
from dsched.contracts.store.operating import Skip
from dsched.model import (
    NOTHING_COUNTED,
    Attempt,
    Counted,
    Home,
    JsonValue,
    Task,
    TaskConfig,
    TaskSpec,
    TaskStatus,
    need_of,
    read_attempts,
    with_attempt,
    write_attempt,
)


@attrs.define(kw_only=True)
class TaskRow:
    """A task as kept. ``at_ms``: when its delay ends, it was queued, or its lease ends."""

    id: str
    spec: TaskSpec
    scheduled_ms: int
    status: TaskStatus = TaskStatus.PENDING
    home: Home | None = None
    at_ms: int = 0
    worker_id: str | None = None
    token: str | None = None
    completed: bool = False
    start_ms: int | None = None
    end_ms: int | None = None
    attempt: int = 0
    retry_count: int = 0
    crash_count: int = 0
    reason: str = ""
    error: str = ""
    cancel_requested: bool = False
    cancel_reason: str = ""
    progress: JsonValue = None
    result: str | None = None
    past: str = ""  # lines of ended attempts
    under: str | None = None  # the shut class that it waits under

    @property
    def config_id(self) -> str:
        """The config under whose id it was made, or its whole id."""
        return self.id.partition("@")[0]

    @property
    def demanded(self) -> str | None:
        """Its class, None if it demands nothing."""
        return class_text(self.spec.required_labels, need_of(self.spec.executor, self.spec.payload))

    @property
    def ready_key(self) -> tuple[bool, int, int]:
        """Its place among the ready: priority descending, then by time; behind what waits under no
        class, if it does."""
        return (self.under is not None, -self.spec.priority, self.scheduled_ms)

    def expired(self, wall_ms: int) -> bool:
        """Whether it was never claimed and its start deadline has passed."""
        deadline = self.spec.start_deadline
        if deadline is None or self.attempt:
            return False
        return wall_ms > self.scheduled_ms + milliseconds(deadline)

    def view(self, *, full: bool = False, with_spec: bool = False) -> Task:
        """The task as readers see it."""
        return Task(
            id=self.id,
            status=self.status,
            home=self.home,
            worker_id=self.worker_id,
            scheduled_ms=self.scheduled_ms,
            start_ms=self.start_ms,
            end_ms=self.end_ms,
            attempt=self.attempt,
            retry_count=self.retry_count,
            crash_count=self.crash_count,
            priority=self.spec.priority,
            reason=self.reason,
            error=self.error,
            cancel_requested=self.cancel_requested,
            progress=self.progress,
            # Read anew, so that nobody shares what is kept.
            result=read_result(self.result) if full and self.result is not None else None,
            spec=read_spec(write_spec(self.spec)) if full or with_spec else None,
            past=read_attempts(self.past) if full else (),
        )

    def remember_attempt(self, end_ms: int, *, how: str, code: str = "", error: str = "") -> None:
        """Keep a line of the attempt that ends here, and not the task."""
        attempt = Attempt(
            number=self.attempt,
            worker_id=self.worker_id or "",
            start_ms=end_ms if self.start_ms is None else self.start_ms,
            end_ms=end_ms,
            how=how,
            code=code,
            error=error,
        )
        self.past = with_attempt(self.past, write_attempt(attempt))


@attrs.define(kw_only=True)
class WorkerRow:
    """A worker as kept; ``lanes`` maps a lane to (number, ids) of its last claim.

    ``leaving``: it drains of its own accord, so no operator can undo it.
    """

    id: str
    incarnation: str
    capacity: int
    backlog: int
    heartbeat_timeout_ms: int
    labels: Mapping[str, str]
    address: str
    last_beat_ms: int
    ability: str = ""
    draining: bool = False
    leaving: bool = False
    stalled: bool = False
    lanes: dict[int, tuple[int, tuple[str, ...]]] = attrs.field(factory=dict)

    def gone(self, now_ms: int) -> bool:
        """Whether it has not been heard of for its timeout."""
        return now_ms - self.last_beat_ms > self.heartbeat_timeout_ms


@attrs.define(kw_only=True)
class ConfigRow:
    """A config as kept."""

    config: TaskConfig
    due_ms: int | None = None
    last_fired_ms: int | None = None
    paused: Pause | None = None
    skips: tuple[Skip, ...] = ()
    counted: Counted = NOTHING_COUNTED

    def view(self) -> StoredConfig:
        """The config as readers see it."""
        return StoredConfig(
            config=self.config,
            due_ms=self.due_ms,
            last_fired_ms=self.last_fired_ms,
            paused=self.paused,
            skips=self.skips,
            counted=self.counted,
        )

    def forget_skips(self, before_ms: int | None) -> None:
        """Forget what has been decided about: all skips before an instant, or all."""
        if self.skips:
            self.skips = tuple(
                skip for skip in self.skips if before_ms is not None and skip.at_ms >= before_ms
            )


def milliseconds(span: timedelta) -> int:
    """Whole milliseconds."""
    return span // timedelta(milliseconds=1)
