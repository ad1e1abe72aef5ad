"""What a leader does for one term: the scheduling loop, and the slower loops beside it."""

import asyncio
from collections.abc import Awaitable, Callable

import attrs

from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.observer import ClusterGauges
from dsched.contracts.outcomes import StoreUnavailableError
from dsched.contracts.steps import MAX_BATCH, MAX_HEAVY_BATCH, Look
from dsched.contracts.store import LEADER_BELL, Store
from dsched.engine.announcer import Announcer
from dsched.engine.assertions import Assertions, AttemptWatch, HomeSample
from dsched.engine.assignment import Assigner
from dsched.engine.clock_watch import ClockWatch
from dsched.engine.collecting import CollectStep
from dsched.engine.dispatching import DispatchStep, with_new
from dsched.engine.firing import FiringStep
from dsched.engine.pace import Pace
from dsched.engine.reach import Reach
from dsched.engine.recovery import RecoveryStep
from dsched.engine.replanning import ReplanStep
from dsched.engine.runtime import Runtime
from dsched.engine.supervision import supervise
from dsched.engine.term import Term
from dsched.model import Worker

RECOVER_EVERY_S = 1.0
GAUGES_EVERY_S = 5.0
PRUNE_EVERY_S = 30.0
# What a second brings takes the loop for milliseconds, in which no task starts: rather less and oftener.
COLLECT_EVERY_S = 0.2
SAMPLE_EVERY_S = 10.0
HANG_S = 10.0
RETRY_AFTER_S = 0.5
MORE_S = 0.01
OVERSLEPT_S = 0.05
# To begin and end a wait for a bell takes a millisecond or two: what is shorter is slept through.
BELL_FROM_S = 0.003
# A shorter wait ends by the clock more often than by a ring, and its look would be made in vain.
LOOK_AHEAD_FROM_S = 0.5


@attrs.frozen(kw_only=True)
class LeaderTimes:
    """How often the leader looks when nothing wakes it, and how long a queue entry may wait."""

    scan_interval_s: float = 5.0
    dispatch_timeout_s: float = 15.0
    heartbeat_interval_s: float = 10.0


class Leader:
    """Runs a term's loops. Only its reading of the clocks survives a term; the rest starts clean."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        announcer: Announcer,
        assertions: Assertions,
        times: LeaderTimes,
        balancer: tuple[str, LoadBalancer],
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._announcer = announcer
        self._assertions = assertions
        self._times = times
        self._balancer = balancer
        self._watch = ClockWatch(runtime)
        self._workers: tuple[Worker, ...] = ()

    async def lead(self, term: Term) -> None:
        """Run all loops until the term is over; ends by an exception only."""
        watch = self._watch
        watched = AttemptWatch(self._assertions)
        collector = CollectStep(self._store, term, self._announcer, watched)
        recovery = RecoveryStep(
            self._store,
            self._store,
            term,
            heartbeat_interval_s=self._times.heartbeat_interval_s,
            dispatch_timeout_s=self._times.dispatch_timeout_s,
            uniform=self._runtime.uniform,
        )
        replanning = ReplanStep(self._store, self._store, self._store, term, watch)
        async with asyncio.TaskGroup() as group:

            def loop(
                name: str,
                tick: Callable[[], Awaitable[None]],
                pause: Callable[[], Awaitable[None]],
            ) -> None:
                group.create_task(supervise(name, term, tick, pause, hang_s=HANG_S), name=name)

            pace = Pace(self._runtime)
            group.create_task(self._schedule(term, watch, pace), name="scheduling")
            group.create_task(self._replan(term, replanning), name="replanning")
            loop("recovery", stirring(recovery.recover, pace), pace.pause)
            collecting = stirring(collector.collect, pace)
            loop("collecting", collecting, lambda: pace.pause(COLLECT_EVERY_S))
            loop("gauges", self._gauges, self._every(GAUGES_EVERY_S))
            sample = HomeSample(self._store, self._assertions)
            loop("sampling", sample.look, self._every(SAMPLE_EVERY_S))
            group.create_task(self._prune(term), name="pruning")

    def _every(self, seconds: float) -> Callable[[], Awaitable[None]]:
        async def pause() -> None:
            await self._runtime.sleep(seconds)

        return pause

    async def _schedule(self, term: Term, watch: ClockWatch, pace: Pace) -> None:
        """Fire, promote, dispatch; then sleep until the next instant or a ring of the bell."""
        firing = FiringStep(self._store, term, watch, self._announcer)
        dispatching = DispatchStep(self._store, self._store, term, Assigner(*self._balancer))
        monotonic, reach = self._runtime.monotonic, Reach()
        wake_at_s: float | None = None
        looked: Look | None = None

        async def tick() -> None:
            nonlocal wake_at_s, looked
            wake_at_s = None  # unless all of it succeeds
            began_s = monotonic()
            look, looked = looked, None
            if look is None:
                look = await self._store.look(term.fence, MAX_BATCH)
                reach.took(monotonic() - began_s)
            # The store read its clock about half-way, and a little after the millisecond that it says.
            read_s = (began_s + monotonic()) / 2 - look.due.time.fraction_ms / 1000
            self._workers = look.ready.workers
            fired = await firing.fire(look.due)
            delayed_s = await dispatching.promote(look.promoted)
            if look.due.configs or look.promoted.count or look.ready.tasks:
                pace.stir()
            unread = look.promoted.count == MAX_BATCH
            more = await dispatching.dispatch(with_new(look.ready, fired.tasks, more=unread))
            instants = [s - reach.ahead_s for s in (fired.again_in_s, delayed_s) if s is not None]
            wake_at_s = read_s + (0.0 if more else min([self._times.scan_interval_s, *instants]))

        async def pause() -> None:
            nonlocal looked
            until_s = monotonic() + RETRY_AFTER_S if wake_at_s is None else wake_at_s
            looked = await self._wait_for_work(term, until_s)

        await supervise("scheduling", term, tick, pause, hang_s=HANG_S)

    async def _wait_for_work(self, term: Term, until_s: float) -> Look | None:
        """Sleep, but no longer than until the bell rings; what is to be seen then, if that is known.
        The bell is a hint, the sleep is exact.

        Redis rounds short blocking timeouts up to its own tick, so the client does the timing. A
        store that keeps it too is not cut off; one that never comes back is, in time for the fire.
        """
        seconds = until_s - self._runtime.monotonic() - self._runtime.rounding_s
        store, rang, look = self._store, False, None
        if seconds > BELL_FROM_S:
            try:
                async with asyncio.timeout(seconds + OVERSLEPT_S):
                    if seconds < LOOK_AHEAD_FROM_S:
                        rang = await store.bell(LEADER_BELL, seconds)
                    else:
                        look = await store.look_when_rung(term.fence, MAX_BATCH, seconds)
            except TimeoutError:
                return None
            except StoreUnavailableError:
                term.disturbed()
                await self._runtime.sleep(min(seconds, RECOVER_EVERY_S))
                return None
        if look is None and not rang:
            await self._runtime.sleep_until(until_s)
        return look

    async def _gauges(self) -> None:
        """Tell the observers how the cluster is. Only the leader does, so sums are right."""
        counts = await self._store.counts()
        oldest_ms = counts.oldest_ready_ms
        age_s = 0.0 if oldest_ms is None else max(0, counts.time.wall_ms - oldest_ms) / 1000
        self._announcer.tell(
            ClusterGauges(
                tasks_by_status={str(key): n for key, n in counts.by_status.items()},
                waiting_by_home={str(key): n for key, n in counts.by_home.items()},
                oldest_ready_age_s=age_s,
                workers=self._workers,
                now_ms=counts.time.now_ms,
            )
        )

    async def _replan(self, term: Term, step: ReplanStep) -> None:
        """After a step back of the clock: page after page, without a rest while there is more."""
        more = False

        async def tick() -> None:
            nonlocal more
            more = await step.replan()

        async def pause() -> None:
            await self._runtime.sleep(MORE_S if more else RECOVER_EVERY_S)

        await supervise("replanning", term, tick, pause, hang_s=HANG_S, asks=False)

    async def _prune(self, term: Term) -> None:
        """Remove what is past its time: at leisure, but without a rest while there is more."""
        more = False

        async def tick() -> None:
            nonlocal more
            more = (await self._store.prune(term.fence, MAX_HEAVY_BATCH)).more

        async def pause() -> None:
            await self._runtime.sleep(MORE_S if more else PRUNE_EVERY_S)

        await supervise("pruning", term, tick, pause, hang_s=HANG_S)


def stirring(tick: Callable[[], Awaitable[bool]], pace: Pace) -> Callable[[], Awaitable[None]]:
    """A tick that keeps the pace up when it found something."""

    async def stir() -> None:
        if await tick():
            pace.stir()

    return stir
