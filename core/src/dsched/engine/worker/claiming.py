"""The claim loop: takes tasks from the worker's queue while it has free slots.

The loop is a small state machine. `following` is its table, a pure function; `Claimer` acts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum

import attrs

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.engine.worker.attempts import Attempts
from dsched.engine.worker.claims import Answered, Claims
from dsched.engine.worker.wakeups import LISTEN_LATER_S, POLL_EVERY_S, Wakeups

POLL_AT_LEAST_EVERY_S = 4.0  # while wake-ups can be trusted and nothing is found
# Tasks claimed for a process that is stuck stay leased until they expire; keep this small.
PARKED_LIMIT = 10
# A claim takes half of the slots, so that one half runs while the store works on the other. But a
# few slots are not worth two claims.
LEAST_SHARE = 10


class ClaimState(StrEnum):
    """What the claim loop does."""

    CLAIM = "claim"  # a claim is asked for, and answered at once
    REPEAT = "repeat"  # the latest claim has no answer: it is sent again until it has one
    PARK = "park"  # a claim waits in the store for the worker's wake-up
    REST = "rest"  # no claim is out: until room, a wake-up or the next poll
    STOPPED = "stopped"


class ClaimEvent(StrEnum):
    """How what it did has ended."""

    MORE = "more"  # the claim brought all it asked for: there may be more
    ALL = "all"  # the claim brought what there was
    UNANSWERED = "unanswered"  # the claim may have brought something
    RESTED = "rested"


@attrs.frozen(kw_only=True)
class ClaimFacts:
    """What the next state depends on, besides state and event.

    ``room``: how many tasks a claim may bring. ``claims_may_wait``, ``trusted``: see `Wakeups`.
    """

    stopping: bool = False
    room: int
    answered: bool = True
    claims_may_wait: bool = True
    trusted: bool = True


def following(state: ClaimState, event: ClaimEvent, facts: ClaimFacts) -> ClaimState:
    """The state after ``state`` has ended by ``event``."""
    if facts.stopping:
        return ClaimState.STOPPED
    if facts.room <= 0:
        return ClaimState.REST
    if not facts.answered:
        return ClaimState.REPEAT
    if event in (ClaimEvent.MORE, ClaimEvent.RESTED):
        return ClaimState.CLAIM
    if state is ClaimState.PARK:
        return ClaimState.PARK if facts.trusted else ClaimState.CLAIM
    return ClaimState.PARK if facts.claims_may_wait else ClaimState.REST


class Claimer:
    """Claims batches, at most as many tasks as there are free slots.

    One claim is under way at a time. Once there is nothing more, the next one waits in the store
    for the worker's wake-up (ADR 0035).
    """

    def __init__(
        self, claims: Claims, wakeups: Wakeups, attempts: Attempts, *, capacity: int
    ) -> None:
        self._claims = claims
        self._wakeups = wakeups
        self._attempts = attempts
        self.resize(capacity)
        self._woken = asyncio.Event()
        self._announced = True  # whether what the next claim brings was announced
        self._poll_in_s = POLL_EVERY_S
        self._stopping = False

    def resize(self, capacity: int) -> None:
        """Run so many at once from now on; what runs beyond it goes on."""
        self._capacity = capacity
        self._most = min(MAX_BATCH, max(LEAST_SHARE, -(-capacity // 2)))

    def wake(self) -> None:
        """There is room, or something in the queue."""
        self._woken.set()

    def stop(self) -> None:
        """Claim no more; a claim under way is still settled, then `run` returns."""
        self._stopping = True
        self._woken.set()
        self._claims.recall()

    def disarm(self) -> None:
        """Let no claim wait in the store as long as beats are not answered."""
        self._claims.recall()

    async def run(self) -> None:
        """Claim until `stop`."""
        acts: Mapping[ClaimState, Callable[[], Awaitable[ClaimEvent]]] = {
            ClaimState.CLAIM: self._claim,
            ClaimState.REPEAT: self._repeat,
            ClaimState.PARK: self._park,
            ClaimState.REST: self._rest,
        }
        self._wakeups.heard()
        state = following(ClaimState.REST, ClaimEvent.RESTED, self._facts())
        while state is not ClaimState.STOPPED:
            event = await acts[state]()
            state = following(state, event, self._facts())
        self._wakeups.listen_for_good()
        await self._claims.settle()

    def _facts(self) -> ClaimFacts:
        return ClaimFacts(
            stopping=self._stopping,
            room=self._room(),
            answered=self._claims.answered,
            claims_may_wait=self._wakeups.claims_may_wait,
            trusted=self._wakeups.trusted,
        )

    def _room(self) -> int:
        """How many tasks a claim may bring."""
        if self._attempts.cut_off:
            return 0
        return min(self._capacity - self._attempts.slots_taken, self._most)

    async def _claim(self) -> ClaimEvent:
        self._woken.clear()
        self._wakeups.listen_if_unheard()
        return self._judged(await self._claims.ask(self._room()))

    async def _repeat(self) -> ClaimEvent:
        self._woken.clear()
        self._wakeups.listen_if_unheard()
        answer = await self._claims.repeat()
        self._wakeups.woken()  # the claim waited for a wake-up, which its lost answer may have had
        return self._judged(answer)

    async def _park(self) -> ClaimEvent:
        """Claim what the next wake-up announces, or what is there when it is time to poll."""
        self._announced = False
        try:
            answer = await self._claims.ask_when_woken(
                min(self._room(), PARKED_LIMIT), self._poll_in_s
            )
        except StoreUnavailableError:
            self._wakeups.distrust()
            answer = None
        self._wakeups.heard()
        self._poll_later(woken=answer is not None and answer.woken)
        if answer is None:
            self._wakeups.listen_now()  # it may take a while until the store answers
            return ClaimEvent.UNANSWERED
        if answer.task_ids and not answer.woken:
            self._wakeups.distrust()
        self._announced = True
        if answer.brought_all:
            return ClaimEvent.MORE
        await asyncio.sleep(0)  # let the claimed tasks begin before the next claim is made
        return ClaimEvent.ALL

    async def _rest(self) -> ClaimEvent:
        """Until woken. A worker with free slots polls by itself all the same: every second, and
        less and less often while wake-ups can be trusted and there is nothing.

        To a worker without room a wake-up can announce only a cancel or a drain. Those may wait a
        moment, and a busy worker should not listen anew for each batch.
        """
        self._wakeups.listen_if_unheard()
        woken = self._room() <= 0 and await self._woken_within(LISTEN_LATER_S)
        if not woken:
            self._wakeups.listen_now()
            trusted = self._wakeups.trusted
            woken = await self._woken_within(self._poll_in_s if trusted else POLL_EVERY_S)
        self._woken.clear()
        self._poll_later(woken=woken)
        self._announced = woken
        return ClaimEvent.RESTED

    def _judged(self, answer: Answered) -> ClaimEvent:
        """A task that no wake-up has announced shows that wake-ups get lost."""
        if answer.brought_all:
            return ClaimEvent.MORE
        if answer.task_ids and not self._announced:
            self._wakeups.distrust()
        return ClaimEvent.ALL

    def _poll_later(self, *, woken: bool) -> None:
        """Choose when to poll again without a wake-up."""
        longer_s = min(2 * self._poll_in_s, POLL_AT_LEAST_EVERY_S)
        self._poll_in_s = POLL_EVERY_S if woken else longer_s

    async def _woken_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._woken.wait()
        except TimeoutError:
            return False
