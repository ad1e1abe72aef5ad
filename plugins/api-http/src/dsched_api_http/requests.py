"""What the API takes: queries and bodies as classes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import attrs

from dsched.model import API_ORIGIN, JsonValue, check_id, is_origin
from dsched.model.shards import Shards
from dsched.model.trigger import DstGap, DstOverlap
from dsched_api_http.scopes import Scope

MAX_LIMIT = 500
MAX_UPCOMING = 1000
MAX_RECENT = 30
MAX_TIMETABLE = 50
MAX_PROBLEM_HOURS = 24 * 7
MAX_BATCH_ITEMS = 100
MAX_REASON = 500
MAX_WAIT = timedelta(seconds=60)


def _reason(_: object, field: Any, value: str) -> None:
    if not value.strip():
        raise ValueError(f"{field.name} must say why, in a few words")
    _note(_, field, value)


def _note(_: object, field: Any, value: str) -> None:
    if len(value) > MAX_REASON or not value.replace("\n", " ").isprintable():
        raise ValueError(f"{field.name} must be at most {MAX_REASON} printable characters")


def origin_only(_: object, field: Any, value: str) -> None:
    """Refuse what is no origin."""
    if not is_origin(value):
        raise ValueError(f"{field.name} must be api, code:NAME or file:NAME")


def between(least: int, most: int) -> Any:
    def check(_: object, field: Any, value: int) -> None:
        if not least <= value <= most:
            raise ValueError(f"{field.name} must be {least} to {most}, got {value}")

    return check


def _limit(most: int) -> Any:
    return between(1, most)


def _some(most: int, default: int) -> Any:
    return attrs.field(
        default=default, validator=_limit(most), metadata={"minimum": 1, "maximum": most}
    )


def _batch_of(schema: str) -> Any:
    def check(_: object, field: Any, value: tuple[Any, ...]) -> None:
        if len(value) > MAX_BATCH_ITEMS:
            raise ValueError(f"{field.name} must be at most {MAX_BATCH_ITEMS}, got {len(value)}")

    return attrs.field(validator=check, metadata={"maxItems": MAX_BATCH_ITEMS, "items": schema})


_WHY: Mapping[str, Any] = {"minLength": 1, "maxLength": MAX_REASON}


@attrs.frozen
class Nothing:
    """No parameters, no fields."""


@attrs.frozen(kw_only=True)
class Page:
    """Where a list goes on, and how much of it."""

    cursor: str | None = None
    limit: int = _some(MAX_LIMIT, 50)


@attrs.frozen(kw_only=True)
class ProblemsQuery:
    """How far back failures are gathered."""

    hours: int = _some(MAX_PROBLEM_HOURS, 24)


@attrs.frozen(kw_only=True)
class SpanQuery:
    """A span of time, cut into cells of one length."""

    from_: datetime
    to: datetime
    cell: timedelta = attrs.field(default=timedelta(minutes=5))


@attrs.frozen(kw_only=True)
class TimetableQuery(SpanQuery):
    """A span of time in cells, and which configs: where the list goes on, and how much of it."""

    cursor: str | None = None
    limit: int = _some(MAX_TIMETABLE, 25)


@attrs.frozen(kw_only=True)
class MinuteQuery:
    """The minute that this instant lies in."""

    at: datetime


@attrs.frozen(kw_only=True)
class PutQuery:
    """Who declares the config, whether it may be taken over, and whether it is really changed."""

    origin: str = attrs.field(default=API_ORIGIN, validator=origin_only)
    adopt: bool = False
    dry_run: bool = False


@attrs.frozen(kw_only=True)
class DeleteQuery:
    """Whether live tasks are cancelled too, whose it must be, and why."""

    cancel: bool = False
    origin: str | None = attrs.field(default=None, validator=attrs.validators.optional(origin_only))
    reason: str = attrs.field(default="", validator=_note, metadata={"maxLength": MAX_REASON})


@attrs.frozen(kw_only=True)
class Reason:
    """Why, in a few words."""

    reason: str = attrs.field(validator=_reason, metadata=_WHY)


@attrs.frozen(kw_only=True)
class Restored(Reason):
    """Why; ``since``: when the backup was made, by default the newest entry of its log."""

    since: datetime | None = None


@attrs.frozen(kw_only=True)
class OptionalReason:
    """Why, if there is something to say."""

    reason: str = attrs.field(default="", validator=_note, metadata={"maxLength": MAX_REASON})


@attrs.frozen(kw_only=True)
class UpcomingQuery:
    """The next ``limit`` instants, or those of a span of time."""

    limit: int = _some(MAX_UPCOMING, 10)
    from_: datetime | None = None
    to: datetime | None = None


@attrs.frozen(kw_only=True)
class Preview:
    """A trigger as a task file has it; exactly one of the first four."""

    cron_expr: str | None = None
    every: timedelta | None = None
    fixed_delay: timedelta | None = None
    at: datetime | None = None
    timezone: str = "UTC"
    dst_gap: DstGap = DstGap.NEXT
    dst_overlap: DstOverlap = DstOverlap.FIRST
    start_at: datetime | None = None
    end_at: datetime | None = None
    calendar: Mapping[str, Any] | None = None
    id: str = "preview"
    from_: datetime | None = None
    limit: int = _some(MAX_UPCOMING, 10)


@attrs.frozen(kw_only=True)
class TaskQueryFull:
    """Whether spec and result are wanted, too."""

    full: bool = False


@attrs.frozen(kw_only=True)
class WaitQuery:
    """For how long to wait, at most a minute."""

    timeout: timedelta = attrs.field(default=timedelta(seconds=30))

    @timeout.validator
    def _check(self, _: object, value: timedelta) -> None:
        if value > MAX_WAIT:
            raise ValueError("timeout must be at most 60s; ask again after it")


@attrs.frozen(kw_only=True)
class Submit:
    """A task to run once; the fields of a task file that need no trigger."""

    id: str | None = None
    executor: str | None = None
    type: str | None = None
    name: str | None = None
    payload: JsonValue = None
    timeout: timedelta | None = None
    retry: Mapping[str, Any] | None = None
    priority: int | None = None
    labels: Mapping[str, str] | None = None
    required_labels: Mapping[str, str] | None = None
    affinity_key: str | None = None
    limits: tuple[str, ...] | None = None
    on_crash: str | None = None
    max_crashes: int | None = None
    start_deadline: timedelta | None = None
    owner: str | None = None
    steps: Mapping[str, Any] | None = None
    shards: Shards | None = None
    max_parallel: int | None = None
    fail_fast: bool | None = None
    run_timeout: timedelta | None = None
    template: bool | None = None
    timezone: str | None = None
    params: Mapping[str, Any] | None = None
    param_values: Mapping[str, Any] | None = None
    delay: timedelta = attrs.field(default=timedelta(0))
    at: datetime | None = None

    @delay.validator
    def _check_delay(self, _: object, value: timedelta) -> None:
        if value > timedelta(days=3650):
            raise ValueError("delay must be at most 3650 days")

    def __attrs_post_init__(self) -> None:
        """One way of saying when it starts, not two."""
        if self.at is not None and self.delay:
            raise ValueError("at cannot be given together with delay; keep one of them")


@attrs.frozen(kw_only=True)
class SubmitBatch:
    """Up to a hundred tasks. They are raw, so that one that is wrong refuses no other."""

    items: tuple[Any, ...] = _batch_of("Submit")


@attrs.frozen(kw_only=True)
class PutBatch:
    """Up to a hundred configs, each as a task file has it, with its ``id``. They are raw, so that
    one that is wrong refuses no other."""

    items: tuple[Any, ...] = _batch_of("ConfigItem")


@attrs.frozen(kw_only=True)
class WhyQuery:
    """Which instant; the latest that is recorded or overdue, if none is named."""

    at: datetime | None = None


@attrs.frozen(kw_only=True)
class StatsQuery:
    """Which config or worker (none: all), which span (none: the last day), by the hour or by the
    day."""

    config: str | None = None
    worker: str | None = None
    from_: datetime | None = None
    to: datetime | None = None
    bucket: Literal["hour", "day"] = "hour"


def _check_within(_: object, __: object, value: timedelta) -> None:
    """How long something may take to be told."""
    if not timedelta(milliseconds=100) <= value <= timedelta(seconds=10):
        raise ValueError("within must be 100ms to 10s")


@attrs.frozen(kw_only=True)
class LogsQuery:
    """Which lines: of one attempt, after a cursor; with ``follow`` as they come, each ``within``
    so long or sooner: a longer time spares the store."""

    attempt: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(_limit(1_000_000))
    )
    after: str | None = attrs.field(default=None)
    limit: int = _some(MAX_LIMIT, 100)
    follow: bool = False
    within: timedelta = attrs.field(default=timedelta(milliseconds=500), validator=_check_within)

    @after.validator
    def _check_after(self, _: object, value: str | None) -> None:
        if value is not None and not (value.isascii() and value.isdigit() and len(value) <= 15):
            raise ValueError("after must be the cursor of an answer")


@attrs.frozen(kw_only=True)
class SkipBody(Reason):
    """One instant to come, or those of a range; not to be fired."""

    at: datetime | None = None
    from_: datetime | None = None
    to: datetime | None = None

    def __attrs_post_init__(self) -> None:
        """One way of naming them, not two."""
        one, span = self.at is not None, self.from_ is not None and self.to is not None
        half = (self.from_ is None) != (self.to is None)
        if one == span or half:
            raise ValueError("name one instant (at), or a range (from and to)")


@attrs.frozen(kw_only=True)
class BackfillBody(Reason):
    """Past instants to run after all; see `Client.backfill_config`."""

    from_: datetime
    to: datetime
    dry_run: bool = False
    limit: int = _some(1000, 1000)
    again: bool = False
    params: Mapping[str, Any] | None = None
    key: str = attrs.field(default="")

    @key.validator
    def _check_key(self, _: object, value: str) -> None:
        if value and len(check_id(value, "key")) > 40:
            raise ValueError("key must have at most 40 characters")


@attrs.frozen(kw_only=True)
class EventsQuery:
    """Which topics: some of task, config, worker, leader; none means all. ``within``: how long an
    event may take to be told, where that is enough; it spares the store."""

    topics: str = ""
    within: timedelta = attrs.field(default=timedelta(milliseconds=250), validator=_check_within)


@attrs.frozen(kw_only=True)
class OpenSession:
    """Exactly one: a token, or the code of a one-time link."""

    token: str | None = None
    once: str | None = None


@attrs.frozen(kw_only=True)
class CreateToken:
    """A token to make."""

    name: str = attrs.field(metadata={"pattern": "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$"})
    scope: Scope
    expires_in: timedelta | None = attrs.field(default=None)

    @name.validator
    def _check_name(self, _: object, value: str) -> None:
        if len(value) > 64:
            raise ValueError("name must be at most 64 characters")
        check_id(value, "name")

    @expires_in.validator
    def _check_expires(self, _: object, value: timedelta | None) -> None:
        if value is not None and not timedelta(seconds=1) <= value <= timedelta(days=3650):
            raise ValueError("expires_in must be 1s to 3650d")
