"""Configs, snapshots and times as the API takes them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeAlias

import attrs

from dsched.model import (
    JsonValue,
    Param,
    RetryPolicy,
    Step,
    TaskConfig,
    TaskSpec,
    Wait,
    Workflow,
    run_spec,
    seconds_of,
)
from dsched.model.defaults import given_fields
from dsched.model.left_out import is_left_out
from dsched.model.params import given_values, params_of
from dsched_client.instants import rfc3339

Entry: TypeAlias = Mapping[str, JsonValue]
Seconds: TypeAlias = Wait  # a number of seconds, a timedelta, or text such as 30s

# Never part of an entry: keys that are given beside it, and those that only the store sets.
# What an entry says of a workflow has keys of its own.
_APART = frozenset(
    {
        *("id", "origin", "reserved", "revision", "created_ms", "updated_ms", "workflow"),
        *("member", "param_values"),
    }
)


def entry_of(item: TaskConfig | TaskSpec | Workflow | Entry) -> dict[str, JsonValue]:
    """The entry of a config or a task, without fields that were left out; in a mapping, only times
    are converted."""
    if isinstance(item, Mapping):
        return {key: plain(value) for key, value in item.items()}
    if isinstance(item, Workflow):
        item = run_spec(item)
    found: dict[str, JsonValue] = {}
    for field in attrs.fields(type(item)):
        value = getattr(item, field.name)
        if field.name == "payload":
            if value is not None:
                found["payload"] = value
        elif field.name not in _APART and not _is_default(item, field):
            found[field.name] = plain(value)
    if item.workflow is not None:
        found |= _workflow_keys(item.workflow)
        if item.workflow.steps:
            found.pop("executor")
            found.pop("type", None)
    if isinstance(item, TaskSpec):
        found |= _values(item)
    return found


def _values(spec: TaskSpec) -> dict[str, JsonValue]:
    """The keys of an entry that give a snapshot its params."""
    if spec.workflow is None:
        params = {name: one.entry() for name, one in params_of(spec.param_values).items()}
        return {"params": params} if params else {}
    given = given_values(spec.workflow.params, spec.param_values)
    return {"param_values": given} if given else {}


def _workflow_keys(flow: Workflow) -> dict[str, JsonValue]:
    """The keys of an entry that make this workflow; its zone is that of its config."""
    found: dict[str, JsonValue] = {}
    if flow.steps:
        found["steps"] = {step.id: _step_keys(step) for step in flow.steps}
    for field in attrs.fields(Workflow):
        value = getattr(flow, field.name)
        if field.name not in ("steps", "timezone") and value != field.default:
            found["run_timeout" if field.name == "timeout" else field.name] = plain(value)
    return found


def _step_keys(step: Step) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for field in attrs.fields(Step):
        value = getattr(step, field.name)
        if field.name in ("executor", "payload") and value is not None:
            found[field.name] = value
        elif field.name != "id" and value != field.default:
            found[field.name] = plain(value)
    return found


def duration(span: Seconds) -> str:
    """A duration as the API reads it."""
    return f"{round(seconds_of(span) * 1000)}ms"


def instant(moment: datetime) -> str:
    """An instant as the API reads it; `ValueError` without an offset."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} needs a UTC offset, such as datetime(..., tzinfo=UTC)")
    return rfc3339(moment)


def plain(value: Any) -> JsonValue:
    """A value of an entry as JSON."""
    if isinstance(value, timedelta):
        return duration(value)
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, RetryPolicy):
        return {name: plain(getattr(value, name)) for name in given_fields(value)}
    if isinstance(value, Param):
        return value.entry()
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    return value


def _is_default(item: TaskConfig | TaskSpec, field: "attrs.Attribute[Any]") -> bool:
    value = getattr(item, field.name)
    # If they are left out, the server fills in its own settings. So a value equal to the default
    # may have been given on purpose, and must be sent.
    if isinstance(value, RetryPolicy):
        return not given_fields(value)
    if field.name == "timeout":
        return is_left_out(value)
    if isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]
        return not value
    return bool(value == field.default)


def in_seconds(span: Seconds | None) -> float | None:
    """A duration as a number of seconds."""
    return None if span is None else seconds_of(span)
