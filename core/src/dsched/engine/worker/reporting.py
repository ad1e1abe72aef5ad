"""The reporting loop: hands completions, releases and progress to the store, in batches."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH, MAX_HEAVY_BATCH
from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.store.working import Completion, Progress, Release
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import until_answered
from dsched.engine.worker.attempts import Attempt, Attempts
from dsched.engine.worker.log_reporting import LineReporter

log = logging.getLogger("dsched.worker")

PROGRESS_EVERY_S = 1.0


class Reporter:
    """Reports how attempts ended, until the store has answered; heartbeats renew them till then.

    ``on_room`` is called when a report is under way, which frees slots, and when it is answered.
    """

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        worker_id: str,
        attempts: Attempts,
        on_room: Callable[[], None],
        lines: LineReporter,
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._worker_id = worker_id
        self._attempts = attempts
        self._on_room = on_room
        self._lines = lines
        self._ended: deque[tuple[Attempt, Completion | Release]] = deque()
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def report(self, attempt: Attempt, end: Completion | Release) -> None:
        """Queue the end of an attempt for the next batch."""
        attempt.ended = True
        if not self._ended:
            self._idle.clear()
            self._filled.set()
        self._ended.append((attempt, end))

    def drop(self, attempt: Attempt) -> None:
        """Free the slot of an attempt that must not be reported: it is another worker's now."""
        if attempt.lines is not None:
            attempt.lines.close()
        self._attempts.remove(attempt)
        self._on_room()

    async def settled(self) -> None:
        """Wait until everything reported so far has an answer."""
        await self._idle.wait()

    @property
    def store(self) -> Store:
        """Where it reports to."""
        return self._store

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            await self._filled.wait()
            batch = self._next_batch()
            if not self._ended:
                self._filled.clear()
            await self._report(batch)
            if not self._ended:
                self._idle.set()

    def _next_batch(self) -> list[tuple[Attempt, Completion | Release]]:
        """The oldest ends, each task once: a call to the store may name an id only once."""
        batch: list[tuple[Attempt, Completion | Release]] = []
        ids: set[str] = set()
        while self._ended and len(batch) < MAX_BATCH and self._ended[0][0].task.id not in ids:
            batch.append(self._ended.popleft())
            ids.add(batch[-1][0].task.id)
        return batch

    async def _report(self, batch: list[tuple[Attempt, Completion | Release]]) -> None:
        await self._lines.before_end(attempt for attempt, _ in batch)
        self._attempts.reporting = len(batch)
        self._on_room()
        completions = [(a, end) for a, end in batch if isinstance(end, Completion)]
        releases = [(a, end) for a, end in batch if isinstance(end, Release)]
        outcomes: list[tuple[Attempt, Outcome]] = []
        if completions:
            ends = [end for _, end in completions]
            answers = await until_answered(
                self._runtime,
                "reporting results",
                lambda: self._store.complete(ends, by=self._worker_id),
            )
            outcomes += zip((a for a, _ in completions), answers, strict=True)
        for first in range(0, len(releases), MAX_HEAVY_BATCH):
            portion = releases[first : first + MAX_HEAVY_BATCH]
            outcomes += zip((a for a, _ in portion), await self._release(portion), strict=True)
        for attempt, outcome in outcomes:
            if outcome is Outcome.STALE:
                log.info("the result of a superseded attempt was refused", extra=attempt.facts())
        self._attempts.settle([attempt for attempt, _ in outcomes])
        self._attempts.reporting = 0
        self._on_room()

    async def _release(self, releases: list[tuple[Attempt, Release]]) -> tuple[Outcome, ...]:
        given = [end for _, end in releases]
        return await until_answered(
            self._runtime,
            "giving attempts back",
            lambda: self._store.release(given, by=self._worker_id),
        )

    async def report_progress(self) -> None:
        """Report the latest progress of running attempts every second, until cancelled."""
        while True:
            await self._runtime.sleep(PROGRESS_EVERY_S)
            changed = [a for a in self._attempts.all() if a.progress_changed and a.listed]
            for attempt in changed:
                attempt.progress_changed = False
            items = [Progress(a.task.id, a.token, a.progress) for a in changed]
            for start in range(0, len(items), MAX_BATCH):
                try:
                    await self._store.progress(items[start : start + MAX_BATCH])
                except StoreUnavailableError:
                    log.info("progress was not stored: the store does not answer")
                    for attempt in changed[start : start + MAX_BATCH]:
                        attempt.progress_changed = True
