"""What services take in: entries of configs and tasks, judged as a task file's, and back again."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeVar

import attrs

from dsched.config.durations import format_duration
from dsched.config.problems import ConfigError
from dsched.config.settings import TaskSettings
from dsched.config.structuring import fields_of
from dsched.config.task_file import task_from_mapping
from dsched.config.workflows import KEYS as WORKFLOW_KEYS
from dsched.config.workflows import workflow_entry
from dsched.contracts.service import EntryError, PluginFacts
from dsched.loading import Catalogue
from dsched.loading.remedy import installed
from dsched.model import (
    WORKFLOW,
    Calendar,
    InvalidConfigError,
    InvalidIdError,
    JsonValue,
    Param,
    RetryPolicy,
    TaskConfig,
    TaskSpec,
    Workflow,
    check_id,
    rfc3339,
)
from dsched.model.params import given_values, params_of
from dsched.model.task_config import typed
from dsched.model.templates import has_templates
from dsched.planning import check_calendar, check_policies, compile_trigger
from dsched.wording import did_you_mean, printable

I = TypeVar("I", TaskSpec, TaskConfig)  # noqa: E741 - an item

# Never part of an entry: the id is given beside it; the store or a later version sets the rest.
# What an entry says of a workflow has keys of its own.
_APART = frozenset(
    {
        *("id", "origin", "reserved", "revision", "created_ms", "updated_ms", "workflow"),
        *("member", "param_values"),
    }
)
# Written even at their defaults, because the pod that reads the entry may have other defaults.
_ALWAYS = frozenset({"executor", "type", "timeout", "retry"})
_SAID = object()
_STAND_IN: Mapping[str, Any] = {"id": "task", "every": "1h", "enabled": False}


@attrs.frozen(kw_only=True)
class CatalogueIntake:
    """`dsched.contracts.Intake` of the installed plugins and the pod's settings for tasks."""

    defaults: TaskSettings
    catalogue: Catalogue

    def config(self, config_id: str, entry: Mapping[str, Any]) -> TaskConfig:
        """A config from an entry."""
        if "id" in entry:
            raise EntryError([("id", "stands in the address, not in the entry; remove it")])
        try:
            check_id(config_id)
        except InvalidIdError as error:
            raise EntryError([("id", str(error))]) from error
        return self._read({**entry, "id": config_id})

    def judged(self, item: I) -> I:
        """A value made in code, judged as an entry is, with the ``type`` that one would give."""
        if item.workflow is not None and item.workflow.steps:
            if isinstance(item, TaskConfig):
                compile_trigger(item.trigger)
                check_policies(item)
                check_calendar(item)
            return attrs.evolve(item, type=WORKFLOW, workflow=self._steps_judged(item))
        executor = self.catalogue.executors.get(item.executor)
        place = f"{item.id}." if isinstance(item, TaskConfig) else ""
        if executor is None:
            known = installed(self.catalogue.executors)
            reason = f"{printable(item.executor)!r} is not installed; installed: {known}"
            raise InvalidConfigError(f"{place}executor", reason)
        # What is not rendered yet is judged by the executor, attempt by attempt.
        templates = item.workflow is not None or item.template
        unknown = templates and has_templates(item.payload)
        problems = [] if unknown else executor.provider.check_payload(item.payload)
        if problems:
            raise InvalidConfigError(f"{place}payload", "; ".join(problems))
        if isinstance(item, TaskConfig):
            compile_trigger(item.trigger)
            check_policies(item)
            check_calendar(item)
        return item if item.type else typed(item, executor.provider.protocol)

    def _steps_judged(self, item: TaskSpec | TaskConfig) -> Workflow:
        """The workflow with the ``type`` of each step."""
        flow = item.workflow
        assert flow is not None  # noqa: S101 - the caller has looked
        steps = []
        for step in flow.steps:
            executor = self.catalogue.executors.get(step.executor)
            if executor is None:
                known = installed(self.catalogue.executors)
                reason = f"{printable(step.executor)!r} is not installed; installed: {known}"
                raise InvalidConfigError(f"steps.{step.id}.executor", reason)
            unknown = has_templates(step.payload)
            problems = [] if unknown else executor.provider.check_payload(step.payload)
            if problems:
                raise InvalidConfigError(f"steps.{step.id}.payload", "; ".join(problems))
            steps.append(attrs.evolve(step, type=executor.provider.protocol))
        return attrs.evolve(flow, steps=steps)

    def entry(self, config: TaskConfig) -> dict[str, JsonValue]:
        """An entry from a config."""
        return _written(config)

    def spec(self, entry: Mapping[str, Any]) -> TaskSpec:
        """A snapshot from an entry, whose ``param_values`` are literal."""
        known = sorted({*fields_of(TaskSpec), *WORKFLOW_KEYS, "params"} - _APART)
        given = entry.get("param_values")
        entry = {key: value for key, value in entry.items() if key != "param_values"}
        unknown = [key for key in entry if key not in known]
        if unknown:
            raise EntryError(
                [
                    (printable(str(key)), f"is not a known key; {did_you_mean(str(key), known)}")
                    for key in unknown[:20]
                ]
            )
        config = self._read({**entry, **_STAND_IN})
        try:
            return config.spec_with(given)
        except InvalidConfigError as error:
            raise EntryError([(error.field, error.reason)]) from error

    def spec_entry(self, spec: TaskSpec) -> dict[str, JsonValue]:
        """An entry from a snapshot."""
        return _written(spec)

    def plugins(self) -> tuple[PluginFacts, ...]:
        """What is installed."""
        kinds: Mapping[str, Mapping[str, Any]] = {
            "executor": self.catalogue.executors,
            "balancer": self.catalogue.balancers,
            "store": self.catalogue.stores,
            "observer": self.catalogue.observers,
            "service": self.catalogue.services,
            "pages": self.catalogue.pages,
        }
        return tuple(
            PluginFacts(kind=kind, name=name, distribution=one.distribution, version=one.version)
            for kind, installed in kinds.items()
            for name, one in installed.items()
        )

    def _read(self, raw: Mapping[str, Any]) -> TaskConfig:
        try:
            return task_from_mapping(raw, defaults=self.defaults, catalogue=self.catalogue)
        except ConfigError as error:
            raise EntryError([(one.path, one.reason) for one in error.problems]) from error


def _written(item: TaskConfig | TaskSpec) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for name, default in _CONFIG if isinstance(item, TaskConfig) else _SPEC:
        value = getattr(item, name)
        if value is default or value == default:
            continue
        found[name] = value if name == "payload" else _plain(value)
    if item.workflow is not None:
        found |= workflow_entry(item.workflow)
        if item.workflow.steps:
            del found["executor"], found["type"]
    if isinstance(item, TaskSpec):
        found |= _values(item)
    return found


def _values(spec: TaskSpec) -> dict[str, JsonValue]:
    """The keys of an entry that give a snapshot its params, and the zone of its fire."""
    flow, values = spec.workflow, spec.param_values
    if flow is None:
        params = {name: one.entry() for name, one in params_of(values).items()}
        return {"params": params} if params else {}
    given = given_values(flow.params, values)
    zone = {"timezone": flow.timezone} if flow.timezone != "UTC" else {}
    return {"param_values": given, **zone} if given else zone


def _defaults(kind: type[TaskConfig | TaskSpec]) -> tuple[tuple[str, object], ...]:
    """The fields of an entry, each with the value at which it is not said."""
    return tuple(
        (field.name, _SAID if field.name in _ALWAYS else field.default)
        for field in attrs.fields(kind)
        if field.name not in _APART
    )


_CONFIG, _SPEC = _defaults(TaskConfig), _defaults(TaskSpec)


def _plain(value: Any) -> JsonValue:
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Calendar):
        return value.record()
    if isinstance(value, RetryPolicy):
        return {one.name: _plain(getattr(value, one.name)) for one in attrs.fields(RetryPolicy)}
    if isinstance(value, Param):
        return value.entry()
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return value
