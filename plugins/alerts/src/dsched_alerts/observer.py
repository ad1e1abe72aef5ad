"""The observer: judges notices at once, and posts from a bounded queue of its own."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from dsched.contracts import Notice, Observer
from dsched_alerts.alert import Alert
from dsched_alerts.judging import Judge
from dsched_alerts.options import AlertOptions
from dsched_alerts.posting import DeliveryError, Poster, open_poster

log = logging.getLogger("dsched.alerts")

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
# A pod that stops posts what is left for this long; what remains is counted as lost.
DRAIN_S = 5.0
LOG_EVERY = 100


@attrs.define
class Deliveries:
    """What became of alerts: posted, given up on, lost because the queue was full or the pod
    left."""

    posted: int = 0
    failed: int = 0
    lost: int = 0
    retried: int = 0


class Alerts(Observer):
    """`notify` never waits; `run` posts. Without a poster (no url) it ignores every notice."""

    def __init__(self, options: AlertOptions, poster: Poster | None) -> None:
        self.deliveries = Deliveries()
        self.judge = Judge(options)
        self._options = options
        self._poster = poster
        self._queue: deque[Alert] = deque()
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def notify(self, notice: Notice) -> None:
        """Judge a notice, and queue its alerts."""
        if self._poster is None:
            return
        for alert in self.judge.judge(notice, round(time.time() * 1000)):
            if len(self._queue) >= self._options.queue:
                self._queue.popleft()
                self._lose("the queue is full")
            self._queue.append(alert)
            self._idle.clear()
            self._filled.set()

    async def run(self, poster: Poster) -> None:
        """Post one alert after the other, in order, until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._queue:
                await self._deliver(poster, self._queue.popleft())
            self._idle.set()

    async def drain(self) -> None:
        """Wait until everything is posted, for `DRAIN_S` at most."""
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._idle.wait()
        except TimeoutError:
            for _ in range(len(self._queue) + 1):  # and the one that is being tried
                self._lose("the pod stops")

    async def _deliver(self, poster: Poster, alert: Alert) -> None:
        for attempt in range(1, self._options.attempts + 1):
            try:
                await poster.post(alert)
            except DeliveryError as error:
                if not error.passing or attempt == self._options.attempts:
                    self.deliveries.failed += 1
                    log.error("alert %r is given up: %s", alert.summary, error)
                    return
                self.deliveries.retried += 1
                await asyncio.sleep(delay_s(attempt, random.random()))
            except Exception:
                self.deliveries.failed += 1
                log.exception("alert %r cannot be posted", alert.summary)
                return
            else:
                self.deliveries.posted += 1
                return

    def _lose(self, why: str) -> None:
        if self.deliveries.lost % LOG_EVERY == 0:
            log.error("alerts are lost: %s (%d so far)", why, self.deliveries.lost + 1)
        self.deliveries.lost += 1


def delay_s(attempt: int, uniform: float) -> float:
    """How long to wait after this failed attempt (from 1): doubling, capped, with jitter."""
    return float(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** (attempt - 1)) * (0.5 + uniform / 2))


@asynccontextmanager
async def open_alerts(options: AlertOptions) -> AsyncIterator[Alerts]:
    """An observer that posts for as long as it is open, and a little longer."""
    if not options.url:
        log.debug("alerts.url is not set: nothing is posted")
        yield Alerts(options, None)
        return
    async with open_poster(options) as poster:
        alerts = Alerts(options, poster)
        posting = asyncio.create_task(alerts.run(poster), name="alerts")
        try:
            yield alerts
        finally:
            await alerts.drain()
            posting.cancel()
            await asyncio.wait({posting})
