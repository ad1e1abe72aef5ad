"""Who may come in: host and origin of a request, its token, its rate, its scope."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import ceil
from urllib.parse import urlsplit

from aiohttp import web

from dsched_api_http.options import ApiOptions, is_loopback
from dsched_api_http.problems import Problem
from dsched_api_http.scopes import Scope
from dsched_api_http.sessions import Sessions, cookie_name
from dsched_api_http.throttle import FREE_FAILURES, Penalties, RateLimit
from dsched_api_http.tokens import Principal, Tokens, token_id_of

_log = logging.getLogger(__name__)

ANYBODY = Principal(id="local", name="local", scope=Scope.ADMIN)
MAX_TOKEN = 512
MAX_IN_TURN = 4  # token look-ups at a time for addresses that sent wrong tokens
SAFE = frozenset({"GET", "HEAD"})
UNKNOWN_SESSIONS_PER_S = 10.0  # of one address
SHARED_S = 1.0  # how old an answer may be that many streams share
MAX_SHARED = 1024


class SharedChecks:
    """Whether what was shown is still good, asked once a second for all who showed the same."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, tuple[float, bool]] = OrderedDict()

    async def good(self, shown: str, ask: Callable[[], Awaitable[bool]]) -> bool:
        """The answer of a moment ago, or of now."""
        known = self._found.get(shown)
        if known is not None and time.monotonic() < known[0] + SHARED_S:
            return known[1]
        asked_s, good = time.monotonic(), await ask()
        self._found[shown] = asked_s, good
        self._found.move_to_end(shown)
        if len(self._found) > MAX_SHARED:
            self._found.popitem(last=False)
        return good


class Gate:
    """Decides about each request before anything else looks at it."""

    def __init__(self, options: ApiOptions, tokens: Tokens, sessions: Sessions) -> None:
        self._options = options
        self._tokens = tokens
        self._sessions = sessions
        self._strangers = RateLimit(UNKNOWN_SESSIONS_PER_S)
        self._rates = RateLimit(options.rate_per_s)
        self._checks = SharedChecks()
        self._penalties = Penalties()
        self._turns = asyncio.Semaphore(MAX_IN_TURN)
        self._check_hosts = is_loopback(options.bind) or bool(options.hosts)
        self._hosts = {host.lower() for host in options.hosts} | {options.bind.lower()}

    def check_host(self, request: web.Request) -> None:
        """Refuse a host name that is not one of the API's (DNS rebinding)."""
        host = _host_of(f"//{request.host}")
        if self._check_hosts and not (host in self._hosts or is_loopback(host)):
            raise Problem(
                "forbidden",
                "this name is not one of the API's",
                hint="list the names it is reached by in api.hosts",
            )

    def check_source(self, request: web.Request) -> None:
        """Refuse a page of another site, and a host name that is not one of the API's."""
        self.check_host(request)
        origin = request.headers.get("Origin")
        same = origin is not None and urlsplit(origin).netloc.lower() == request.host.lower()
        foreign = origin is not None and not same and origin not in self._options.origins
        cross = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
        if foreign or (cross and origin not in self._options.origins):
            raise Problem(
                "forbidden",
                "a page of another site may not use this API",
                hint="list the origins that may in api.origins",
            )

    async def recognise(self, request: web.Request, *, fresh: bool = False) -> Principal:
        """Who asks; raises `Problem` 401 or 429. ``fresh``: as the store has it at this moment."""
        principal = await self._principal(request, fresh=fresh)
        wait_s = self._rates.wait_s(principal.id, time.monotonic())
        if wait_s:
            raise _too_many("this token asks more often than it may", wait_s)
        return principal

    def check_stranger(self, request: web.Request) -> None:
        """Count a token of an attempt that none waits for; raises `Problem` 429 to who tries
        many."""
        wait_s = self._strangers.wait_s(request.remote or "", time.monotonic())
        if wait_s:
            raise _too_many("too many tokens that are none came from here", wait_s)

    @asynccontextmanager
    async def in_turn(self, request: web.Request) -> AsyncIterator[None]:
        """Look up a token of an attempt. Where many wrong ones came from, a few at a time: a good
        one from there is late, and is not refused."""
        if self._strangers.is_spent(request.remote or "", time.monotonic()):
            async with self._turns:
                yield
        else:
            yield

    async def still_good(self, request: web.Request) -> bool:
        """Whether the caller would still be recognised now: for requests that last long."""
        if self._options.auth == "none":
            return True
        shown = _session(request) or _token(request)
        return await self._checks.good(shown, lambda: self._stands(request))

    async def _stands(self, request: web.Request) -> bool:
        cookie = _session(request)
        if cookie is not None:
            return await self._sessions.stands(cookie)
        return bool(await self._tokens.recognise(_token(request), fresh=True))

    def check_browser_write(self, request: web.Request) -> None:
        """Refuse a change that rests on a cookie unless the browser says that a page of this very
        origin asks for it, whatever ``api.origins`` allows those who send a token."""
        site = request.headers.get("Sec-Fetch-Site")
        origin = request.headers.get("Origin")
        if site is None and origin is None:
            own = False
        elif site is None:
            own = urlsplit(str(origin)).netloc.lower() == request.host.lower()
        else:
            own = site == "same-origin"
        if not own:
            raise Problem("forbidden", "only a page of this address may change something here")

    async def _principal(self, request: web.Request, *, fresh: bool) -> Principal:
        if self._options.auth == "none":
            return ANYBODY
        cookie = _session(request)
        if cookie is None:
            return await self.recognise_token(request, _token(request), fresh=fresh)
        if request.method not in SAFE:
            self.check_browser_write(request)
        principal = await self._sessions.recognise(cookie, fresh=fresh)
        if principal is None:
            wait_s = self._strangers.wait_s(request.remote or "", time.monotonic())
            if wait_s:
                raise _too_many("too many sessions that are none came from here", wait_s)
            raise _unauthenticated("this session has ended; log in again")
        return principal

    async def recognise_token(
        self, request: web.Request, token: str, *, fresh: bool = False
    ) -> Principal:
        """Whose token this is; raises `Problem` 401, or 429 after too many wrong tokens."""
        if len(token) > MAX_TOKEN:
            raise _unauthenticated("this token is not known (any more)")
        recalled = None if fresh else self._tokens.recall(token)
        if recalled is not None:
            return recalled
        now_s, keys = time.monotonic(), _penalty_keys(request, token)
        wait_s = max(self._penalties.wait_s(key, now_s) for key in keys)
        principal = await self._looked_up(token, in_turn=wait_s > 0, fresh=fresh)
        if principal is not None:
            # Others may go on guessing from this address, so the address keeps its penalty.
            self._penalties.succeeded(keys[-1])
            return principal
        if wait_s:
            raise _too_many("too many wrong tokens came from here", wait_s)
        for key in keys:
            if self._penalties.failed(key, now_s) == FREE_FAILURES:
                _log.warning("wrong tokens: %s has to wait from now on", key)
        raise _unauthenticated("this token is not known (any more)")

    async def _looked_up(self, token: str, *, in_turn: bool, fresh: bool) -> Principal | None:
        """Whose token it is. For addresses that sent wrong ones, only a few look-ups at a time. A
        good token must be found there too: it is not refused because others guess."""
        if not in_turn:
            return await self._tokens.recognise(token, fresh=fresh)
        async with self._turns:
            return await self._tokens.recognise(token, fresh=fresh)


def _token(request: web.Request) -> str:
    """The token that a request brings; raises `Problem` 401 where there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
        raise _unauthenticated("send Authorization: Bearer dsk_...")
    return token


def _session(request: web.Request) -> str | None:
    """The cookie of a session, unless the request has a token, which then counts instead."""
    brought = "Authorization" in request.headers
    return None if brought else request.cookies.get(cookie_name(request)) or None


def _penalty_keys(request: web.Request, token: str) -> list[str]:
    keys = [f"address {request.remote}"]
    token_id = token_id_of(token)
    return keys if token_id is None else [*keys, f"token {token_id}"]


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _unauthenticated(detail: str) -> Problem:
    return Problem("unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


def _too_many(detail: str, wait_s: float) -> Problem:
    return Problem("too_many_requests", detail, headers={"Retry-After": str(max(1, ceil(wait_s)))})
