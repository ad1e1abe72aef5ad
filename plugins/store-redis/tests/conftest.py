"""Real servers for the tests of the Redis store, and a store with something of everything in it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import attrs
import pytest
import trustme

from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm, StoredConfig
from dsched.contracts.store.dispatching import Choice, Deferral
from dsched.contracts.store.documents import Document
from dsched.contracts.store.firing import Fire
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.runs import Advance, Birth
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Completion, Submission
from dsched.model import Overlap, Step, TaskConfig, TaskResult, TaskSpec, TaskStatus, Workflow
from dsched.planning import PlannedRun
from dsched.planning.runs import SkippedStep
from dsched_store_redis.options import Durability, RedisOptions
from dsched_store_redis.store import RedisStore, open_store
from dsched_testkit.servers import RedisServer, redis_cluster

Opener = Callable[..., AbstractAsyncContextManager[RedisStore]]


@pytest.fixture(scope="session")
def shared_server() -> Iterator[RedisServer]:
    """A server that tests share; each uses a prefix of its own."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[list[RedisServer]]:
    """A cluster of three masters that tests share."""
    with redis_cluster(3) as nodes:
        yield nodes


@pytest.fixture
def opener() -> Opener:
    """Opens a store on a server; every keyword is an option."""

    @asynccontextmanager
    async def opened(server: RedisServer, **options: Any) -> AsyncIterator[RedisStore]:
        # Behind sentinels `dev` is refused.
        profile = Durability.STANDALONE if "sentinel" in options else Durability.DEV
        defaults: dict[str, Any] = {
            "addr": server.addr,
            "key_prefix": f"t{uuid4().hex[:8]}:",
            "durability": profile,
        }
        async with open_store(RedisOptions(**(defaults | options)), StoreSettings()) as store:
            yield store

    return opened


@attrs.frozen(kw_only=True)
class Populated:
    """What a populated store holds, and what refers to it."""

    document: Document
    fence: str
    worker: Registration
    token: str
    paused: StoredConfig
    going: StoredConfig
    now_ms: int


SPEC = TaskSpec(executor="local", payload={"call": "work"})


async def put(store: RedisStore, config_id: str, due_ms: int, **fields: Any) -> StoredConfig:
    """A new config that is due at an instant."""
    config = TaskConfig(
        id=config_id, executor="local", **({"every": timedelta(minutes=1)} | fields)
    )
    rearm = Rearm(read=ConfigVersion(), upto_ms=0, next_due_ms=due_ms)
    (answer,) = await store.put([PutConfig(config=config, rearm=rearm)], by="author")
    assert answer.outcome is Outcome.OK
    assert answer.stored is not None
    return answer.stored


async def populate(store: RedisStore) -> Populated:
    """A task in every home and state, configs due, paused and held, a worker with work."""
    fence = (await store.acquire("pod", "token", 60_000)).fence
    worker = Registration(
        worker_id="w1", incarnation="1-a", capacity=10, backlog=10, heartbeat_timeout_ms=30_000
    )
    assert await store.register(worker) is Outcome.OK
    now_ms = (await store.now()).wall_ms
    held = await put(store, "held", now_ms - 1000, overlap=Overlap.QUEUE_ONE)
    going = await put(store, "going", now_ms - 1000, fixed_delay=timedelta(minutes=1), every=None)
    paused = await put(store, "paused", now_ms - 1000, origin="file:tasks")
    await store.pause("paused", Rearm(read=paused.version, upto_ms=0), by="op", why="later")
    (paused_now,) = await store.get_configs(["paused"])
    assert paused_now is not None
    runs = tuple(PlannedRun(scheduled_ms=now_ms - ms, not_before_ms=0) for ms in (1000, 500))
    await store.fire(
        fence,
        [
            Fire(
                config_id="held",
                revision=held.config.revision,
                due_ms=now_ms - 1000,
                runs=runs,
                next_due_ms=now_ms - 1,
            )
        ],
    )
    routed = attrs.evolve(SPEC, required_labels={"a": "b"}, start_deadline=timedelta(hours=1))
    names = ("run", "done", "queued", "ready", "later")
    tasks = [Submission(task_id=name, spec=routed) for name in names]
    await store.submit([*tasks, Submission(task_id="slow", spec=SPEC, delay_ms=60_000)], by="me")
    chosen = [Choice(task_id=name, worker_id="w1", why="least") for name in ("run", "done")]
    await store.dispatch(fence, chosen, [], skip=0, limit=10)
    claimed = await store.claim("w1", "1-a", 0, 1, 2)
    assert [task.id for task in claimed.tasks] == ["run", "done"]
    done = Completion(
        task_id="done", token=claimed.token, success=False, result=TaskResult(), error="a\nb"
    )
    assert await store.complete([done], by="w1") == (Outcome.OK,)
    await store.dispatch(
        fence,
        [Choice(task_id="queued", worker_id="w1")],
        [Deferral(task_id="later", delay_ms=5000, reason="no worker")],
        skip=0,
        limit=10,
    )
    flow = Workflow(steps=[Step(id=name, executor="local") for name in ("a", "b", "c", "z")])
    runs_of_many = TaskSpec(executor="workflow", workflow=flow)
    await store.submit(
        [Submission(task_id=name, spec=runs_of_many) for name in ("flow", "ending")], by="me"
    )
    await store.open_runs(fence, {}, 10)
    skips = tuple(
        SkippedStep(step=one.id, status=TaskStatus.FAILED, reason="r") for one in flow.steps
    )
    births = tuple(Birth(name=name, spec=SPEC) for name in ("a", "b"))
    await store.advance(
        fence,
        [
            Advance(run_id="flow", version=0, births=births, skips=skips[3:]),
            Advance(run_id="ending", version=0, skips=skips),
        ],
    )
    kept = await store.put_document("kind", "kept", {"a": "b"}, read=0)
    await store.put_document("kind", "fleeting", {"a": "b"}, read=0, ttl_ms=60_000)
    assert kept.stored is not None
    return Populated(
        document=kept.stored,
        fence=fence,
        worker=worker,
        token=claimed.token,
        paused=paused_now,
        going=going,
        now_ms=now_ms,
    )


@pytest.fixture
def populated() -> Callable[[RedisStore], Any]:
    """Fills a store: see `populate`."""
    return populate


class Proxy:
    """Stands between a client and a server: passes, delays, freezes or cuts, as it is told."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()
        self.passing = asyncio.Event()
        self.passing.set()
        self.delay_s = 0.0
        self.port = 0
        self.connections = 0

    @property
    def addr(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        ends = [writer]
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._server.port)
            ends.append(back)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, back))
                group.create_task(self._pass(there, writer))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in ends:
                end.close()
            await asyncio.gather(*(end.wait_closed() for end in ends), return_exceptions=True)
            self._tasks.discard(task)

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self.passing.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            target.write(data)
            await target.drain()
        target.close()

    async def close(self) -> None:
        """Cut everything."""
        self.passing.set()
        await asyncio.sleep(0.01)  # whoever has just been accepted is served, and cut
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
def proxied() -> Callable[[RedisServer], AbstractAsyncContextManager[Proxy]]:
    """A proxy in front of a server."""

    @asynccontextmanager
    async def front(server: RedisServer, **how: Any) -> AsyncIterator[Proxy]:
        proxy = Proxy(server)
        listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, **how)
        proxy.port = listener.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            listener.close()
            await proxy.close()
            await listener.wait_closed()

    return front


@pytest.fixture
def tls_front(proxied: Any) -> Any:
    """A server reached by TLS, under a certificate of a given authority for ``localhost``."""

    @asynccontextmanager
    async def front(server: RedisServer, ca: trustme.CA) -> AsyncIterator[int]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost").configure_cert(context)
        async with proxied(server, ssl=context) as proxy:
            yield proxy.port

    return front
