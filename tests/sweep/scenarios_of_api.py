"""The scenarios of API pods: what several of them share in the store, and who follows the log
there.

Here and not in the testkit, for no distribution of ours imports another one's plugin.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import attrs

import dsched_api_http
from dsched.client.limits import unknown_limits
from dsched.config.intake import CatalogueIntake
from dsched.config.settings import TaskSettings
from dsched.loading import Catalogue
from dsched.model import Limit, TaskConfig, TaskSpec
from dsched_api_http.audit import KIND as AUDIT
from dsched_api_http.audit import Act, Audit
from dsched_api_http.backlog import Backlog
from dsched_api_http.events import EventHub, TooOldError
from dsched_api_http.idempotency import Claim, Idempotency
from dsched_api_http.limit_sums import sums_of
from dsched_api_http.occupancy import Span
from dsched_api_http.options import ApiOptions
from dsched_api_http.overview import Overview
from dsched_api_http.problems import Problem
from dsched_api_http.readiness import Readiness
from dsched_api_http.scopes import Scope
from dsched_api_http.sessions import Sessions
from dsched_api_http.timetable import Timetable
from dsched_api_http.tokens import CONFIGURED, Principal, Tokens
from dsched_testkit.sweep.play import scenario
from dsched_testkit.sweep.scenarios import NARROW, spec
from dsched_testkit.sweep.sites import include
from dsched_testkit.sweep.stage import Stage, User

include(Path(dsched_api_http.__file__).parent)

REQUEST = "task.submit t"
_WORK: dict[str, Any] = {"executor": "fn", "payload": {"do": "work", "s": 0}}


@attrs.define
class Shared:
    """What the pods were told, and so have told others."""

    first_tokens: list[str] = attrs.field(factory=list)
    names: set[str] = attrs.field(factory=set)
    acts: list[str] = attrs.field(factory=list)
    revoked: list[str] = attrs.field(factory=list)


async def _claimed(user: User, key: str, request: str = REQUEST) -> Claim:
    return await Idempotency(user.store).claim(key, "me", request)


async def _pod(shared: Shared, user: User) -> None:
    """What each of several pods does when it starts, and when one request reaches all of them."""
    first = await Tokens(user.store).create_first()
    if first is not None:
        shared.first_tokens.append(first.token)
    shared.names.add((await _claimed(user, "key")).unique)
    act = secrets.token_hex(4)
    await Audit(user.store).record("me", "task.submit", Act(object=act), "ok")
    shared.acts.append(act)


@scenario()
async def shared_documents(stage: Stage) -> None:
    """Two API pods start at once, and one request reaches both of them."""
    await stage.lead_by("a", NARROW)
    shared = Shared()
    async with asyncio.TaskGroup() as pods:
        for name in ("one", "two"):
            pods.create_task(stage.user(partial(_pod, shared)), name=f"api pod {name}")
    await _judge_shared(stage, shared)


async def _judge_shared(stage: Stage, shared: Shared) -> None:
    if len(shared.names) != 1:
        stage.problems.append(f"one key stands for {sorted(shared.names)}")
    for token in shared.first_tokens:
        if await Tokens(stage.store).recognise(token) is None:
            stage.problems.append("a first token that was shown is not known")
    kept = [
        row.view().value["object"] for row in stage.state.documents.values() if row.kind == AUDIT
    ]
    if sorted(set(kept)) != sorted(kept) or not set(shared.acts) <= set(kept):
        stage.problems.append(f"the audit has {kept}, done was {shared.acts}")


async def _tokens(stage: Stage, shared: Shared, user: User) -> None:
    """A token is made, used, listed and revoked; one runs out."""
    tokens = Tokens(user.store)
    made = await tokens.create("ci", Scope.READ, by="me")
    await tokens.recognise(made.token)
    await tokens.page(None, 10)
    await tokens.revoke(made.id)
    shared.revoked.append(made.token)
    short = await tokens.create("short", Scope.READ, by="me", expires_in=timedelta(seconds=1))
    await tokens.recognise(short.token, fresh=True)
    await asyncio.sleep(1.1)
    shared.revoked.append(short.token)
    await tokens.revoke(short.id)
    several = [(await tokens.create(f"viewer {at}", Scope.READ, by="me")).token for at in range(4)]
    await asyncio.gather(*(tokens.recognise(one, fresh=True) for one in several))
    await Audit(user.store).page(None, 10)


async def _keys(stage: Stage, user: User) -> None:
    """A request is refused and gives its key back; the mended one may have it."""
    refused = await _claimed(user, "mended", "a bad one")
    await Idempotency(user.store).release(refused)
    try:
        await _claimed(user, "mended", "a good one")
    except Problem:
        if not refused.replayed:
            stage.problems.append("a key that was given back is not free")


@scenario()
async def dropped_documents(stage: Stage) -> None:
    """Tokens are revoked and run out, keys are given back."""
    await stage.lead_by("a", NARROW)
    shared = Shared()

    async def script(user: User) -> None:
        await _tokens(stage, shared, user)
        await _keys(stage, user)

    await stage.user(script)
    await stage.until(lambda: not stage.meter.packets, "every packet has arrived")
    for token in shared.revoked:
        if await Tokens(stage.store).recognise(token) is not None:
            stage.problems.append("a token that was revoked, or has run out, is known")


@scenario()
async def follows(stage: Stage) -> None:
    """An API pod tells a listener what happens, and goes on from where one was cut off."""
    await stage.lead_by("a", NARROW)

    async def script(user: User) -> None:
        await Readiness(user.store).trouble()
        hub = EventHub(user.store)
        following = asyncio.create_task(hub.run(), name="event hub")
        try:
            listening = asyncio.create_task(_upto(hub, None), name="listener")
            await asyncio.sleep(0.5)
            await user.attempt(user.submit(spec("work", 0), task_id="t"))
            cursor = await listening
            if cursor is not None:
                await _upto(hub, cursor)
        finally:
            following.cancel()

    await stage.user(script)
    await stage.ended("t")


@scenario()
async def backlog(stage: Stage) -> None:
    """An API pod counts what waits before it lets more in, and finds out what waits no longer."""
    await stage.lead_by("a", NARROW)
    options = ApiOptions(auth="token", max_waiting_by_token=1)
    refused: list[str] = []

    async def script(user: User) -> None:
        bounds = Backlog(user.store, options)
        for task_id in ("first", "second"):
            try:
                async with bounds.room(CONFIGURED, {task_id: 10}):
                    await user.attempt(user.submit(spec("work", 2), task_id=task_id))
            except Problem as problem:
                refused.append(problem.code)

    await stage.user(script)
    if refused not in ([], ["backlog_full"]):
        stage.problems.append(f"refused for {refused}")


async def _session(stage: Stage, user: User) -> None:
    """A browser logs in, is known by its cookie, and logs out; another one's token is revoked."""
    tokens = Tokens(user.store)
    sessions = Sessions(user.store, tokens)
    for ends in (sessions.close, None):
        made = await tokens.create("browser", Scope.READ, by="me")
        principal = Principal(id=made.id, name=made.name, scope=made.scope)
        cookie = (await sessions.open(made.token, principal)).cookie
        if await sessions.recognise(cookie) is None:
            stage.problems.append("a session that was opened is not known")
        if ends is not None:
            await ends(cookie)
        await tokens.revoke(made.id)
        if await sessions.recognise(cookie, fresh=True) is not None:
            stage.problems.append(
                "a session is known whose end, or whose token's, was acknowledged"
            )


@scenario()
async def browser_sessions(stage: Stage) -> None:
    """A browser's session ends with its log-out, and with its token."""
    await stage.lead_by("a", NARROW)
    await stage.user(partial(_session, stage))


class _AtOnce(ThreadPoolExecutor):
    """Runs in the loop's own thread: virtual time would pass while another one works."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **more: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **more))
        except Exception as error:
            done.set_exception(error)
        return done


@scenario()
async def seen_by_people(stage: Stage) -> None:
    """An API pod gathers what the console shows, of a config that runs meanwhile."""
    asyncio.get_running_loop().set_default_executor(_AtOnce())
    await stage.lead_by("a", NARROW)
    intake = CatalogueIntake(defaults=TaskSettings(), catalogue=Catalogue())

    async def script(user: User) -> None:
        every = TaskConfig(id="c", every=timedelta(seconds=5), **_WORK)
        await user.attempt(user.put_config(every))
        await asyncio.sleep(6)
        await Overview(user.store, intake).configs()  # of a pod that nobody asked for *Now* yet
        overview = Overview(user.store, intake)
        timetable = Timetable(user.store, overview)
        await overview.now()
        configs, _ = await overview.configs()
        now_ms = (await user.store.now()).wall_ms
        around = Span(from_ms=now_ms - 3_600_000, cell_ms=300_000, cells=24)
        await timetable.load(around)
        rows = await timetable.rows(configs, around)
        if [row.id for row in rows] != [one.config.id for one in configs]:
            stage.problems.append(f"rows are of {[row.id for row in rows]}")

    await stage.user(script)


@scenario()
async def limits_of_a_batch(stage: Stage) -> None:
    """An API pod looks whether the limits that the items of a batch name are there."""
    await stage.lead_by("a", NARROW)

    async def script(user: User) -> None:
        await user.attempt(user.put_limit(Limit(id="crm", max_running=1)))
        unknown = await unknown_limits(user.store, ["crm:a", "crm:b", "crn:b"])
        if list(unknown) != ["crn"]:
            stage.problems.append(f"the limits that are not there: {list(unknown)}, not crn")

    await stage.user(script)


@scenario()
async def how_full_limits_are(stage: Stage) -> None:
    """An API pod sums up what holds places of a page of limits, of which one instance has a record
    of its own on another page."""
    await stage.lead_by("a", NARROW)
    work = TaskSpec(executor="fn", payload={"do": "work", "s": 8}, limits=("crm:own",))

    async def script(user: User) -> None:
        await user.attempt(user.put_limit(Limit(id="crm", max_running=0)))
        await user.attempt(user.put_limit(Limit(id="crm:own", max_running=1)))
        await user.submit_each({"limited": work})
        await asyncio.sleep(3)
        crm = Limit(id="crm", max_running=0)
        found = await sums_of(user, user.store, [crm], whole=False, most=5)
        if found["crm"].held or found["crm"].waiting:
            stage.problems.append(f"of another record: {found}")

    await stage.user(script)


async def _upto(hub: EventHub, after: str | None) -> str | None:
    """Follow until something has come; where that is, None if nothing came in time."""
    try:
        async with asyncio.timeout(3):
            async for event in hub.follow(after):
                if event is not None:
                    return event.cursor
    except (TimeoutError, TooOldError):
        return None
    return None


API = (
    shared_documents,
    dropped_documents,
    follows,
    backlog,
    browser_sessions,
    seen_by_people,
    limits_of_a_batch,
    how_full_limits_are,
)
