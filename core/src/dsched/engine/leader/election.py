"""Leader election: followers try, the leader renews, and gives the lock up when it must."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import attrs

from dsched.contracts.observer import TermChanged
from dsched.contracts.store import Store
from dsched.contracts.store.leadership import fence_epoch
from dsched.contracts.store.outcomes import FencedError, Outcome, StoreUnavailableError
from dsched.contracts.store.timing import ELECTION_WAKEUP
from dsched.engine.isolation import apart
from dsched.engine.leader.term import Term, TermOverError, first_error
from dsched.engine.observers import Announcer
from dsched.engine.past import Past
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import WAKEUP_SLACK_S, Patience, answered_within

log = logging.getLogger("dsched.election")

TRY_EVERY_S = 1.3  # at most: with its jitter every second on average
LISTEN_S = 30.0
RESIGN_TIMEOUT_S = 2.0
REST_AFTER_FAILURE_S = 3.0


@attrs.frozen(kw_only=True)
class ElectionTimes:
    """The lock's time to live and how often it is renewed, in seconds."""

    ttl_s: float = 10.0
    renew_every_s: float = 3.0


class Election:
    """Tries to lead until cancelled; ``lead`` runs the leader's loops for one term.

    ``store`` is a handle of its own, so that no slow call of another part delays a renewal.
    """

    def __init__(
        self,
        pod: str,
        store: Store,
        runtime: Runtime,
        announcer: Announcer,
        times: ElectionTimes,
        lead: Callable[[Term], Awaitable[None]],
        *,
        past: Past,
    ) -> None:
        self._pod = pod
        self._store = store
        self._runtime = runtime
        self._announcer = announcer
        self._times = times
        self._lead = lead
        self._past = past
        self._stopping = asyncio.Event()
        self.term: Term | None = None

    async def run(self) -> None:
        """Follow and lead by turns until `stop`."""
        patience = Patience(self._runtime, "election")
        while not self._stopping.is_set():
            term = await self._follow(patience)
            if term is not None:
                await self._hold(term)

    def stop(self) -> None:
        """Give the lock up if it is held, and try no more. `run` then returns."""
        self._stopping.set()

    async def _acquire(self, token: str, patience: Patience) -> Term | None:
        """One try with one token, repeated until answered: a lost reply may have been a yes."""
        ttl_s, ttl_ms = self._times.ttl_s, round(self._times.ttl_s * 1000)
        repeated = False
        while not self._stopping.is_set():
            started_s = self._runtime.monotonic()
            try:
                async with answered_within(ttl_s):
                    answer = await self._store.acquire(
                        self._pod, token, ttl_ms, floor=self._past.floor
                    )
                    if answer.fence:
                        self._past.saw_epoch(fence_epoch(answer.fence))
                    if answer.outcome is not Outcome.OK:
                        patience.answered()
                        return None
                    # An earlier try may have got the lock, whose time has run since: renew it.
                    lost = repeated and await self._store.renew(answer.fence, ttl_ms) != Outcome.OK
            except StoreUnavailableError as error:
                repeated = True
                await patience.wait(error)
            else:
                patience.answered()
                return None if lost else Term(answer.fence, ttl_s, started_s, self._runtime)
        return None

    async def _follow(self, patience: Patience) -> Term | None:
        """Try every second or so, and at once after a wake-up, until leading or stopping."""
        chance = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen(chance), name="election wake-up")
            term = await self._acquire(self._runtime.token(), patience)
            while term is None and not self._stopping.is_set():
                await self._wait_for_a_chance(chance)
                term = await self._acquire(self._runtime.token(), patience)
            listening.cancel()
        return term

    async def _wait_for_a_chance(self, chance: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self._runtime.jittered(TRY_EVERY_S)):
                await chance.wait()
        except TimeoutError:
            return
        chance.clear()

    async def _listen(self, chance: asyncio.Event) -> None:
        """One long wait for a wake-up: a new wait for each try would cost two requests each."""
        while True:
            try:
                async with answered_within(LISTEN_S + WAKEUP_SLACK_S):
                    woken = await self._store.wakeup(ELECTION_WAKEUP, LISTEN_S)
            except StoreUnavailableError:
                await self._runtime.sleep(TRY_EVERY_S)
                continue
            if woken:
                chance.set()

    async def _hold(self, term: Term) -> None:
        """Lead for one term: renew and run the loops until either must stop."""
        reason = "stopped"
        self._begin(term)
        try:
            await apart(self._run_until_over(term))
        except* (TermOverError, FencedError) as errors:
            reason = str(first_error(errors))
        finally:
            self._end(term, reason)
            await self._resign(term)
        await self._rest()

    async def _run_until_over(self, term: Term) -> None:
        """The renewal and the loops; ends by an error only."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renew(term), name="renewal")
            group.create_task(self._end_when_stopping(), name="stop")
            group.create_task(self._run_loops(term), name="leader")

    async def _rest(self) -> None:
        """Let others try first after a term that ended badly, unless told to stop."""
        try:
            async with asyncio.timeout(self._runtime.jittered(REST_AFTER_FAILURE_S)):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _begin(self, term: Term) -> None:
        self.term = term
        log.info("pod %s leads from now on (term %d)", self._pod, term.epoch)
        self._announcer.tell(TermChanged(pod=self._pod, leading=True, epoch=term.epoch))

    def _end(self, term: Term, reason: str) -> None:
        self.term = None
        log.info("pod %s leads no more (term %d): %s", self._pod, term.epoch, reason)
        self._announcer.tell(
            TermChanged(pod=self._pod, leading=False, epoch=term.epoch, reason=reason)
        )

    async def _run_loops(self, term: Term) -> None:
        await self._lead(term)
        raise TermOverError("the leader's loops ended")

    async def _end_when_stopping(self) -> None:
        await self._stopping.wait()
        raise TermOverError("the pod stops")

    async def _renew(self, term: Term) -> None:
        began_s = self._runtime.monotonic()
        while True:
            # From beginning to beginning: a slow answer must not put the next renewal off.
            wait_s = began_s + self._times.renew_every_s - self._runtime.monotonic()
            await self._runtime.sleep(max(0.0, min(wait_s, term.remaining_s())))
            began_s = self._runtime.monotonic()
            await self._renew_once(term)

    async def _renew_once(self, term: Term) -> None:
        """Renew, trying again at once while the term may still be trusted."""
        while True:
            term.check()
            started_s = self._runtime.monotonic()
            try:
                async with asyncio.timeout(term.remaining_s()):
                    outcome = await self._store.renew(term.fence, round(self._times.ttl_s * 1000))
            except (StoreUnavailableError, TimeoutError):
                term.disturbed()
                await self._runtime.sleep(min(0.2, max(0.0, term.remaining_s())))
                continue
            if outcome is Outcome.FENCED:
                raise TermOverError("the lock was lost to another term, or expired")
            term.renewed(started_s)
            return

    async def _resign(self, term: Term) -> None:
        """Drop the lock, so that the next leader need not wait for its time to run out."""
        try:
            async with asyncio.timeout(RESIGN_TIMEOUT_S):
                await self._store.resign(term.fence)
        except (StoreUnavailableError, TimeoutError):
            log.info("term %d could not be resigned; it runs out by itself", term.epoch)
