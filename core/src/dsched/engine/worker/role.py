"""The worker role: registers, beats, claims, runs, reports, and drains when asked to stop."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, asynccontextmanager

import attrs

from dsched.contracts.executor import Executor
from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.store.workers import Held, Registration
from dsched.engine.observers import Announcer
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import until_answered
from dsched.engine.worker.attempts import Attempts, StopReason
from dsched.engine.worker.capturing import capturing
from dsched.engine.worker.claiming import Claimer
from dsched.engine.worker.claims import Claims, SupersededError
from dsched.engine.worker.giving_back import GivingBack
from dsched.engine.worker.heartbeat import (
    Heartbeat,
    HeartbeatThread,
    HeartbeatTimes,
    OpenStore,
    Verdicts,
)
from dsched.engine.worker.log_reporting import LineReporter
from dsched.engine.worker.offering import Offering, Presents, ability_of
from dsched.engine.worker.reporting import Reporter
from dsched.engine.worker.running import Runner
from dsched.engine.worker.standing import Standing, resize
from dsched.engine.worker.succession import Host, Succession
from dsched.engine.worker.wakeups import Wakeups

log = logging.getLogger("dsched.worker")

DRAIN_STEP_TIMEOUT_S = 2.0
STOP_TIMEOUT_S = 5.0


@attrs.frozen(kw_only=True)
class WorkerPlan:
    """What a worker is to be, as configured. ``host``: the host whose processes it knows, by
    default the real one; none in simulation."""

    worker_id: str
    capacity: int = 10
    backlog: int = 10
    labels: Mapping[str, str] = attrs.field(factory=dict)
    address: str = ""
    heartbeat: HeartbeatTimes = attrs.field(factory=HeartbeatTimes)
    drain_timeout_s: float = 25.0
    task_logs: bool = True
    host: Host | None = None
    capture_logging: bool = False
    capture_prints: bool = False

    @property
    def captures(self) -> bool:
        """Whether what attempts log or print becomes lines of their tasks."""
        return self.task_logs and (self.capture_logging or self.capture_prints)


class WorkerRole:
    """One registered worker. `run` returns after `drain`, or raises `SupersededError`."""

    def __init__(
        self,
        store: Store,
        open_store: OpenStore,
        executors: Mapping[str, Executor],
        runtime: Runtime,
        announcer: Announcer,
        plan: WorkerPlan,
    ) -> None:
        self._store = store
        self._open_store = open_store
        self._executors = executors
        self._runtime = runtime
        self._announcer = announcer
        self._plan = plan
        self._host = plan.host or (Host() if runtime.threads else Host(own=None))
        self._draining = asyncio.Event()
        self._hurry = asyncio.Event()
        self._superseded = asyncio.Event()
        self._changed = asyncio.Event()
        self.attempts = Attempts()
        self._giving_back = GivingBack(store, runtime, self.attempts, plan.worker_id)
        self.registered = asyncio.Event()

    def drain(self) -> None:
        """Take no new tasks, finish what runs within the drain timeout, then leave."""
        self._draining.set()

    def hurry(self) -> None:
        """Wait no longer for what still runs: stop it and give it back."""
        self._draining.set()
        self._hurry.set()
        self._changed.set()

    async def run(self) -> None:
        """Work until drained or cancelled."""
        try:
            registration = await self._unless_leaving(self._register())
            if registration is None:
                return
            parts = self._assemble(registration)
            with self._capturing():
                async with parts.runner, asyncio.TaskGroup() as group:
                    await self._work(registration, parts, group)
        except* SupersededError as errors:
            raise errors.exceptions[0] from None

    def _capturing(self) -> AbstractContextManager[None]:
        plan = self._plan
        return capturing(
            logging_too=plan.captures and plan.capture_logging,
            prints_too=plan.captures and plan.capture_prints,
        )

    async def _work(
        self, registration: Registration, parts: "_Parts", group: asyncio.TaskGroup
    ) -> None:
        """Run the loops until told to leave, then leave."""
        run = self._loops(parts).items()
        loops = {name: group.create_task(loop(), name=name) for name, loop in run}
        try:
            await self._draining.wait()
            loops["offering"].cancel()
            await self._drain(registration, parts, loops["claiming"])
        except BaseException:
            parts.runner.tear_down()  # together with the loops, which the group cancels now
            raise
        for task in loops.values():
            task.cancel()

    async def _unless_leaving(
        self, registering: Coroutine[None, None, Registration]
    ) -> Registration | None:
        """Register; or None if told to leave while the store does not answer."""
        async with asyncio.TaskGroup() as group:
            register = group.create_task(registering, name="registering")
            draining = group.create_task(self._draining.wait(), name="draining")
            await asyncio.wait({register, draining}, return_when=asyncio.FIRST_COMPLETED)
            if not register.done():
                register.cancel()
            draining.cancel()
        return None if register.cancelled() else register.result()

    async def _register(self) -> Registration:
        """Introduce this process to the store, with an incarnation ordered by store time."""
        time = await until_answered(self._runtime, "registering", self._store.now)
        plan = self._plan
        registration = Registration(
            worker_id=plan.worker_id,
            incarnation=self._incarnation(time.now_ms),
            capacity=plan.capacity,
            backlog=plan.backlog,
            heartbeat_timeout_ms=round(plan.heartbeat.timeout_s * 1000),
            labels=plan.labels,
            address=plan.address,
            ability=ability_of(self._executors),
        )
        standing = Standing(self._store, self._runtime, plan.worker_id, plan.capacity)
        registration = await standing.registered(registration, self._present)
        await standing.stay_drained()
        log.info("worker %s is ready for %d tasks at once", plan.worker_id, registration.capacity)
        self.registered.set()
        return registration

    async def _present(self, registration: Registration) -> None:
        outcome = await until_answered(
            self._runtime, "registering", lambda: self._store.register(registration)
        )
        if outcome is Outcome.SUPERSEDED:
            raise SupersededError(f"another process holds the worker id {registration.worker_id}")

    def _incarnation(self, now_ms: int) -> str:
        """Ordered by store time, unique, and naming the process where its host can tell it."""
        own = self._host.own
        if own is None:
            return f"{now_ms:013d}-{self._runtime.token()}"
        return f"{now_ms:013d}-{self._runtime.token()[:8]}{own}"

    def _assemble(self, registration: Registration) -> "_Parts":
        """Wire the loops together; nothing runs yet."""

        def on_room() -> None:
            claimer.wake()
            self._changed.set()

        lines = LineReporter(self._store, self._runtime)
        reporter = Reporter(
            self._store, self._runtime, registration.worker_id, self.attempts, on_room, lines
        )
        runner = self._runner(reporter, lines if self._plan.task_logs else None)

        def fence_off() -> None:
            claimer.disarm()
            for attempt in self.attempts.all():
                runner.stop(attempt, StopReason.RELEASE)

        def resized(capacity: int) -> None:
            resize(claimer, (claims, beat.of, offering), capacity)

        beat = self._heartbeat(registration, self._verdicts(runner, fence_off, resized))
        wakeups = Wakeups(
            self._store,
            registration.worker_id,
            self._runtime,
            running=lambda: len(self.attempts) > 0,
            beat_now=beat.beat_now,
        )
        start, woken = runner.start, wakeups.woken
        claims = Claims(self._store, registration, self._runtime, start=start, woken=woken)
        claimer = Claimer(claims, wakeups, self.attempts, capacity=registration.capacity)
        host = Succession(self._store, registration, self._runtime, self._host)
        offering = self._offering(registration, claims, beat.of)
        return _Parts(reporter, runner, claimer, wakeups, beat, lines, host, offering)

    def _runner(self, reporter: Reporter, lines: LineReporter | None) -> Runner:
        return Runner(
            self._plan.worker_id,
            self._executors,
            self._runtime,
            self.attempts,
            reporter,
            lines,
            captures=self._plan.captures,
        )

    def _offering(self, registration: Registration, *presents: Presents) -> Offering:
        return Offering(
            self._store,
            self._runtime,
            registration=registration,
            executors=self._executors,
            presents=presents,
            every_s=self._plan.heartbeat.interval_s,
        )

    def _loops(self, parts: "_Parts") -> dict[str, Callable[[], Coroutine[None, None, None]]]:
        return {
            "heartbeat": parts.beat.run,
            "claiming": parts.claimer.run,
            "wake-ups": lambda: parts.wakeups.listen(parts.claimer.wake),
            "beats when woken": parts.wakeups.beat_when_woken,
            "reporting": parts.reporter.run,
            "progress": parts.reporter.report_progress,
            "lines": parts.lines.run,
            "succession": parts.succession.run,
            "offering": parts.offering.run,
            "giving back": lambda: self._giving_back.run(parts.runner),
            "superseded": self._raise_when_superseded,
            "defects": parts.runner.raise_when_broken,
        }

    def _heartbeat(self, registration: Registration, verdicts: Verdicts) -> "_Beat":
        """The heartbeat: in a thread of its own, or here in simulation."""
        loop = asyncio.get_running_loop()

        def tell(verdict: Callable[[], None]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(verdict)

        heartbeat = Heartbeat(
            registration,
            self.attempts,
            self._runtime,
            self._announcer,
            self._plan.heartbeat,
            verdicts,
            tell,
        )
        if self._runtime.threads:
            thread = HeartbeatThread(heartbeat, self._open_store)
            return _Beat(run=thread.run, beat_now=thread.beat_now, of=heartbeat)
        return _Beat(
            run=lambda: heartbeat.run(self._open_store), beat_now=heartbeat.beat_now, of=heartbeat
        )

    def _verdicts(
        self, runner: Runner, fence_off: Callable[[], None], resized: Callable[[int], None]
    ) -> Verdicts:
        def stop(held: Held, reason: StopReason) -> None:
            attempt = self.attempts.get(held.task_id, held.token)
            if attempt is not None:
                if reason is StopReason.LOST:
                    self.attempts.unlist(attempt)
                runner.stop(attempt, reason)

        def superseded() -> None:
            for attempt in self.attempts.all():
                runner.stop(attempt, StopReason.LOST)
            self._superseded.set()

        return Verdicts(
            lost=lambda held: stop(held, StopReason.LOST),
            cancel=lambda held: stop(held, StopReason.CANCEL),
            fence_off=fence_off,
            superseded=superseded,
            resized=resized,
            draining=self._giving_back.told,
        )

    async def _raise_when_superseded(self) -> None:
        await self._superseded.wait()
        raise SupersededError(f"a newer process took over the worker id {self._plan.worker_id}")

    async def _drain(
        self, registration: Registration, parts: "_Parts", claiming: asyncio.Task[None]
    ) -> None:
        """Leave without losing anything: the queue first, then what runs, then the registration."""
        deadline_s = self._runtime.monotonic() + self._plan.drain_timeout_s
        running = len(self.attempts)
        log.info("worker %s drains: %d running", registration.worker_id, running)
        parts.claimer.stop()
        parts.beat.of.leave()
        await self._hand_back_queue(registration)
        await self._settle(claiming, deadline_s)
        await self._until_idle(deadline_s - self._runtime.monotonic(), patient=False)
        for attempt in self.attempts.all():
            parts.runner.stop(attempt, StopReason.RELEASE)
        await self._until_idle(STOP_TIMEOUT_S, patient=True)
        left = len(self.attempts)
        if left:
            log.warning("%d attempts did not stop; their leases run out by themselves", left)
            return
        async with _bounded(DRAIN_STEP_TIMEOUT_S):
            await parts.reporter.settled()
            await parts.lines.settled()
            await self._store.deregister(registration.worker_id, registration.incarnation)
            log.info("worker %s has left", registration.worker_id)

    async def _settle(self, claiming: asyncio.Task[None], deadline_s: float) -> None:
        """Wait for the claim in flight, which may bring more to run; not in a hurry."""
        async with asyncio.TaskGroup() as group:
            hurrying = group.create_task(self._hurry.wait(), name="hurry")
            await asyncio.wait(
                {claiming, hurrying},
                timeout=max(0.0, deadline_s - self._runtime.monotonic()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            hurrying.cancel()
        # Also in a hurry, give a store that answers at once the time to do so.
        await asyncio.wait({claiming}, timeout=DRAIN_STEP_TIMEOUT_S)

    async def _hand_back_queue(self, registration: Registration) -> None:
        """Set the draining flag and empty the queue, in steps; a silent store is not waited for."""
        async with _bounded(DRAIN_STEP_TIMEOUT_S):
            outcome = Outcome.OK
            while outcome is Outcome.OK:
                outcome = await self._store.drain(registration.worker_id, registration.incarnation)

    async def _until_idle(self, timeout_s: float, *, patient: bool) -> None:
        """Until no attempt holds a slot or the time is over; or, unless patient, `hurry`."""
        async with _bounded(max(0.0, timeout_s)):
            while len(self.attempts) and (patient or not self._hurry.is_set()):
                self._changed.clear()
                await self._changed.wait()


@attrs.frozen(kw_only=True)
class _Beat:
    """The heartbeat as the worker sees it, wherever it runs."""

    run: Callable[[], Coroutine[None, None, None]]
    beat_now: Callable[[], None]
    of: Heartbeat


@attrs.frozen
class _Parts:
    """What a worker is made of."""

    reporter: Reporter
    runner: Runner
    claimer: Claimer
    wakeups: Wakeups
    beat: "_Beat"
    lines: LineReporter
    succession: Succession
    offering: Offering


@asynccontextmanager
async def _bounded(seconds: float) -> AsyncIterator[None]:
    """At most this long, and whatever the store says: leaving must not fail because of it."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        return
    except StoreUnavailableError as error:
        log.warning("while leaving: the store does not answer (%s)", error)
