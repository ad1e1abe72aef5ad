"""Params: what a trigger may set of what a config runs, each declared with its type.

A default may refer to the fire (``${fire.date}``). What is given is literal: it is kept with the
task as a template in which nothing refers to anything, so that both are resolved in one way.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import attrs

from dsched.model.fields import InvalidConfigError
from dsched.model.instants import from_ms
from dsched.model.json import JsonValue, NotJsonError, check_json
from dsched.model.templates import (
    Path,
    TemplateError,
    escaped,
    look_up,
    mentions_secret,
    references,
    render,
)
from dsched.wording import did_you_mean, printable

MAX_PARAMS = 32
MAX_PARAMS_BYTES = 16 * 1024  # of the values of a task, and of the defaults of a config
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


class ParamType(StrEnum):
    """What a param may be: the types of JSON Schema, with a whole number apart."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"
    OBJECT = "object"


_KINDS: Mapping[ParamType, tuple[type, ...]] = {
    ParamType.STRING: (str,),
    ParamType.INTEGER: (int,),
    ParamType.NUMBER: (int, float),
    ParamType.BOOLEAN: (bool,),
    ParamType.LIST: (list, tuple),
    ParamType.OBJECT: (Mapping,),
}


def _type(value: ParamType | str) -> ParamType:
    try:
        return ParamType(value)
    except ValueError:
        reason = f"must be one of {', '.join(ParamType)}; got {value!r}"
        raise InvalidConfigError("type", reason) from None


@attrs.frozen(kw_only=True)
class Param:
    """A param: its type, and what it is unless a trigger says so (None: a trigger has to)."""

    type: ParamType = attrs.field(converter=_type)
    default: JsonValue = None

    def __attrs_post_init__(self) -> None:
        """Refuse a default that is none, or of another type."""
        if self.default is None:
            return
        try:
            check_json(self.default, "default", MAX_PARAMS_BYTES)
            for path in references(self.default):
                _check_reference(path)
            value = render(self.default, lambda path: look_up(_SAMPLE, path))
        except (NotJsonError, TemplateError) as error:
            raise InvalidConfigError("default", str(error)) from None
        reason = why_not(self, value)
        if reason:
            raise InvalidConfigError("default", reason)

    def entry(self) -> dict[str, JsonValue]:
        """It as a task file has it."""
        default = {} if self.default is None else {"default": self.default}
        return {"type": self.type.value, **default}


NO_PARAMS: Mapping[str, Param] = MappingProxyType({})
NO_VALUES: Mapping[str, JsonValue] = MappingProxyType({})


def declared(value: Mapping[str, Any]) -> Mapping[str, Param]:
    """Params as they are declared, each a `Param` or a mapping with its keys."""
    if value is NO_PARAMS:
        return value
    if not isinstance(value, Mapping):
        raise InvalidConfigError(
            "params", "must be a mapping from the name of each param to its type and default"
        )
    if len(value) > MAX_PARAMS:
        raise InvalidConfigError("params", f"has {len(value)}; at most {MAX_PARAMS} are allowed")
    found = {name: _param(name, one) for name, one in value.items()}
    _check_size("params", {name: one.default for name, one in found.items()})
    return MappingProxyType(found) if found else NO_PARAMS


def _param(name: object, one: object) -> Param:
    where = f"params.{printable(str(name))}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        reason = "is no name of a param: a letter first, then at most 39 of A-Z a-z 0-9 _ -"
        raise InvalidConfigError(where, reason)
    if isinstance(one, Param):
        return one
    if not isinstance(one, Mapping):
        reason = f"must be a mapping such as {{type: string}}; got {printable(repr(one))}"
        raise InvalidConfigError(where, reason)
    for key in one:
        if key not in ("type", "default"):
            meant = did_you_mean(str(key), ("type", "default"))
            raise InvalidConfigError(f"{where}.{printable(str(key))}", f"is no key; {meant}")
    if "type" not in one:
        raise InvalidConfigError(
            f"{where}.type", f"is missing; it is one of {', '.join(ParamType)}"
        )
    try:
        return Param(**one)
    except InvalidConfigError as error:
        raise InvalidConfigError(f"{where}.{error.field}", error.reason) from None


def fire_of(instant_ms: int, timezone: str) -> dict[str, JsonValue]:
    """What ``fire.time``, ``fire.date`` and ``fire.ms`` name, of an instant (wall ms)."""
    at = from_ms(instant_ms).astimezone(UTC if timezone == "UTC" else ZoneInfo(timezone))
    return {
        "time": at.isoformat(timespec="milliseconds"),
        "date": at.date().isoformat(),
        "ms": instant_ms,
    }


_SAMPLE: Mapping[str, JsonValue] = {"fire": fire_of(0, "UTC")}


def _check_reference(path: Path) -> None:
    if path[0] != "fire":
        raise TemplateError(
            f"${{{'.'.join(path)}}} names nothing here: a default may refer to fire.time, "
            "fire.date and fire.ms"
        )


def why_not(param: Param, value: JsonValue) -> str:
    """Why a value is none of this param; nothing if it is one."""
    kinds = _KINDS[param.type]
    is_bool = isinstance(value, bool)
    if not isinstance(value, kinds) or (is_bool and bool not in kinds):
        return f"must be {_a(param.type)}, got {printable(repr(value))}"
    if mentions_secret(value):
        return (
            "mentions a secret reference, which only the author of a payload may write, into the "
            "payload itself"
        )
    return ""


def _a(kind: ParamType) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def default_values(params: Mapping[str, Param]) -> Mapping[str, JsonValue]:
    """The values of a fire of its own: the defaults, as templates."""
    if not params:
        return NO_VALUES
    return {name: one.default for name, one in params.items() if one.default is not None}


def bound(params: Mapping[str, Param], given: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The values of a task for which these were given, as templates; `InvalidConfigError` where
    one is missing, unknown, or of another type."""
    if not isinstance(given, Mapping):
        raise InvalidConfigError("params", f"must be a mapping, got {printable(repr(given))}")
    for name in given:
        if name not in params:
            raise _unknown(str(name), params)
    found: dict[str, JsonValue] = {}
    for name, param in params.items():
        value = given.get(name)
        if value is None and param.default is None:
            where = f"params.{name}"
            raise InvalidConfigError(where, f"is missing: {_a(param.type)} that has no default")
        if value is None or value == param.default:
            found[name] = param.default
            continue
        reason = why_not(param, value)
        if reason:
            raise InvalidConfigError(f"params.{name}", reason)
        found[name] = escaped(value)
    _check_size("params", found)
    return found


def _unknown(name: str, params: Mapping[str, Param]) -> InvalidConfigError:
    if not params:
        return InvalidConfigError(
            f"params.{printable(name)}", "is unknown: this declares no params; leave it out"
        )
    return InvalidConfigError(
        f"params.{printable(name)}", f"is unknown; {did_you_mean(name, params)}"
    )


def check_values(params: Mapping[str, Param], values: Mapping[str, JsonValue]) -> None:
    """Refuse values of a task that are not those which a workflow declares."""
    for name in values:
        if name not in params:
            raise _unknown(str(name), params)
    for name, param in params.items():
        if name not in values:
            raise InvalidConfigError(
                f"params.{name}", f"is missing: {_a(param.type)} that was not given"
            )
    try:
        resolved = resolved_values(values, 0, "UTC")
    except TemplateError as error:
        raise InvalidConfigError("params", str(error)) from None
    for name, param in params.items():
        reason = why_not(param, resolved[name])
        if reason:
            raise InvalidConfigError(f"params.{name}", reason)


def check_size(values: Mapping[str, JsonValue]) -> None:
    """Refuse values that are no JSON, or too large together."""
    _check_size("param_values", values)


def _check_size(where: str, values: Mapping[str, JsonValue]) -> None:
    try:
        check_json(dict(values), where, MAX_PARAMS_BYTES)
    except NotJsonError as error:
        raise InvalidConfigError(where, str(error).removeprefix(f"{where} ")) from None


def resolved_values(
    values: Mapping[str, JsonValue], instant_ms: int, timezone: str
) -> dict[str, JsonValue]:
    """The values of a task whose nominal instant is this one; `TemplateError`."""
    if not values:
        return {}
    scope = {"fire": fire_of(instant_ms, timezone)}
    found: dict[str, JsonValue] = render(dict(values), lambda path: look_up(scope, path))
    return found


def literal(value: JsonValue) -> JsonValue:
    """A kept value as it was given; a default that refers to the fire as it was written."""
    return value if references(value) else render(value, ".".join)


def given_values(
    params: Mapping[str, Param], values: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """What has to be given for these values of a task: those that are no defaults, literally."""
    return {name: literal(value) for name, value in values.items() if value != params[name].default}


def params_of(values: Mapping[str, JsonValue]) -> dict[str, Param]:
    """Params whose defaults these values of a task are, each of the type that its value has."""
    resolved = resolved_values(values, 0, "UTC")
    return {name: Param(type=_kind(resolved[name]), default=one) for name, one in values.items()}


def _kind(value: JsonValue) -> ParamType:
    for kind, classes in _KINDS.items():
        if isinstance(value, classes) and isinstance(value, bool) is (kind is ParamType.BOOLEAN):
            return kind
    return ParamType.OBJECT


def same_again(
    values: Mapping[str, JsonValue], instant_ms: int, timezone: str
) -> Mapping[str, JsonValue]:
    """The values of a task of this instant for one of another: what referred to the fire stays
    what it was."""
    resolved = resolved_values(values, instant_ms, timezone)
    return {name: escaped(value) for name, value in resolved.items()} or NO_VALUES


def values_of_texts(params: Mapping[str, Param], texts: Mapping[str, str]) -> dict[str, JsonValue]:
    """Values of texts as somebody types them (``day=2026-11-30``), by the types declared;
    `InvalidConfigError` for what is none."""
    found: dict[str, JsonValue] = {}
    for name, text in texts.items():
        if name not in params:
            raise _unknown(name, params)
        kind = params[name].type
        value: JsonValue = text
        if kind is not ParamType.STRING:
            try:
                value = json.loads(text)
            except ValueError:
                reason = f"must be {_a(kind)}, written as JSON has it; got {printable(repr(text))}"
                raise InvalidConfigError(f"params.{name}", reason) from None
        reason = why_not(params[name], value)
        if reason:
            raise InvalidConfigError(f"params.{name}", reason)
        found[name] = value
    return found
