"""The worker's heartbeat: renews leases, learns of cancels, reports overrun timeouts.

Outside simulation it runs on a loop in a thread of its own, so that a busy loop or a spinning
function costs no beat.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import attrs

from dsched.contracts.observer import HeartbeatSent, ThreadOutlived
from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.store.workers import HeartbeatAnswer, Held, Registration
from dsched.engine.observers import Announcer
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import LONGEST_WAIT_S, Patience, answered_within
from dsched.engine.worker.attempts import Attempts
from dsched.engine.worker.completion import judge_error, timed_out

log = logging.getLogger("dsched.worker")

OpenStore = Callable[[], AbstractAsyncContextManager[Store]]

RETRY_EVERY_S = 1.0
FENCE_SHARE = 0.2


@attrs.frozen(kw_only=True)
class HeartbeatTimes:
    """How often to beat, and after how long without a beat a worker counts as gone, in seconds."""

    interval_s: float = 10.0
    timeout_s: float = 30.0


@attrs.frozen(kw_only=True)
class Verdicts:
    """What the heartbeat tells the worker. Each is called in the worker's own loop."""

    lost: Callable[[Held], None]
    cancel: Callable[[Held], None]
    fence_off: Callable[[], None]
    superseded: Callable[[], None]
    resized: Callable[[int], None]
    draining: Callable[[], None]


class Heartbeat:
    """Beats every interval, and at once when asked."""

    def __init__(
        self,
        registration: Registration,
        attempts: Attempts,
        runtime: Runtime,
        announcer: Announcer,
        times: HeartbeatTimes,
        verdicts: Verdicts,
        tell: Callable[[Callable[[], None]], None],
    ) -> None:
        self.registration = registration
        self._attempts = attempts
        self._runtime = runtime
        self._announcer = announcer
        self._times = times
        self._verdicts = verdicts
        self._tell = tell
        self._asked_to_beat = asyncio.Event()
        self._answered_s = runtime.monotonic()
        self._leaving = False

    def beat_now(self) -> None:
        """Beat at once. Call it in the heartbeat's own loop."""
        self._asked_to_beat.set()

    def leave(self) -> None:
        """The worker drains: beat on, but register no more. May be called from any thread."""
        self._leaving = True

    async def run(self, open_store: OpenStore) -> None:
        """Beat until cancelled, on a store handle of its own."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_silence(), name="silence")
            group.create_task(self._keep_beating(open_store), name="beating")

    async def _keep_beating(self, open_store: OpenStore) -> None:
        longest_s = min(LONGEST_WAIT_S, self._times.interval_s)
        patience = Patience(self._runtime, "heartbeat", longest_s=longest_s)
        while True:
            try:
                async with open_store() as store:
                    await self._beat_on(store, patience)
            except StoreUnavailableError as error:
                await patience.wait(error)

    async def _beat_on(self, store: Store, patience: Patience) -> None:
        planned_s = self._runtime.monotonic() + self._times.interval_s
        while True:
            await self._wait_until(planned_s)
            now_s = self._runtime.monotonic()
            try:
                async with answered_within(self._times.interval_s):
                    await self._report_timeouts(store)
                if now_s >= planned_s or self._asked_to_beat.is_set():
                    late_s = max(0.0, now_s - planned_s)
                    self._asked_to_beat.clear()
                    async with answered_within(self._times.interval_s):
                        await self._beat(store, late_s)
                    planned_s = now_s + self._times.interval_s
                    patience.answered()
            except StoreUnavailableError as error:
                planned_s = now_s + min(RETRY_EVERY_S, self._times.interval_s)
                await patience.wait(error)

    async def _watch_silence(self) -> None:
        """Stop our own attempts before their leases end, when beats get no answer.

        Separate from the beats, because a beat may hang. While the silence lasts nothing is
        claimed, and what a claim in flight still brought is stopped too.
        """
        limit_s = self._times.timeout_s * (1 - FENCE_SHARE)
        while True:
            # Compare instants: the rest of a span may be too small to change the clock's number.
            rest_s = self._answered_s + limit_s - self._runtime.monotonic()
            if rest_s > 0:
                self._attempts.cut_off = False
                await self._runtime.sleep(rest_s)
                continue
            if not self._attempts.cut_off:
                log.error("no beat was answered for %.1f s; stopping what runs here", limit_s)
            self._attempts.cut_off = True
            self._tell(self._verdicts.fence_off)
            await self._runtime.sleep(min(RETRY_EVERY_S, self._times.interval_s))

    async def _wait_until(self, planned_s: float) -> None:
        """Wait for the next beat, the next timeout to report, or a request to beat now."""
        wake_s = planned_s
        deadline_s = self._attempts.next_deadline_s()
        if deadline_s is not None:
            wake_s = min(wake_s, deadline_s)
        # New attempts may bring earlier deadlines, so look again at least every second.
        wait_s = min(RETRY_EVERY_S, max(0.0, wake_s - self._runtime.monotonic()))
        if wait_s <= 0 or self._asked_to_beat.is_set():
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._asked_to_beat.wait()
        except TimeoutError:
            return

    async def _beat(self, store: Store, late_s: float) -> None:
        started_s = self._runtime.monotonic()
        held = self._attempts.held()
        for start in range(0, max(1, len(held)), MAX_BATCH):
            answer = await store.heartbeat(
                self.registration.worker_id,
                self.registration.incarnation,
                held[start : start + MAX_BATCH],
            )
            if answer.outcome is Outcome.NO_WORKER and not self._leaving:
                await self._register(store)
            self._pass_on(answer, held)
        self._answered_s = started_s
        self._attempts.cut_off = False
        self._announcer.tell(
            HeartbeatSent(
                worker_id=self.registration.worker_id,
                delay_s=late_s,
                running=len(held),
                capacity=self.registration.capacity,
            )
        )

    async def _register(self, store: Store) -> None:
        log.info("the store does not know this worker; registering again")
        if await store.register(self.registration) is Outcome.SUPERSEDED:
            self._tell(self._verdicts.superseded)

    def _pass_on(self, answer: HeartbeatAnswer, held: list[Held]) -> None:
        verdicts = self._verdicts
        by_id = {item.task_id: item for item in held}
        for task_id in answer.lost:
            self._tell(partial(verdicts.lost, by_id[task_id]))
        for task_id in answer.cancel:
            self._tell(partial(verdicts.cancel, by_id[task_id]))
        if answer.capacity is not None and answer.capacity != self.registration.capacity:
            self._tell(partial(verdicts.resized, answer.capacity))
        if answer.draining:
            self._tell(verdicts.draining)
        if answer.outcome is Outcome.SUPERSEDED:
            self._tell(verdicts.superseded)

    async def _report_timeouts(self, store: Store) -> None:
        """Complete what outlived its timeout and grace: its own loop or thread does not stop."""
        for attempt in self._attempts.past_deadline(self._runtime.monotonic()):
            completion = judge_error(
                attempt.task,
                attempt.spec,
                attempt.token,
                timed_out(attempt.spec),
                self._runtime.uniform(),
            )
            await store.complete([completion], by=self.registration.worker_id)
            self._attempts.unlist(attempt)
            log.warning(
                "did not stop at its timeout; reported as failed, its slot stays taken",
                extra=attempt.facts(),
            )
            self._announcer.tell(
                ThreadOutlived(task_id=attempt.task.id, worker_id=self.registration.worker_id)
            )


class HeartbeatThread:
    """Runs a `Heartbeat` on an event loop in a thread of its own, with a store handle of its
    own."""

    def __init__(self, heartbeat: Heartbeat, open_store: OpenStore) -> None:
        self._heartbeat = heartbeat
        self._open_store = open_store
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._begun = threading.Event()

    def beat_now(self) -> None:
        """Beat at once; from any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._heartbeat.beat_now)

    async def run(self) -> None:
        """Beat until cancelled. An error in the thread is raised here."""
        here = asyncio.get_running_loop()
        ended: asyncio.Future[BaseException | None] = here.create_future()

        def settle(error: BaseException | None) -> None:
            if not ended.done():
                ended.set_result(error)

        def body() -> None:
            error: BaseException | None = None
            try:
                asyncio.run(self._body())
            except asyncio.CancelledError:
                pass
            except BaseException as raised:  # noqa: BLE001 - handed to the worker's loop
                error = raised
            here.call_soon_threadsafe(settle, error)

        thread = threading.Thread(target=body, name="dsched heartbeat", daemon=True)
        thread.start()
        try:
            error = await asyncio.shield(ended)
        finally:
            self._stop()
            await ended
            thread.join()
        if error is not None:
            raise error

    async def _body(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        self._begun.set()
        await self._heartbeat.run(self._open_store)

    def _stop(self) -> None:
        self._begun.wait(timeout=5)
        if self._loop is not None and self._main is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._main.cancel)
