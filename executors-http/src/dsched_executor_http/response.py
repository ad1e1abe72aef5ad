"""Reading a response within bounds, and judging it: success, retryable or final."""

import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from json import JSONDecoder, detect_encoding
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn

import attrs
from multidict import istr

from dsched.contracts import TaskFailed
from dsched.contracts.executor.secrets import Redactor
from dsched.model import JsonValue, NotJsonError
from dsched.model.json import MAX_JSON_DEPTH, check_json, dumps

if TYPE_CHECKING:
    from aiohttp import ClientResponse

RETRYABLE_STATUSES = frozenset({408, 425, 429})
EXCERPT_BYTES = 2048  # of a body, in the task's log
MAX_RETRY_AFTER_S = 366 * 86_400.0

_KEPT_HEADERS = (
    *("Content-Type", "Content-Length", "Date", "ETag", "Last-Modified", "Location"),
    *("Retry-After", "X-Request-Id", "X-Correlation-Id"),
)
# Each with the client's own type of name, which need not be converted to one case for a look-up.
_LOOKED_UP = tuple((name, istr(name)) for name in _KEPT_HEADERS)
_CONTENT_ENCODING = istr("Content-Encoding")
# Types that are text although their name does not begin with it.
_TEXT_KINDS = ("json", "xml", "javascript", "yaml", "x-www-form-urlencoded")
_MAX_HEADER_LENGTH = 500
_JSON_SPACE = " \t\n\r"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Named one by one: Python knows codecs that expand, compress or run for very long.
_CHARSET = re.compile(
    r"\A(utf-?8|(us-)?ascii|iso-8859-\d{1,2}|latin-?1|windows-125\d|utf-16(le|be)?|gbk|gb2312|"
    r"gb18030|big5|shift_jis|euc-jp|euc-kr|koi8-[ru])\Z",
    re.IGNORECASE,
)


@attrs.frozen
class Body:
    """What was read of a body; ``cut`` if there was more, ``text`` None if it cannot be decoded."""

    content: bytes
    cut: bool = False
    decoded: bool = True


async def read_body(response: "ClientResponse", limit: int) -> Body:
    """Read a body up to ``limit`` bytes, on the wire and decompressed; never hold more than both.

    Raises `TaskFailed` for a body that says it is compressed and is not.
    """
    encoding = response.headers.get(_CONTENT_ENCODING, "identity").strip().lower()
    length = response.content_length
    if encoding == "identity" and length is not None and length <= limit:
        return Body(await response.read())
    if encoding in ("identity", ""):
        return await _read_plain(response, limit)
    if encoding in ("gzip", "x-gzip", "deflate"):
        try:
            return await _read_compressed(response, limit, deflate=encoding == "deflate")
        except zlib.error as error:
            raise TaskFailed(
                f"the response says it is {encoding}, but cannot be decompressed: {error}",
                "response",
            ) from None
    return Body(b"", cut=True, decoded=False)


async def _read_plain(response: "ClientResponse", limit: int) -> Body:
    read = bytearray()
    async for chunk in response.content.iter_any():
        read += chunk
        if len(read) > limit:
            return Body(bytes(read[:limit]), cut=True)
    return Body(bytes(read))


async def _read_compressed(response: "ClientResponse", limit: int, *, deflate: bool) -> Body:
    inflater = None if deflate else zlib.decompressobj(16 + zlib.MAX_WBITS)
    read, raw = bytearray(), 0
    async for chunk in response.content.iter_any():
        raw += len(chunk)
        if inflater is None:
            # Servers send "deflate" with and without the zlib header; its first nibble is 8.
            wrapped = chunk[0] & 0x0F == 8
            inflater = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        # max_length keeps a bomb from being inflated: what is over stays compressed.
        read += inflater.decompress(chunk, limit + 1 - len(read))
        if len(read) > limit or raw > limit:
            return Body(bytes(read[:limit]), cut=True)
    return Body(bytes(read), cut=inflater is not None and not inflater.eof)


def result_data(
    response: "ClientResponse", body: Body, max_bytes: int, redactor: Redactor
) -> dict[str, JsonValue]:
    """The ``data`` of a result: status, a few headers, the body, and whether it is ``truncated``.

    The body is parsed if it says it is JSON, is whole, and is within what a result may hold;
    else it is text, at most ``max_bytes`` as JSON. None stands for no body.
    """
    sent = response.headers
    headers: dict[str, JsonValue] = {
        name: _one_line(redactor.text(value))[:_MAX_HEADER_LENGTH]
        for name, looked_up in _LOOKED_UP
        if (value := sent.get(looked_up)) is not None
    }
    kept, truncated = _kept_body(response, body, max_bytes, redactor)
    return {"status": response.status, "headers": headers, "body": kept, "truncated": truncated}


def _one_line(text: str) -> str:
    return text if text.isprintable() else _CONTROL.sub(" ", text)


def _kept_body(
    response: "ClientResponse", body: Body, max_bytes: int, redactor: Redactor
) -> tuple[JsonValue, bool]:
    if not body.content:
        return None, body.cut
    kind = response.content_type
    if not body.cut and (kind == "application/json" or kind.endswith("+json")):
        try:
            value = redactor.json(_json_of(body.content))
            if not _surely_fits(body.content, max_bytes):
                check_json(value, "body", max_bytes)
        except (ValueError, RecursionError, NotJsonError):
            pass  # not JSON after all, or too much of it for a result: keep it as text
        else:
            return value, False
    text = redactor.text(body.content.decode(_charset(response), "replace"))
    if body.cut and redactor.longest:
        # The cut may have gone through a secret, and nothing would recognise its first half.
        text = text[: -redactor.longest]
    excerpt = _excerpt(text, max_bytes)
    return excerpt, body.cut or len(excerpt) < len(text)


def answer_lines(
    response: "ClientResponse", shown: str, body: Body, redactor: Redactor
) -> tuple[str, ...]:
    """What the task's log keeps of a response: one line about it, and one with how its body begins
    if that is text. Secrets are redacted before anything is cut."""
    kind = response.content_type if body.content else "no body"
    size = f", more than {len(body.content):,} bytes" if body.cut else ""
    size = size or (f", {len(body.content):,} bytes" if body.content else "")
    about = f"{shown} answered {response.status} {reason_of(response)} ({kind}{size})"
    lines = [redactor.text(about)]
    if body.content and body.decoded and _is_text(kind):
        # Enough that, after the last possible half of a secret is dropped, all of it is left.
        begin = body.content[: EXCERPT_BYTES + 4 * redactor.longest]
        text = redactor.text(begin.decode(_charset(response), "replace"))
        if redactor.longest and (body.cut or len(begin) < len(body.content)):
            text = text[: -redactor.longest]
        lines.append(text[:EXCERPT_BYTES])
    return tuple(lines)


def _is_text(kind: str) -> bool:
    return kind.startswith("text/") or kind.endswith(_TEXT_KINDS)


def _charset(response: "ClientResponse") -> str:
    charset = response.charset
    return charset if charset is not None and _CHARSET.match(charset) else "utf-8"


def _json_of(content: bytes) -> JsonValue:
    # ASCII without a zero byte is in no encoding of two or four bytes: nothing to detect.
    plain = content.isascii() and 0 not in content
    text = content.decode("ascii" if plain else detect_encoding(content)).strip(_JSON_SPACE)
    value, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise ValueError("there is more than one value")
    return value


def _surely_fits(content: bytes, max_bytes: int) -> bool:
    """Whether no result can be too large, deep or odd for the store when it is made of this text.

    So short answers, which are most, need not be written out only to be measured. A number grows
    fivefold at most (``9e15``); half a character can only come from an escape.
    """
    return (
        len(content) * 8 <= max_bytes
        and content.count(b"[") + content.count(b"{") < MAX_JSON_DEPTH
        and b"\\u" not in content
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:20]} is beyond what a result can carry")
    return number


_DECODER = JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def _excerpt(text: str, max_bytes: int) -> str:
    """The longest beginning, roughly, that takes at most ``max_bytes`` as JSON."""
    text = text[:max_bytes]
    while (size := len(dumps(text).encode(errors="replace"))) > max_bytes:
        text = text[: min(len(text) - 1, len(text) * max_bytes // size)]
    return text


def retryable(status: int) -> bool:
    """Whether a response of this status, which was not expected, is worth another try."""
    return status >= 500 or status in RETRYABLE_STATUSES


def reason_of(response: "ClientResponse") -> str:
    """The reason phrase, made harmless; the standard one where the server gives none."""
    reason = _one_line(response.reason or "")[:100].strip()
    if reason:
        return reason
    try:
        return HTTPStatus(response.status).phrase
    except ValueError:
        return ""


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds that a Retry-After header asks for (RFC 9110, 10.2.3), or None.

    A date is measured against the response's own Date, where it has one, so that a wrong clock
    on either side does no harm.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:12]), MAX_RETRY_AFTER_S)
    until = _http_date(value)
    if until is None:
        return None
    since = _http_date(headers.get("Date", "")) or now
    return min(max((until - since).total_seconds(), 0.0), MAX_RETRY_AFTER_S)


def _http_date(value: str) -> datetime | None:
    if not value or len(value) > 64:
        return None
    try:
        instant = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def status_failure(
    response: "ClientResponse", shown: str, *, data: Any, now: datetime, redactor: Redactor
) -> TaskFailed:
    """The failure that a response is whose status was not expected."""
    status = response.status
    may_retry = retryable(status)
    hint = ""
    if 300 <= status < 400:
        hint = "; to follow redirects set follow_redirects: true"
    return TaskFailed(
        redactor.text(f"{shown} answered {status} {reason_of(response)}{hint}"),
        str(status),
        retryable=may_retry,
        retry_after=retry_after_s(response.headers, now) if may_retry else None,
        data=data,
    )
