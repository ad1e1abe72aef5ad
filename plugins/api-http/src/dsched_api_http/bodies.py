"""Reads queries and bodies into attrs classes: bounded, strict, with all problems at once."""

import asyncio
import json
import math
import re
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.web_exceptions import HTTPRequestEntityTooLarge

from dsched.config.holiday_days import import_holidays
from dsched.config.structuring import FlawedError, fields_of, structure
from dsched.wording import did_you_mean, printable
from dsched_api_http.problems import FieldError, Problem, invalid, of_errors, of_flaws

MAX_BODY_BYTES = 1024 * 1024
BODY_S = 30.0
MAX_DEPTH = 64
MAX_QUERY = 8192
MAX_UNKNOWN = 20

JSON_TYPES = frozenset({"application/json", "application/merge-patch+json"})

T = TypeVar("T")

_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_OPENS = ord("[")
_ALIKE = bytes.maketrans(b"{}", b"[]")
_INTEGER = re.compile(r"-?[0-9]{1,18}")


async def read_json(request: web.Request, *, optional: bool = False) -> Any:
    """The body as JSON; with ``optional`` an empty one is an empty object.

    Raises `Problem`: not JSON by type or text, too large, too deep, a name given twice, a number
    or a text that JSON does not have.
    """
    try:
        async with asyncio.timeout(BODY_S):
            body = await request.read()
    except TimeoutError as error:
        raise Problem("too_slow", f"a body has to come within {BODY_S:g} s") from error
    except HTTPRequestEntityTooLarge as error:
        raise Problem("too_large", f"a body has at most {MAX_BODY_BYTES} bytes") from error
    if optional and not body:
        return {}
    if request.content_type not in JSON_TYPES:
        raise Problem("unsupported_media", "send Content-Type: application/json")
    if b'"holidays"' in body:
        # A calendar may need the library, whose import would stop this pod's loop for a while.
        await asyncio.to_thread(import_holidays)
    return parse_json(body)


def parse_json(body: bytes) -> Any:
    """A JSON text from outside; raises `Problem`."""
    if deeper_than(body, MAX_DEPTH):
        raise invalid("", f"the body is nested deeper than {MAX_DEPTH} levels")
    try:
        text = body.decode()
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_float,
        )
        if "\\u" in text:  # without one there are no lone surrogates, which are no text
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise invalid("", "the body is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise invalid("", f"the body is not JSON: {printable(str(error), 200)}") from error
    return value


def deeper_than(body: bytes, most: int) -> bool:
    """Whether a JSON text is nested deeper; linear, and without building anything."""
    brackets = left = _outside_of_texts(body).translate(_ALIKE, _NO_BRACKETS)
    for _ in range(most):
        # Each round takes one level away, the innermost: of most texts nothing is left after a few.
        before, left = left, left.replace(b"[]", b"")
        if not left:
            return False
        if left == before:  # its brackets do not match
            break
    return _depth_of(brackets, most) > most


def _outside_of_texts(body: bytes) -> bytes:
    """What of a JSON text stands in no string."""
    if b"\\" in body:
        # An escape begins at the first of a run of backslashes, so that pairs of them go first.
        body = body.replace(rb"\\", b"").replace(rb"\"", b"")
    return b"".join(body.split(b'"')[::2])


def _depth_of(brackets: bytes, most: int) -> int:
    """How deep these go; ``most`` and one where they go deeper."""
    depth = deepest = 0
    for byte in brackets:
        if byte == _OPENS:
            depth += 1
            deepest = max(deepest, depth)
            if depth > most:
                break
        else:
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"{printable(_twice(pairs))!r} is given twice")
    return found


def _twice(pairs: list[tuple[str, Any]]) -> str:
    """The first name that was given before; linear."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            break
        seen.add(name)
    return name


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{printable(text)} is too large a number")
    return number


def structured(cls: type[T], raw: object) -> T:
    """A body as its class; raises `Problem` with everything that is wrong."""
    if not isinstance(raw, Mapping):
        raise invalid("", "the body must be a JSON object")
    return _structured(cls, raw)


def wire_name(name: str) -> str:
    """A field's name as clients write it: ``from`` is a word of Python's own."""
    return name.rstrip("_")


def _structured(cls: type[T], raw: Mapping[str, Any]) -> T:
    own = {wire_name(name): name for name in fields_of(cls)}
    unknown = [name for name in raw if name not in own]
    if unknown:
        names = sorted(own)
        raise of_errors(
            [
                FieldError(printable(name), f"is not a known field; {did_you_mean(name, names)}")
                for name in unknown[:MAX_UNKNOWN]
            ]
        )
    try:
        return structure(cls, {own[name]: value for name, value in raw.items()})
    except FlawedError as error:
        raise of_flaws(error) from error


def read_query(request: web.Request, cls: type[T]) -> T:
    """The query as its class; unknown names are refused, and repeated ones that are no list."""
    if len(request.rel_url.raw_query_string) > MAX_QUERY:
        raise Problem("too_large", f"a query has at most {MAX_QUERY} bytes")
    kinds = {wire_name(name): field.type for name, field in fields_of(cls).items()}
    values: dict[str, Any] = {}
    for name, text in request.query.items():
        if typing.get_origin(kinds.get(name)) is tuple:
            values.setdefault(name, []).append(text)
            continue
        if name in values:
            raise invalid(printable(name), "is given twice")
        values[name] = _typed(text, kinds.get(name))
    return _structured(cls, values)


def _typed(text: str, kind: Any) -> Any:
    """A parameter's text as structuring wants it; text that does not fit is left for it to
    refuse."""
    kinds = typing.get_args(kind) or (kind,)
    if bool in kinds and text in ("true", "false"):
        return text == "true"
    if int in kinds and _INTEGER.fullmatch(text):
        return int(text)
    return text
