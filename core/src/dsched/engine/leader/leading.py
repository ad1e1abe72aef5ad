"""What a leader does for one term: the scheduling loop, and the slower loops beside it."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable

import attrs

from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.observer import ClusterGauges
from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH, MAX_HEAVY_BATCH
from dsched.contracts.store.dispatching import Poll
from dsched.contracts.store.outcomes import FencedError, StoreUnavailableError
from dsched.contracts.store.timing import LEADER_WAKEUP, WAIT_SLACK_S
from dsched.engine.assertions import Assertions, AttemptWatch, HomeSample
from dsched.engine.clock_watch import ClockWatch
from dsched.engine.leader.activity import Pace
from dsched.engine.leader.assignment import Assigner
from dsched.engine.leader.collecting import CollectStep
from dsched.engine.leader.dispatching import DispatchStep, with_new
from dsched.engine.leader.firing import FiringStep
from dsched.engine.leader.recovery import RecoveryStep
from dsched.engine.leader.replanning import ReplanStep
from dsched.engine.leader.round_trip import RoundTrip
from dsched.engine.leader.supervision import supervise
from dsched.engine.leader.term import Term
from dsched.engine.observers import Announcer
from dsched.engine.runtime import Runtime
from dsched.model import Worker

log = logging.getLogger("dsched.leader")

RECOVER_EVERY_S = 1.0
GAUGES_EVERY_S = 5.0
CALM_GAUGES_EVERY_S = 10.0
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
# A shorter wait ends by the clock more often than by a ring: its look would mostly come too early.
LOOK_AHEAD_FROM_S = 0.5
# What is due sooner is waited for exactly, by a look whose way was measured.
MEASURE_FROM_S = LOOK_AHEAD_FROM_S + WAIT_SLACK_S


@attrs.frozen(kw_only=True)
class LeaderTimes:
    """How often the leader looks when nothing wakes it, and how long a queue entry may wait."""

    scan_interval_s: float = 5.0
    dispatch_timeout_s: float = 15.0
    heartbeat_interval_s: float = 10.0


@attrs.frozen
class Wake:
    """When the leader is to look again, if nothing rings before; by the runtime's monotonic clock."""

    scan_s: float
    due_s: float = math.inf

    @property
    def at_s(self) -> float:
        """To look later would be late."""
        return min(self.scan_s, self.due_s)

    @property
    def calm_until_s(self) -> float:
        """Until then a wait need not be exact. What is due is not to be late by its slack."""
        return min(self.scan_s, self.due_s - WAIT_SLACK_S)


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
        self._complained = ""

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
            loop("gauges", self._gauges, lambda: pace.pause(GAUGES_EVERY_S, CALM_GAUGES_EVERY_S))
            sample = HomeSample(self._store, self._assertions)
            loop("sampling", sample.poll, self._every(SAMPLE_EVERY_S))
            group.create_task(self._prune(term), name="pruning")

    def _every(self, seconds: float) -> Callable[[], Awaitable[None]]:
        async def pause() -> None:
            await self._runtime.sleep(seconds)

        return pause

    async def _schedule(self, term: Term, watch: ClockWatch, pace: Pace) -> None:
        """Fire, promote, dispatch; then sleep until the next instant or a ring of the bell."""
        firing = FiringStep(self._store, term, watch, self._announcer)
        dispatching = DispatchStep(self._store, self._store, term, Assigner(*self._balancer))
        monotonic, reach = self._runtime.monotonic, RoundTrip()
        wake: Wake | None = None
        looked: Poll | None = None

        async def tick() -> None:
            nonlocal wake, looked
            wake = None  # unless all of it succeeds
            began_s = monotonic()
            look, looked = looked, None
            waited = look is not None
            if look is None:
                look = await self._store.poll(term.fence, MAX_BATCH)
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
            scan_in_s = 0.0 if more else self._times.scan_interval_s
            wake = Wake(read_s + scan_in_s, read_s + min(instants, default=math.inf))
            if waited and wake.due_s - monotonic() < MEASURE_FROM_S:
                wake = Wake(read_s)  # how long that look was on its way, nobody knows: look again

        async def pause() -> None:
            nonlocal looked
            looked = await self._wait_for_work(term, wake or Wake(monotonic() + RETRY_AFTER_S))

        await supervise("scheduling", term, tick, pause, hang_s=HANG_S)

    async def _wait_for_work(self, term: Term, wake: Wake) -> Poll | None:
        """Sleep, but no longer than until the bell rings; what is to be seen then, if that is known.

        As long as nothing is near, the store ends the wait and has looked by then. The rest is
        timed here: the bell is a hint, the sleep is exact. A store that keeps its time too is not
        cut off; one that never comes back is, in time for the fire.
        """
        runtime, store = self._runtime, self._store
        now_s = runtime.monotonic() + runtime.rounding_s
        left_s, calm_s = wake.at_s - now_s, wake.calm_until_s - now_s
        try:
            if calm_s >= LOOK_AHEAD_FROM_S:
                async with asyncio.timeout(calm_s + WAIT_SLACK_S + OVERSLEPT_S):
                    return await store.poll_when_woken(term.fence, MAX_BATCH, calm_s)
            if left_s > BELL_FROM_S:
                async with asyncio.timeout(left_s + OVERSLEPT_S):
                    if await store.wakeup(LEADER_WAKEUP, left_s):
                        return None
        except TimeoutError:
            return None
        except FencedError:
            raise
        except Exception as error:  # noqa: BLE001 - the look of a tick is the one that counts
            if isinstance(error, StoreUnavailableError):
                term.disturbed()
            else:
                self._complain(error)
            left_s = max(0.0, wake.at_s - runtime.monotonic())
            await runtime.sleep(min(left_s, RECOVER_EVERY_S))
            return None
        await runtime.sleep_until(wake.at_s)
        return None

    def _complain(self, error: Exception) -> None:
        """Say why waiting failed, once for each reason."""
        if str(error) != self._complained:
            self._complained = str(error)
            log.exception("waiting for something to do failed; looking every second")

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
