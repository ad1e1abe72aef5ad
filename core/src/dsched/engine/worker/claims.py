"""The numbered claims of one worker: each is repeated unchanged until the store has answered it."""

import asyncio
import logging
from collections.abc import Callable

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Claimed
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import WAKEUP_SLACK_S, answered_within, until_answered

log = logging.getLogger("dsched.worker")

STALE_SHARE = 0.5
WAITING_SHARE = 0.25  # an answer must not be stale by the time a wake-up brings it
SETTLE_S = 2.0
LANE = 0


class SupersededError(Exception):
    """A newer process runs with this worker's id: this one must stop."""


@attrs.frozen(kw_only=True)
class Answered:
    """What a claim came to. ``woken``: a wake-up, not the time, ended its wait in the store."""

    asked: int
    task_ids: tuple[str, ...] = ()
    woken: bool = False

    @property
    def brought_all(self) -> bool:
        """Whether it brought as many tasks as it asked for: there may be more."""
        return len(self.task_ids) == self.asked


class Claims:
    """One claim at a time. A lost answer hands out the same tasks again, and never others."""

    def __init__(
        self,
        store: Store,
        registration: Registration,
        runtime: Runtime,
        *,
        start: Callable[[Claimed, float], None],
        woken: Callable[[], None],
    ) -> None:
        self._store = store
        self.registration = registration
        self._runtime = runtime
        self._start = start
        self._woken = woken
        self._number = 0
        self._limit = 0
        self.answered = True
        self._parked: asyncio.Timeout | None = None

    async def ask(self, limit: int) -> Answered:
        """Claim at most ``limit`` tasks and start them."""
        self._next(limit)
        return await self.repeat()

    async def repeat(self) -> Answered:
        """Send the latest claim until it is answered, for the first time or again."""
        while True:
            sent_s = self._runtime.monotonic()
            answer = await until_answered(
                self._runtime, "claiming", lambda: self._store.claim(*self._latest)
            )
            took_s = self._runtime.monotonic() - sent_s
            if not self._is_stale(took_s):
                return await self._take(answer, sent_s)
            log.info("a claim was answered after %.1f s; asking again", took_s)

    async def ask_when_woken(self, limit: int, wait_s: float) -> Answered | None:
        """Claim what a wake-up announces, or what is there after ``wait_s``. None: no answer yet.

        Raises `StoreUnavailableError` if the store did not answer: `repeat` it then too.
        """
        self._next(limit)
        wait_s = min(wait_s, self._lease_s * WAITING_SHARE)
        sent_s = self._runtime.monotonic()
        try:
            async with answered_within(wait_s + WAKEUP_SLACK_S), asyncio.timeout(None) as parked:
                self._parked = parked
                woken, answer = await self._store.claim_when_woken(*self._latest, wait_s)
        except TimeoutError:  # recalled
            return None
        finally:
            self._parked = None
        if woken:
            self._woken()
        answered_s = self._runtime.monotonic()
        if self._is_stale(answered_s - sent_s):
            return None
        return attrs.evolve(await self._take(answer, answered_s), woken=woken)

    def recall(self) -> None:
        """Let no claim wait in the store any longer; one that does is left without an answer."""
        if self._parked is not None and not self._parked.expired():
            self._parked.reschedule(asyncio.get_running_loop().time())

    async def settle(self) -> None:
        """For a worker that leaves: have the latest claim answered, if the store does so soon.

        If the store stays silent, what it gave out goes to another worker when the lease is over.
        """
        if self.answered:
            return
        try:
            async with asyncio.timeout(SETTLE_S):
                await self.repeat()
        except TimeoutError:
            log.warning("the store does not say what the latest claim has brought")

    @property
    def _lease_s(self) -> float:
        return self.registration.heartbeat_timeout_ms / 1000

    @property
    def _latest(self) -> tuple[str, str, int, int, int]:
        """The latest claim, as a store is asked for it."""
        worker = self.registration
        return (worker.worker_id, worker.incarnation, LANE, self._number, self._limit)

    def _next(self, limit: int) -> None:
        self._number, self._limit = self._number + 1, limit
        self.answered = False

    def _is_stale(self, took_s: float) -> bool:
        """Whether an answer is so old that its leases may be over. Asking again renews them."""
        return took_s >= self._lease_s * STALE_SHARE

    async def _take(self, answer: Claimed, started_s: float) -> Answered:
        """Start what the latest claim has brought."""
        self.answered = True
        if answer.outcome is Outcome.SUPERSEDED:
            raise SupersededError(_superseded(self.registration.worker_id))
        if answer.outcome is Outcome.NO_WORKER:
            await self._register()
            return Answered(asked=self._limit)
        self._start(answer, started_s)
        return Answered(asked=self._limit, task_ids=tuple(task.id for task in answer.tasks))

    async def _register(self) -> None:
        log.info("the store does not know this worker; registering again")
        outcome = await until_answered(
            self._runtime, "registering", lambda: self._store.register(self.registration)
        )
        if outcome is Outcome.SUPERSEDED:
            raise SupersededError(_superseded(self.registration.worker_id))


def _superseded(worker_id: str) -> str:
    return (
        f"another process registered as worker {worker_id} after this one; "
        "this one stops. Give each process its own worker.id, or leave it empty"
    )
