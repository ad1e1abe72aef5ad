"""The registry behind `@dsched.schedule`: which registered functions run when, as their code
says."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict, TypeVar, Unpack

import attrs

from dsched.functions.registry import (
    REGISTRY,
    Function,
    FunctionError,
    Registry,
    is_same_function,
    place_of,
)
from dsched.model import (
    Calendar,
    DstGap,
    DstOverlap,
    InvalidIdError,
    JsonValue,
    Misfire,
    OnCrash,
    Overlap,
    Param,
    RetryPolicy,
    check_id,
)
from dsched.wording import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])


class ScheduleError(FunctionError):
    """A schedule that cannot be registered as asked; the message says why and what to do."""


class ScheduleFields(TypedDict, total=False):
    """What a schedule may say besides function and id: the keys of a task file, durations also as
    `timedelta`, instants also as `datetime`."""

    name: str
    cron_expr: str
    every: timedelta | str
    fixed_delay: timedelta | str
    at: datetime | str
    timezone: str
    dst_gap: DstGap | str
    dst_overlap: DstOverlap | str
    start_at: datetime | str
    end_at: datetime | str
    calendar: Calendar | Mapping[str, Any]
    jitter: timedelta | str
    misfire: Misfire | str
    misfire_grace: timedelta | str
    misfire_cap: int
    pause_after_failures: int
    max_runs: int
    overlap: Overlap | str
    start_deadline: timedelta | str
    timeout: timedelta | str
    retry: RetryPolicy | Mapping[str, Any]
    on_crash: OnCrash | str
    max_crashes: int
    priority: int
    labels: Mapping[str, str]
    required_labels: Mapping[str, str]
    affinity_key: str
    limits: Sequence[str]
    max_running: int
    owner: str
    enabled: bool
    template: bool
    params: Mapping[str, Param | Mapping[str, Any]]


FIELDS = frozenset(ScheduleFields.__annotations__)
TRIGGERS = ("cron_expr", "every", "fixed_delay", "at")


@attrs.frozen(kw_only=True)
class Scheduled:
    """A schedule as it was written: ``config_id`` None stands for the function's own name.

    ``entry`` is that of a workflow, as a task file has it, which ``call`` has declared.
    """

    call: Callable[..., Any]
    config_id: str | None
    args: JsonValue
    fields: ScheduleFields
    entry: Mapping[str, Any] | None = None

    @property
    def place(self) -> str:
        """Where the function stands."""
        return f"{self.call.__qualname__} at {place_of(self.call)}"


class Schedules:
    """Schedules of functions. The global one is behind `dsched.schedule`; tests have theirs."""

    def __init__(self, functions: Registry) -> None:
        self.functions = functions
        self._schedules: list[Scheduled] = []

    def __len__(self) -> int:
        return len(self._schedules)

    def __iter__(self) -> Iterator[Scheduled]:
        return iter(list(self._schedules))

    def schedule(
        self,
        cron_expr: str | None = None,
        /,
        *,
        id: str | None = None,  # noqa: A002 - as the key is called in a task file
        args: JsonValue = None,
        **fields: Unpack[ScheduleFields],
    ) -> Callable[[F], F]:
        """Run by itself a function that `@dsched.task` registers; the decorators' order is free.

        Exactly one trigger: a cron expression first, or ``every``, ``fixed_delay``, ``at``. ``id``
        defaults to the function's registered name, ``args`` are what it is called with, the other
        ``fields`` are those of a task file. The function stays as it is. What a pod judges (zone,
        expression, arguments) it judges at its start. Raises `ScheduleError`.
        """
        if callable(cron_expr):
            raise ScheduleError(
                "@schedule needs to know when: @dsched.schedule('0 2 * * *') or (every='10m')"
            )
        if cron_expr is not None:
            if "cron_expr" in fields:
                raise ScheduleError("@schedule got two cron expressions; keep one")
            fields["cron_expr"] = cron_expr
        _check_fields(fields, id)

        def added(call: F) -> F:
            self.add(Scheduled(call=call, config_id=id, args=args, fields=fields))
            return call

        return added

    def named(self, scheduled: Scheduled) -> Function | None:
        """The registered function of a schedule; None if no `@dsched.task` is on it."""
        wanted = inspect.unwrap(scheduled.call)
        found = None
        for function in self.functions:
            if function.call is scheduled.call:
                return function
            if inspect.unwrap(function.call) is wanted:
                found = function
        return found

    def add(self, scheduled: Scheduled) -> None:
        """Keep a schedule; one of the same function of a reloaded module is replaced."""
        call = scheduled.call
        if not (inspect.isfunction(call) or inspect.ismethod(call)):
            raise ScheduleError(f"@schedule takes a plain function, not {call!r}")
        for other in self._schedules:
            if other.config_id == scheduled.config_id and other.call is call:
                raise ScheduleError(
                    f"{scheduled.place} has two schedules of one id; give each an id of its own"
                )
        # A reload makes new objects of the same functions: drop the schedules of the old ones.
        self._schedules = [
            one
            for one in self._schedules
            if one.call is call or not is_same_function(one.call, call)
        ]
        self._schedules.append(scheduled)


def _check_fields(fields: Mapping[str, Any], config_id: str | None) -> None:
    for key in fields:
        if key not in FIELDS:
            raise ScheduleError(
                f"@schedule: {key} is not a known key; {did_you_mean(key, [*FIELDS, 'id', 'args'])}"
            )
    given = [name for name in TRIGGERS if fields.get(name) is not None]
    if len(given) != 1:
        found = ", ".join(given) if given else "none"
        raise ScheduleError(f"@schedule: give exactly one of {', '.join(TRIGGERS)}; found {found}")
    if config_id is not None:
        try:
            check_id(config_id)
        except InvalidIdError as error:
            raise ScheduleError(f"@schedule: {error}") from error


SCHEDULES = Schedules(REGISTRY)
"""The global schedules, filled by `dsched.schedule`."""

schedule = SCHEDULES.schedule
