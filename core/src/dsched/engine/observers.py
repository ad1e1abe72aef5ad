"""Tells observers what happens, each through a bounded queue of its own."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping

from dsched.contracts.observer import Notice, Observer, ObserverTrouble

log = logging.getLogger("dsched.observers")

QUEUE_SIZE = 10_000
LOG_EVERY = 1000
TROUBLE_EVERY_S = 10.0


class _Lane:
    """One observer with its queue. The oldest notices are dropped when it lags."""

    def __init__(self, name: str, observer: Observer) -> None:
        self.name = name
        self.dropped = 0
        self.errors = 0
        self._told = (0, 0)
        self._observer = observer
        self._queue: deque[Notice] = deque(maxlen=QUEUE_SIZE)
        self._filled = asyncio.Event()

    def put(self, notice: Notice) -> None:
        if len(self._queue) == QUEUE_SIZE:
            if self.dropped % LOG_EVERY == 0:
                log.warning("observer %s lags: %d notices dropped", self.name, self.dropped + 1)
            self.dropped += 1
        self._queue.append(notice)
        self._filled.set()

    async def run(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._queue:
                self._deliver()
                # A slow observer must not keep the loop for its whole queue.
                await asyncio.sleep(0)

    def flush(self) -> None:
        for _ in range(len(self._queue)):
            self._deliver()

    def _deliver(self) -> None:
        notice = self._queue.popleft()
        try:
            self._observer.notify(notice)
        except Exception:
            if self.errors % LOG_EVERY == 0:
                log.exception("observer %s failed on %s", self.name, type(notice).__name__)
            self.errors += 1

    def trouble(self) -> ObserverTrouble | None:
        """What went wrong since the last call, if anything did."""
        dropped, failed = self.dropped - self._told[0], self.errors - self._told[1]
        self._told = (self.dropped, self.errors)
        if not (dropped or failed):
            return None
        return ObserverTrouble(observer=self.name, dropped=dropped, failed=failed)


class Announcer:
    """Where the engine drops its notices. Safe from any thread; never blocks, never raises."""

    def __init__(self, observers: Mapping[str, Observer]) -> None:
        self._lanes = [_Lane(name, observer) for name, observer in observers.items()]
        self._loop: asyncio.AbstractEventLoop | None = None

    def tell(self, notice: Notice) -> None:
        """Queue a notice for every observer."""
        if not self._lanes or self._loop is None or self._loop.is_closed():
            return
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            self._put(notice)
        else:
            self._loop.call_soon_threadsafe(self._put, notice)

    def _put(self, notice: Notice) -> None:
        for lane in self._lanes:
            lane.put(notice)

    async def run(self) -> None:
        """Deliver notices until cancelled; then deliver what is left."""
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as group:
                for lane in self._lanes:
                    group.create_task(lane.run(), name=f"observer {lane.name}")
                group.create_task(self._tell_troubles(), name="observers' troubles")
        finally:
            for lane in self._lanes:
                lane.flush()

    async def _tell_troubles(self) -> None:
        """Say now and then which observers lag or fail; each time would make them lag more."""
        while True:
            await asyncio.sleep(TROUBLE_EVERY_S)
            for lane in self._lanes:
                trouble = lane.trouble()
                if trouble is not None:
                    self._put(trouble)
