"""Calls of the HTTP API, over the transport of the blocking client and without its values.

Importing them would slow down every start of the command.
"""

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import attrs

from dsched_cli.cleaning import clean
from dsched_cli.errors import ApiError, CliError, ExitCode, UsageError
from dsched_client.answers import Answer as Raw
from dsched_client.answers import retry_after_s
from dsched_client.errors import ApiError as Refusal
from dsched_client.errors import ProtocolError, UnreachableError
from dsched_client.options import options
from dsched_client.requests import BASE, Request, request
from dsched_client.retrying import TOO_MANY, Trouble
from dsched_client.stream import Event, EventReader
from dsched_client.sync.transport import Transport

PAGE_LIMIT = 500
CALL_TIMEOUT_S = 30.0
MAX_PATIENCE = 20
MAX_PAUSE_S = 5.0
MIN_PAUSE_S = 0.05

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
    "store_read_only": ExitCode.UNREACHABLE,
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
    "unauthenticated": "set DSCHED_TOKEN, DSCHED_TOKEN_FILE or a profile; a store's first pod "
    "prints a token, and `dsched --local token create` makes one on the store's machine",
    "forbidden": "use a token of a wider scope; `dsched token list` shows them to an admin",
    "precondition_failed": "read it again and repeat the change",
    "moved": "repeat the command; somebody else changed it at the same time",
    "origin_conflict": "change it where it is declared, or take it over with --adopt",
    "store_unavailable": "look at the store: its server, its log, the network between it and the "
    "pods; they go on by themselves when it answers",
    "store_read_only": "do what the store says; the pods go on by themselves when it takes writes",
    "leaderless": "`dsched cluster pods` shows who could lead; try again in a few seconds",
    "too_many_requests": "wait as long as it says, then try again",
}


@attrs.frozen
class Answer:
    """What a call brought: the status, the headers (names in lower case), the decoded body."""

    status: int
    headers: Mapping[str, str]
    data: Any


def path_of(*parts: str) -> str:
    """A path below ``/api/v1`` from raw parts, such as ids."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


class Api:
    """A connection to one server; each call raises `CliError` unless it succeeds."""

    def __init__(
        self, url: str, *, token: str = "", ca_file: str = "", timeout_s: float = CALL_TIMEOUT_S
    ) -> None:
        try:
            chosen = options(
                url,
                agent="dsched-cli",
                token=token or None,
                token_file=None,
                timeout_s=timeout_s,
                retry_for_s=0,
                attempts=1,
            )
        except ValueError as error:
            raise UsageError(
                f"{clean(url)!r} is no address of a dsched API",
                why=clean(str(error)),
                todo="correct --url, DSCHED_URL or the profile",
            ) from error
        self.url = f"{chosen.endpoint.origin}{chosen.endpoint.prefix}"
        tls = _tls(ca_file) if chosen.endpoint.secure else None
        self._transport = Transport(chosen, tls)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transport.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        extra_s: float = 0.0,
        repeatable: bool = False,
    ) -> Answer:
        """One request below ``/api/v1`` and its decoded answer, which may take longer by
        ``extra_s``. ``repeatable``: sending it twice does no more than once, as with a GET."""
        asked = request(
            method,
            BASE + path,
            query=query,
            body=body,
            headers=headers,
            # Another change is not sent again over a connection that broke.
            repeatable=repeatable or method == "GET",
            extra_s=extra_s,
        )
        answer = self._patiently(asked)
        data = self._decoded(answer)
        if answer.status >= 300:
            problem = data if isinstance(data, dict) else {}
            raise refusal(
                method, path, status=answer.status, problem=problem, headers=answer.headers
            )
        return Answer(answer.status, answer.headers, data)

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

    def events(self, path: str, *, idle_s: float = 120.0, **query: Any) -> Iterator[Event]:
        """A stream of events until the server ends it; `CliError` when nothing comes at all."""
        headers = {"Accept": "text/event-stream"}
        asked = request("GET", BASE + path, query=query, headers=headers, extra_s=idle_s)
        reader = EventReader()
        try:
            with self._transport.stream(asked) as pieces:
                for piece in pieces:
                    yield from reader.feed(piece)
        except Refusal as error:
            problem = attrs.asdict(error.problem)
            raise refusal("GET", path, status=error.status, problem=problem, headers={}) from error
        except ProtocolError as error:
            raise self._strange(str(error)) from error
        except UnreachableError as error:
            raise self._unreachable(str(error), timed_out=False) from error

    def _patiently(self, asked: Request) -> Raw:
        """Repeat after "too many requests": the server has then done nothing, so any call may
        be."""
        for _ in range(MAX_PATIENCE - 1):
            answer = self._once(asked)
            pause_s = retry_after_s(answer) if answer.status == TOO_MANY else None
            if pause_s is None or pause_s > MAX_PAUSE_S:
                return answer
            time.sleep(max(pause_s, MIN_PAUSE_S))
        return self._once(asked)

    def _once(self, asked: Request) -> Raw:
        try:
            outcome = self._transport.attempt(asked)
        except ProtocolError as error:
            raise self._strange(str(error)) from error
        if isinstance(outcome, Trouble):
            raise self._unreachable(outcome.message, timed_out=outcome.timed_out)
        return outcome

    def _decoded(self, answer: Raw) -> Any:
        if not answer.body:
            return None
        try:
            return json.loads(answer.body)
        except ValueError:
            if answer.status < 400:
                raise self._strange("answered with something that is not JSON") from None
            return None

    def _unreachable(self, reason: str, *, timed_out: bool) -> CliError:
        what = f"cannot talk to {clean(self.url)}"
        if timed_out:
            return CliError(
                what,
                why="it did not answer in time",
                todo="see whether its pod still runs (its log), and whether a proxy or firewall "
                "stands between",
                code=ExitCode.UNREACHABLE,
            )
        return CliError(
            what,
            why=clean(reason),
            todo="start a pod with the api role (`dsched-run`), or set --url, DSCHED_URL; "
            "--local works without a server",
            code=ExitCode.UNREACHABLE,
        )

    def _strange(self, reason: str) -> CliError:
        return CliError(
            f"{clean(self.url)} is not a dsched API this command understands",
            why=clean(reason),
            todo="check --url, DSCHED_URL and any proxy in between",
            code=ExitCode.UNREACHABLE,
        )


def _tls(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise UsageError(
            f"the authorities in {clean(ca_file)} cannot be read",
            why=str(error),
            todo="correct ca_file in the profile",
        ) from error


def refusal(
    method: str,
    path: str,
    *,
    problem: dict[str, Any],
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> ApiError:
    """A problem document as an error with its exit code; the status of the answer, or its own."""
    status = int(problem.get("status") or 0) if status is None else status
    headers = headers or {}
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
