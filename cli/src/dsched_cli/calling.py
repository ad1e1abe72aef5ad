"""Calls of the HTTP API by the standard library only: a heavier client would cost every start."""

import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

import attrs

from dsched_cli.cleaning import clean
from dsched_cli.errors import ApiError, CliError, ExitCode, UsageError

BASE = "/api/v1"
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_EVENT_BYTES = 1024 * 1024
PAGE_LIMIT = 500
CALL_TIMEOUT_S = 30.0
MAX_PATIENCE = 20
MAX_PAUSE_S = 5

_EXITS: Mapping[str, ExitCode] = {
    "unauthenticated": ExitCode.NOT_ALLOWED,
    "forbidden": ExitCode.NOT_ALLOWED,
    "not_found": ExitCode.NOT_FOUND,
    "conflict": ExitCode.CONFLICT,
    "moved": ExitCode.CONFLICT,
    "origin_conflict": ExitCode.CONFLICT,
    "too_late": ExitCode.CONFLICT,
    "idempotency_mismatch": ExitCode.CONFLICT,
    "precondition_failed": ExitCode.CONFLICT,
    "too_many_requests": ExitCode.UNREACHABLE,
    "store_unavailable": ExitCode.UNREACHABLE,
    "leaderless": ExitCode.CONFLICT,
}
_BY_STATUS: Mapping[int, ExitCode] = {
    401: ExitCode.NOT_ALLOWED,
    403: ExitCode.NOT_ALLOWED,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.CONFLICT,
    412: ExitCode.CONFLICT,
    429: ExitCode.UNREACHABLE,
}
_REMEDIES: Mapping[str, str] = {
    "unauthenticated": "set DSCHED_TOKEN, DSCHED_TOKEN_FILE or a profile; a store's first pod prints a "
    "token, and `dsched --local token create` makes one on the store's machine",
    "forbidden": "use a token of a wider scope; `dsched token list` shows them to an admin",
    "precondition_failed": "read it again and repeat the change",
    "moved": "repeat the command; somebody else changed it at the same time",
    "origin_conflict": "change it where it is declared, or take it over with --adopt",
    "store_unavailable": "`dsched doctor` looks at the store; try again when it answers",
    "leaderless": "`dsched cluster pods` shows who could lead; try again in a few seconds",
    "too_many_requests": "wait as long as it says, then try again",
}


@attrs.frozen
class Answer:
    """What a call brought: the status, the headers (names in lower case), the decoded body."""

    status: int
    headers: Mapping[str, str]
    data: Any


@attrs.frozen
class Event:
    """One server-sent event."""

    id: str
    kind: str
    data: Any


def path_of(*parts: str) -> str:
    """A path of the API from raw parts, such as ids."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


class Api:
    """A connection to one server; each call raises `CliError` for whatever is no success."""

    def __init__(self, url: str, *, token: str = "", ca_file: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"{clean(url)!r} is no address of a dsched API",
                why="it needs a scheme and a host, such as http://127.0.0.1:8700",
                todo="correct --url, DSCHED_URL or the profile",
            )
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._parts = parts
        self._prefix = parts.path.rstrip("/") + BASE
        self._token = token
        self._ca_file = ca_file
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Answer:
        """One request below ``/api/v1`` and its decoded answer."""
        given = {"accept": "application/json", **(headers or {})}
        content = None
        if body is not None:
            content = json.dumps(body, allow_nan=False).encode()
            given.setdefault("content-type", "application/json")
        target = self._prefix + path + _query_text(query)
        for _ in range(MAX_PATIENCE):
            response = self._send(method, target, content, given, timeout_s)
            raw = response.read(MAX_ANSWER_BYTES + 1)
            # Too fast is answered before anything is done, so anything may be repeated.
            pause_s = _retry_after_s(response) if response.status == 429 else None
            if pause_s is None:
                break
            time.sleep(pause_s)
        if len(raw) > MAX_ANSWER_BYTES:
            raise self._strange(f"answered with more than {MAX_ANSWER_BYTES} bytes")
        return self._answer(method, path, response, raw)

    def get(self, path: str, **query: object) -> Any:
        """The body of a GET; a parameter that is None is left out."""
        return self.call("GET", path, query=query).data

    def post(self, path: str, body: Any = None, **query: object) -> Any:
        """The body of a POST."""
        return self.call("POST", path, query=query, body={} if body is None else body).data

    def items(self, path: str, *, most: int | None = None, **query: object) -> Iterator[Any]:
        """The items of a list, page by page, at most ``most`` of them."""
        cursor: object = None
        left = most
        while left is None or left > 0:
            limit = PAGE_LIMIT if left is None else min(left, PAGE_LIMIT)
            page = self.get(path, **query, cursor=cursor, limit=limit)
            yield from page["items"]
            left = None if left is None else left - len(page["items"])
            cursor = page.get("cursor")
            if not cursor:
                return

    def events(
        self, path: str, *, after: str = "", idle_s: float = 120.0, **query: object
    ) -> Iterator[Event]:
        """A stream of events until the server ends it; `CliError` when nothing comes at all."""
        headers = {"accept": "text/event-stream"}
        if after:
            headers["last-event-id"] = after
        target = self._prefix + path + _query_text(query)
        response = self._send("GET", target, None, headers, idle_s)
        if response.status != 200:
            self._answer("GET", path, response, response.read(MAX_ANSWER_BYTES))
        try:
            yield from _events(response)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            self.close()

    def _send(
        self,
        method: str,
        target: str,
        content: bytes | None,
        headers: dict[str, str],
        timeout_s: float,
    ) -> http.client.HTTPResponse:
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        headers.setdefault("user-agent", "dsched-cli")
        reused = self._connection is not None
        while True:
            try:
                connection = self._open(timeout_s)
                connection.request(method, target, body=content, headers=headers)
                return connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                self.close()
                # An idle connection may have been closed by the server; a change is not repeated.
                if reused and method == "GET" and isinstance(error, ConnectionError):
                    reused = False
                    continue
                raise self._unreachable(error) from error

    def _open(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._connection is None:
            host, port = self._parts.hostname or "", self._parts.port
            if self._parts.scheme == "https":
                self._connection = http.client.HTTPSConnection(
                    host, port, timeout=timeout_s, context=_tls(self._ca_file)
                )
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        elif self._connection.sock is not None:
            self._connection.sock.settimeout(timeout_s)
        self._connection.timeout = timeout_s
        return self._connection

    def _answer(
        self, method: str, path: str, response: http.client.HTTPResponse, raw: bytes
    ) -> Answer:
        headers = {name.lower(): value for name, value in response.getheaders()}
        data: Any = None
        if raw:
            try:
                data = json.loads(raw)
            except ValueError:
                if response.status < 400:
                    raise self._strange("answered with something that is not JSON") from None
        if response.status < 300:
            return Answer(response.status, headers, data)
        problem = data if isinstance(data, dict) else {}
        raise _refusal(method, path, response.status, problem, headers)

    def _unreachable(self, error: Exception) -> CliError:
        timed_out = isinstance(error, TimeoutError | socket.timeout)
        reason = "it did not answer in time" if timed_out else str(error) or type(error).__name__
        return CliError(
            f"cannot talk to {clean(self.url)}",
            why=clean(reason),
            todo="start a pod with the api role (`dsched-run`), or set --url, DSCHED_URL; "
            "--local works without a server",
            code=ExitCode.UNREACHABLE,
        )

    def _strange(self, reason: str) -> CliError:
        return CliError(
            f"{clean(self.url)} is not a dsched API this command understands",
            why=reason,
            todo="check --url, DSCHED_URL and any proxy in between",
            code=ExitCode.UNREACHABLE,
        )


def _retry_after_s(response: http.client.HTTPResponse) -> float | None:
    """How long to wait, if that is not long."""
    text = response.getheader("retry-after") or ""
    return max(float(text), 0.05) if text.isdigit() and int(text) <= MAX_PAUSE_S else None


def _query_text(query: Mapping[str, object] | None) -> str:
    given = {name: _text(value) for name, value in (query or {}).items() if value is not None}
    return "?" + urlencode(given) if given else ""


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tls(ca_file: str) -> Any:
    import ssl  # costs 15 ms that calls of loopback need not pay

    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise UsageError(
            f"the authorities in {clean(ca_file)} cannot be read",
            why=str(error),
            todo="correct ca_file in the profile",
        ) from error


def _refusal(
    method: str, path: str, status: int, problem: dict[str, Any], headers: Mapping[str, str]
) -> ApiError:
    """A problem document as an error with its exit code."""
    kind = str(problem.get("code", ""))
    what = clean(problem.get("title") or f"{method} {path} was answered with status {status}")
    detail = clean(problem.get("detail") or "")
    fields = [
        f"{clean(one.get('field', ''))}: {clean(one.get('reason', ''))}"
        for one in problem.get("errors") or []
        if isinstance(one, dict)
    ]
    # A detail may be the same words as its fields.
    reasons = [detail, *(one for one in fields if one not in detail)]
    todo = clean(problem.get("hint") or _REMEDIES.get(kind, ""))
    if "retry-after" in headers:
        todo += f"{' ' if todo else ''}(the server asks to wait {headers['retry-after']} s)"
    fallback = ExitCode.UNREACHABLE if status >= 500 else ExitCode.USAGE
    code = _EXITS.get(kind) or _BY_STATUS.get(status, fallback)
    return ApiError(
        problem, what, why="; ".join(one for one in reasons if one), todo=todo, code=code
    )


def _events(response: http.client.HTTPResponse) -> Iterator[Event]:
    """Server-sent events as the standard has them; comments keep the connection alive."""
    lines: list[str] = []
    kind, event_id, size = "message", "", 0
    while raw := response.readline(MAX_EVENT_BYTES + 1):
        size += len(raw)
        if size > MAX_EVENT_BYTES:
            raise http.client.HTTPException("an event is larger than can be meant")
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            if lines:
                yield Event(event_id, kind, _decoded("\n".join(lines)))
            lines, kind, size = [], "message", 0
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            lines.append(value)
        elif name == "event":
            kind = value
        elif name == "id":
            event_id = value


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
