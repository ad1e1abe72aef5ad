"""`HttpExecutor`: one attempt is one request, and up to three redirects if they are asked for."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import lru_cache
from logging import DEBUG

import aiohttp
import attrs
from aiohttp.payload import BytesPayload
from multidict import CIMultiDict, istr
from yarl import URL

from dsched.contracts import ExecutionContext, Executor, TaskFacts, TaskFailed
from dsched.contracts.executor.callback import TOKEN_HEADER, callback_headers, callback_of
from dsched.contracts.executor.context import TaskLogger
from dsched.contracts.executor.egress import (
    EgressPolicy,
    EgressRefusedError,
    Lookup,
    literal_address,
    system_lookup,
)
from dsched.contracts.executor.secrets import (
    NOTHING_SECRET,
    Redactor,
    SecretError,
    fill,
    mentions_secret,
)
from dsched.contracts.store.tasklogs import LineLevel, as_line
from dsched.model import JsonValue, Task, TaskResult
from dsched_executor_http.deadlines import Deadlines
from dsched_executor_http.failures import as_task_failed
from dsched_executor_http.guard import CheckedResolver, CheckedSockets, calling_host
from dsched_executor_http.headers import HARMLESS, value_problem
from dsched_executor_http.options import HttpOptions
from dsched_executor_http.payload import HttpCall, InvalidPayloadError, Tls, read_payload
from dsched_executor_http.response import (
    Body,
    answer_lines,
    read_body,
    reason_of,
    result_data,
    status_failure,
)
from dsched_executor_http.tls import TlsContexts
from dsched_executor_http.url import TargetUrl, UrlProblemError, redirect_target

MAX_REDIRECTS = 3
ACCEPTED = "202"
MAX_CACHED_CALLS = 512
MAX_CACHED_TEXT = 16 * 1024
DNS_CACHE_S = 10
# Shorter than what servers usually keep: a request sent while the server closes is lost.
KEEP_ALIVE_S = 4.0
MAX_HEADER_BYTES = 8190

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OF_A_RESPONSE = as_line(LineLevel.RESPONSE)
# The client's own type for names: converted to one case once, and not for each request.
_client_name = lru_cache(maxsize=16)(istr)
_TRACEPARENT = istr("traceparent")


@attrs.frozen(eq=False)
class _Target:
    """Where a request goes and how, in the forms that the client and people need."""

    method: str
    url: TargetUrl
    tls: Tls | None
    for_client: URL
    shown: str

    @classmethod
    def of(cls, method: str, url: TargetUrl, tls: Tls | None) -> "_Target":
        return cls(method, url, tls, URL(url.text, encoded=True), f"{method} {url.shown}")


@attrs.frozen(eq=False)
class _Ready:
    """A payload, read and made ready for the client: what all its attempts share.

    Holds nothing of a task and no secret's value. Nobody changes it: headers are copied.
    """

    call: HttpCall
    target: _Target
    headers: CIMultiDict[str]
    body: BytesPayload | None  # of a call whose body is the same for every attempt

    @classmethod
    def of(cls, call: HttpCall) -> "_Ready":
        target = _Target.of(call.method, call.url, call.tls)
        body = None if call.body is None else BytesPayload(call.body)
        return cls(call, target, CIMultiDict(call.headers), body)


@attrs.frozen(eq=False)
class _Hop:
    """One request of an attempt, everything filled in."""

    target: _Target
    headers: CIMultiDict[str]
    body: BytesPayload | bytes | None


class HttpExecutor(Executor):
    """Carries out attempts over one shared client session. Open it with `open_http_executor`."""

    def __init__(
        self,
        options: HttpOptions,
        session: aiohttp.ClientSession,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._options = options
        self._policy: EgressPolicy = options.policy
        self._session = session
        self._now = now
        self._secrets = options.secrets
        self._tls = TlsContexts(options.tls_dir)
        self._deadlines = Deadlines()
        self._read_ones: dict[str, _Ready] = {}
        # An address written into a URL does not change: check it once. A refusal is not kept.
        self._check = lru_cache(maxsize=MAX_CACHED_CALLS)(self._check_now)

    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        """Make the request. Every failure is a `TaskFailed` whose code says what kind it is."""
        ready = self._read(None if task.spec is None else task.spec.payload)
        if ready.call.callback:
            return await self._called_back(ready, context, task)
        return await self._call(ready, context, task, {})

    async def _called_back(
        self, ready: _Ready, context: ExecutionContext, task: Task
    ) -> TaskResult:
        """The same of a target that may answer 202 and say later how it ended."""
        callback = callback_of(context)
        earlier = await callback.earlier()
        if earlier is not None:
            return earlier
        base = self._options.callback_url
        if not base:
            raise TaskFailed(
                "the payload asks for a callback, and executors.http.callback_url is not set: "
                "set it to the address of the API as targets reach it",
                "callback",
                retryable=False,
            )
        token = await callback.expect()
        told = callback_headers(base, task.id, context.attempt, token)
        result = await self._call(ready, context, task, told)
        return await callback.wait() if result.code == ACCEPTED else result

    async def _call(
        self, ready: _Ready, context: ExecutionContext, task: Task, more: Mapping[str, str]
    ) -> TaskResult:
        """Make the request, with more headers."""
        call = ready.call
        try:
            with self._deadlines.within(context.remaining()):
                values = await self._secrets.resolve(call.secrets) if call.secrets else {}
                redactor = Redactor(values.values()) if values else NOTHING_SECRET
                hop = _first_hop(ready, values, context, task)
                hop.headers.update(more)
                return await self._follow(context.logger, call, hop, redactor)
        except SecretError as error:
            raise TaskFailed(str(error), "secret", retryable=error.passing) from None
        except TimeoutError:
            raise TaskFailed(
                f"{ready.target.shown} had not answered by the deadline", "timeout"
            ) from None

    def close(self) -> None:
        """Watch no deadlines any more: no attempt runs. The owner of the session closes it."""
        self._deadlines.close()

    def _read(self, payload: JsonValue) -> _Ready:
        """What a payload asks for. The tasks of one config have equal ones: read them once."""
        # Equal values are not enough (1 == True == 1.0), and their text is quicker than hashing.
        key = repr(payload)
        ready = self._read_ones.get(key)
        if ready is not None:
            return ready
        try:
            ready = _Ready.of(read_payload(payload))
        except InvalidPayloadError as error:
            raise TaskFailed(
                f"the payload cannot be called: {error}", "payload", retryable=False
            ) from None
        if len(key) <= MAX_CACHED_TEXT:
            if len(self._read_ones) >= MAX_CACHED_CALLS:
                self._read_ones.pop(next(iter(self._read_ones)))
            self._read_ones[key] = ready
        return ready

    async def _follow(
        self, log: TaskLogger, call: HttpCall, hop: _Hop, redactor: Redactor
    ) -> TaskResult:
        """Make the request, and those that redirects lead to."""
        for redirects_left in range(MAX_REDIRECTS, -1, -1):
            try:
                answer = await self._request(
                    log, call, hop=hop, redactor=redactor, redirects_left=redirects_left
                )
            except (aiohttp.ClientError, EgressRefusedError, OSError) as error:
                raise as_task_failed(error, hop.target.shown, redactor) from None
            if isinstance(answer, TaskResult):
                return answer
            hop = answer
        raise AssertionError("the last hop follows no redirect")

    async def _request(
        self,
        log: TaskLogger,
        call: HttpCall,
        *,
        hop: _Hop,
        redactor: Redactor,
        redirects_left: int,
    ) -> TaskResult | _Hop:
        """One request: the result, or the hop that a redirect asks for."""
        target = hop.target
        self._check(target.url.host, target.url.port)
        calling_host.set(target.url.host)
        tls = target.tls if target.url.scheme == "https" else None
        # Its own context, not that of the request: the same care for three calls less.
        async with await self._session.request(
            target.method,
            target.for_client,
            headers=hop.headers,
            data=hop.body,
            allow_redirects=False,
            ssl=True if tls is None else await self._tls.get(tls),
            server_hostname=None if tls is None else tls.server_name,
        ) as response:
            expected = response.status in call.statuses
            if call.follow_redirects and response.status in _REDIRECTS and not expected:
                return self._redirected(call, hop, response, redirects_left)
            body = Body(b"")
            if target.method != "HEAD":
                body = await read_body(response, self._options.max_response_bytes)
        for line in answer_lines(response, target.shown, body, redactor):
            log.log(DEBUG, "%s", line, extra=_OF_A_RESPONSE)
        data = result_data(response, body, self._options.max_result_bytes, redactor)
        if not expected:
            raise status_failure(
                response, target.shown, data=data, now=self._now(), redactor=redactor
            )
        message = redactor.text(reason_of(response))
        return TaskResult(code=str(response.status), message=message, data=data)

    def _check_now(self, host: str, port: int) -> None:
        """Refuse a port, or an address written into the URL, before anything is sent."""
        ports = self._options.ports
        if ports and port not in ports:
            raise EgressRefusedError(
                f"refused to call port {port}: executors.http.ports allows only "
                f"{', '.join(map(str, ports))}",
                address="",
                host=host,
                reason="port",
            )
        if literal_address(host) is not None:
            self._policy.check_address(host, host)

    def _redirected(
        self, call: HttpCall, hop: _Hop, response: aiohttp.ClientResponse, redirects_left: int
    ) -> _Hop:
        location = response.headers.get("Location")
        problem = "names no Location" if location is None else None
        if redirects_left == 0:
            problem = f"is one redirect too many; at most {MAX_REDIRECTS} are followed"
        if location is None or problem is not None:
            raise _redirect_failure(hop, response.status, problem or "")
        try:
            url = redirect_target(hop.target.url, location)
        except UrlProblemError as error:
            raise _redirect_failure(hop, response.status, f"leads nowhere: it {error}") from None
        return _next_hop(call, hop, url, response.status)


def _first_hop(
    ready: _Ready, values: Mapping[str, str], context: ExecutionContext, task: Task
) -> _Hop:
    call = ready.call
    headers = ready.headers.copy()
    for name, value in call.headers.items() if values else ():
        headers[name] = fill(value, values)
        problem = value_problem(headers[name])
        if problem is not None:
            raise SecretError(f"headers.{name}: with its secret filled in it {problem}")
    facts = TaskFacts.of(context, task)
    for name, value in facts.as_headers().items():
        headers[_client_name(name)] = value
    headers[_TRACEPARENT] = facts.traceparent
    return _Hop(ready.target, headers, ready.body or call.body_with(values))


def _next_hop(call: HttpCall, hop: _Hop, url: TargetUrl, status: int) -> _Hop:
    """The request after a redirect (RFC 9110, 15.4), without credentials if the origin changes."""
    method, body, tls = hop.target.method, hop.body, hop.target.tls
    headers = hop.headers.copy()
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", None
        headers.popall("Content-Type", None)
    if not url.same_origin(hop.target.url):
        if body is not None and call.body is None:
            raise _redirect_failure(
                hop, status, "leads to another origin, which the body's secrets must not reach"
            )
        for name, value in call.headers.items():
            if name.lower() not in HARMLESS or mentions_secret(value):
                headers.popall(name, None)
        headers.popall(TOKEN_HEADER, None)
        tls = None if tls is None else tls.for_other_origin()
    return _Hop(_Target.of(method, url, tls), headers, body)


def _redirect_failure(hop: _Hop, status: int, problem: str) -> TaskFailed:
    return TaskFailed(
        f"{hop.target.shown} answered {status}, a redirect that {problem}",
        "redirect",
        retryable=False,
    )


@asynccontextmanager
async def open_http_executor(
    options: HttpOptions,
    *,
    lookup: Lookup = system_lookup,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AsyncIterator[HttpExecutor]:
    """Open an executor with a session of its own; leaving closes all its connections."""
    policy = options.policy
    connector = aiohttp.TCPConnector(
        resolver=CheckedResolver(policy, lookup),
        socket_factory=CheckedSockets(policy),
        limit=options.max_connections,
        ttl_dns_cache=DNS_CACHE_S,
        keepalive_timeout=KEEP_ALIVE_S,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        raise_for_status=False,
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=options.connect_timeout.total_seconds()
        ),
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    ) as session:
        executor = HttpExecutor(options, session, now=now)
        try:
            yield executor
        finally:
            executor.close()
