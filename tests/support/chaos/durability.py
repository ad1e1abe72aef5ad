"""What a store loses of acknowledged submissions, and fires twice, when its primary dies or
moves."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
from cluster import opener

from chaos.stages.base import leads, told
from chaos.stages.opening import EVERYSEC, at_least
from chaos.twice_fired import Fires
from dsched.client import Client
from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import StoreError, StoreUnavailableError
from dsched.model import Task, TaskSpec
from dsched_testkit.servers import RedisServer, SentinelSet, sentinel_set

# The profile, the cut (the primary killed, or a failover asked for while it lives), the replicas,
# and how many of these a write needs: the server's min-replicas-to-write, under `strict` waited
# for.
ROUNDS = (
    ("dev", "kill", 0, 0),
    ("standalone", "kill", 0, 0),
    # Behind sentinels: it is warned about, and promises nothing.
    ("standalone", "kill", 1, 0),
    ("standalone", "failover", 1, 0),
    *(
        (profile, cut, *counts)
        for profile in ("ha", "strict")
        for cut in ("kill", "failover")
        for counts in ((1, 1), (2, 1), (2, 2))
    ),
)
CLIENTS = 8
Opener = Callable[[], contextlib.AbstractAsyncContextManager[Store]]
BOUND_S = 2.0  # what `ha` may lose
_LOAD_S = 1.5
_AGAIN_S = 60.0
_SPEC = TaskSpec(executor="local", payload={"function": "nap"})
_FAST_SYNC = ("--repl-diskless-sync-delay", "0")


@attrs.frozen(kw_only=True)
class Round:
    """What one cut did. ``loss_s``: from the first to the last acknowledged write that is gone.

    ``fired``: instants that were acknowledged as fired; ``twice``: those of them that were so more
    than once, by leaders of two histories.
    """

    profile: str
    cut: str
    replicas: int
    needs: int
    acknowledged: int
    lost: int
    loss_s: float
    silence_s: float
    fired: int = 0
    twice: int = 0

    @property
    def broken(self) -> bool:
        """Whether more was lost than the profile promises.

        It promises nothing of a failover from a primary that lives to a replica that no write
        needs: such a one may lag.
        """
        if self.profile not in ("ha", "strict"):
            return False
        if self.cut == "failover" and self.needs < self.replicas:
            return False
        return self.loss_s > BOUND_S if self.profile == "ha" else self.lost > 0


@attrs.define
class _Load:
    """Clients that submit as fast as they are answered; when each write was acknowledged."""

    store: Store
    acknowledged_s: dict[str, float] = attrs.field(factory=dict)
    # Each call holds one of them; whoever holds all has stopped the clients.
    using: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(CLIENTS))

    async def run(self, name: str) -> None:
        """Until cancelled."""
        number = 0
        while True:
            number += 1
            task_id = f"{name}-{number}"
            try:
                async with self.using, asyncio.timeout(5):
                    client = Client(self.store, by=name)
                    await client.submit(_SPEC, task_id=task_id, delay_s=3600)
            except (StoreError, TimeoutError):
                await asyncio.sleep(0.05)
            else:
                self.acknowledged_s[task_id] = time.monotonic()

    @contextlib.asynccontextmanager
    async def stopped(self) -> AsyncIterator[None]:
        """Nobody calls the store within the block."""
        for _ in range(CLIENTS):
            await self.using.acquire()
        try:
            yield
        finally:
            for _ in range(CLIENTS):
                self.using.release()


async def measure(
    profile: str, cut: str, replicas: int, needs: int, *, folder: Path, chance: random.Random
) -> Round:
    """One round: load, the cut in the middle of it, load again, and a count."""
    async with _servers(profile, replicas, needs) as (settings, kill, fail_over):
        settings = settings | {"durability": profile, "timeout": "1s"}
        settings |= {"replicas": needs} if profile == "strict" else {}
        whole = {"store": "redis", "redis": settings}
        opened = opener(folder / "durability.yaml", whole)
        async with contextlib.AsyncExitStack() as later, contextlib.AsyncExitStack() as before:
            store = await before.enter_async_context(opened())
            fires = Fires()

            async def act(load: _Load) -> None:
                await (kill if cut == "kill" else fail_over)()
                if profile == "dev":
                    # It forgot everything, and a process that remembers what was is refused.
                    async with load.stopped():
                        await before.aclose()
                        load.store = await later.enter_async_context(opened())

            async with _leading(fires, opened if profile != "dev" else None):
                load, cut_s = await _under_load(_Load(store), act, chance)
            gone = await _missing(load.store, sorted(load.acknowledged_s))
    times = sorted(load.acknowledged_s[task_id] for task_id in gone)
    later = [at_s for at_s in load.acknowledged_s.values() if at_s > cut_s]
    return Round(
        profile=profile,
        cut=cut,
        replicas=replicas,
        needs=needs,
        acknowledged=len(load.acknowledged_s),
        lost=len(gone),
        loss_s=round(times[-1] - times[0], 3) if times else 0.0,
        silence_s=round(_longest_gap_s(cut_s, later), 3),
        fired=len(fires.fired),
        twice=fires.twice,
    )


@contextlib.asynccontextmanager
async def _leading(fires: Fires, opened: Opener | None) -> AsyncIterator[None]:
    """Two leaders from now on, and one that starts all the time, as pods may in a failover."""
    if opened is None:
        yield
        return

    async def one(name: str, lasts_s: float | None) -> None:
        while True:
            with contextlib.suppress(StoreError, TimeoutError):
                async with opened() as store, asyncio.timeout(lasts_s):
                    await fires.lead(store, name)
            await asyncio.sleep(0.1)

    async with opened() as store:
        await fires.begin(store)
    names = {"a": None, "b": None, "starts": 4.0}
    tasks = [asyncio.create_task(one(name, lasts_s)) for name, lasts_s in names.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _under_load(
    load: _Load, act: Callable[[_Load], Awaitable[None]], chance: random.Random
) -> tuple[_Load, float]:
    clients = [asyncio.create_task(load.run(f"c{at}")) for at in range(CLIENTS)]
    try:
        await asyncio.sleep(_LOAD_S + chance.random())
        cut_s = time.monotonic()
        await act(load)
        healed_s = time.monotonic()
        while max(load.acknowledged_s.values(), default=0.0) < healed_s + 0.5:
            if time.monotonic() > healed_s + _AGAIN_S:
                raise AssertionError("nothing was acknowledged after the cut")
            await asyncio.sleep(0.05)
    finally:
        for task in clients:
            task.cancel()
        await asyncio.wait(clients, timeout=10)
    return load, cut_s


def _longest_gap_s(cut_s: float, later: list[float]) -> float:
    """The longest time without an acknowledgement since the cut."""
    times = [cut_s, *sorted(later)]
    return max((after - before for before, after in pairwise(times)), default=0)


async def _missing(store: Store, ids: list[str]) -> list[str]:
    gone = []
    for start in range(0, len(ids), 100):
        some = ids[start : start + 100]
        for task_id, task in zip(some, await _read(store, some), strict=True):
            if task is None:
                gone.append(task_id)
    return gone


async def _read(store: Store, ids: list[str]) -> Sequence[Task | None]:
    """These tasks, as soon as there are replicas enough for the server to answer."""
    end_s = time.monotonic() + _AGAIN_S
    while True:
        try:
            return await store.get(ids)
        except StoreUnavailableError:
            if time.monotonic() > end_s:
                raise
            await asyncio.sleep(0.2)


Cut = Callable[[], Awaitable[None]]


@contextlib.asynccontextmanager
async def _servers(
    profile: str, replicas: int, needs: int
) -> AsyncIterator[tuple[dict[str, Any], Cut, Cut]]:
    """The servers that a profile asks for, their settings, and the two cuts."""
    if not replicas:
        with RedisServer(*(EVERYSEC if profile == "standalone" else ())) as server:

            async def restart() -> None:
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)

            yield {"addr": server.addr}, restart, restart
        return
    args = (*EVERYSEC, *at_least(needs), *_FAST_SYNC)
    with sentinel_set(3, *args, replicas=replicas, least_major=7) as servers:
        settings = {"sentinel": {"master": servers.master, "nodes": list(servers.nodes)}}

        async def kill() -> None:
            await asyncio.to_thread(servers.primary.kill)
            await _promoted(servers)
            # A primary with one replica acknowledges nothing until this one follows.
            await asyncio.to_thread(servers.primary.start)

        async def fail_over() -> None:
            await told(servers.sentinels[0], "SENTINEL", "FAILOVER", servers.master)
            await _promoted(servers)

        yield settings, kill, fail_over


async def _promoted(servers: SentinelSet) -> None:
    """Wait until a replica is the primary, and the old primary no longer is."""
    end_s = time.monotonic() + _AGAIN_S
    while time.monotonic() < end_s:
        led = [await leads(one) for one in servers.replicas]
        if any(led) and not await leads(servers.primary):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"no replica was promoted within {_AGAIN_S:g} s")
