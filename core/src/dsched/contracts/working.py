"""The group of steps by which clients and workers act on tasks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from dsched.contracts.outcomes import Outcome
from dsched.contracts.steps import (
    CancelAnswer,
    Claimed,
    Completion,
    Progress,
    Release,
    Submission,
)


class Working(ABC):
    """What clients and workers do to tasks."""

    @abstractmethod
    async def submit(self, items: Sequence[Submission], *, by: str) -> tuple[Outcome, ...]:
        """Create tasks, ready or delayed: ``OK``; ``DUP`` (the id exists with an equal spec, ended
        ones included); ``CONFLICT`` (with another). scheduled_ms := wall + delay. Event
        ``submitted``."""

    @abstractmethod
    async def claim(
        self, worker_id: str, incarnation: str, lane: int, number: int, limit: int
    ) -> Claimed:
        """Start attempts at the oldest entries of the worker's queue, at most ``limit``.

        Each: running, home lease until now + heartbeat timeout, start_ms := wall, attempt + 1,
        token `claim_token`. An entry past its start deadline ends ``cancelled``, reason
        ``expired``, and another takes its place while there is one (at most `MAX_BATCH` looked
        at). A draining worker gets ``EMPTY``. The stalled mark is cleared.
        The store keeps (number, ids) of the last claim of each lane, also of an empty one. The
        same number again: those of these ids still running under this token, leases renewed,
        never more. A lower number: ``STALE``. Not a beat.
        """

    @abstractmethod
    async def complete(self, items: Sequence[Completion], *, by: str) -> tuple[Outcome, ...]:
        """Record how attempts ended, whatever their lease says: ``OK``; ``ALREADY`` (this token's
        completion was accepted before); ``STALE`` (anything else, no such task included).

        Success ends the task ``success``. A failure ends it ``failed``, or with
        ``retry_delay_ms`` makes it ``retrying``, delayed, retry_count + 1. If a cancel was
        requested it ends ``cancelled``, the result kept. Event ``completed`` (by = worker id).
        """

    @abstractmethod
    async def release(self, items: Sequence[Release], *, by: str) -> tuple[Outcome, ...]:
        """Give attempts back: ``OK`` or ``STALE``. The task becomes pending and ready, no crash
        counted, its token forgotten; with ``fail`` it ends ``failed``, reason ``released``; if a
        cancel was requested it ends ``cancelled``. At most `MAX_HEAVY_BATCH`. Event ``released``.
        """

    @abstractmethod
    async def cancel(
        self, task_ids: Sequence[str], *, by: str, reason: str
    ) -> tuple[CancelAnswer, ...]:
        """Cancel: pending or retrying ends ``cancelled`` (``OK``); running is ``REQUESTED`` and the
        worker's bell rings (a repeat too, without a second event); ended: ``ALREADY`` if
        cancelled, else ``TOO_LATE``; ``UNKNOWN``. Events ``cancelled``, ``cancel_requested``."""

    @abstractmethod
    async def progress(self, items: Sequence[Progress]) -> tuple[Outcome, ...]:
        """Set the progress of running attempts: ``OK`` or ``STALE``. Writes no event."""
