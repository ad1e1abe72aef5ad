"""Rows as Python values, and the statements that read and write them."""

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

import attrs

from dsched.contracts.store.codec import read_result, readable_config, readable_spec
from dsched.contracts.store.configs import Pause, StoredConfig
from dsched.contracts.store.operating import Skip
from dsched.model import (
    NOTHING_COUNTED,
    Counted,
    Home,
    JsonValue,
    Task,
    TaskConfig,
    TaskStatus,
    Worker,
    missed_a_beat,
    read_attempts,
)
from dsched.model.json import dumps, loads

STATUS = {status.value: status for status in TaskStatus}
# What `needs` says of a run, which no worker is sought for; and when one without news has some.
RUN = '"run"'
NEVER_MS = 2**62
HOME: dict[str | None, Home | None] = {None: None, **{home.value: home for home in Home}}


@attrs.define
class TaskRow:
    """A task as kept; the fields are the columns of `task`, in their order."""

    seq: int
    id: str
    status: TaskStatus
    home: Home | None
    at_ms: int
    place: int
    worker_id: str | None
    token: str | None
    completed: int
    scheduled_ms: int
    start_ms: int | None
    end_ms: int | None
    attempt: int
    retry_count: int
    crash_count: int
    rank: int
    deadline_ms: int | None
    needs: str | None
    reason: str
    error: str
    cancel_requested: int
    cancel_reason: str
    progress: str | None
    live_of: str | None

    def expired(self, wall_ms: int) -> bool:
        """Whether it was never claimed and its start deadline has passed."""
        if self.deadline_ms is None or self.attempt:
            return False
        return wall_ms > self.scheduled_ms + self.deadline_ms

    @property
    def is_run(self) -> bool:
        """Whether it is a run of many tasks."""
        return self.needs == RUN

    @property
    def ended_ms(self) -> int | None:
        """When it ended. A member has no ``end_ms``, by which others go: it goes with its run."""
        ended = self.end_ms is None and self.status.terminal
        return self.at_ms if ended else self.end_ms

    def view(self, spec: str | None = None, result: str | None = None, past: str = "") -> Task:
        """The task as readers see it, with its spec, result and past if their texts are given."""
        return Task(
            id=self.id,
            status=self.status,
            home=self.home,
            worker_id=self.worker_id,
            scheduled_ms=self.scheduled_ms,
            start_ms=self.start_ms,
            end_ms=self.ended_ms,
            attempt=self.attempt,
            retry_count=self.retry_count,
            crash_count=self.crash_count,
            priority=9 - self.rank,
            reason=self.reason,
            error=self.error,
            cancel_requested=bool(self.cancel_requested),
            progress=None if self.progress is None else loads(self.progress),
            # The codec reads results as they are kept beside a snapshot.
            result=None if result is None else read_result(result),
            spec=None if spec is None else readable_spec(spec),
            past=read_attempts(past),
        )


_TASK_COLUMNS = tuple(field.name for field in attrs.fields(TaskRow))
TASK = ", ".join(f"task.{name}" for name in _TASK_COLUMNS)
TASK_WIDTH = len(_TASK_COLUMNS)

INSERT_TASK = f"INSERT INTO task VALUES ({', '.join('?' * TASK_WIDTH)})"  # noqa: S608 - constants
# Named one by one, so that SQLite leaves alone the indexes that a move cannot change.
_MOVING = (
    *("status", "home", "at_ms", "place", "worker_id", "token", "completed", "start_ms"),
    *("attempt", "retry_count", "crash_count", "reason", "error"),
    *("cancel_requested", "cancel_reason", "progress"),
)
_ENDING = (*_MOVING, "end_ms", "live_of")
MOVE_TASK = f"UPDATE task SET {', '.join(f'{name} = ?' for name in _MOVING)} WHERE seq = ?"  # noqa: S608
END_TASK = f"UPDATE task SET {', '.join(f'{name} = ?' for name in _ENDING)} WHERE seq = ?"  # noqa: S608


def new_task(
    task_id: str, *, scheduled_ms: int, rank: int, deadline_ms: int | None, needs: str | None
) -> TaskRow:
    """A pending task that has no home yet."""
    return TaskRow(
        seq=0,
        id=task_id,
        status=TaskStatus.PENDING,
        home=None,
        at_ms=0,
        place=0,
        worker_id=None,
        token=None,
        completed=0,
        scheduled_ms=scheduled_ms,
        start_ms=None,
        end_ms=None,
        attempt=0,
        retry_count=0,
        crash_count=0,
        rank=rank,
        deadline_ms=deadline_ms,
        needs=needs,
        reason="",
        error="",
        cancel_requested=0,
        cancel_reason="",
        progress=None,
        live_of=None,
    )


def read_task(columns: Sequence[Any]) -> TaskRow:
    """A task from the columns of `TASK`."""
    seq, task_id, status, home, *rest = columns
    return TaskRow(seq, task_id, STATUS[status], HOME[home], *rest)


def new_values(row: TaskRow) -> tuple[Any, ...]:
    """What `INSERT_TASK` takes."""
    home = None if row.home is None else row.home.value
    return (
        *(row.seq, row.id, row.status.value, home, row.at_ms, row.place, row.worker_id),
        *(row.token, row.completed, row.scheduled_ms, row.start_ms, row.end_ms, row.attempt),
        *(row.retry_count, row.crash_count, row.rank, row.deadline_ms, row.needs, row.reason),
        *(row.error, row.cancel_requested, row.cancel_reason, row.progress, row.live_of),
    )


def moving_values(row: TaskRow) -> tuple[Any, ...]:
    """What `MOVE_TASK` takes."""
    return (*_moving(row), row.seq)


def ending_values(row: TaskRow) -> tuple[Any, ...]:
    """What `END_TASK` takes."""
    return (*_moving(row), row.end_ms, row.live_of, row.seq)


def _moving(row: TaskRow) -> tuple[Any, ...]:
    home = None if row.home is None else row.home.value
    return (
        *(row.status.value, home, row.at_ms, row.place, row.worker_id, row.token),
        *(row.completed, row.start_ms, row.attempt, row.retry_count, row.crash_count),
        *(row.reason, row.error, row.cancel_requested, row.cancel_reason, row.progress),
    )


@attrs.define
class ConfigRow:
    """A config as kept; the fields are the columns of `config`, in their order, and then what
    `parked` and `counted` say.

    ``due_ms`` is when the leader polls it: for a parked config that is later than what it owes,
    ``parked_due_ms``; for a paused one, which owes nothing, when its pause ends by itself.
    """

    id: str
    content: str
    origin: str
    revision: int
    created_ms: int
    updated_ms: int
    due_ms: int | None = None
    last_fired_ms: int | None = None
    paused_who: str | None = None
    paused_why: str | None = None
    paused_since_ms: int | None = None
    paused_gap_ms: int | None = None
    skips: str | None = None
    parked_due_ms: int | None = None
    counts: str | None = None

    @property
    def counted(self) -> Counted:
        """What is counted of it."""
        if self.counts is None:
            return NOTHING_COUNTED
        failures, last, runs = loads(self.counts)
        return Counted(failures=failures, last=last, runs=runs)

    @property
    def owed_ms(self) -> int | None:
        """The due instant as callers see it."""
        if self.paused:
            return None
        return self.due_ms if self.parked_due_ms is None else self.parked_due_ms

    @property
    def skipped(self) -> tuple[Skip, ...]:
        """The instants that an operator asked not to fire, ascending."""
        if self.skips is None:
            return ()
        return tuple(Skip(at_ms=at, who=who, why=why) for at, who, why in loads(self.skips))

    def keep_skips(self, skips: Sequence[Skip]) -> None:
        """Have these skips, ascending, and no others."""
        kept = [[skip.at_ms, skip.who, skip.why] for skip in skips]
        self.skips = dumps(kept) if kept else None

    def forget_skips(self, before_ms: int | None) -> None:
        """Forget what has been decided about: all skips before an instant, or all."""
        if self.skips is not None:
            self.keep_skips(
                [one for one in self.skipped if before_ms is not None and one.at_ms >= before_ms]
            )

    @property
    def paused(self) -> bool:
        """Whether an operator paused it."""
        return self.paused_who is not None

    def end_pause(self) -> None:
        """Have no pause any more."""
        self.paused_who = self.paused_why = None
        self.paused_since_ms = self.paused_gap_ms = None

    @property
    def config(self) -> TaskConfig:
        """The config itself."""
        return config_of_content(
            self.id, self.content, self.revision, self.created_ms, self.updated_ms
        )

    @property
    def delay_ms(self) -> int | None:
        """The delay of a fixed-delay trigger, else None."""
        delay = self.config.fixed_delay
        return None if delay is None else delay // timedelta(milliseconds=1)

    def view(self) -> StoredConfig:
        """The config as readers see it."""
        return StoredConfig(
            config=self.config,
            due_ms=self.owed_ms,
            last_fired_ms=self.last_fired_ms,
            paused=None
            if self.paused_who is None
            else Pause(
                who=self.paused_who,
                why=self.paused_why or "",
                since_ms=self.paused_since_ms or 0,
                gap_from_ms=self.paused_gap_ms or 0,
                until_ms=self.due_ms,
            ),
            skips=self.skipped,
            counted=self.counted,
        )


_OF_CONFIG = [field.name for field in attrs.fields(ConfigRow)][:-2]
# A row of `parked` counts only for the due that it set: older versions set another due without it.
PARKED = (
    "(SELECT parked.due_ms FROM parked "
    "WHERE parked.config_id = config.id AND parked.until_ms = config.due_ms)"
)
COUNTED = "(SELECT counts FROM counted WHERE counted.config_id = config.id)"
CONFIG = ", ".join([*_OF_CONFIG, PARKED, COUNTED])
PUT_CONFIG = f"INSERT OR REPLACE INTO config VALUES ({', '.join('?' * len(_OF_CONFIG))})"  # noqa: S608


def config_values(row: ConfigRow) -> tuple[Any, ...]:
    """What `PUT_CONFIG` takes."""
    return attrs.astuple(row, recurse=False)[:-2]


PUT_COUNTED = "INSERT OR REPLACE INTO counted VALUES (?, ?)"


def counted_values(config: TaskConfig, counted: Counted) -> tuple[str, str] | None:
    """What `PUT_COUNTED` takes; None for a config of which nothing is counted."""
    if config.pause_after_failures is None and config.max_runs is None:
        return None
    return config.id, dumps([counted.failures, counted.last, counted.runs])


@lru_cache(maxsize=4096)
def config_of_content(
    config_id: str, content: str, revision: int, created_ms: int, updated_ms: int
) -> TaskConfig:
    """A config from its columns. Cached: due configs are read and fired over and over."""
    return readable_config(
        config_id, content, revision=revision, created_ms=created_ms, updated_ms=updated_ms
    )


@attrs.define
class WorkerRow:
    """A worker as kept; the fields are the columns of `worker`, in their order."""

    id: str
    incarnation: str
    capacity: int
    backlog: int
    heartbeat_timeout_ms: int
    labels: str
    address: str
    last_beat_ms: int
    draining: int = 0
    stalled: int = 0

    def gone(self, now_ms: int) -> bool:
        """Whether it has not been heard of for its timeout."""
        return now_ms - self.last_beat_ms > self.heartbeat_timeout_ms

    def view(
        self, now_ms: int, running: int, queued: int, *, rank: int | None, ability: str | None
    ) -> Worker:
        """The worker as readers see it; ``rank`` is that of the last in its queue, if it is
        full."""
        return Worker(
            id=self.id,
            incarnation=self.incarnation,
            capacity=self.capacity,
            backlog=self.backlog,
            heartbeat_timeout_ms=self.heartbeat_timeout_ms,
            labels=dict(_labels(self.labels)) if self.labels else {},
            address=self.address,
            draining=bool(self.draining),
            last_heartbeat_ms=self.last_beat_ms,
            running=running,
            queued=queued,
            stalled=bool(self.stalled),
            gone=self.gone(now_ms),
            silent=missed_a_beat(now_ms - self.last_beat_ms, self.heartbeat_timeout_ms),
            lowest_queued=None if rank is None else 9 - rank,
            ability=ability or "",
        )


WORKER = ", ".join(f"worker.{field.name}" for field in attrs.fields(WorkerRow))
PUT_WORKER = (
    f"INSERT OR REPLACE INTO worker VALUES ({', '.join('?' * len(attrs.fields(WorkerRow)))})"  # noqa: S608
)


@attrs.define
class Load:
    """How many tasks a worker has."""

    running: int = 0
    queued: int = 0


@attrs.define
class Living:
    """How many live tasks a config has, and which of them are held, the oldest first.

    The table names the oldest one only; the tasks themselves say who the others are.
    """

    live: int = 0
    held: list[str] = attrs.field(factory=list)


@lru_cache(maxsize=4096)
def _labels(text: str) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = loads(text)
    return found
