"""The aiohttp application: each route of the table behind the gate, each error a problem."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Middleware

from dsched.client import Client, ClientError
from dsched.contracts import (
    EntryError,
    StoreReadOnlyError,
    StoreRefusedError,
    StoreUnavailableError,
)
from dsched.model import InvalidConfigError
from dsched.model.json import dumps
from dsched.wording import printable
from dsched_api_http.acts import Act
from dsched_api_http.bodies import MAX_BODY_BYTES, read_json, read_query, structured
from dsched_api_http.call import Answer, Api, Call, Entry, Patch, Route, read_only, unavailable
from dsched_api_http.gate import SAFE
from dsched_api_http.idempotency import HEADER, Claim
from dsched_api_http.listener import SECURITY_HEADERS
from dsched_api_http.openapi import address_of
from dsched_api_http.pages import Site, sites_of
from dsched_api_http.patience import PATIENCE_S, Patience, SilentStoreError
from dsched_api_http.problems import Problem
from dsched_api_http.refused import problem_of
from dsched_api_http.scopes import Scope
from dsched_api_http.shared_answers import Given, max_age_of
from dsched_api_http.table import ROUTES
from dsched_api_http.tokens import Principal
from dsched_api_http.wire import encode

_log = logging.getLogger(__name__)

CALLS = "Dsched-Store-Calls"  # the header that says what an answer has cost the store
_SHARED_HEADERS = frozenset({"ETag"})
REQUEST_S = 75.0  # longer than the longest wait that may be asked for
# The caller of routes that are open to all; routes with a scope have a known caller.
NOBODY = Principal(id="nobody", name="nobody", scope=Scope.READ)

# Codes that are answered before a handler has changed anything.
_NOTHING_DONE = frozenset({"invalid", "not_found", "backlog_full"})

_Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(api: Api) -> web.Application:
    """Everything of the table, and problem documents for the rest."""
    sites = sites_of(api.pod.pages, prefix=api.options.prefix)
    app = web.Application(middlewares=[_guarded(api, sites)], client_max_size=MAX_BODY_BYTES)
    for route in ROUTES:
        app.router.add_route(
            route.method, address_of(route), _endpoint(api, route), expect_handler=_expect
        )
    for site in sites:
        app.router.add_get(site.root.rstrip("/"), site.enter)
        app.router.add_get(f"{site.root}{{tail:.*}}", site.answer)
    app.on_response_prepare.append(_add_headers)
    return app


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """Tell a client that asks before it sends a body to go on. It comes before what guards, and
    what a header says is not repeated to strangers."""
    if request.headers["Expect"].lower() != "100-continue":
        return Problem(
            "bad_request", "the one expectation that it knows is 100-continue"
        ).response()
    if request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # nothing of the answer itself has been sent
    return None


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in SECURITY_HEADERS.items():
        if name == "Server" or name not in response.headers:  # pages bring a policy of their own
            response.headers[name] = value


def _guarded(api: Api, sites: Sequence[Site]) -> Middleware:
    roots = tuple(site.root for site in sites)

    @web.middleware
    async def guard(request: web.Request, handler: _Handle) -> web.StreamResponse:
        try:
            if request.method in SAFE and request.path.startswith(roots):
                api.gate.check_host(request)  # a link in a message may lead to a page
            else:
                api.gate.check_source(request)
            return await handler(request)
        except Problem as problem:
            return problem.response()
        except web.HTTPException as error:
            return _of_http(error).response()
        except (ConnectionError, web.RequestPayloadError) as error:
            if not _has_left(request):
                return _unexpected(error).response()
            _log.debug("a client left before its answer: %r", error)
            return Problem("bad_request", "the client is gone").response()  # nobody reads it
        except Exception as error:  # noqa: BLE001 - strangers see no trace, the log does
            return _unexpected(error).response()

    return guard


def _has_left(request: web.Request) -> bool:
    """Whether the client has closed its connection, so that no answer can reach it."""
    return request.transport is None or request.transport.is_closing()


def _of_http(error: web.HTTPException) -> Problem:
    """What the router says, as a problem."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return Problem("method_not_allowed", f"it knows {allowed}", headers={"Allow": allowed})
    if error.status == 413:
        return Problem("too_large", f"a body has at most {MAX_BODY_BYTES} bytes")
    if error.status == 404:
        return Problem("not_found", "there is no such address")
    return Problem("bad_request", "the request cannot be read")


def _unexpected(error: Exception) -> Problem:
    if isinstance(error, web.RequestPayloadError):
        return Problem("bad_request", "the body cannot be read")
    if isinstance(error, SilentStoreError) and error.refusal is not None:
        return read_only(error.refusal)
    if isinstance(error, StoreReadOnlyError):
        return read_only(error)
    if isinstance(error, SilentStoreError):
        return unavailable(
            f"the store has said nothing for {PATIENCE_S:g} s: it hangs, or cannot be reached; "
            "what was asked may have happened or not"
        )
    if isinstance(error, StoreUnavailableError | TimeoutError):
        return unavailable("the store does not answer; what was asked may have happened or not")
    if isinstance(error, StoreRefusedError):
        _log.error("the store refused a request: %s", error)
        return unavailable("the store refuses to work; its log and the pod's say why")
    number = secrets.token_hex(4)
    _log.error("request failed (%s)", number, exc_info=error)
    return Problem("internal", f"the pod's log says more under {number}")


def _endpoint(api: Api, route: Route) -> _Handle:
    async def answer(request: web.Request) -> web.StreamResponse:
        if route.endless:
            async with Patience() as patience:
                return await _handle(api, route, request, patience)
        async with asyncio.timeout(REQUEST_S), Patience() as patience:
            return await _handle(api, route, request, patience)

    return answer


async def _handle(
    api: Api, route: Route, request: web.Request, patience: Patience
) -> web.StreamResponse:
    principal = None
    if route.scope is not None:
        principal = await _admitted(api, route, request, route.scope)
    call = await _read(api, route, request, principal)
    max_age_s = max_age_of(request.headers.get("Cache-Control")) if route.shared else None
    if max_age_s is None:
        response = await _answered(api, route, call)
        if isinstance(response, web.Response):
            response.headers[CALLS] = str(patience.calls)
        return response

    async def ask() -> Given:
        async with asyncio.timeout(REQUEST_S), Patience() as own:
            found = await _answered(api, route, call)
        return _given(found, own.calls)

    key = (route.name, request.raw_path, call.principal.scope.value)
    given, mine, age_s = await api.shared.answer(key, max_age_s, ask)
    calls = patience.calls + (given.calls if mine else 0)
    headers = {**given.headers, CALLS: str(calls), "Age": str(int(age_s))}
    return web.Response(status=given.status, body=given.body, headers=headers)


def _given(response: web.StreamResponse, calls: int) -> Given:
    """An answer, to be sent to all who share it."""
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        raise TypeError("an answer that is shared has a body")
    headers = {"Content-Type": "application/json"} | {
        name: value for name, value in response.headers.items() if name in _SHARED_HEADERS
    }
    return Given(status=response.status, body=response.body, headers=headers, calls=calls)


async def _answered(api: Api, route: Route, call: Call) -> web.StreamResponse:
    """What the handler answers; each refusal as a `Problem`, each change in the audit."""
    problem: Problem | None = None
    answer: Answer | web.StreamResponse | None = None
    try:
        answer = await route.handle(call)
    except (Problem, ClientError, EntryError, InvalidConfigError) as error:
        problem = problem_of(error)
    except StoreReadOnlyError as error:
        problem = read_only(error)
    except StoreUnavailableError:
        problem = unavailable("the store does not answer; what was asked may have happened or not")
    except asyncio.CancelledError:
        if _changes(route, call):
            api.audit.given_up(call.principal.name, route.name, call.act)
        raise
    if problem is not None and problem.code in _NOTHING_DONE:
        await api.idempotency.release(call.claim)
    if _changes(route, call) and (problem is None or problem.code != "invalid"):
        outcome = "ok" if problem is None else problem.code
        await api.audit.record(call.principal.name, route.name, call.act, outcome)
    if problem is not None:
        raise problem
    return answer if isinstance(answer, web.StreamResponse) else _response(route, call, answer)


def _changes(route: Route, call: Call) -> bool:
    """Whether the audit records it: a change, also one that was refused. A dry run is none."""
    dry = (getattr(asked, "dry_run", False) for asked in (call.query, call.body))
    return route.audited and not any(dry)


async def _admitted(api: Api, route: Route, request: web.Request, scope: Scope) -> Principal:
    """The caller. If a known caller asks for more than it may, the audit records it."""
    principal = await api.gate.recognise(request, fresh=scope is Scope.ADMIN)
    if not principal.scope.covers(scope):
        if route.audited:
            act = Act(object=printable(request.match_info.get("id", "")))
            await api.audit.record(principal.name, route.name, act, "forbidden")
        raise Problem(
            "forbidden",
            f"this needs the scope {scope.value}; the token has {principal.scope.value}",
        )
    return principal


async def _read(api: Api, route: Route, request: web.Request, principal: Principal | None) -> Call:
    """Everything that a request says, checked as far as the table can."""
    who = principal or NOBODY
    query = read_query(request, route.query)
    raw, body = await _read_body(route, request)
    claim = Claim(unique=secrets.token_hex(12))
    if route.idempotent and principal is not None:
        told = dumps([route.name, dict(request.match_info), raw])
        claim = await api.idempotency.claim(request.headers.get(HEADER), principal.id, told)
    return Call(
        api=api,
        request=request,
        principal=who,
        path=dict(request.match_info),
        query=query,
        body=body,
        claim=claim,
        act=Act(
            object=printable(request.match_info.get("id", ""), 300),
            reason=getattr(body, "reason", ""),
        ),
        client=Client(api.store, by=who.name),
    )


async def _read_body(route: Route, request: web.Request) -> tuple[object, object]:
    """The body as JSON, and as the class of the route."""
    if route.body is None:
        return None, None
    raw = await read_json(request, optional=route.body_optional)
    if route.body in (Entry, Patch):
        if not isinstance(raw, dict):
            raise Problem("invalid", "the body must be a JSON object")
        return raw, raw
    return raw, structured(route.body, raw)


def _response(route: Route, call: Call, answer: Answer | None) -> web.Response:
    answer = answer or Answer()
    headers = dict(answer.headers)
    if call.claim.replayed:
        headers["Idempotency-Replayed"] = "true"
    status = answer.status or route.status
    if answer.body is None:
        return web.Response(status=status, headers=headers)
    return web.Response(
        status=status,
        body=encode(answer.body),
        headers={"Content-Type": "application/json"} | headers,
    )
