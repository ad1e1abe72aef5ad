"""What waits for a worker's wake-ups, and whether they can be trusted to come."""

import asyncio
from collections.abc import Callable

from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.contracts.store.timing import Timing
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import WAKEUP_SLACK_S, answered_within

POLL_EVERY_S = 1.0
LISTEN_S = 30.0
LISTEN_LATER_S = 0.02
BEAT_NOW_EVERY_S = 0.5


class Wakeups:
    """The wake-ups of one worker, for new queue entries, cancels and drains.

    Either a claim that waits in the store hears them, or `listen` does. They are trusted until a
    task is found that none has announced, or the store cannot wait; and again when one comes.
    """

    def __init__(
        self,
        store: Timing,
        worker_id: str,
        runtime: Runtime,
        *,
        running: Callable[[], bool],
        beat_now: Callable[[], None],
    ) -> None:
        self._store = store
        self._worker_id = worker_id
        self._runtime = runtime
        self._running = running
        self._beat_now = beat_now
        self._listening = asyncio.Event()
        self._for_good = False
        self._heard_s = runtime.monotonic()  # when the latest wait for a wake-up ended
        self._may_be_a_cancel = asyncio.Event()
        self.trusted = True

    @property
    def claims_may_wait(self) -> bool:
        """Whether the next claim may wait in the store: `listen` does not, and wake-ups come."""
        return self.trusted and not self._listening.is_set()

    def listen_now(self) -> None:
        """No claim hears wake-ups for the moment: `listen` does, until it has heard one."""
        self._listening.set()

    def listen_if_unheard(self) -> None:
        """The same, if nothing has listened for a while because the worker claims without a
        rest."""
        if self._runtime.monotonic() - self._heard_s > LISTEN_LATER_S:
            self._listening.set()

    def listen_for_good(self) -> None:
        """The worker claims no more: what runs may still be cancelled."""
        self._for_good = True
        self._listening.set()

    def heard(self) -> None:
        """A claim's wait in the store has ended."""
        self._heard_s = self._runtime.monotonic()

    def distrust(self) -> None:
        """Wake-ups get lost, or the store cannot wait for them."""
        self.trusted = False

    def woken(self) -> None:
        """A wake-up came; while something runs it may mean a cancel, which only a beat tells."""
        if self._running():
            self._may_be_a_cancel.set()

    async def listen(self, wake: Callable[[], None]) -> None:
        """Hear wake-ups whenever no claim does, and pass them on."""
        while True:
            await self._listening.wait()
            try:
                async with answered_within(LISTEN_S + WAKEUP_SLACK_S):
                    woken = await self._store.wakeup(self._worker_id, LISTEN_S)
            except StoreUnavailableError:
                self.distrust()
                await self._runtime.sleep(POLL_EVERY_S)
                continue
            self.heard()
            if not self._for_good:
                self._listening.clear()
            if woken:
                self.trusted = True
                self.woken()
                wake()

    async def beat_when_woken(self) -> None:
        """Beat after a wake-up while something runs, but not once for every batch."""
        while True:
            await self._may_be_a_cancel.wait()
            self._may_be_a_cancel.clear()
            self._beat_now()
            await self._runtime.sleep(BEAT_NOW_EVERY_S)
