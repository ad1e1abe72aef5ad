"""The leader's scheduling loop: poll, fire, promote, dispatch; then wait for what comes next.

The loop is a small state machine. `way_to_wait` is the table of its waits, a pure function.
"""

import asyncio
import logging
import math
from enum import StrEnum

import attrs

from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.dispatching import Poll
from dsched.contracts.store.outcomes import FencedError, StoreUnavailableError
from dsched.contracts.store.timing import LEADER_WAKEUP, WAIT_SLACK_S
from dsched.engine.clock_watch import ClockWatch
from dsched.engine.leader.abilities import Abilities
from dsched.engine.leader.activity import Activity
from dsched.engine.leader.assignment import Assigner
from dsched.engine.leader.dispatching import DispatchStep, with_new
from dsched.engine.leader.firing import FiringStep
from dsched.engine.leader.next_token import NextToken
from dsched.engine.leader.round_trip import RoundTrip
from dsched.engine.leader.run_news import RunNews
from dsched.engine.leader.supervision import HANG_S, supervise
from dsched.engine.leader.term import Term
from dsched.engine.leader.unplaced import Unplaced
from dsched.engine.observers import Announcer
from dsched.engine.runtime import Runtime
from dsched.model import Worker

log = logging.getLogger("dsched.leader")

RETRY_AFTER_S = 0.5
RETRY_WAIT_S = 1.0
OVERSLEPT_S = 0.05
# To begin and end a wait for a wake-up takes a millisecond or two: what is shorter is slept
# through.
WAKEUP_FROM_S = 0.003
# A shorter wait ends by the clock more often than by a wake-up: the store's poll behind it would
# mostly come too early.
STORE_POLLS_FROM_S = 0.5
# What is due sooner is waited for exactly, by a poll whose round trip was measured.
MEASURED_WITHIN_S = STORE_POLLS_FROM_S + WAIT_SLACK_S


@attrs.frozen
class NextPoll:
    """When to poll again if nothing wakes the leader before; by the runtime's monotonic clock.

    ``scan_s``: as a precaution. ``due_s``: for an instant that is known. ``token_s``: for a token
    that something waits for.
    """

    scan_s: float
    due_s: float = math.inf
    token_s: float = math.inf

    @property
    def at_s(self) -> float:
        """The latest wake-up."""
        return min(self.scan_s, self.due_s, self.token_s)

    @property
    def inexact_until_s(self) -> float:
        """Until then a wait may end late by its slack, and nothing that is due becomes late."""
        return min(self.scan_s, min(self.due_s, self.token_s) - WAIT_SLACK_S)


class Waiting(StrEnum):
    """How the leader waits for its next poll."""

    STORE_POLLS = "store polls"  # nothing is near: the store ends the wait and has polled by then
    WAKEUP = "wake-up"  # something is near: a wake-up may end the wait, the clock ends it exactly
    SLEEP = "sleep"  # it is too near to wait for a wake-up
    NONE = "none"


def way_to_wait(following: NextPoll, now_s: float) -> Waiting:
    """How to wait for ``following``, seen at ``now_s``."""
    if following.inexact_until_s - now_s >= STORE_POLLS_FROM_S:
        return Waiting.STORE_POLLS
    left_s = following.at_s - now_s
    if left_s > WAKEUP_FROM_S:
        return Waiting.WAKEUP
    return Waiting.SLEEP if left_s > 0 else Waiting.NONE


class Scheduling:
    """One term's scheduling loop. ``workers`` are those of the latest poll, ``dispatching`` its
    step that does so."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        *,
        term: Term,
        watch: ClockWatch,
        activity: Activity,
        announcer: Announcer,
        balancer: tuple[str, LoadBalancer],
        abilities: Abilities,
        news: RunNews,
        scan_interval_s: float,
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._term = term
        self._activity = activity
        self._news = news
        self._scan_interval_s = scan_interval_s
        self._firing = FiringStep(store, term, watch, announcer)
        self.unplaced = Unplaced(runtime.monotonic)
        assigner = Assigner(*balancer, abilities.runs)
        self._token = NextToken(runtime.monotonic)
        self.dispatching = DispatchStep(
            store,
            term,
            assigner,
            learn=abilities.learn,
            unplaced=self.unplaced,
            token=self._token,
        )
        self._round_trip = RoundTrip()
        self._polled: Poll | None = None  # by the store, at the end of the wait
        self._following: NextPoll | None = None  # None: the latest tick did not succeed
        self._complained = ""
        self.workers: tuple[Worker, ...] = ()

    async def run(self) -> None:
        """Tick and wait by turns until the term is over; ends by an exception only."""
        await supervise("scheduling", self._term, self._tick, self._wait, hang_s=HANG_S)

    async def _tick(self) -> None:
        """Do what is to be done now, and know when to poll again."""
        self._following = None
        began_s = self._runtime.monotonic()
        polled, self._polled = self._polled, None
        measured = polled is None
        if polled is None:
            polled = await self._store.poll(self._term.fence, MAX_BATCH)
            self._round_trip.took(self._runtime.monotonic() - began_s)
        # The store read its clock about half-way, and a fraction after the millisecond that it
        # says.
        read_s = (began_s + self._runtime.monotonic()) / 2 - polled.due.time.fraction_ms / 1000
        following = await self._act(polled, read_s)
        if not measured and following.due_s - self._runtime.monotonic() < MEASURED_WITHIN_S:
            # Nobody knows how long that poll was on its way: poll again, to know the instant.
            following = NextPoll(read_s)
        self._following = following

    async def _act(self, polled: Poll, read_s: float) -> NextPoll:
        """Fire, promote and dispatch what a poll has found, read at ``read_s``."""
        self.workers = polled.ready.workers
        self._news.seen(polled.runs_in_ms)
        self._token.told(polled.limits_in_ms)
        fired = await self._firing.fire(polled.due)
        delayed_s = await self.dispatching.promote(polled.promoted)
        if polled.due.configs or polled.promoted.count or polled.ready.tasks:
            self._activity.note()
        unread = polled.promoted.count == MAX_BATCH
        open_tasks = self.dispatching.open(fired.tasks)
        more = await self.dispatching.dispatch(with_new(polled.ready, open_tasks, more=unread))
        ahead_s = self._round_trip.ahead_s
        # What is due now is the run loop's; it gives the leader a wake-up by what it does.
        news_s = polled.runs_in_ms / 1000 if polled.runs_in_ms else None
        known = (fired.again_in_s, delayed_s, news_s)
        instants = [s - ahead_s for s in known if s is not None]
        scan_in_s = 0.0 if more else self._scan_interval_s
        due_s = read_s + min(instants, default=math.inf)
        return NextPoll(read_s + scan_in_s, due_s, self._token.at_s)

    async def _wait(self) -> None:
        """Wait, but no longer than until a wake-up.

        The wake-up is a hint, the sleep is exact. A wait that the store ends on time is not broken
        off; one that the store never ends is, in time for the fire.
        """
        runtime = self._runtime
        following = self._following or NextPoll(runtime.monotonic() + RETRY_AFTER_S)
        now_s = runtime.monotonic() + runtime.rounding_s
        way = way_to_wait(following, now_s)
        try:
            if way is Waiting.STORE_POLLS:
                self._polled = await self._woken_poll(following.inexact_until_s - now_s)
                return
            if way is Waiting.WAKEUP and await self._woken_within(following.at_s - now_s):
                return
        except TimeoutError:
            return
        except FencedError:
            raise
        except Exception as error:  # noqa: BLE001 - the poll of the next tick is the one that counts
            self._disturbed(error)
            left_s = max(0.0, following.at_s - runtime.monotonic())
            await runtime.sleep(min(left_s, RETRY_WAIT_S))
            return
        await runtime.sleep_until(following.at_s)

    async def _woken_poll(self, inexact_s: float) -> Poll:
        async with asyncio.timeout(inexact_s + WAIT_SLACK_S + OVERSLEPT_S):
            return await self._store.poll_when_woken(self._term.fence, MAX_BATCH, inexact_s)

    async def _woken_within(self, left_s: float) -> bool:
        async with asyncio.timeout(left_s + OVERSLEPT_S):
            return await self._store.wakeup(LEADER_WAKEUP, left_s)

    def _disturbed(self, error: Exception) -> None:
        """Take note that waiting failed; say why, once for each reason."""
        if isinstance(error, StoreUnavailableError):
            self._term.disturbed()
        elif str(error) != self._complained:
            self._complained = str(error)
            log.exception("waiting for something to do failed; polling every second")
