"""Who may come in: host and origin of a request, its token, its rate, its scope."""

import logging
import time
from math import ceil
from urllib.parse import urlsplit

from aiohttp import web

from dsched_api_http.options import ApiOptions, is_loopback
from dsched_api_http.problems import Problem
from dsched_api_http.scopes import Scope
from dsched_api_http.throttle import FREE_FAILURES, Penalties, RateLimit
from dsched_api_http.tokens import Principal, Tokens, token_id_of

_log = logging.getLogger(__name__)

ANYBODY = Principal(id="local", name="local", scope=Scope.ADMIN)
MAX_TOKEN = 512


class Gate:
    """Decides about each request before anything else looks at it."""

    def __init__(self, options: ApiOptions, tokens: Tokens) -> None:
        self._options = options
        self._tokens = tokens
        self._rates = RateLimit(options.rate_per_s)
        self._penalties = Penalties()
        self._check_hosts = is_loopback(options.bind) or bool(options.hosts)
        self._hosts = {host.lower() for host in options.hosts} | {options.bind.lower()}

    def check_source(self, request: web.Request) -> None:
        """Refuse a page of another site, and a name that somebody else made point here."""
        host = _host_of(f"//{request.host}")
        if self._check_hosts and not (host in self._hosts or is_loopback(host)):
            raise Problem(
                "forbidden",
                "this name is not one of the API's",
                hint="list the names it is reached by in api.hosts",
            )
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

    async def recognise(self, request: web.Request) -> Principal:
        """Who asks; raises `Problem` 401 or 429."""
        principal = ANYBODY if self._options.auth == "none" else await self._known(request)
        wait_s = self._rates.wait_s(principal.id, time.monotonic())
        if wait_s:
            raise _too_many("this token asks more often than it may", wait_s)
        return principal

    async def _known(self, request: web.Request) -> Principal:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
            raise _unauthenticated("send Authorization: Bearer dsk_...")
        recalled = self._tokens.recall(token)
        if recalled is not None:  # a good token is not locked out by somebody else's bad ones
            return recalled
        now_s, keys = time.monotonic(), _penalty_keys(request, token)
        wait_s = max(self._penalties.wait_s(key, now_s) for key in keys)
        if wait_s:
            raise _too_many("too many wrong tokens came from here", wait_s)
        principal = await self._tokens.recognise(token)
        if principal is None:
            for key in keys:
                if self._penalties.failed(key, now_s) == FREE_FAILURES:
                    _log.warning("wrong tokens: %s has to wait from now on", key)
            raise _unauthenticated("this token is not known (any more)")
        for key in keys:
            self._penalties.succeeded(key)
        return principal


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
