"""What a handler is given, what it gives back, and how a route is written down."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import attrs
from aiohttp import web

from dsched.client import Client
from dsched.contracts import Intake, PodView, StoreReadOnlyError
from dsched.contracts.store import Store
from dsched.contracts.store.tasklogs import LinePage
from dsched.wording import printable
from dsched_api_http.acts import Act
from dsched_api_http.audit import Audit
from dsched_api_http.backlog import Backlog
from dsched_api_http.cursors import Cursors
from dsched_api_http.events import EventHub
from dsched_api_http.gate import Gate
from dsched_api_http.idempotency import Claim, Idempotency
from dsched_api_http.judged import Judged
from dsched_api_http.options import ApiOptions
from dsched_api_http.overview import Overview
from dsched_api_http.problems import Problem
from dsched_api_http.readiness import Readiness
from dsched_api_http.requests import MAX_LIMIT, Nothing
from dsched_api_http.scopes import Scope
from dsched_api_http.sessions import Sessions
from dsched_api_http.shared_answers import Given, SharedAnswers
from dsched_api_http.shares import Shares
from dsched_api_http.timetable import Timetable
from dsched_api_http.tokens import Principal, Tokens

MAX_STORE_WORDS = 500

T = TypeVar("T")

STORE_PAGE = 100  # what a store gives at once


@attrs.frozen(kw_only=True)
class Api:
    """What all requests of a pod share.

    ``putting`` is held from where room for configs is counted until they are put. ``stopping`` is
    set when the pod leaves.
    """

    pod: PodView
    store: Store
    options: ApiOptions
    tokens: Tokens
    gate: Gate
    audit: Audit
    idempotency: Idempotency
    hub: EventHub
    overview: Overview
    readiness: Readiness
    sessions: Sessions
    shared: SharedAnswers[Given]
    lines: SharedAnswers[LinePage]
    streams: Shares
    timetable: Timetable
    waits: Shares
    backlog: Backlog
    judged: Judged
    putting: asyncio.Lock
    stopping: asyncio.Event


@attrs.frozen(kw_only=True)
class Answer:
    """An answer: a value as JSON, a status other than the route's own, more headers."""

    body: Any = None
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Call:
    """One request that was let in: who asks what."""

    api: Api
    request: web.Request
    principal: Principal
    path: Mapping[str, str]
    query: Any
    body: Any
    claim: Claim
    act: Act
    client: Client

    @property
    def store(self) -> Store:
        """The pod's store, for reading."""
        return self.api.store

    @property
    def intake(self) -> Intake:
        """The judge of configs and tasks."""
        return self.api.pod.intake

    @property
    def sees_payloads(self) -> bool:
        """Whether arguments of tasks are shown: they may be private, so not to ``read``."""
        return self.principal.scope.covers(Scope.SUBMIT)

    async def page(
        self,
        name: str,
        fetch: Callable[[str | None, int], Awaitable[tuple[list[T], str | None]]],
    ) -> tuple[list[T], str | None]:
        """A page as the query asks: gathered from pages of the store, with a cursor of the API."""
        cursor = Cursors.read(name, self.query.cursor)
        found: list[T] = []
        limit = min(self.query.limit, MAX_LIMIT)
        # Pages may be short; a bound on their number keeps one request from walking over all.
        for _ in range(2 * MAX_LIMIT // STORE_PAGE):
            try:
                more, cursor = await fetch(cursor, min(STORE_PAGE, limit - len(found)))
            except ValueError as error:
                raise Cursors.refused() from error
            found += more
            if cursor is None or len(found) >= limit:
                break
        return found, Cursors.write(name, cursor)


Handler = Callable[[Call], Awaitable[Answer | web.StreamResponse]]


@attrs.frozen(kw_only=True)
class Route:
    """One line of the table: what is asked where, by whom, with what, and what is answered.

    ``scope`` None: open to all. ``listed``: the answer is a page of ``answer``. ``body`` is a
    class, or `Entry` for the keys of a task file. ``also`` are further statuses with the same
    body. ``plain``: text at the root, not JSON below the version. ``stream``: the
    answer is always one of events; ``endless``: it may be. ``shared``: it is the same for all
    callers of a scope, who may share one.
    """

    method: str
    path: str
    name: str
    scope: Scope | None
    handle: Handler
    summary: str
    query: type[Any] = Nothing
    body: type[Any] | None = None
    body_optional: bool = False
    answer: type[Any] | None = None
    listed: bool = False
    status: int = 200
    also: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()
    audited: bool = False
    idempotent: bool = False
    plain: bool = False
    stream: bool = False
    endless: bool = False
    shared: bool = False


class Entry:
    """The body of a config: the keys of a task file, judged by the intake."""


class Patch:
    """A merge patch (RFC 7396) of an entry."""


def listing(items: list[Any], cursor: str | None) -> Answer:
    """A page as answered."""
    return Answer(body={"items": items, "cursor": cursor})


def unavailable(detail: str) -> Problem:
    """The store did not answer."""
    return Problem("store_unavailable", detail, headers={"Retry-After": "1"})


def read_only(error: StoreReadOnlyError) -> Problem:
    """The store answers and takes no writes, in its own words."""
    words = printable(str(error), MAX_STORE_WORDS)
    if error.maybe_applied:
        words += "; what was asked may have happened or not"
    return Problem(
        "store_read_only",
        words,
        hint="repair the store; the pods go on by themselves when it takes writes again",
        headers={"Retry-After": "1"},
    )
