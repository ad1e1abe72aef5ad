"""The steps of a full store, group by group, as `scale_steps` calls and times them."""

import random
from collections.abc import Iterator
from datetime import timedelta

import attrs
import stores
from metering import Meter

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH, MAX_HEAVY_BATCH
from dsched.contracts.store.configs import Rearm, StoredConfig
from dsched.contracts.store.dispatching import Choice, Deferral
from dsched.contracts.store.firing import Fire
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.workers import Held, Registration
from dsched.contracts.store.working import Completion, Release
from dsched.engine.assertions import Assertions, AttemptWatch
from dsched.engine.leader.collecting import CollectStep
from dsched.engine.leader.term import Term
from dsched.engine.observers import Announcer
from dsched.engine.runtime import Runtime
from dsched.model import Home, Task, TaskResult, TaskSpec, TaskStatus
from dsched.planning import PlannedRun

LOCK_S = 3600
RESULT = TaskResult(data={"data": "y" * 80})
SPEC = TaskSpec(executor="local", payload={"function": "noop", "args": {"data": "x" * 70}})
URGENT = attrs.evolve(SPEC, priority=9)
EXPIRED = attrs.evolve(SPEC, start_deadline=timedelta(milliseconds=1))


@attrs.define
class Acts:
    """One pass over the steps. ``pruner``: a handle to which all that has ended is old."""

    store: Store
    pruner: Store
    meter: Meter
    count: int
    calls: int
    fence: str = ""
    claims: int = 0
    chance: random.Random = attrs.field(factory=lambda: random.Random(1))

    async def configs(self) -> None:
        """Put (new, equal, changed), get, list, pause, resume, delete."""
        store, call = self.store, self.meter.call
        now_ms = (await store.now()).wall_ms
        new = self.count - 2 * self.calls * MAX_BATCH
        for label in ("new", "equal"):
            for first in self._firsts(new, MAX_HEAVY_BATCH):
                # Due at once: these are what `fires` fires.
                items = stores.configs(range(first, first + MAX_HEAVY_BATCH), now_ms - 1000)
                put = lambda i=items: store.put(i, by="bench")  # noqa: E731
                await call(f"put {label} configs", put, len(items))
        for _ in range(self.calls):
            ids = [f"config-{self.chance.randrange(new):07d}" for _ in range(MAX_BATCH)]
            ids = list(dict.fromkeys(ids))
            await call("get configs", lambda i=ids: store.get_configs(i), len(ids))
        for _ in range(self.calls):
            cursor = f"config-{self.chance.randrange(new - MAX_BATCH):07d}"
            page = lambda c=cursor: store.list_configs(c, MAX_BATCH)  # noqa: E731
            await call("list configs, from anywhere", page, MAX_BATCH)
        for number in self.chance.sample(range(new), self.calls):
            await self._one_config(f"config-{number:07d}")

    async def _one_config(self, config_id: str) -> None:
        store, call = self.store, self.meter.call

        async def read() -> tuple[StoredConfig, Rearm]:
            (stored,) = await store.get_configs([config_id])
            due_ms = stored.due_ms or stores.FAR_MS + (await store.now()).wall_ms
            return stored, Rearm(read=stored.version, upto_ms=0, next_due_ms=due_ms)

        for step in ("pause", "resume", "delete"):
            _, rearm = await read()
            more = {"why": "it is measured"} if step == "pause" else {}
            method = getattr(store, step)
            await call(
                f"{step} a config",
                lambda m=method, r=rearm, k=more: m(config_id, r, by="bench", **k),
            )

    async def fires(self) -> None:
        """Look, due and fire, as many configs at a time as the leader."""
        store, call = self.store, self.meter.call
        answer = await store.acquire("bench", "bench", LOCK_S * 1000)
        self.fence = answer.fence
        for _ in range(self.calls):
            await call("look, with configs due", lambda: store.poll(self.fence, MAX_BATCH))
            page = await call("due", lambda: store.due(self.fence, MAX_BATCH), MAX_BATCH)
            next_ms = page.time.wall_ms + stores.FAR_MS
            fires = [
                Fire(
                    config_id=stored.config.id,
                    revision=stored.config.revision,
                    due_ms=stored.due_ms,
                    runs=(PlannedRun(scheduled_ms=stored.due_ms, not_before_ms=0),),
                    next_due_ms=next_ms,
                )
                for stored in page.configs[:MAX_HEAVY_BATCH]
            ]
            await call("fire", lambda f=fires: store.fire(self.fence, f), len(fires))

    async def tasks(self) -> None:
        """Submit, promote, dispatch, claim, beat, complete, release, recall: a batch each."""
        store, call = self.store, self.meter.call
        for worker in ("worker-1", "worker-2"):
            await store.register(_registration(worker))
        for first in self._firsts(0):
            items = stores.tasks(range(first, first + MAX_BATCH), URGENT, "urgent")
            await call("submit", lambda i=items: store.submit(i, by="bench"), MAX_BATCH)
            items = stores.tasks(range(first, first + MAX_BATCH), SPEC, "soon", 1)
            await store.submit(items, by="bench")
            await call("promote", lambda: store.promote(self.fence, MAX_BATCH), MAX_BATCH)
            await call("ready, a page", lambda: store.ready(self.fence, 0, MAX_BATCH), MAX_BATCH)
        for number in range(self.calls):
            ids = await self._dispatched("worker-1")
            claimed = await self._claimed("worker-1")
            held = [Held(task.id, claimed.token) for task in claimed.tasks]
            beat = lambda h=held: store.heartbeat("worker-1", "1-a", h)  # noqa: E731
            await call("heartbeat with 100 leases", beat, len(held))
            if number % 4:
                done = [_completion(task, claimed.token) for task in claimed.tasks]
                await call("complete", lambda d=done: store.complete(d, by="worker-1"), len(ids))
            else:
                back = [
                    Release(task_id=task.id, token=claimed.token, reason="released")
                    for task in claimed.tasks
                ]
                for start in range(0, len(back), MAX_HEAVY_BATCH):
                    part = back[start : start + MAX_HEAVY_BATCH]
                    await call("release", lambda p=part: store.release(p, by="worker-1"), len(part))

    async def _dispatched(self, worker_id: str) -> list[str]:
        page = await self.store.ready(self.fence, 0, MAX_BATCH)
        chosen = [
            Choice(task_id=task.id, worker_id=worker_id, why="least-tasks 0/200")
            for task in page.tasks
        ]

        async def dispatch() -> object:
            return await self.store.dispatch(self.fence, chosen, [], skip=0, limit=MAX_BATCH)

        await self.meter.call("dispatch, and the next page", dispatch, len(chosen))
        return [task.id for task in page.tasks]

    async def _claimed(self, worker_id: str):
        self.claims += 1

        async def claim() -> object:
            return await self.store.claim(worker_id, "1-a", 0, self.claims, MAX_BATCH)

        return await self.meter.call("claim", claim, MAX_BATCH)

    async def lists(self) -> None:
        """Collect what has happened; then every list there is, from its start and from deep in
        it."""
        await self._collected()
        await self._dispatched("worker-1")
        await self._claimed("worker-1")
        await self._dispatched("worker-2")
        fired = f"config-{self.count - 2 * self.calls * MAX_BATCH:07d}"
        waiting = self.count // 2
        for label, query, deep in (
            ("ready tasks", TaskQuery(home=Home.READY), waiting),
            ("delayed tasks", TaskQuery(home=Home.DELAYED), self.count // 8),
            ("running tasks", TaskQuery(home=Home.LEASE), 0),
            ("held tasks", TaskQuery(home=Home.HELD), 0),
            ("a worker's queue", TaskQuery(home=Home.QUEUE, worker_id="worker-2"), 0),
            ("ended tasks by status", TaskQuery(status=TaskStatus.SUCCESS), 0),
            ("ended tasks of a config", TaskQuery(config_id=fired), 0),
            ("live tasks of a config", TaskQuery(live_of=fired), 0),
        ):
            await self._listed(f"list {label}", query, 0)
            if deep and has_positions(self.store):
                await self._listed(f"list {label}, from deep", query, deep)
        for step in ("counts", "workers", "pods"):
            for _ in range(self.calls):
                await self.meter.call(step, getattr(self.store, step))

    async def _listed(self, label: str, query: TaskQuery, start: int) -> None:
        for _ in range(self.calls):
            cursor = str(start + self.chance.randrange(max(1, start))) if start else None
            page = lambda c=cursor: self.store.list_tasks(query, c, MAX_BATCH)  # noqa: E731
            answer = await self.meter.call(label, page, 0)
            self.meter.rows[label].items += len(answer.tasks)

    async def _collected(self) -> None:
        """Everything logged so far becomes decisions and indexes, as the leader's collector does
        it."""
        runtime = Runtime()
        announcer = Announcer({})
        term = Term(self.fence, LOCK_S, runtime.monotonic(), runtime)
        store = Projected(self.store, self.meter)
        collector = CollectStep(store, term, announcer, AttemptWatch(Assertions(announcer)))
        while await collector.collect():
            pass

    async def ends(self) -> None:
        """Cancel what is ready and what is delayed, let the late expire, prune what has ended."""
        store, call = self.store, self.meter.call
        for kind in ("ready", "later"):
            for first in self._firsts(0):
                ids = [f"{kind}-{n:07d}" for n in range(first, first + MAX_BATCH)]
                cancel = lambda i=ids: store.cancel(i, by="bench", reason="measured")  # noqa: E731
                await call(
                    f"cancel {'delayed' if kind == 'later' else kind} tasks", cancel, len(ids)
                )
        for first in self._firsts(0):
            await store.submit(
                stores.tasks(range(first, first + MAX_BATCH), EXPIRED, "expired"), by="bench"
            )
        for first in self._firsts(0):
            gone = [
                Deferral(task_id=f"expired-{n:07d}", delay_ms=1, reason="-")
                for n in range(first, first + MAX_BATCH)
            ]
            expire = lambda g=gone: store.dispatch(self.fence, [], g, skip=0, limit=1)  # noqa: E731
            await call("expire", expire, MAX_BATCH)
        for _ in range(self.calls):
            await call("overdue", lambda: store.overdue(self.fence, MAX_BATCH, 600_000))
            prune = lambda: self.pruner.prune(self.fence, MAX_HEAVY_BATCH)  # noqa: E731
            await call("prune", prune, MAX_HEAVY_BATCH)

    def _firsts(self, start: int, size: int = MAX_BATCH) -> Iterator[int]:
        """The first numbers of as many batches as there are calls."""
        return iter(range(start, start + self.calls * size, size))


@attrs.frozen
class Projected:
    """The collector's two steps, timed."""

    store: Store
    meter: Meter

    async def collect(self, fence: str, limit: int):
        """A page of the log."""
        return await self.meter.call(
            "collect, a page", lambda: self.store.collect(fence, limit), limit
        )

    async def project(self, fence: str, projection):
        """What is made of it; items: the ended tasks in it."""
        items = max(1, len(projection.finished))
        step = lambda: self.store.project(fence, projection)  # noqa: E731
        return await self.meter.call("project", step, items)


def has_positions(store: Store) -> bool:
    """Whether this store's cursors of tasks are positions, so that one deep inside can be made
    up."""
    return type(store).__name__ == "RedisStore"


def _registration(worker_id: str) -> Registration:
    return Registration(
        worker_id=worker_id,
        incarnation="1-a",
        capacity=MAX_BATCH,
        backlog=MAX_BATCH,
        heartbeat_timeout_ms=LOCK_S * 1000,
    )


def _completion(task: Task, token: str) -> Completion:
    return Completion(task_id=task.id, token=token, success=True, result=RESULT)
