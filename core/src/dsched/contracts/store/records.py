"""How a value becomes a record and is read from one: by its fields' types, once for each class.

A record is a flat mapping. Fields at their default are omitted, durations are whole milliseconds,
datetimes RFC 3339, and so on: `_form_of` has it all.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import attrs

from dsched.model import JsonValue

_Record = dict[str, JsonValue]
_MS = timedelta(milliseconds=1)


@attrs.frozen
class _Form:
    """How a field is written and read. A value of exactly the type ``kind`` is read as it is."""

    kind: type
    write: Callable[[Any], JsonValue] | None
    read: Callable[[Any], Any]


class RecordOf:
    """The record of a class, with all of its fields but those ``apart``."""

    def __init__(self, cls: type, apart: Iterable[str] = ()) -> None:
        fields = [field for field in attrs.fields(cls) if field.name not in set(apart)]
        self._forms = {field.name: _form_of(field.type) for field in fields}
        self._rows = tuple(
            (field.name, field.default, self._forms[field.name].write) for field in fields
        )
        self._values = attrgetter(*self._forms) if len(self._forms) > 1 else self._only_value

    def _only_value(self, value: object) -> tuple[Any, ...]:
        return tuple(getattr(value, name) for name in self._forms)

    def write(self, value: object) -> _Record:
        """What differs from the defaults."""
        record = {}
        for (name, default, write), given in zip(self._rows, self._values(value), strict=True):
            if given is not default and given != default:
                record[name] = given if write is None else write(given)
        return record

    def read(self, record: Mapping[str, JsonValue]) -> dict[str, Any]:
        """The fields that a record has. What is not known is of a later version, and left out."""
        found = {}
        for name, given in record.items():
            form = self._forms.get(name)
            if form is not None:
                found[name] = given if type(given) is form.kind else form.read(given)
        return found


def _form_of(given: Any) -> _Form:
    """The form of a type. Texts and numbers are read from whatever can be one, as they ever
    were."""
    if get_origin(given) in (Union, UnionType):
        inner, *others = (one for one in get_args(given) if one is not NoneType)
        if others:  # of plain values, such as a number or a word: each is written as it is
            return _Form(object, None, lambda value: value)
        form = _form_of(inner)
        write = None if form.write is None else _or_none(form.write)
        return attrs.evolve(form, write=write, read=_or_none(form.read))
    if given is Any:
        return _Form(object, None, lambda value: value)
    if given is timedelta:
        return _Form(timedelta, lambda span: span // _MS, lambda ms: timedelta(milliseconds=ms))
    if given is datetime:
        return _Form(datetime, datetime.isoformat, datetime.fromisoformat)
    if get_origin(given) is tuple:
        return _sequence(get_args(given)[0])
    if get_origin(given) is not None and get_args(given)[1] in (int, Any):
        return _Form(Mapping, dict, lambda value: MappingProxyType(dict(value)))
    if get_origin(given) is not None and attrs.has(get_args(given)[1]):
        return _mapping(get_args(given)[1])
    if get_origin(given) is not None:  # a mapping of texts
        return _Form(Mapping, dict, _labels)
    if attrs.has(given):
        return _nested(given)
    if issubclass(given, StrEnum):
        return _Form(given, str, given)
    return _Form(given, None, given)


def _sequence(of: Any) -> _Form:
    """A tuple; its items are written and read one by one where they are records."""
    if not (isinstance(of, type) and attrs.has(of)):
        return _Form(tuple, list, tuple)
    item = _nested(of)
    write = item.write or (lambda value: value)
    return _Form(
        tuple,
        lambda values: [write(value) for value in values],
        lambda values: tuple(item.read(value) for value in values),
    )


def _mapping(of: type) -> _Form:
    """A mapping whose values are records."""
    item = _nested(of)
    write = item.write or (lambda value: value)
    return _Form(
        Mapping,
        lambda values: {name: write(value) for name, value in values.items()},
        lambda values: MappingProxyType({name: item.read(one) for name, one in values.items()}),
    )


def _or_none(turn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else turn(value)


def _labels(value: Mapping[str, Any]) -> Mapping[str, str]:
    return MappingProxyType({str(key): str(one) for key, one in value.items()})


def _nested(cls: type) -> _Form:
    record = RecordOf(cls)
    return _Form(cls, record.write, lambda value: cls(**record.read(value)))
