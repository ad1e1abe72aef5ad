"""What a leader does for one term: the scheduling loop, and the slower loops beside it."""

import asyncio
from collections.abc import Awaitable, Callable

import attrs

from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.engine.assertions import Assertions, AttemptWatch, HomeSample
from dsched.engine.clock_watch import ClockWatch
from dsched.engine.leader.abilities import Abilities
from dsched.engine.leader.activity import Activity
from dsched.engine.leader.blocked import BlockedClasses
from dsched.engine.leader.bulk import STEP_EVERY_S, BulkStep
from dsched.engine.leader.collecting import CollectStep
from dsched.engine.leader.crashes import CrashMemory
from dsched.engine.leader.gauging import GaugeStep
from dsched.engine.leader.recovery import RecoveryStep
from dsched.engine.leader.replanning import ReplanStep
from dsched.engine.leader.run_news import RunNews
from dsched.engine.leader.runs import RunStep
from dsched.engine.leader.scheduling import Scheduling
from dsched.engine.leader.supervision import HANG_S, supervise
from dsched.engine.leader.term import Term
from dsched.engine.observers import Announcer
from dsched.engine.runtime import Runtime

GAUGES_EVERY_S = 5.0
IDLE_GAUGES_EVERY_S = 10.0
PRUNE_EVERY_S = 30.0
REPLAN_EVERY_S = 1.0
# To collect a whole second's entries blocks the loop for milliseconds, in which no task starts: so
# collect less at a time, and more often.
COLLECT_EVERY_S = 0.2
SAMPLE_EVERY_S = 10.0
LOOK_FOR_BULK_EVERY_S = 1.0
IDLE_LOOK_FOR_BULK_EVERY_S = 5.0
MORE_S = 0.01


@attrs.frozen(kw_only=True)
class LeaderTimes:
    """How often the leader polls when nothing wakes it, and how long a queue entry may wait."""

    scan_interval_s: float = 5.0
    dispatch_timeout_s: float = 15.0
    heartbeat_interval_s: float = 10.0


class Leader:
    """Runs a term's loops. What it knows of the clocks and of crashes survives a term."""

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
        self._crashes = CrashMemory()
        self._abilities = Abilities(store)
        self._gauges = GaugeStep(store, announcer)

    async def lead(self, term: Term) -> None:
        """Run all loops until the term is over; ends by an exception only."""
        activity = Activity(self._runtime)
        news = RunNews()
        news.seen(0)  # an earlier leader may have left some
        scheduling, blocked = self._scheduling(term, activity, news), BlockedClasses()
        runs = RunStep(self._store, term, news, self._abilities)
        recovery = self._recovery(term)
        collector = CollectStep(self._store, term, self._announcer, AttemptWatch(self._assertions))
        replanning = ReplanStep(self._store, term, self._watch)
        bulk = BulkStep(self._store, term, self._runtime)
        sample = HomeSample(self._store, self._assertions)
        async with asyncio.TaskGroup() as group:

            def loop(
                name: str,
                tick: Callable[[], Awaitable[None]],
                pause: Callable[[], Awaitable[None]],
            ) -> None:
                group.create_task(supervise(name, term, tick, pause, hang_s=HANG_S), name=name)

            group.create_task(scheduling.run(), name="scheduling")
            group.create_task(self._replan(term, replanning), name="replanning")
            advancing = supervise("runs", term, runs.advance, news.wait, hang_s=HANG_S, asks=False)
            group.create_task(advancing, name="runs")
            loop("recovery", activity.noting(recovery.recover), activity.pause)
            collecting = activity.noting(self._collecting(collector, bulk))
            loop("collecting", collecting, lambda: activity.pause(COLLECT_EVERY_S))
            loop("bulk", activity.noting(bulk.step), lambda: self._rest_of_bulk(bulk, activity))
            loop(
                "gauges",
                lambda: self._gauges.tell(scheduling, blocked),
                lambda: activity.pause(GAUGES_EVERY_S, IDLE_GAUGES_EVERY_S),
            )
            loop("sampling", sample.take, lambda: self._sleep(SAMPLE_EVERY_S))
            group.create_task(self._prune(term), name="pruning")

    def _scheduling(self, term: Term, activity: Activity, news: RunNews) -> Scheduling:
        return Scheduling(
            self._store,
            self._runtime,
            term=term,
            watch=self._watch,
            activity=activity,
            announcer=self._announcer,
            balancer=self._balancer,
            abilities=self._abilities,
            news=news,
            scan_interval_s=self._times.scan_interval_s,
        )

    def _recovery(self, term: Term) -> RecoveryStep:
        return RecoveryStep(
            self._store,
            term,
            heartbeat_interval_s=self._times.heartbeat_interval_s,
            dispatch_timeout_s=self._times.dispatch_timeout_s,
            uniform=self._runtime.uniform,
            crashes=self._crashes,
            abilities=self._abilities,
        )

    def _collecting(self, collector: CollectStep, bulk: BulkStep) -> Callable[[], Awaitable[bool]]:
        """Collect, and tell the bulk step since when all that has ended is in its lists."""

        async def collect() -> bool:
            began_s = self._runtime.monotonic()
            found = await collector.collect()
            if collector.complete:
                bulk.collected(began_s)
            return found

        return collect

    async def _rest_of_bulk(self, bulk: BulkStep, activity: Activity) -> None:
        if bulk.busy:
            await self._sleep(STEP_EVERY_S)
        else:
            await activity.pause(LOOK_FOR_BULK_EVERY_S, IDLE_LOOK_FOR_BULK_EVERY_S)

    async def _sleep(self, seconds: float) -> None:
        await self._runtime.sleep(seconds)

    async def _replan(self, term: Term, step: ReplanStep) -> None:
        """After a step back of the clock: page after page, without a rest while there is more."""
        rest = Rest(self._runtime, REPLAN_EVERY_S)

        async def tick() -> None:
            rest.more = await step.replan()

        await supervise("replanning", term, tick, rest.pause, hang_s=HANG_S, asks=False)

    async def _prune(self, term: Term) -> None:
        """Remove what is past its time: at leisure, but without a rest while there is more."""
        rest = Rest(self._runtime, PRUNE_EVERY_S)

        async def tick() -> None:
            rest.more = (await self._store.prune(term.fence, MAX_HEAVY_BATCH)).more

        await supervise("pruning", term, tick, rest.pause, hang_s=HANG_S)


class Rest:
    """The pause of a loop that goes on at once while its last tick said that there is more."""

    def __init__(self, runtime: Runtime, every_s: float) -> None:
        self._runtime = runtime
        self._every_s = every_s
        self.more = False

    async def pause(self) -> None:
        """Wait until the next tick."""
        await self._runtime.sleep(MORE_S if self.more else self._every_s)
