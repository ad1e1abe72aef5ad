"""A pod says that it runs, and how, so that operators can see every pod there is."""

import logging
from collections.abc import Callable
from functools import cache
from importlib import metadata

from dsched.contracts.service import PodStatus
from dsched.contracts.store.formats import STORE_FORMAT
from dsched.contracts.store.operating import Operating, PodRecord
from dsched.contracts.store.outcomes import StoreError, StoreUnavailableError
from dsched.contracts.store.timing import Timing
from dsched.engine.observed_store import Answering
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import answered_within
from dsched.engine.write_watch import WriteWatch

log = logging.getLogger("dsched.pod")

SAY_EVERY_S = 10.0
LOOK_EVERY_S = 1.0
TTL_MS = 30_000
CALL_S = 5.0
LEAVE_S = 1.0


class Presence:
    """Tells the store what `Pod.status` says: when it changes, and every ten seconds.

    Nothing depends on it, so a store that does not answer is asked again at the next look. It is
    the one write that each pod makes regularly, so it tells `WriteWatch` whether writes are taken.
    """

    def __init__(
        self,
        timing: Timing,
        store: Operating,
        *,
        runtime: Runtime,
        status: Callable[[], PodStatus],
        writes: WriteWatch,
        answering: Answering,
    ) -> None:
        self._timing = timing
        self._store = store
        self._runtime = runtime
        self._status = status
        self._writes = writes
        self._answering = answering
        self._id = f"{status().name[:64]}-{runtime.token()}"
        self._started_ms: int | None = None
        self._said: PodStatus | None = None
        self._said_s = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            status = self._status()
            due = self._runtime.monotonic() - self._said_s >= SAY_EVERY_S
            # While writes are refused, each turn tries one: so the pod learns when it is over.
            if status != self._said or due or status.writes_refused:
                await self._say(status)
            await self._runtime.sleep(LOOK_EVERY_S)

    async def leave(self) -> None:
        """Say that this pod runs no more; a silent store forgets it by itself."""
        try:
            async with answered_within(LEAVE_S):
                await self._store.pod_left(self._id)
        except StoreError as error:
            log.debug("the store was not told that this pod leaves: %s", error)

    async def _say(self, status: PodStatus) -> None:
        try:
            async with answered_within(CALL_S):
                if self._started_ms is None:
                    self._started_ms = (await self._timing.now()).wall_ms
                await self._store.pod_seen(self._record(status, self._started_ms), TTL_MS)
        except StoreError as error:
            log.debug("the store was not told that this pod runs: %s", error)
            if isinstance(error, StoreUnavailableError):
                self._writes.unanswered(error)
            # This call has the shortest bound of all, and is made however idle the pod is.
            self._answering.note(error)
            return
        self._writes.accepted()
        self._said, self._said_s = status, self._runtime.monotonic()

    def _record(self, status: PodStatus, started_ms: int) -> PodRecord:
        return PodRecord(
            id=self._id,
            name=status.name,
            roles=tuple(sorted(status.roles)),
            version=_version(),
            started_ms=started_ms,
            ready=status.ready,
            leading=status.leading,
            draining=status.draining,
            store_format=STORE_FORMAT,
        )


@cache
def _version() -> str:
    return metadata.version("dsched")
