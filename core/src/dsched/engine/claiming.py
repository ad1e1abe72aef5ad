"""The claim loop: takes tasks from the worker's queue while it has free slots."""

import asyncio
import logging
from collections.abc import Callable

from dsched.contracts.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.steps import MAX_BATCH, Claimed, Registration
from dsched.contracts.store import Store
from dsched.engine.attempts import Attempts
from dsched.engine.calls import BELL_SLACK_S, answered_within, until_answered
from dsched.engine.runtime import Runtime

log = logging.getLogger("dsched.worker")

LOOK_EVERY_S = 1.0
LOOK_AT_LEAST_EVERY_S = 4.0  # with a bell that works, and nothing found
LISTEN_S = 30.0
LISTEN_LATER_S = 0.02
POKE_EVERY_S = 0.5
STALE_SHARE = 0.5
# A claim takes half of the slots, so that one half runs while the store works on the other; but
# what few slots there are is not worth two claims.
LEAST_SHARE = 10


class SupersededError(Exception):
    """A newer process runs with this worker's id: this one must stop."""


class Claimer:
    """Claims batches, at most as many tasks as there are free slots.

    A claim is numbered and repeated unchanged until it is answered, so that a lost reply hands
    out the same tasks again and never others.
    """

    def __init__(
        self,
        store: Store,
        registration: Registration,
        runtime: Runtime,
        attempts: Attempts,
        start: Callable[[Claimed, float], None],
        poke_heartbeat: Callable[[], None],
    ) -> None:
        self._store = store
        self._registration = registration
        self._runtime = runtime
        self._attempts = attempts
        self._start = start
        self._poke_heartbeat = poke_heartbeat
        self._most = min(MAX_BATCH, max(LEAST_SHARE, -(-registration.capacity // 2)))
        self._number = 0
        self._poked_s = float("-inf")
        self._look = asyncio.Event()
        self._hungry = asyncio.Event()  # it has room, and found nothing more
        self._look_in_s = LOOK_EVERY_S
        self._deaf = False
        self._stopping = False

    def wake(self) -> None:
        """There is room, or something in the queue."""
        self._look.set()

    def stop(self) -> None:
        """Claim no more; a claim under way is still settled, then `run` returns."""
        self._stopping = True
        self._look.set()

    async def run(self) -> None:
        """Claim until `stop`."""
        woken = True
        while not self._stopping:
            self._look.clear()
            free = self._registration.capacity - self._attempts.slots_taken
            limit = min(free, self._most)
            if limit > 0 and not self._attempts.cut_off:
                claimed = await self._claim(limit)
                if len(claimed) == limit:
                    continue  # there may be more
                # What no ring has announced tells that rings get lost: trust it when it rings again.
                self._deaf = self._deaf or (bool(claimed) and not woken)
                self._hungry.set()
            woken = await self._wait()
            self._hungry.clear()

    async def _wait(self) -> bool:
        """Until woken. A worker with free slots looks by itself all the same: every second, and
        less and less often while its bell works and there is nothing. Whether it was woken."""
        if self._deaf:
            self._look_in_s = LOOK_EVERY_S
        try:
            async with asyncio.timeout(self._look_in_s):
                await self._look.wait()
        except TimeoutError:
            self._look_in_s = min(2 * self._look_in_s, LOOK_AT_LEAST_EVERY_S)
            return False
        self._look_in_s = LOOK_EVERY_S
        return True

    async def listen(self) -> None:
        """Follow the worker's bell: it rings for queue entries, cancels and drains.

        A ring may mean a cancel, which only a beat tells; but not one beat for every batch, and
        the wait for the next beat must not keep the next ring waiting.
        """
        poke_due = False
        while True:
            if not self._hungry.is_set():
                await self._until_hungry()
            until_poke_s = self._poked_s + POKE_EVERY_S - self._runtime.monotonic()
            if poke_due and until_poke_s <= 0:
                poke_due = False
                self._poked_s = self._runtime.monotonic()
                self._poke_heartbeat()
            timeout_s = until_poke_s if poke_due else LISTEN_S
            try:
                async with answered_within(timeout_s + BELL_SLACK_S):
                    rang = await self._store.bell(self._registration.worker_id, timeout_s)
            except StoreUnavailableError:
                self._deaf = True
                await self._runtime.sleep(LOOK_EVERY_S)
                continue
            if rang:
                self._deaf = False
                self.wake()
                poke_due = poke_due or len(self._attempts) > 0

    async def _until_hungry(self) -> None:
        """While it claims by itself, or has no room, a ring could tell of nothing but a cancel or a
        drain. Those may wait a moment, and a busy worker is not to listen for each batch."""
        try:
            async with asyncio.timeout(LISTEN_LATER_S):
                await self._hungry.wait()
        except TimeoutError:
            return

    async def _claim(self, limit: int) -> tuple[str, ...]:
        """One claim; the ids of what was started."""
        self._number += 1
        worker = self._registration
        while True:
            started_s = self._runtime.monotonic()
            answer = await until_answered(
                self._runtime,
                "claiming",
                lambda: self._store.claim(
                    worker.worker_id, worker.incarnation, 0, self._number, limit
                ),
            )
            took_s = self._runtime.monotonic() - started_s
            if took_s * 1000 < worker.heartbeat_timeout_ms * STALE_SHARE:
                break
            # The answer is old: its leases may be over. Ask again, which also renews them.
            log.info("a claim was answered after %.1f s; asking again", took_s)
        if answer.outcome is Outcome.SUPERSEDED:
            raise SupersededError(_superseded(worker.worker_id))
        if answer.outcome is Outcome.NO_WORKER:
            await self._register()
            return ()
        self._start(answer, started_s)
        return tuple(task.id for task in answer.tasks)

    async def _register(self) -> None:
        log.info("the store does not know this worker; registering again")
        outcome = await until_answered(
            self._runtime, "registering", lambda: self._store.register(self._registration)
        )
        if outcome is Outcome.SUPERSEDED:
            raise SupersededError(_superseded(self._registration.worker_id))


def _superseded(worker_id: str) -> str:
    return (
        f"another process registered as worker {worker_id} after this one; "
        "this one stops. Give each process its own worker.id, or leave it empty"
    )
