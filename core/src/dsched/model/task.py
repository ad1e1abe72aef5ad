"""`Task`: one run of something, and its result."""

from datetime import datetime

import attrs

from dsched.model.attempt import Attempt
from dsched.model.ids import backfill_instant_of, config_of, fire_instant_of
from dsched.model.instants import from_ms
from dsched.model.json import JsonValue, dumps
from dsched.model.status import Home, TaskStatus
from dsched.model.task_config import TaskSpec


@attrs.frozen(kw_only=True, slots=False)  # made for each attempt
class TaskResult:
    """What an executor answers: a code (``ok`` unless it says better), a message, any JSON."""

    code: str = "ok"
    message: str = ""
    data: JsonValue = None

    @property
    def data_text(self) -> str:
        """The canonical text of the data."""
        kept: str | None = self.__dict__.get(_DATA_TEXT)
        return dumps(self.data) if kept is None else kept

    @property
    def checked(self) -> bool:
        """Whether the data is known to be JSON within the bounds."""
        return self.data is None or _DATA_TEXT in self.__dict__

    def with_text(self, text: str) -> "TaskResult":
        """The same, checked: ``text`` is the canonical text of the data."""
        twin = object.__new__(TaskResult)
        twin.__dict__.update(self.__dict__)
        twin.__dict__[_DATA_TEXT] = text
        return twin


# Where a result keeps the text of its data, beside its fields.
_DATA_TEXT = "_data_text"


@attrs.frozen(kw_only=True, slots=False)  # made for each attempt, and filled in half the time
class Task:
    """One run: of a fire, of a manual trigger, or of an ad-hoc submission.

    Instants are wall-clock milliseconds since the epoch. ``scheduled_ms`` is the nominal instant
    of a fire; for anything else the instant from which it wanted to run. ``attempt`` counts the
    claims so far, ``retry_count`` the failures that were tried again, ``crash_count`` the leases
    that ran out. ``reason`` says why the task is where it is, in one word (``expired``,
    ``poison``, ``deferred: no worker``); ``error`` is the text of the last failure. ``spec`` is
    None once the task has ended, unless it is read together with its result. ``past`` has the
    attempts before the last claim's, where they are known; it is read together with the result.
    """

    id: str
    status: TaskStatus
    home: Home | None = None
    worker_id: str | None = None
    scheduled_ms: int
    start_ms: int | None = None
    end_ms: int | None = None
    attempt: int = 0
    retry_count: int = 0
    crash_count: int = 0
    priority: int = 5
    reason: str = ""
    error: str = ""
    cancel_requested: bool = False
    progress: JsonValue = None
    result: TaskResult | None = None
    spec: TaskSpec | None = None
    past: tuple[Attempt, ...] = ()

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The latest attempts, oldest first, as far as they are known; the one that runs, too."""
        tried = self.status is TaskStatus.RUNNING or self.status.terminal
        # One that was cancelled while it waited has no worker, and no attempt ended by that.
        if not tried or not self.attempt or self.worker_id is None:
            return self.past
        last = Attempt(
            number=self.attempt,
            worker_id=self.worker_id,
            start_ms=self.scheduled_ms if self.start_ms is None else self.start_ms,
            end_ms=self.end_ms,
            how=self.status.value,
            code="" if self.result is None else self.result.code,
            error=self.error if self.end_ms is not None else "",
        )
        return (*self.past, last)

    @property
    def config_id(self) -> str | None:
        """The config this task belongs to, or None for an ad-hoc submission."""
        return config_of(self.id)

    @property
    def fire_ms(self) -> int | None:
        """The nominal instant if a fire made this task, else None."""
        return fire_instant_of(self.id)

    @property
    def nominal_ms(self) -> int:
        """The instant that the task is for: a backfill's lies before its ``scheduled_ms``, a
        member's is that of its run, and a run's that goes on from another that one's."""
        if self.spec is not None and self.spec.member is not None:
            return self.spec.member.instant_ms
        if self.spec is not None and self.spec.resumes is not None:
            return self.spec.resumes.instant_ms
        instant_ms = backfill_instant_of(self.id)
        return self.scheduled_ms if instant_ms is None else instant_ms

    @property
    def scheduled_time(self) -> datetime:
        """`nominal_ms` as an aware datetime in UTC: what executors tell the work."""
        return from_ms(self.nominal_ms)

    @property
    def start_time(self) -> datetime | None:
        """When the last attempt started, as an aware datetime in UTC."""
        return None if self.start_ms is None else from_ms(self.start_ms)

    @property
    def end_time(self) -> datetime | None:
        """When the task ended, as an aware datetime in UTC."""
        return None if self.end_ms is None else from_ms(self.end_ms)
