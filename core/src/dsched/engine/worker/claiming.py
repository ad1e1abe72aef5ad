"""The claim loop: takes tasks from the worker's queue while it has free slots."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Claimed
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import WAKEUP_SLACK_S, answered_within, until_answered
from dsched.engine.worker.attempts import Attempts

log = logging.getLogger("dsched.worker")

LOOK_EVERY_S = 1.0
LOOK_AT_LEAST_EVERY_S = 4.0  # with a bell that works, and nothing found
LISTEN_S = 30.0
LISTEN_LATER_S = 0.02
BEAT_NOW_EVERY_S = 0.5
STALE_SHARE = 0.5
WAITING_SHARE = 0.25  # a claim that waits for a ring is not to be stale when it comes
# What a process that cannot read it is given by a ring is lost to it for a lease: not too much.
WAITING_LIMIT = 10
SETTLE_S = 2.0
# A claim takes half of the slots, so that one half runs while the store works on the other; but
# what few slots there are is not worth two claims.
LEAST_SHARE = 10


class SupersededError(Exception):
    """A newer process runs with this worker's id: this one must stop."""


class Claimer:
    """Claims batches, at most as many tasks as there are free slots.

    A claim is numbered and repeated unchanged until it is answered, so that a lost reply hands
    out the same tasks again and never others. One is under way at a time. Once there is nothing
    more, the next one waits in the store for the worker's bell (ADR 0035); one that does not come
    back from there is repeated like any other.
    """

    def __init__(
        self,
        store: Store,
        registration: Registration,
        runtime: Runtime,
        attempts: Attempts,
        start: Callable[[Claimed, float], None],
        beat_now: Callable[[], None],
    ) -> None:
        self._store = store
        self._registration = registration
        self._runtime = runtime
        self._attempts = attempts
        self._start = start
        self._beat_now = beat_now
        self._most = min(MAX_BATCH, max(LEAST_SHARE, -(-registration.capacity // 2)))
        self._number = 0
        # The latest claim, as a store is asked for it; and whether it has been answered.
        self._latest, self._settled = ("", "", 0, 0, 0), True
        self._poll = asyncio.Event()
        self._look_in_s = LOOK_EVERY_S
        self._to_listen = asyncio.Event()  # the bell is `listen`'s, not a claim's
        self._heard_s = 0.0  # when the latest wait for the bell ended
        self._rung_at_work = asyncio.Event()
        self._deaf = False
        self._stopping = False
        self._waiting: asyncio.Timeout | None = None

    def wake(self) -> None:
        """There is room, or something in the queue."""
        self._poll.set()

    def stop(self) -> None:
        """Claim no more; a claim under way is still settled, then `run` returns."""
        self._stopping = True
        self._poll.set()
        self.disarm()

    def disarm(self) -> None:
        """Let no claim wait for a ring, as long as beats are not answered."""
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Claim until `stop`."""
        woken, self._heard_s = True, self._runtime.monotonic()
        while not self._stopping:
            self._poll.clear()
            if self._runtime.monotonic() - self._heard_s > LISTEN_LATER_S:
                self._to_listen.set()  # it claims without a rest
            limit = self._room()
            if limit > 0:
                claimed = await self._claim(limit)
                if len(claimed) == self._asked:
                    continue  # there may be more
                self._found(claimed, announced=woken)
                if not self._deaf and not self._to_listen.is_set():
                    await self._claim_at_rings()
                    woken = self._settled
                    continue
            woken = await self._wait(hungry=limit > 0)
        self._to_listen.set()  # from now on
        if not self._settled:
            await self._settle_in_time()

    def _found(self, claimed: Sequence[str], *, announced: bool) -> None:
        """What no ring has announced tells that rings get lost: trust it when it rings again."""
        self._deaf = self._deaf or (bool(claimed) and not announced)

    def _room(self) -> int:
        """How many tasks a claim may bring."""
        if self._attempts.cut_off:
            return 0
        return min(self._registration.capacity - self._attempts.slots_taken, self._most)

    async def _wait(self, *, hungry: bool) -> bool:
        """Until woken. A worker with free slots looks by itself all the same: every second, and
        less and less often while its bell works and there is nothing. Whether it was woken.

        To one without room a ring could tell of nothing but a cancel or a drain. Those may wait a
        moment, and a busy worker is not to listen for each batch.
        """
        woken = not hungry and await self._woken_within(LISTEN_LATER_S)
        if not woken:
            self._to_listen.set()
            woken = await self._woken_within(LOOK_EVERY_S if self._deaf else self._look_in_s)
        self._look_again(woken=woken)
        return woken

    async def _woken_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._poll.wait()
        except TimeoutError:
            return False

    def _look_again(self, *, woken: bool) -> None:
        """Choose when to look again without a ring."""
        longer_s = min(2 * self._look_in_s, LOOK_AT_LEAST_EVERY_S)
        self._look_in_s = LOOK_EVERY_S if woken else longer_s

    async def listen(self) -> None:
        """Follow the worker's bell where no claim waits for it: it rings for queue entries, cancels
        and drains."""
        while True:
            await self._to_listen.wait()
            try:
                async with answered_within(LISTEN_S + WAKEUP_SLACK_S):
                    rang = await self._store.wakeup(self._registration.worker_id, LISTEN_S)
            except StoreUnavailableError:
                self._deaf = True
                await self._runtime.sleep(LOOK_EVERY_S)
                continue
            self._heard_s = self._runtime.monotonic()
            if not self._stopping:
                self._to_listen.clear()
            if rang:
                self._deaf = False
                self._rung()
                self.wake()

    def _rung(self) -> None:
        if len(self._attempts):
            self._rung_at_work.set()

    async def poke(self) -> None:
        """Beat after a ring while something runs: it may mean a cancel, which only a beat tells. But
        not once for every batch."""
        while True:
            await self._rung_at_work.wait()
            self._rung_at_work.clear()
            self._beat_now()
            await self._runtime.sleep(BEAT_NOW_EVERY_S)

    async def _claim_at_rings(self) -> None:
        """Claim what each ring announces, as long as it is all there is and there is room."""
        while not self._stopping and (room := self._room()) > 0:
            rang, claimed = await self._claim_when_woken(min(room, WAITING_LIMIT))
            self._heard_s = self._runtime.monotonic()
            self._look_again(woken=rang)
            if not self._settled:
                self._to_listen.set()  # to have it answered may take a while
                return
            self._found(claimed, announced=rang)
            if self._deaf or len(claimed) == self._asked:
                return
            await asyncio.sleep(0)  # what has come begins before the next claim is made up

    async def _claim_when_woken(self, limit: int) -> tuple[bool, tuple[str, ...]]:
        """One claim that waits for a ring, or for when to look without; whether it rang, and the ids
        of what was started. It may be left unsettled."""
        self._next(limit)
        lease_s = self._registration.heartbeat_timeout_ms / 1000
        wait_s = min(self._look_in_s, lease_s * WAITING_SHARE)
        sent_s = self._runtime.monotonic()
        try:
            async with answered_within(wait_s + WAKEUP_SLACK_S), asyncio.timeout(None) as waiting:
                self._waiting = waiting
                rang, answer = await self._store.claim_when_woken(*self._latest, wait_s)
        except (StoreUnavailableError, TimeoutError) as error:
            # No answer, or disarmed.
            self._deaf = self._deaf or isinstance(error, StoreUnavailableError)
            return False, ()
        finally:
            self._waiting = None
        if rang:
            self._rung()
        answered_s = self._runtime.monotonic()
        if self._is_stale(answered_s - sent_s):
            return rang, ()
        return rang, await self._take(answer, answered_s)

    async def _claim(self, limit: int) -> tuple[str, ...]:
        """One claim, or what is left of the latest; the ids of what was started."""
        if self._settled:
            self._next(limit)
            return await self._settle()
        claimed = await self._settle()
        self._rung()  # it waited for a ring, which may have been lost with its answer
        return claimed

    @property
    def _asked(self) -> int:
        return self._latest[-1]

    def _next(self, limit: int) -> None:
        self._number += 1
        worker = self._registration
        self._latest = (worker.worker_id, worker.incarnation, 0, self._number, limit)
        self._settled = False

    async def _settle(self) -> tuple[str, ...]:
        """Send the latest claim until it is answered, for the first time or again."""
        while True:
            started_s = self._runtime.monotonic()
            answer = await until_answered(
                self._runtime, "claiming", lambda: self._store.claim(*self._latest)
            )
            took_s = self._runtime.monotonic() - started_s
            if not self._is_stale(took_s):
                return await self._take(answer, started_s)
            log.info("a claim was answered after %.1f s; asking again", took_s)

    async def _settle_in_time(self) -> None:
        """Of a worker that leaves: what a silent store has given it is another's in a while."""
        try:
            async with asyncio.timeout(SETTLE_S):
                await self._settle()
        except TimeoutError:
            log.warning("the store does not say what the latest claim has brought")

    def _is_stale(self, took_s: float) -> bool:
        """Whether an answer is so old that its leases may be over. Asking again renews them."""
        return took_s * 1000 >= self._registration.heartbeat_timeout_ms * STALE_SHARE

    async def _take(self, answer: Claimed, started_s: float) -> tuple[str, ...]:
        """Start what the latest claim has brought; the ids."""
        self._settled = True
        if answer.outcome is Outcome.SUPERSEDED:
            raise SupersededError(_superseded(self._registration.worker_id))
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
