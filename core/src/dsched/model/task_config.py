"""`TaskConfig`: what a user sets, and the snapshot of it that each task carries."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

from dsched.model import given, policies
from dsched.model.calendars import Calendar, given_calendar
from dsched.model.counted import check_counts
from dsched.model.fields import (
    MAX_NAME_LENGTH,
    InvalidConfigError,
    check_labels,
    check_origin_name,
    check_span,
    check_text,
    check_whole,
)
from dsched.model.ids import check_id
from dsched.model.instants import to_ms
from dsched.model.json import JsonValue, check_json, dumps
from dsched.model.left_out import LeftOutSpan
from dsched.model.limit_references import (
    check_references,
    declared_names,
    names_of_defaults,
    refer,
    resolved_names,
    with_own,
)
from dsched.model.limits import check_own_limit, limit_names
from dsched.model.member import Member
from dsched.model.on_crash import OnCrash as OnCrash
from dsched.model.origin import API_ORIGIN
from dsched.model.params import NO_PARAMS, NO_VALUES, Param, bound, declared, default_values
from dsched.model.pins import check_required
from dsched.model.policies import Misfire as Misfire
from dsched.model.policies import Overlap as Overlap
from dsched.model.reserved import NOTHING_RESERVED, check_reserved
from dsched.model.reserved import Reserved as Reserved
from dsched.model.resumption import Resumption
from dsched.model.retry import RetryPolicy, given_retry
from dsched.model.templating import check_declared, check_given, check_template
from dsched.model.trigger import (
    AtTrigger,
    CronTrigger,
    DstGap,
    DstOverlap,
    EveryTrigger,
    FixedDelayTrigger,
    Trigger,
)
from dsched.model.workflow import Workflow, check_composite

MIN_PERIOD = timedelta(seconds=1)
MAX_CATCH_UP = 100
DEFAULT_PRIORITY = 5


I = TypeVar("I", "TaskSpec", "TaskConfig")  # noqa: E741 - an item

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


# Defaults that never change are made once, because most snapshots have them.
_NO_LABELS: Mapping[str, str] = MappingProxyType({})
_DEFAULT_RETRY = RetryPolicy()
_DEFAULT_TIMEOUT = LeftOutSpan(minutes=5)


def _frozen(value: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    return MappingProxyType(dict(value)) if value else NO_VALUES


def _frozen_labels(value: Mapping[str, str]) -> Mapping[str, str]:
    return value if value is _NO_LABELS else MappingProxyType(dict(value))


@attrs.frozen(kw_only=True, slots=False)  # made for each task, and filled in half the time
class TaskSpec:
    """The snapshot of what to run: a task keeps its own, whatever happens to its config.

    Durations may be given as text, ``retry`` as a mapping, as in a task file.

    The payload is checked and written when the snapshot is made. What is done to it later, in
    place, is not stored. With ``template`` its references are resolved at each attempt, those to
    the fire in ``timezone``; ``param_values`` are what ``${params.NAME}`` names, templates too.
    """

    executor: str
    payload: JsonValue = None
    type: str = ""
    name: str = ""
    timeout: timedelta = attrs.field(default=_DEFAULT_TIMEOUT, converter=given.span)
    retry: RetryPolicy = attrs.field(default=_DEFAULT_RETRY, converter=given_retry)
    on_crash: OnCrash = attrs.field(default=OnCrash.RETRY, converter=policies.on_crash)
    max_crashes: int = 3
    start_deadline: timedelta | None = attrs.field(default=None, converter=given.span_or_none)
    priority: int = DEFAULT_PRIORITY
    labels: Mapping[str, str] = attrs.field(default=_NO_LABELS, converter=_frozen_labels)
    required_labels: Mapping[str, str] = attrs.field(default=_NO_LABELS, converter=_frozen_labels)
    affinity_key: str | None = None
    limits: tuple[str, ...] = attrs.field(default=(), converter=limit_names)
    owner: str = ""
    revision: int = 0
    workflow: Workflow | None = None
    member: Member | None = None
    template: bool = False
    timezone: str = "UTC"
    param_values: Mapping[str, JsonValue] = attrs.field(default=NO_VALUES, converter=_frozen)
    resumes: Resumption | None = None
    reserved: Reserved = NOTHING_RESERVED

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be run, naming the field."""
        if self.workflow is not None and self.workflow.params:
            values = {**default_values(self.workflow.params), **self.param_values}
            self.__dict__["param_values"] = _frozen(values)
        _check_snapshot(self)
        self.__dict__[_PAYLOAD_TEXT] = check_json(self.payload, "payload")

    @property
    def payload_text(self) -> str:
        """The canonical text of the payload."""
        kept: str | None = self.__dict__.get(_PAYLOAD_TEXT)
        return dumps(self.payload) if kept is None else kept


@attrs.frozen(kw_only=True, slots=False)  # as the snapshot
class TaskConfig:
    """What to run and when. Exactly one of ``cron_expr``, ``every``, ``fixed_delay``, ``at``.

    ``origin`` is the place that declares it: ``api``, ``code:NAME`` or ``file:NAME``. ``revision``,
    ``created_ms`` and ``updated_ms`` (store time, ms) are the store's to fill in; they are no part
    of the content that `put` compares.
    """

    id: str
    name: str = ""
    executor: str
    type: str = ""
    payload: JsonValue = None
    cron_expr: str | None = None
    every: timedelta | None = attrs.field(default=None, converter=given.span_or_none)
    fixed_delay: timedelta | None = attrs.field(default=None, converter=given.span_or_none)
    at: datetime | None = attrs.field(default=None, converter=given.instant_or_none)
    timezone: str = "UTC"
    dst_gap: DstGap = attrs.field(default=DstGap.NEXT, converter=policies.dst_gap)
    dst_overlap: DstOverlap = attrs.field(default=DstOverlap.FIRST, converter=policies.dst_overlap)
    start_at: datetime | None = attrs.field(default=None, converter=given.instant_or_none)
    end_at: datetime | None = attrs.field(default=None, converter=given.instant_or_none)
    calendar: Calendar | None = attrs.field(default=None, converter=given_calendar)
    jitter: timedelta = attrs.field(default=timedelta(0), converter=given.span)
    misfire: Misfire = attrs.field(default=Misfire.FIRE_ONCE, converter=policies.misfire)
    misfire_grace: timedelta = attrs.field(default=timedelta(seconds=60), converter=given.span)
    misfire_cap: int = MAX_CATCH_UP
    overlap: Overlap = attrs.field(default=Overlap.SKIP, converter=policies.overlap)
    start_deadline: timedelta | None = attrs.field(default=None, converter=given.span_or_none)
    timeout: timedelta = attrs.field(default=_DEFAULT_TIMEOUT, converter=given.span)
    retry: RetryPolicy = attrs.field(default=_DEFAULT_RETRY, converter=given_retry)
    on_crash: OnCrash = attrs.field(default=OnCrash.RETRY, converter=policies.on_crash)
    max_crashes: int = 3
    priority: int = DEFAULT_PRIORITY
    labels: Mapping[str, str] = attrs.field(default=_NO_LABELS, converter=_frozen_labels)
    required_labels: Mapping[str, str] = attrs.field(default=_NO_LABELS, converter=_frozen_labels)
    affinity_key: str | None = None
    limits: tuple[str, ...] = attrs.field(default=(), converter=declared_names)
    max_running: int | None = None
    owner: str = ""
    pause_after_failures: int | None = None
    max_runs: int | None = None
    enabled: bool = True
    origin: str = API_ORIGIN
    workflow: Workflow | None = None
    template: bool = False
    params: Mapping[str, Param] = attrs.field(default=NO_PARAMS, converter=declared)
    reserved: Reserved = NOTHING_RESERVED
    revision: int = attrs.field(default=0, eq=False)
    created_ms: int = attrs.field(default=0, eq=False)
    updated_ms: int = attrs.field(default=0, eq=False)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be scheduled or run, naming the field."""
        _check_config(self)
        if self.workflow is not None and self.workflow.timezone != self.timezone:
            self.__dict__["workflow"] = attrs.evolve(self.workflow, timezone=self.timezone)
        self.__dict__[_PAYLOAD_TEXT] = check_json(self.payload, "payload")

    @property
    def payload_text(self) -> str:
        """The canonical text of the payload."""
        kept: str | None = self.__dict__.get(_PAYLOAD_TEXT)
        return dumps(self.payload) if kept is None else kept

    def stamped(
        self, *, created_ms: int, revision: int | None = None, updated_ms: int | None = None
    ) -> "TaskConfig":
        """The same with what the store knows of it; what its author wrote is not judged again."""
        known = {"created_ms": created_ms, "revision": revision, "updated_ms": updated_ms}
        return _copied(self, **{name: one for name, one in known.items() if one is not None})

    def of_origin(self, origin: str) -> "TaskConfig":
        """The same, declared there; what its author wrote is not judged again."""
        check_origin_name(origin)
        return _copied(self, origin=origin)

    @property
    def trigger(self) -> Trigger:
        """The one trigger this config has, with everything that its instants depend on."""
        if self.cron_expr is not None:
            return CronTrigger(
                expression=self.cron_expr,
                timezone=self.timezone,
                dst_gap=self.dst_gap,
                dst_overlap=self.dst_overlap,
                seed=self.id,
            )
        first_ms = self.created_ms if self.start_at is None else to_ms(self.start_at)
        if self.every is not None:
            return EveryTrigger(period=self.every, anchor_ms=first_ms)
        if self.fixed_delay is not None:
            return FixedDelayTrigger(delay=self.fixed_delay, first_ms=first_ms)
        if self.at is None:
            raise InvalidConfigError("trigger", "the config has none")
        return AtTrigger(at_ms=to_ms(self.at))

    @property
    def spec(self) -> TaskSpec:
        """The snapshot that a task of this config carries from its creation on."""
        twin = object.__new__(TaskSpec)
        # A config has been checked by the rules of a snapshot: nothing is looked at again.
        twin.__dict__.update((name, self.__dict__[name]) for name in _SPEC_FIELDS)
        twin.__dict__.update(_OF_A_TASK)
        twin.__dict__["param_values"] = default_values(self.declared_params)
        twin.__dict__["timezone"] = self.timezone if self.template else "UTC"
        if self.limits or self.max_running is not None:
            names = names_of_defaults(self.limits, self.declared_params)
            twin.__dict__["limits"] = with_own(names, self.id, self.max_running)
        kept = self.__dict__.get(_PAYLOAD_TEXT)
        if kept is not None:
            twin.__dict__[_PAYLOAD_TEXT] = kept
        return twin

    @property
    def declared_params(self) -> Mapping[str, Param]:
        """What a trigger may set."""
        return self.params if self.workflow is None else self.workflow.params

    def spec_with(self, given: Mapping[str, JsonValue] | None) -> TaskSpec:
        """The snapshot of a task for which these params were given; `InvalidConfigError`."""
        if not given and not self.declared_params:
            return self.spec
        values = bound(self.declared_params, given or {})
        names = resolved_names(self.limits, values) if refer(self.limits) else self.limits
        limits = with_own(names, self.id, self.max_running)
        return attrs.evolve(self.spec, param_values=values, limits=limits)


def _copied(config: TaskConfig, **known: Any) -> TaskConfig:
    copy = object.__new__(TaskConfig)
    copy.__dict__.update(config.__dict__, **known)
    return copy


# Where both keep the text of the payload, beside their fields: it is neither compared nor copied.
_PAYLOAD_TEXT = "_payload_text"
# What a snapshot has of its own, whatever its config says.
_OF_A_TASK = {"member": None, "resumes": None, "param_values": NO_VALUES, "timezone": "UTC"}
_SPEC_FIELDS = tuple(one.name for one in attrs.fields(TaskSpec) if one.name not in _OF_A_TASK)
_FIELDS = {
    cls: {field.name: field.default for field in attrs.fields(cls)}
    for cls in (TaskSpec, TaskConfig)
}


def typed(item: I, kind: str) -> I:
    """The same with the ``type`` that its executor gives; what was checked is not checked again."""
    copy = object.__new__(type(item))
    copy.__dict__.update((name, item.__dict__[name]) for name in _FIELDS[type(item)])
    if _PAYLOAD_TEXT in item.__dict__:
        copy.__dict__[_PAYLOAD_TEXT] = item.__dict__[_PAYLOAD_TEXT]
    copy.__dict__["type"] = kind
    return copy


def restored(cls: type[I], fields: Mapping[str, Any]) -> I:
    """A snapshot or config from fields that were checked when it was first made, each of its type.

    The payload is trusted. The rest, which takes no time, is looked at again: another version, or
    another program, may have written it. Raises ValueError.
    """
    item = object.__new__(cls)
    item.__dict__.update(_FIELDS[cls])
    item.__dict__.update(fields)
    for name in ("id", "executor"):
        if item.__dict__.get(name) is attrs.NOTHING:
            raise InvalidConfigError(name, "is missing")
    if isinstance(item, TaskSpec):
        _check_snapshot(item)
    else:
        _check_config(item)
    return item


def _check_config(config: TaskConfig) -> None:
    check_id(config.id)
    _check_common(config)
    _check_trigger(config)
    check_counts(config)
    if config.template is not False:
        check_template(config, config.params)
    if config.params or config.workflow is not None:
        check_declared(config)
    if refer(config.limits):
        check_references(config.limits, config.declared_params)
    if config.max_running is not None:
        check_own_limit(config.max_running, composite=config.workflow is not None)


def _check_snapshot(spec: TaskSpec) -> None:
    _check_common(spec)
    if spec.template is not False:
        check_template(spec, spec.param_values)
    if spec.param_values or spec.workflow is not None or spec.timezone != "UTC":
        check_given(spec)


def _check_common(item: Any) -> None:
    """The rules that a config and a snapshot share."""
    if not isinstance(item.executor, str) or not item.executor:
        raise InvalidConfigError("executor", "name an executor, such as http, grpc or local")
    if len(item.name) > MAX_NAME_LENGTH:
        raise InvalidConfigError("name", f"at most {MAX_NAME_LENGTH} characters")
    if item.name and _CONTROL.search(item.name):
        raise InvalidConfigError("name", "control characters are not allowed")
    if not isinstance(item.revision, int):
        raise InvalidConfigError("revision", "is a whole number that the store gives; leave it out")
    check_whole("priority", item.priority, 0, 9)
    check_whole("max_crashes", item.max_crashes, 0, 1000)
    # What was left out is as it should be.
    if item.timeout is not _DEFAULT_TIMEOUT:
        check_span("timeout", item.timeout, timedelta(milliseconds=1))
    if item.start_deadline is not None:
        check_span("start_deadline", item.start_deadline, timedelta(milliseconds=1))
    if item.labels is not _NO_LABELS:
        check_labels("labels", item.labels)
    if item.required_labels is not _NO_LABELS:
        member = getattr(item, "member", None)
        check_required(item.required_labels, may_be_pinned=member is not None)
    check_text("owner", item.owner)
    check_composite(item)
    if item.affinity_key is not None:
        check_text("affinity_key", item.affinity_key)
    check_reserved(item.reserved)


def _check_trigger(config: TaskConfig) -> None:
    triggers = [
        name
        for name in ("cron_expr", "every", "fixed_delay", "at")
        if getattr(config, name) is not None
    ]
    if len(triggers) != 1:
        found = ", ".join(triggers) if triggers else "none"
        raise InvalidConfigError(
            "trigger", f"give exactly one of cron_expr, every, fixed_delay, at; found {found}"
        )
    if config.calendar is not None and config.fixed_delay is not None:
        raise InvalidConfigError(
            "calendar",
            "does not go with fixed_delay, whose instants are not days but the ends of runs; use "
            "every or cron_expr",
        )
    if config.every is not None:
        check_span("every", config.every, MIN_PERIOD)
    if config.fixed_delay is not None:
        check_span("fixed_delay", config.fixed_delay, MIN_PERIOD)
    check_span("jitter", config.jitter, timedelta(0))
    check_span("misfire_grace", config.misfire_grace, timedelta(0))
    check_whole("misfire_cap", config.misfire_cap, 1, MAX_CATCH_UP)
    if not isinstance(config.enabled, bool):
        raise InvalidConfigError("enabled", f"must be true or false, got {config.enabled!r}")
    check_origin_name(config.origin)
    for field in ("at", "start_at", "end_at"):
        instant = getattr(config, field)
        if instant is not None and not isinstance(instant, datetime):
            raise InvalidConfigError(
                field, f"must be a datetime with a UTC offset; got {instant!r}"
            )
        if instant is not None and instant.tzinfo is None:
            raise InvalidConfigError(field, "needs a UTC offset, such as 2026-01-31T09:00:00Z")
    if config.start_at and config.end_at and config.end_at <= config.start_at:
        raise InvalidConfigError("end_at", "must be later than start_at")
