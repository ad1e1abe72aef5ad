"""Which keys the settings may have: the classes of core and plugins as one tree."""

import typing
from collections.abc import Mapping
from typing import Any

import attrs

from dsched.config.problems import Place
from dsched.config.secrets import is_secret, is_secret_name
from dsched.config.structuring import fields_of
from dsched.config.yaml_reader import parse_value
from dsched.wording import closest

PREFIX, SEPARATOR = "DSCHED_", "__"


@attrs.frozen
class Shape:
    """Which classes stand at which keys, so that a variable's name and text can be read.

    ``branches`` maps a key to a class, a tuple of classes that share it, a further shape, or a
    plain type.
    """

    branches: Mapping[str, Any]


def near_variable(name: str, shape: Shape) -> str:
    """What the writer of an unknown variable may have meant."""
    # Compare without the common prefix, or every name would be close to every other.
    meant = closest(name.removeprefix(PREFIX), _variables(shape))
    if meant is None:
        return f"settings are named {PREFIX}SECTION__KEY."
    return f"did you mean {PREFIX + meant!r}?"


def _variables(shape: Shape) -> list[str]:
    names = []
    for section, branch in shape.branches.items():
        head = section.upper().replace("-", "_")
        names.append(head)
        names += [head + SEPARATOR + key.upper().replace("-", "_") for key in _keys_of(branch)]
    return names


def place_of(shape: Shape, parts: list[str]) -> Place:
    """The keys that a variable's parts mean: any case, ``_`` for ``-``."""
    here: Any = shape
    place: list[str] = []
    for part in parts:
        lower = part.lower()
        known = _keys_of(here)
        key = next((one for one in known if one.lower().replace("-", "_") == lower), lower)
        place.append(key)
        here = _step(here, key)
    return tuple(place)


def _keys_of(here: Any) -> list[str]:
    if isinstance(here, Shape):
        return list(here.branches)
    return [key for one in _options(here) if _is_class(one) for key in fields_of(one)]


def _step(here: Any, key: str) -> Any:
    """What stands under a key: a shape, a type, or None where nothing is known."""
    if isinstance(here, Shape):
        return here.branches.get(key)
    for one in _options(here):
        if _is_class(one) and key in fields_of(one):
            return fields_of(one)[key].type
        origin, arguments = typing.get_origin(one), typing.get_args(one)
        if isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) == 2:
            return arguments[1]
    return None


def _options(kind: Any) -> tuple[Any, ...]:
    """The members of a union such as ``int | None``; of anything else, itself."""
    if isinstance(kind, tuple):
        return kind
    arguments = typing.get_args(kind)
    return arguments if type(None) in arguments else (kind,)


def type_at(shape: Shape, place: Place) -> Any:
    here: Any = shape
    for part in place:
        here = _step(here, str(part))
    return here


def field_at(shape: Shape, place: Place) -> Any:
    """The attrs field at a place, or None."""
    if not place:
        return None
    for one in _options(type_at(shape, place[:-1])):
        if _is_class(one):
            return fields_of(one).get(str(place[-1]))
    return None


def secret_at(shape: Shape, place: Place) -> bool:
    """Whether a secret stands at a place, by the fields on the way there or by its own name."""
    on_the_way = (field_at(shape, place[:length]) for length in range(1, len(place) + 1))
    return is_secret_name(str(place[-1])) or any(
        is_secret(field) for field in on_the_way if field is not None
    )


def read_text(text: str, kind: Any) -> Any:
    """A variable's text for a field of this type: itself for text, else a YAML scalar."""
    kinds = [one for one in _options(kind) if one is not type(None)]
    if str in kinds:
        return text
    value = parse_value(text)
    for one in kinds:
        origin = typing.get_origin(one) or one
        is_list = isinstance(origin, type) and issubclass(origin, list | tuple | set | frozenset)
        if is_list and isinstance(value, str):
            return [part.strip() for part in text.split(",") if part.strip()]
    return value


def _is_class(kind: Any) -> bool:
    return isinstance(kind, type) and attrs.has(kind)
