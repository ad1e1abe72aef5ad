"""What the client reads: events, decisions, reasons, statistics, counts and workers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from dsched.client import gathering
from dsched.client.asking import Asking, NotFoundError
from dsched.contracts.store.events import Event
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.reading import Counts, DecisionPage
from dsched.contracts.store.standing import remember_drain
from dsched.explaining import Explanation, told_of_unknown
from dsched.model import Worker


class Reading(Asking):
    """Questions, and the one act on workers that they lead to."""

    async def events(
        self, *, after: str | None = None, follow: bool = False, poll_s: float = 0.5
    ) -> AsyncIterator[Event]:
        """The event log from a cursor on, to its end, or ``follow``ing it for ever."""
        cursor = after
        while True:
            page = await self._answered(lambda: self._store.events(cursor, 1000))  # noqa: B023
            cursor = page.cursor
            for event in page.events:
                yield event
            if not page.more:
                if not follow:
                    return
                await asyncio.sleep(poll_s)

    async def decisions(
        self, config_id: str, *, cursor: str | None = None, limit: int = 100
    ) -> DecisionPage:
        """What happened to a config's fires, newest first."""
        return await self._answered(lambda: self._store.decisions(config_id, cursor, limit))

    async def why_config(self, config_id: str, at: datetime | None = None) -> Explanation:
        """Why a config fired, or did not, at an instant: the latest recorded or overdue if None.

        Answers for any instant, due or not; what is not kept any more is ``unknown``.
        `NotFoundError` if there is neither such a config nor a record of it.
        """
        explanation = await gathering.why_config(self._store, self._answered, config_id, at)
        if explanation is None:
            unknown = f"there is no config {config_id}, and no record of it"
            raise NotFoundError("UNKNOWN", unknown, broken=await self._broken())
        return explanation

    async def why_task(self, task_id: str) -> Explanation:
        """Why a task waits, runs, failed or was cancelled, and where; `NotFoundError`."""
        explanation = await gathering.why_task(self._store, self._answered, task_id)
        if explanation is None:
            unknown = f"there is no task {task_id} (any more)"
            raise NotFoundError("UNKNOWN", unknown, broken=await self._broken())
        return explanation

    async def _broken(self) -> str:
        """The break of the store's history by which something may be unknown."""
        return told_of_unknown(await gathering.breaks_of(self._store, self._answered))

    async def stats(
        self,
        config_id: str | None,
        start: datetime,
        end: datetime,
        *,
        bucket: gathering.BucketSize = "hour",
        worker_id: str | None = None,
    ) -> gathering.Statistics:
        """What a config (None: everything), or a worker, did between two instants, by hour or by
        day (UTC).

        Hours without anything are left out; `ValueError` beyond a year, and for both a config and a
        worker: they are not counted together.
        """
        if config_id is not None and worker_id is not None:
            raise ValueError("statistics are of a config or of a worker, not of both; name one")
        return await gathering.statistics(
            self._store,
            self._answered,
            config_id=config_id,
            worker_id=worker_id,
            span=(start, end),
            bucket=bucket,
        )

    async def counts(self) -> Counts:
        """How many tasks there are, by status and by home."""
        return await self._answered(self._store.counts)

    async def workers(self) -> tuple[Worker, ...]:
        """All registered workers."""
        return await self._answered(self._store.workers)

    async def drain_worker(self, worker_id: str, *, give_back: bool = False) -> None:
        """Let a worker take no more tasks and hand back its queue; `NotFoundError`.

        It holds for whoever has this id, restarts included, until `resume_worker`. With
        ``give_back`` it stops what runs, by its next heartbeat, and others begin that again, no
        retry spent; a task with ``on_crash: fail`` must not be begun twice and runs on.
        """
        known = await self._answered(self._store.workers)
        if all(one.id != worker_id for one in known):
            raise NotFoundError(Outcome.NO_WORKER, f"there is no worker {worker_id}")
        await self._answered(
            lambda: remember_drain(self._store, worker_id, self._by, give_back=give_back)
        )
        outcome = Outcome.OK
        while outcome is Outcome.OK:
            outcome = await self._answered(lambda: self._store.drain(worker_id, None))
        if outcome is Outcome.NO_WORKER:
            raise NotFoundError(outcome, f"there is no worker {worker_id}")
