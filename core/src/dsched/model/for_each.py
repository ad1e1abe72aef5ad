"""`for_each` of a step: a list that is written out, or one reference to a list."""

from collections.abc import Callable, Mapping, Sequence

from dsched.model.fields import InvalidConfigError
from dsched.model.json import MAX_PAYLOAD_BYTES, JsonValue, NotJsonError, check_json
from dsched.model.params import Param, ParamType
from dsched.model.references import Names, check_payload
from dsched.model.templates import (
    Path,
    TemplateError,
    mentions_secret,
    only_reference,
    references,
    render,
)

MAX_ITEMS = 1000
# What is known before the members of a step are made.
_ROOTS = frozenset({"fire", "params", "needs", "run"})
_TEXTS = frozenset({"fire", "run"})
_EXAMPLE = "write a list, or one reference to a list such as ${needs.load.data.tables}"


def given_list(value: JsonValue) -> JsonValue:
    """A list as it is kept."""
    return list(value) if isinstance(value, tuple) else value


def check_for_each(value: JsonValue) -> None:
    """Refuse what is neither a list nor one reference."""
    if isinstance(value, str):
        try:
            whole = only_reference(value)
        except TemplateError as error:
            raise InvalidConfigError("for_each", str(error)) from None
        if whole is None:
            raise InvalidConfigError("for_each", f"{value[:60]!r} is no list; {_EXAMPLE}")
        return
    if not isinstance(value, Sequence) or isinstance(value, bytes | bytearray):
        raise InvalidConfigError("for_each", f"must be a list; {_EXAMPLE}")
    if len(value) > MAX_ITEMS:
        raise InvalidConfigError(
            "for_each", f"has {len(value)} items; at most {MAX_ITEMS} are allowed: {_REMEDY}"
        )
    try:
        check_json(value, "for_each", MAX_PAYLOAD_BYTES)
    except NotJsonError as error:
        raise InvalidConfigError("for_each", str(error).removeprefix("for_each ")) from None
    if mentions_secret(value):
        raise InvalidConfigError(
            "for_each", "mentions a secret reference; write it into the payload, where it is read"
        )


_REMEDY = "let an item stand for several"


def check_list_references(
    value: JsonValue, where: str, *, names: Names, params: Mapping[str, Param]
) -> None:
    """Refuse references to what is not known when the list is read, or that is no list."""
    try:
        paths = references(value)
    except TemplateError as error:
        raise InvalidConfigError(where, str(error)) from None
    for path in paths:
        if path[0] not in _ROOTS:
            raise InvalidConfigError(
                where,
                f"${{{'.'.join(path)}}} is not known before there are members; a list may refer "
                "to needs.STEP.data, params.NAME, fire.time, fire.date, fire.ms, run.id",
            )
    check_payload(value, where, names)
    if isinstance(value, str):
        (whole,) = paths
        kind = _kind_of(whole, params)
        if kind:
            raise InvalidConfigError(where, f"{value} is {kind}, no list; {_EXAMPLE}")


def _kind_of(path: Path, params: Mapping[str, Param]) -> str:
    """What a reference names that is certainly no list; nothing where that is not known yet."""
    if path[0] in _TEXTS:
        return "one value"
    if path[0] != "params":
        return ""
    kind = params[path[1]].type
    inner = {ParamType.LIST, ParamType.OBJECT} if len(path) > 2 else {ParamType.LIST}
    return "" if kind in inner else f"of the type {kind}"


def items_of(for_each: JsonValue, resolve: Callable[[Path], JsonValue]) -> Sequence[JsonValue]:
    """The items, one for each member; `TemplateError` for what is no list, or too long."""
    found = render(for_each, resolve)
    if isinstance(found, str | bytes) or not isinstance(found, Sequence):
        kind = "nothing" if found is None else f"a {type(found).__name__}"
        raise TemplateError(f"{for_each} is {kind}, and for_each needs a list")
    if len(found) > MAX_ITEMS:
        name = for_each if isinstance(for_each, str) else "for_each"
        raise TemplateError(
            f"{name} has {len(found)} items; at most {MAX_ITEMS} are allowed: {_REMEDY}"
        )
    return found
