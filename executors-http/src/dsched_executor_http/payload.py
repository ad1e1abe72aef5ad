"""Reading a payload: what to call, checked as a whole, with every problem named at once."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

import attrs

from dsched.contracts.executor.secrets import (
    fill,
    fill_json,
    mentions_secret,
    reference_problem,
    references,
    texts_of,
)
from dsched.model import JsonValue
from dsched.model.json import dumps
from dsched.wording import printable, unknown_keys
from dsched_executor_http.headers import header_problems
from dsched_executor_http.url import TargetUrl, UrlProblemError, parse_url

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MAX_QUERY_ITEMS = 200
KEYS = (
    *("method", "url", "headers", "query", "json", "body"),
    *("expected_status", "follow_redirects", "tls", "callback"),
)
_DEFAULT_HEADERS = {
    "User-Agent": "dsched",
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",  # what `read_body` can decompress within bounds
}
_TLS_KEYS = ("verify", "ca_file", "cert_file", "key_file", "server_name")
_FILE_NAME = re.compile(r"\A[A-Za-z0-9_-](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_-])?\Z")

_DEFAULT_STATUSES = frozenset(range(200, 300))


@attrs.frozen(kw_only=True)
class Tls:
    """The ``tls`` of a payload; file names are relative to the operator's ``tls_dir``."""

    verify: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None

    def for_other_origin(self) -> "Tls":
        """What may follow a redirect elsewhere: neither the client's certificate nor the name."""
        return attrs.evolve(self, cert_file=None, key_file=None, server_name=None)


@attrs.frozen(kw_only=True)
class HttpCall:
    """A payload, read. Equal payloads give equal calls, so that one may serve many tasks.

    ``statuses`` are those that count as a success; with ``callback`` 202 means that the target
    completes the attempt later.
    """

    method: str
    url: TargetUrl
    headers: Mapping[str, str]
    body: bytes | None
    template: JsonValue  # of a body with secrets: text if ``template_is_text``, else any JSON
    template_is_text: bool = False
    secrets: tuple[str, ...] = ()
    statuses: frozenset[int] = _DEFAULT_STATUSES
    follow_redirects: bool = False
    tls: Tls | None = None
    callback: bool = False

    def body_with(self, values: Mapping[str, str]) -> bytes | None:
        """The body to send, references replaced by ``values``."""
        if self.template is None:
            return self.body
        if self.template_is_text:
            return fill(self.template, values).encode()
        return dumps(fill_json(self.template, values)).encode()


class InvalidPayloadError(ValueError):
    """A payload that cannot be called; ``problems`` are all of them."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def check_payload(payload: JsonValue) -> list[str]:
    """The problems of a payload, each naming its key; empty when it is fine."""
    try:
        _read(payload)
    except InvalidPayloadError as error:
        return error.problems
    return []


def read_payload(payload: JsonValue) -> HttpCall:
    """Read a payload. Raises `InvalidPayloadError` with all problems."""
    call, text = _read(payload)
    return _call(call, text, payload)


def _read(payload: JsonValue) -> tuple[HttpCall, str | None]:
    """The call without its body, and the body if it is text."""
    if not isinstance(payload, Mapping):
        raise InvalidPayloadError(
            ["payload: must map keys to values, such as {url: https://example.com/run}"]
        )
    problems = [*unknown_keys(payload, KEYS), *_both_bodies(payload)]

    def read(reader: Callable[[Any, list[str]], Any], key: str) -> Any:
        return reader(payload.get(key), problems)

    query = read(_read_query, "query")
    url = _read_url(payload.get("url"), query, problems)
    headers = read(_read_headers, "headers")
    text = read(_read_text, "body")
    method = _read_method(payload, problems)
    statuses = read(_read_statuses, "expected_status")
    follow = read(_read_follow, "follow_redirects")
    tls = read(_read_tls, "tls")
    callback = read(_read_callback, "callback")
    _check_tls(tls, url, follow, problems)
    _check_references(payload, problems)
    if problems or url is None:
        raise InvalidPayloadError(problems)
    call = HttpCall(
        method=method,
        url=url,
        headers=headers,
        body=None,
        template=None,
        statuses=statuses,
        follow_redirects=follow,
        tls=tls,
        callback=callback,
    )
    return call, text


def _both_bodies(payload: Mapping[str, Any]) -> list[str]:
    both = payload.get("json") is not None and payload.get("body") is not None
    return ["body: give json or body, not both"] if both else []


def _call(call: HttpCall, text: str | None, payload: Mapping[str, Any]) -> HttpCall:
    """Add the body, its content type and what is secret."""
    template: JsonValue = payload.get("json") if text is None else text
    has_json = text is None and "json" in payload and payload["json"] is not None
    headers = dict(call.headers)
    defaults = dict(_DEFAULT_HEADERS)
    if template is not None:
        defaults["Content-Type"] = "application/json" if has_json else "text/plain; charset=utf-8"
    given = {name.lower() for name in headers}
    headers |= {name: value for name, value in defaults.items() if name.lower() not in given}
    in_body = [ref for item in texts_of(template) for ref in references(item)]
    in_headers = [ref for value in headers.values() for ref in references(value)]
    call = attrs.evolve(
        call,
        headers=headers,
        template=template,
        template_is_text=text is not None,
        secrets=tuple(dict.fromkeys(in_headers + in_body)),
    )
    if template is None or in_body:
        return call
    return attrs.evolve(call, body=call.body_with({}), template=None)


def _read_url(url: Any, query: str, problems: list[str]) -> TargetUrl | None:
    if not isinstance(url, str) or not url:
        problems.append("url: is required, such as https://example.com/run")
        return None
    try:
        return parse_url(url, query)
    except UrlProblemError as error:
        problems.append(f"url: {error}")
        return None


def _read_method(payload: Mapping[str, Any], problems: list[str]) -> str:
    has_body = payload.get("json") is not None or payload.get("body") is not None
    method = payload.get("method")
    if method is None:
        return "POST" if has_body else "GET"
    if not isinstance(method, str) or method.upper() not in METHODS:
        problems.append(f"method: must be one of {', '.join(METHODS)}")
        return "GET"
    if has_body and method.upper() == "HEAD":
        problems.append("method: HEAD sends no body; remove json or body")
    return method.upper()


def _read_headers(headers: Any, problems: list[str]) -> Mapping[str, str]:
    if headers is None:
        return {}
    found = header_problems(headers)
    problems.extend(found)
    return {} if found else dict(headers)


def _read_query(query: Any, problems: list[str]) -> str:
    if query is None:
        return ""
    if not isinstance(query, Mapping):
        problems.append("query: must map names to values or lists of values")
        return ""
    pairs = []
    for name, value in query.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(item, str | int | float | bool):
                problems.append(
                    f"query.{printable(str(name))}: must be text, a number or true/false"
                )
                continue
            text = str(item).lower() if isinstance(item, bool) else str(item)
            pairs.append((str(name), text))
    if len(pairs) > MAX_QUERY_ITEMS:
        problems.append(f"query: at most {MAX_QUERY_ITEMS} values")
    try:
        return "&".join(f"{quote_plus(name)}={quote_plus(text)}" for name, text in pairs)
    except UnicodeEncodeError:
        problems.append("query: contains half a character (a lone surrogate)")
        return ""


def _read_text(body: Any, problems: list[str]) -> str | None:
    if body is None:
        return None
    if not isinstance(body, str):
        problems.append("body: must be text; give a structure as json")
        return None
    try:
        body.encode()
    except UnicodeEncodeError:
        problems.append("body: contains half a character (a lone surrogate)")
    return body


def _read_statuses(expected: Any, problems: list[str]) -> frozenset[int]:
    if expected is None:
        return _DEFAULT_STATUSES
    items = expected if isinstance(expected, list | tuple) else [expected]
    ranges = [_status_range(item) for item in items]
    if not ranges or len(ranges) > 100 or None in ranges:
        problems.append(
            'expected_status: must be a status from 200 to 599, a range such as "200-299", '
            "or a list of these"
        )
        return _DEFAULT_STATUSES
    return frozenset(status for statuses in ranges if statuses is not None for status in statuses)


def _status_range(item: Any) -> range | None:
    text = str(item) if isinstance(item, int | str) and not isinstance(item, bool) else ""
    first, dash, last = text.partition("-")
    last = last if dash else first
    if not (first.isdecimal() and last.isdecimal() and len(first) == len(last) == 3):
        return None
    statuses = range(int(first), int(last) + 1)
    return statuses if 200 <= int(first) <= int(last) <= 599 else None


def _read_follow(follow: Any, problems: list[str]) -> bool:
    if not isinstance(follow, bool | None):
        problems.append("follow_redirects: must be true or false")
    return follow is True


def _check_tls(tls: Tls | None, url: TargetUrl | None, follow: bool, problems: list[str]) -> None:
    if tls is not None and url is not None and url.scheme == "http" and not follow:
        problems.append("tls: means nothing for an http URL; write https or remove it")


def _read_callback(callback: Any, problems: list[str]) -> bool:
    if not isinstance(callback, bool | None):
        problems.append("callback: must be true or false")
    return callback is True


def _read_tls(tls: Any, problems: list[str]) -> Tls | None:
    if tls is None:
        return None
    if not isinstance(tls, Mapping):
        problems.append("tls: must map keys to values")
        return None
    found = unknown_keys(tls, _TLS_KEYS, "tls.")
    if not isinstance(tls.get("verify", True), bool):
        found.append("tls.verify: must be true or false")
    for key in ("ca_file", "cert_file", "key_file"):
        name = tls.get(key)
        if name is not None and not (isinstance(name, str) and _FILE_NAME.match(name)):
            found.append(f"tls.{key}: must be the name of a file in executors.http.tls_dir")
    if tls.get("key_file") is not None and tls.get("cert_file") is None:
        found.append("tls.key_file: needs tls.cert_file beside it")
    if tls.get("server_name") is not None:
        found.extend(_server_name_problems(tls["server_name"]))
    problems.extend(found)
    return None if found else Tls(**tls)


def _server_name_problems(name: Any) -> list[str]:
    try:
        if isinstance(name, str) and parse_url(f"https://{name}/").netloc == name.lower():
            return []
    except UrlProblemError:
        pass
    return ["tls.server_name: must be a host name"]


def _check_references(payload: Mapping[str, Any], problems: list[str]) -> None:
    """References stand in header values and bodies only: a URL ends up in everybody's logs."""
    problems.extend(
        f"{key}: cannot hold a secret reference; put it into a header or body"
        for key in ("url", "query")
        if any(mentions_secret(text) for text in texts_of(payload.get(key)))
    )
    for key in ("headers", "json", "body"):
        for text in texts_of(payload.get(key)):
            problem = reference_problem(text)
            if problem is not None:
                problems.append(f"{key}: {problem}")
                break
