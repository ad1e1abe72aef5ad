"""Requests as values, and where they go."""

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import attrs

from dsched_client.answers import Answer

if TYPE_CHECKING:
    from dsched.model import JsonValue

T = TypeVar("T")

BASE = "/api/v1"
_TOKEN = re.compile(r"[\x21-\x7e]{1,512}")
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


@attrs.frozen(kw_only=True)
class Endpoint:
    """The address of an API."""

    scheme: str
    host: str
    port: int
    prefix: str

    @property
    def secure(self) -> bool:
        """Whether it is spoken to through TLS."""
        return self.scheme == "https"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@attrs.frozen(kw_only=True)
class Request:
    """What is asked. ``path`` is quoted already. ``repeatable``: making it again does no harm.

    ``extra_s`` is how much longer than usual its answer may take.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes | None = None
    repeatable: bool = True
    extra_s: float = 0.0

    @property
    def target(self) -> str:
        """Path and query, as they stand in the request's first line."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


@attrs.frozen
class Call(Generic[T]):
    """A request, and how its answer is read."""

    request: Request
    read: Callable[[Answer], T]


def endpoint(url: str) -> Endpoint:
    """An address such as ``https://dsched.example.com:8700``; `ValueError` says what is wrong."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url must be like http://127.0.0.1:8700, got {url!r}")
    if parts.username or parts.password:
        raise ValueError("url must not hold a user or a password; give a token")
    if parts.query or parts.fragment:
        raise ValueError(f"url must have no query and no fragment, got {url!r}")
    prefix = parts.path.rstrip("/")
    if any(ord(char) <= 32 or ord(char) >= 127 for char in url):
        raise ValueError("url must be printable ASCII without spaces")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Endpoint(scheme=parts.scheme, host=parts.hostname, port=port, prefix=prefix)


def common_headers(token: str | None, agent: str) -> dict[str, str]:
    """The headers of every request; `ValueError` for a token that no header can carry."""
    headers = {"Accept": "application/json", "User-Agent": agent}
    if token is not None:
        if not _TOKEN.fullmatch(token):
            raise ValueError("token must be 1 to 512 printable ASCII characters without spaces")
        headers["Authorization"] = f"Bearer {token}"
    return headers


def path_of(*parts: str) -> str:
    """A path of the API; each part is quoted whole, so that an id cannot leave its place."""
    quoted = []
    for part in parts:
        if part in ("", ".", ".."):
            raise ValueError(f"{part!r} is no id")
        quoted.append(quote(part, safe=""))
    return "/".join((BASE, *quoted))


def request(
    method: str,
    path: str,
    *,
    query: Mapping[str, str | int | bool | tuple[str, ...] | None] | None = None,
    body: "JsonValue | bytes" = None,
    headers: Mapping[str, str] | None = None,
    key: str | None = None,
    repeatable: bool = True,
    extra_s: float = 0.0,
) -> Request:
    """Put a request together; queries that are None are left out, those that are tuples are given
    once for each item; ``key`` makes it repeatable.

    ``body`` is a value, or bytes that are JSON already.
    """
    found = dict(headers or {})
    if key is not None:
        if not _KEY.fullmatch(key):
            raise ValueError("key must be 1 to 200 printable ASCII characters without spaces")
        found["Idempotency-Key"] = key
    data = None
    if body is not None:
        data = body if isinstance(body, bytes) else _json(body)
        found["Content-Type"] = "application/json"
    return Request(
        method=method,
        path=path,
        query=tuple(
            (name, _text(one))
            for name, value in (query or {}).items()
            for one in (value if isinstance(value, tuple) else (value,))
            if one is not None
        ),
        headers=found,
        body=data,
        repeatable=repeatable,
        extra_s=extra_s,
    )


def _json(value: "JsonValue") -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _text(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
