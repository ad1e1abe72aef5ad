"""What a scheduler does while it does not lead: it notices that nobody fires, and says so."""

import logging
from collections.abc import Callable

import attrs

from dsched.contracts.observer import InstantsMissed, InvariantViolated, NobodyLeads
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.leadership import fence_epoch
from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.store.timing import Timing
from dsched.contracts.store.watching import Watched, Watching
from dsched.engine.clock_watch import ClockWatch
from dsched.engine.observers import Announcer
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import answered_within
from dsched.model import rfc3339_ms

log = logging.getLogger("dsched.watchdog")

LOOK_EVERY_S = 10.0
LOOKS_A_BOUND = 4  # within a short bound it checks this many times
PAGES_A_LOOK = 10
ANSWER_S = 30.0
NAMED = 5  # configs that a line of the log names


@attrs.frozen(kw_only=True)
class WatchTimes:
    """From when on a config is missed, and the time to live of the leader's lock; in seconds."""

    missed_after_s: float = 60.0
    lock_ttl_s: float = 10.0

    @property
    def look_every_s(self) -> float:
        """How often to look."""
        return min(LOOK_EVERY_S, self.missed_after_s / LOOKS_A_BOUND)

    @property
    def leaderless_after_s(self) -> float:
        """From when on the absence of a leader is reported."""
        return self.lock_ttl_s + self.missed_after_s


class Watchdog:
    """Looks for what is overdue as long as this pod does not lead, independently of who does."""

    def __init__(
        self,
        pod: str,
        timing: Timing,
        store: Watching,
        runtime: Runtime,
        announcer: Announcer,
        times: WatchTimes,
        leads: Callable[[], bool],
    ) -> None:
        self._pod = pod
        self._timing = timing
        self._store = store
        self._runtime = runtime
        self._announcer = announcer
        self._times = times
        self._leads = leads
        self._clock = ClockWatch(runtime)
        self._free_since_s: float | None = None
        self._skip = 0

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            await self._runtime.sleep(self._runtime.jittered(self._times.look_every_s))
            if self._leads():
                self._forget()
                continue
            try:
                async with answered_within(ANSWER_S):
                    await self._poll()
            except StoreUnavailableError:
                self._forget()  # the other parts of the pod say so
            except Exception as error:
                log.exception("the watchdog failed; it checks again")
                self._announcer.tell(InvariantViolated(name="watchdog", detail=f"{error}"))

    def _forget(self) -> None:
        self._free_since_s, self._skip = None, 0

    async def _poll(self) -> None:
        if self._clock.read(await self._timing.now()):
            self._forget()  # the clock jumped forward: what that made due is not missed yet
            return
        watched = await self._missed()
        if watched.fence is not None:
            self._free_since_s = None
            return
        here_s = self._runtime.monotonic()
        since_s = self._free_since_s = here_s if self._free_since_s is None else self._free_since_s
        if here_s - since_s >= self._times.leaderless_after_s:
            await self._leaderless()

    async def _missed(self) -> Watched:
        """Page through what is overdue, some of it each time, and report what is new."""
        late_ms = round(self._times.missed_after_s * 1000)
        for _ in range(PAGES_A_LOOK):
            watched = await self._store.raise_missed(late_ms, self._skip, MAX_BATCH, by=self._pod)
            if watched.missed:
                self._say(watched)
            if watched.looked < MAX_BATCH:
                self._skip = 0
                break
            self._skip += MAX_BATCH
        return watched

    def _say(self, watched: Watched) -> None:
        epoch = 0 if watched.fence is None else fence_epoch(watched.fence)
        shown = ", ".join(
            f"{one.config_id} for {rfc3339_ms(one.due_ms)}" for one in watched.missed[:NAMED]
        )
        log.error(
            "%d configs are overdue by more than %g s and nobody has fired them (%s): %s%s",
            len(watched.missed),
            self._times.missed_after_s,
            f"term {epoch} leads" if epoch else "nobody leads",
            shown,
            " ..." if len(watched.missed) > NAMED else "",
        )
        self._announcer.tell(
            InstantsMissed(
                pod=self._pod,
                epoch=epoch,
                missed=watched.missed,
                now_ms=watched.time.wall_ms,
            )
        )

    async def _leaderless(self) -> None:
        idle_s = self._times.leaderless_after_s
        outcome = await self._store.raise_leaderless(round(idle_s * 1000), by=self._pod)
        if outcome is Outcome.OK:
            log.error("nobody has led for %g s; nothing is fired or dispatched", idle_s)
            self._announcer.tell(NobodyLeads(pod=self._pod, idle_s=idle_s))
