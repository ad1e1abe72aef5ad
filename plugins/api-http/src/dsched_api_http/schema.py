"""JSON Schemas of our own attrs classes: one definition serves reading, answers and documents."""

import typing
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from types import UnionType
from typing import Any

import attrs

from dsched.config.structuring import fields_of
from dsched.model import Calendar, Step, TaskConfig, TaskSpec, Workflow
from dsched.model.calendars import MAX_CALENDAR_NAME, MAX_CALENDARS, WEEKDAYS
from dsched.model.workflow import MAX_STEPS
from dsched_api_http.bodies import wire_name
from dsched_api_http.wire import plain

Schema = dict[str, Any]

DURATION: Schema = {
    "type": "string",
    "pattern": "^([0-9]+(\\.[0-9]+)?(ms|us|µs|s|m|h|d))+$",
    "maxLength": 64,
    "examples": ["10s", "1h30m", "500ms"],
}
ID: Schema = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"}
_LIMITS = ("format", "minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern")
# What an entry says of a workflow has keys of its own.
_APART = frozenset(
    {
        "id",
        "origin",
        "reserved",
        "revision",
        "created_ms",
        "updated_ms",
        "workflow",
        "member",
        "resumes",
    }
)


class Schemas:
    """Gathers the classes met as components, referred to by name."""

    def __init__(self, prefix: str = "#/components/schemas/") -> None:
        self._prefix = prefix
        self.components: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        """The schema of a type; of a class, a reference to its component."""
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if kind is Any or kind is None or kind is dict:
            return {} if kind is not dict else {"type": "object"}
        if origin is typing.Literal:
            return {"type": "string", "enum": list(arguments)}
        if origin in (typing.Union, UnionType):
            return self._union(arguments)
        if kind is Calendar:
            return _CALENDAR  # it is written in another form than its class has
        if isinstance(kind, type) and attrs.has(kind):
            return self._reference(kind)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return {"type": "string", "enum": [one.value for one in kind]}
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if isinstance(origin, type) and issubclass(origin, Sequence):
            return {"type": "array", "items": self.of(arguments[0])}
        return dict(_SCALARS[kind])

    def _union(self, kinds: Sequence[Any]) -> Schema:
        some = [self.of(one) for one in kinds if one is not type(None)]
        if type(None) in kinds:
            some.append({"type": "null"})
        return some[0] if len(some) == 1 else {"anyOf": some}

    def _reference(self, cls: type[Any]) -> Schema:
        name = cls.__name__
        if name not in self.components:
            self.components[name] = {}  # met again inside itself: a reference is enough
            self.components[name] = self.object(cls)
        return {"$ref": f"{self._prefix}{name}"}

    def object(self, cls: type[Any], *, apart: frozenset[str] = frozenset()) -> Schema:
        """The schema of a class as an object without further fields."""
        properties: dict[str, Schema] = {}
        required: list[str] = []
        for own, field in fields_of(cls).items():
            name = wire_name(own)
            if name in apart:
                continue
            properties[name] = self._property(field)
            if field.default is attrs.NOTHING:
                required.append(name)
        found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        if required:
            found["required"] = required
        if cls.__doc__:
            found["description"] = " ".join(cls.__doc__.split())
        return found

    def _property(self, field: "attrs.Attribute[Any]") -> Schema:
        schema = self.of(field.type or Any)
        limits = {name: field.metadata[name] for name in _LIMITS if name in field.metadata}
        for one in schema.get("anyOf", [schema]):
            if one.get("type") != "null":
                one.update(limits)
        if "each" in field.metadata:
            schema["items"].update(field.metadata["each"])
        default = field.default
        simple = not isinstance(default, attrs.Factory)  # type: ignore[arg-type]
        if default is not attrs.NOTHING and simple and default not in (None, ""):
            schema = {**schema, "default": plain(default)}
        return schema


_SCALARS: Mapping[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
    timedelta: DURATION,
}

_DAYS: Schema = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "maxLength": MAX_CALENDAR_NAME},
        "weekdays": {
            "anyOf": [
                {"type": "array", "items": {"type": "string", "enum": list(WEEKDAYS)}},
                {"type": "string"},
            ]
        },
        "dates": {
            "anyOf": [
                {"type": "object", "additionalProperties": {"type": "string"}},
                {"type": "array", "items": {"type": "string"}},
            ]
        },
        "until": {"type": "string", "format": "date"},
        "holidays": {"type": "string"},
        "subdivision": {"type": "string"},
        "language": {"type": "string"},
    },
}
_CALENDAR: Schema = {
    "type": "object",
    "properties": {
        key: {"type": "array", "items": _DAYS, "maxItems": MAX_CALENDARS}
        for key in ("skip", "only")
    },
}


def entry_schema(cls: type[TaskConfig | TaskSpec], schemas: Schemas | None = None) -> Schema:
    """The schema of an entry: every key of a task file but those that the store fills in."""
    inline = schemas or Schemas("#/$defs/")
    found = inline.object(cls, apart=_APART)
    found["properties"] |= _workflow_keys(inline)
    # `type` alone chooses an executor, as `executor` alone its type; with steps each has its own.
    found["required"] = [name for name in found.get("required", ()) if name != "executor"]
    if schemas is None:
        found["$defs"] = inline.components
    return found


def _workflow_keys(schemas: Schemas) -> Schema:
    """The keys of an entry that make a workflow."""
    step = schemas.object(Step, apart=frozenset({"id"}))
    # As of the entry itself.
    step["required"] = [name for name in step.get("required", ()) if name not in ("id", "executor")]
    steps: Schema = {
        "type": "object",
        "additionalProperties": step,
        "maxProperties": MAX_STEPS,
        "description": "What a run consists of, by the id of each step.",
    }
    own = schemas.object(Workflow, apart=frozenset({"steps", "timezone"}))["properties"]
    return {"steps": steps, "run_timeout": own.pop("timeout"), **own}
