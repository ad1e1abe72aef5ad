"""Sessions of browsers: opened by a token or a one-time link, asked for, closed."""

from dsched_api_http.acts import Act
from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.models import SessionView
from dsched_api_http.options import is_loopback
from dsched_api_http.problems import Problem, invalid
from dsched_api_http.requests import OpenSession
from dsched_api_http.scopes import Scope
from dsched_api_http.sessions import FORWARDED, Opened, cookie_name, set_cookie


async def open_session(call: Call) -> Answer:
    """Log a browser in: its cookie stands for the token as long as that stands."""
    body: OpenSession = call.body
    if sum(one is not None for one in (body.token, body.once)) != 1:
        raise invalid("", "give exactly one of token and once")
    if body.token is not None:
        principal = await call.api.gate.recognise_token(call.request, body.token)
        opened = await call.api.sessions.open(body.token, principal)
    else:
        opened = await _redeemed(call, str(body.once))
    act = Act(object=opened.principal.id, reason="" if body.once is None else "one-time link")
    await call.api.audit.record(opened.principal.name, "session.open", act, "ok")
    cookie = set_cookie(call.request, opened.cookie, prefix=call.api.options.prefix)
    return Answer(
        body=_view(opened.principal.name, opened.principal.scope), headers={"Set-Cookie": cookie}
    )


async def _redeemed(call: Call, code: str) -> Opened:
    request = call.request
    if not is_loopback(request.remote or "") or any(name in request.headers for name in FORWARDED):
        raise Problem(
            "forbidden",
            "a one-time link works only on the machine of the pod that made it",
            hint="log in with a token",
        )
    opened = await call.api.sessions.redeem(code)
    if opened is None:
        raise Problem(
            "unauthenticated",
            "this link has been used, or is older than a minute",
            hint="start the pod again for a new one, or log in with a token",
        )
    return opened


async def get_session(call: Call) -> Answer:
    """Who asks, and what may be done."""
    return Answer(body=_view(call.principal.name, call.principal.scope))


async def close_session(call: Call) -> Answer:
    """Log a browser out."""
    await call.api.sessions.close(call.request.cookies.get(cookie_name(call.request), ""))
    gone = set_cookie(call.request, "", prefix=call.api.options.prefix)
    return Answer(headers={"Set-Cookie": gone})


def _view(name: str, scope: Scope) -> SessionView:
    return SessionView(name=name, scope=scope.value)


ROUTES = (
    Route(
        method="POST",
        path="/session",
        name="session.open",
        scope=None,
        handle=open_session,
        summary="Log a browser in, with a token or a one-time link",
        body=OpenSession,
        answer=SessionView,
        status=201,
        problems=("unauthenticated", "too_many_requests"),
    ),
    Route(
        method="GET",
        path="/session",
        name="session.get",
        scope=Scope.READ,
        handle=get_session,
        summary="Who asks, and what may be done",
        answer=SessionView,
    ),
    Route(
        method="DELETE",
        path="/session",
        name="session.close",
        scope=Scope.READ,
        handle=close_session,
        summary="Log a browser out",
        status=204,
    ),
)
