"""Plain values to attrs classes, strictly, gathering every problem instead of the first."""

import re
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from types import UnionType
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import attrs
import cattrs
from cattrs.errors import BaseValidationError
from cattrs.strategies import configure_union_passthrough

from dsched.config.durations import parse_duration
from dsched.config.problems import Place, path_text, shown, tidy
from dsched.config.secrets import is_secret
from dsched.model import Calendar
from dsched.model.calendars import calendar_of
from dsched.wording import MAX_PROBLEMS, did_you_mean

C = TypeVar("C")


@attrs.frozen
class Flaw:
    """One thing wrong with a value, relative to where structuring started."""

    place: Place
    reason: str

    def below(self, place: Place) -> "Flaw":
        """The same flaw, seen from further up."""
        return Flaw((*place, *self.place), self.reason)


class FlawedError(Exception):
    """Everything that is wrong with a value."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        self.flaws = tuple(flaws)
        super().__init__("; ".join(f"{path_text(one.place)}: {one.reason}" for one in flaws))


def structure(cls: type[C], raw: object, *, placeholders: Mapping[str, Any] | None = None) -> C:
    """Fill an attrs class from a mapping; raises `FlawedError` with all that is wrong.

    Types are strict: nothing is turned into text or numbers that was not written so. An unknown
    key is a flaw. A class may refuse values in its own validators or ``__attrs_post_init__``; then
    the refused field is set to its default, or to its placeholder, to see what else is wrong.
    """
    value: C = _structure_class(raw, cls, placeholders or {})
    return value


def flaws_of(error: Exception) -> list[Flaw]:
    """What an exception of structuring says, as flaws."""
    if isinstance(error, FlawedError):
        return list(error.flaws)
    if isinstance(error, BaseValidationError):
        return [one for exc in error.exceptions for one in flaws_of(exc)]
    return [Flaw((), tidy(str(error)) or type(error).__name__)]


_fields: "WeakKeyDictionary[type[Any], Mapping[str, attrs.Attribute[Any]]]" = WeakKeyDictionary()


def fields_of(cls: type[Any]) -> Mapping[str, "attrs.Attribute[Any]"]:
    """The fields of an attrs class that can be given, types resolved, by name."""
    found = _fields.get(cls)
    if found is None:
        resolved = attrs.resolve_types(cls)
        given = (field for field in attrs.fields(resolved) if field.init)
        found = _fields[cls] = {field.alias or field.name: field for field in given}
    return found


_AS_THEY_ARE = frozenset({str, int, bool, float, timedelta})


def _structure_class(raw: object, cls: type[Any], placeholders: Mapping[str, Any]) -> Any:
    if isinstance(raw, cls):
        return raw
    if not isinstance(raw, Mapping):
        raise FlawedError([Flaw((), f"must be a mapping of keys to values, got {_kind(raw)}")])
    fields = fields_of(cls)
    flaws = unknown_keys(raw, fields)
    values: dict[str, Any] = dict(placeholders)
    for name, field in fields.items():
        if name not in raw:
            if field.default is attrs.NOTHING:
                flaws.append(Flaw((name,), "is missing; it has no default"))
            continue
        value, kind = raw[name], field.type or Any
        if type(value) is kind and kind in _AS_THEY_ARE:
            values[name] = value  # as most are
            continue
        try:
            values[name] = _CONVERTER.structure(value, kind)
        except Exception as error:  # noqa: BLE001 - whatever a hook raises is about this value
            flaws.extend(_discreet(flaw, field, raw[name]) for flaw in flaws_of(error))
    built = _build(cls, fields, values=values, placeholders=placeholders, flaws=flaws)
    if flaws:
        raise FlawedError(flaws)
    return built


def unknown_keys(raw: Iterable[object], known: Collection[str]) -> list[Flaw]:
    """A flaw for each key that is not known; of very many, the first and how many more."""
    unknown = [key for key in raw if key not in known]
    flaws = [
        Flaw((str(key),), f"is not a known key; {did_you_mean(str(key), known)}")
        for key in unknown[:MAX_PROBLEMS]
    ]
    if len(unknown) > MAX_PROBLEMS:
        flaws.append(Flaw((), f"has {len(unknown) - MAX_PROBLEMS} more keys that are not known"))
    return flaws


def _discreet(flaw: Flaw, field: Any, raw: object = "") -> Flaw:
    """The flaw, without the value if that is a secret."""
    below = flaw.below((field.alias or field.name,))
    if not is_secret(field):
        return below
    remedy = "must be text; put it in quotes" if not isinstance(raw, str | Mapping) else "is wrong"
    return attrs.evolve(below, reason=f"{remedy} (its value is not shown)")


def _build(
    cls: type[Any],
    fields: Mapping[str, Any],
    *,
    values: dict[str, Any],
    placeholders: Mapping[str, Any],
    flaws: list[Flaw],
) -> Any:
    """Make the object, replacing one refused field after another to find all that are refused."""
    mended: set[str] = set()
    for _ in range(len(fields) + 1):
        try:
            return cls(**values)
        except TypeError as error:
            # A required field is missing, which is a flaw already; else the class is at fault.
            if not flaws:
                flaws.append(Flaw((), str(error)))
            return None
        except Exception as error:  # noqa: BLE001 - a validator may raise what it likes
            flaw = _named(error, fields)
            name = str(flaw.place[0]) if flaw.place else ""
            secret = name in fields and is_secret(fields[name])
            if not secret and _quotes_secret(error, fields, values):
                flaw = Flaw(flaw.place, "is refused (the reason quotes a secret)")
            if name in mended:  # its default does not fit either: the flaw is noted
                return None
            flaws.append(_discreet(Flaw((), ""), fields[name]) if secret else flaw)
            if not _mend(name, fields, values, placeholders):
                return None
            mended.add(name)
    return None


def _quotes_secret(error: Exception, fields: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether a refusal that names no secret field quotes the value of one all the same."""
    secrets = (values.get(name) for name, field in fields.items() if is_secret(field))
    return any(isinstance(one, str) and one and one in str(error) for one in secrets)


def _mend(
    name: str, fields: Mapping[str, Any], values: dict[str, Any], placeholders: Mapping[str, Any]
) -> bool:
    if name in placeholders:
        values[name] = placeholders[name]
    elif name in fields and fields[name].default is not attrs.NOTHING:
        values.pop(name, None)
    else:
        return False
    return True


_LENGTH_OF = re.compile(r"Length of '(?P<path>\w+)' (?P<rest>.+)", re.DOTALL)
_LEADING_FIELD = re.compile(r"'?(?P<path>[A-Za-z_][A-Za-z0-9_.]*)'?:?\s+(?P<rest>.+)", re.DOTALL)


def _named(error: Exception, fields: Mapping[str, Any]) -> Flaw:
    """A refusal with the field it is about: said as an attribute, or as its first word."""
    field, reason = getattr(error, "field", None), getattr(error, "reason", None)
    if isinstance(field, str) and isinstance(reason, str):
        return Flaw(tuple(field.split(".")), reason)
    text = tidy(str(error.args[0])) if error.args else type(error).__name__
    for pattern, prefix in ((_LENGTH_OF, "length "), (_LEADING_FIELD, "")):
        found = pattern.match(text)
        place = tuple(found["path"].split(".")) if found else ()
        if found and place[0] in fields:
            return Flaw(place, prefix + found["rest"])
    return Flaw((), text)


def _kind(value: object) -> str:
    names: Mapping[type, str] = {
        bool: "true or false",
        str: "text",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a mapping",
        type(None): "nothing",
    }
    name = names.get(type(value), "a date" if isinstance(value, date) else type(value).__name__)
    return f"{name} ({shown(value)})" if isinstance(value, str | int | float | date) else name


def _exact(
    wanted: str, allowed: tuple[type, ...], remedy: str = ""
) -> Callable[[object, Any], Any]:
    def check(raw: object, _: Any) -> Any:
        if not isinstance(raw, allowed) or (isinstance(raw, bool) and bool not in allowed):
            raise ValueError(f"must be {wanted}, got {_kind(raw)}{remedy}")
        return raw

    return check


def _float(raw: object, cls: Any) -> float:
    return float(_exact("a number", (int, float))(raw, cls))


def _duration(raw: object, _: Any) -> timedelta:
    return raw if isinstance(raw, timedelta) else parse_duration(raw)


def _instant(raw: object, _: Any) -> datetime:
    example = "such as 2026-01-31T09:00:00Z or 2026-01-31T09:00:00+01:00"
    value = raw
    if isinstance(raw, str):
        try:
            value = datetime.fromisoformat(raw)
        except ValueError as error:
            raise ValueError(
                f"{shown(raw)} is no date and time ({error}); write one {example}"
            ) from error
    if not isinstance(value, datetime):
        raise ValueError(f"must be a date and time {example}, got {_kind(raw)}")
    if value.tzinfo is None:
        raise ValueError(f"{shown(raw)} has no UTC offset; add one, {example}")
    try:
        value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{shown(raw)} is outside of the years 1 to 9999 in UTC") from error
    return value


def _enum(raw: object, cls: type[Enum]) -> Enum:
    for member in cls:
        if raw is member or (type(raw) is not bool and raw == member.value):
            return member
    names = ", ".join(str(member.value) for member in cls)
    raise ValueError(f"must be one of {names}; got {_kind(raw)}")


def _literal(raw: object, cls: Any) -> object:
    allowed = typing.get_args(cls)
    if any(raw == one and type(raw) is type(one) for one in allowed):
        return raw
    raise ValueError(f"must be one of {', '.join(map(str, allowed))}; got {_kind(raw)}")


def _number_or_word(raw: object, cls: Any) -> object:
    """A whole number, one of a few words, or nothing."""
    words = [word for one in typing.get_args(cls) for word in typing.get_args(one)]
    if type(raw) is int or raw is None or (isinstance(raw, str) and raw in words):
        return raw
    raise ValueError(f"must be a whole number, or {' or '.join(words)}; got {_kind(raw)}")


def _sequence(raw: object, cls: Any) -> Any:
    """A list for any of list, tuple, set and frozenset, item by item."""
    if not isinstance(raw, list | tuple | set | frozenset):
        raise ValueError(f"must be a list, got {_kind(raw)}")
    made = typing.get_origin(cls) or cls
    arguments = typing.get_args(cls) or (Any,)
    target = made if made in (tuple, set, frozenset) else list
    if target is tuple and len(arguments) > 1 and arguments[1] is not Ellipsis:
        if len(raw) != len(arguments):
            raise ValueError(f"must be a list of {len(arguments)}, got {len(raw)}")
        kinds = list(arguments)
    else:
        kinds = [arguments[0]] * len(raw)
    return target(_each(zip(range(len(raw)), raw, kinds, strict=True)))


def _mapping(raw: object, cls: Any) -> dict[Any, Any]:
    if not isinstance(raw, Mapping):
        raise ValueError(f"must be a mapping of keys to values, got {_kind(raw)}")
    key_kind, value_kind = typing.get_args(cls) or (Any, Any)
    keys = _each((str(key), key, key_kind) for key in raw)
    values = _each((str(key), value, value_kind) for key, value in raw.items())
    return dict(zip(keys, values, strict=True))


def _each(items: Iterable[tuple[str | int, object, Any]]) -> list[Any]:
    """Structure items with their keys; the flaws of all of them together, up to a bound."""
    done: list[Any] = []
    flaws: list[Flaw] = []
    for key, raw, kind in items:
        if len(flaws) >= MAX_PROBLEMS:
            flaws.append(Flaw((), f"is not read beyond the first {MAX_PROBLEMS} problems"))
            break
        try:
            done.append(_CONVERTER.structure(raw, kind))
        except Exception as error:  # noqa: BLE001 - whatever a hook raises is about this item
            flaws.extend(flaw.below((key,)) for flaw in flaws_of(error))
    if flaws:
        raise FlawedError(flaws)
    return done


def _is_kind(*origins: type) -> Callable[[Any], bool]:
    def matches(cls: Any) -> bool:
        origin = typing.get_origin(cls) or cls
        return (
            isinstance(origin, type) and origin not in (str, bytes) and issubclass(origin, origins)
        )

    return matches


def _is_literal(cls: Any) -> bool:
    return typing.get_origin(cls) is typing.Literal


def _is_number_or_word(cls: Any) -> bool:
    kinds = typing.get_args(cls) if typing.get_origin(cls) in (typing.Union, UnionType) else ()
    left = {one for one in kinds if not _is_literal(one)}
    return len(left) < len(kinds) and left == {int, type(None)}


def _is_attrs_class(cls: Any) -> bool:
    return isinstance(cls, type) and attrs.has(cls)


def _but_for_enums(hook: Callable[[object, Any], Any]) -> Callable[[object, Any], Any]:
    """cattrs takes a hook for str also for every `StrEnum`, as a kind of str."""

    def structure_scalar(raw: object, cls: Any) -> Any:
        is_enum = isinstance(cls, type) and issubclass(cls, Enum)
        return _enum(raw, cls) if is_enum else hook(raw, cls)

    return structure_scalar


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=True)
    configure_union_passthrough(str | int | float | bool | None, converter)
    scalars: Mapping[type, Callable[[object, Any], Any]] = {
        str: _exact("text", (str,), "; put it in quotes"),
        int: _exact("a whole number", (int,)),
        bool: _exact("true or false", (bool,)),
        float: _float,
        timedelta: _duration,
        datetime: _instant,
        Calendar: lambda raw, _: raw if isinstance(raw, Calendar) else calendar_of(raw),
    }
    for kind, hook in scalars.items():
        converter.register_structure_hook(kind, _but_for_enums(hook))
    converter.register_structure_hook_func(_is_kind(Sequence, AbstractSet), _sequence)
    converter.register_structure_hook_func(_is_kind(Mapping), _mapping)
    converter.register_structure_hook_func(_is_kind(Enum), _enum)
    converter.register_structure_hook_func(_is_literal, _literal)
    converter.register_structure_hook_func(_is_number_or_word, _number_or_word)
    converter.register_structure_hook_func(
        _is_attrs_class, lambda raw, cls: _structure_class(raw, cls, {})
    )
    return converter


_CONVERTER = _make_converter()
