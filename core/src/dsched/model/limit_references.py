"""Instances of limits that a config names by its params, as in ``tenant:${params.tenant}``.

They are resolved when a task is made: a task names literals, whatever becomes of its config.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dsched.model.fields import InvalidConfigError
from dsched.model.json import JsonValue
from dsched.model.limits import instance_name, names_of, own_limit
from dsched.model.params import Param, ParamType, default_values, resolved_values
from dsched.model.templates import Path, TemplateError, look_up, references, render
from dsched.wording import did_you_mean, printable

_MANY = (ParamType.LIST, ParamType.OBJECT)


def declared_names(given: Any) -> tuple[str, ...]:
    """The names that a config gives, as they are stored; one with a reference as it is written."""
    return names_of(given, refers=True)


def refer(names: Iterable[str]) -> bool:
    """Whether any of the names of a config has a reference."""
    return any("${" in name for name in names)


def check_references(names: Iterable[str], params: Mapping[str, Param]) -> None:
    """Refuse what names no param, or one that could be no instance."""
    for name in names:
        try:
            for path in references(name):
                _check(path, params)
        except TemplateError as error:
            raise InvalidConfigError("limits", f"{printable(name)!r}: {error}") from None
    names_of_defaults(names, params)


def _check(path: Path, params: Mapping[str, Param]) -> None:
    text = "${" + ".".join(path) + "}"
    if path[0] != "params" or len(path) != 2:
        raise TemplateError(f"{text} names nothing here: an instance may refer to params.NAME")
    param = params.get(path[1])
    if param is None:
        raise TemplateError(f"{text} names no param; {did_you_mean(path[1], params)}")
    if param.type in _MANY:
        raise TemplateError(f"{text} is of type {param.type}, which is no name of an instance")
    if references(param.default):
        raise TemplateError(
            f"{text} has a default that refers to the fire, and an instance is the same at each "
            "fire; give it another default, or none"
        )


def with_own(names: Sequence[str], config_id: str, max_running: int | None) -> tuple[str, ...]:
    """The names that a task of a config gives: those of the config, and its own limit."""
    return tuple(names) if max_running is None else (*names, own_limit(config_id))


def names_of_defaults(names: Iterable[str], params: Mapping[str, Param]) -> tuple[str, ...]:
    """What a fire of the schedule names. A config whose params lack a default is not fired by its
    schedule: what refers to such a one is left out."""
    values = default_values(params)
    known = [one for one in names if all(path[1] in values for path in references(one))]
    return resolved_names(known, values)


def resolved_names(names: Iterable[str], values: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """What a task with these values of params names, each once; `InvalidConfigError`."""
    scope: dict[str, JsonValue] = {"params": resolved_values(values, 0, "UTC")}
    found: dict[str, None] = {}
    for name in names:
        limit_id, colon, instance = name.partition(":")
        if "${" in instance:
            # Behind a colon a reference stands in a text, so that what it names becomes text.
            filled = str(render(colon + instance, lambda path: look_up(scope, path)))
            found[instance_name(limit_id, filled.removeprefix(colon), name)] = None
        else:
            found[name] = None
    return tuple(found)
