"""What clients and workers do to tasks, and what these steps take and answer."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import attrs

from dsched.contracts.store.outcomes import Outcome
from dsched.model import JsonValue, Task, TaskResult, TaskSpec, TaskStatus


@attrs.frozen(kw_only=True)
class Submission:
    """A task to create. It may not start before ``delay_ms`` from now (store time), or before the
    instant ``at_ms`` of the store's wall clock, which counts instead if it is given.

    ``why`` is for the event log only.
    """

    task_id: str
    spec: TaskSpec
    delay_ms: int = 0
    at_ms: int | None = None
    why: str = ""

    def waits_ms(self, wall_ms: int) -> int:
        """For how long it must wait from this store time on; 0 for an instant that has passed."""
        return self.delay_ms if self.at_ms is None else max(0, self.at_ms - wall_ms)


@attrs.frozen(kw_only=True)
class Claimed:
    """``OK``, ``EMPTY``, ``STALE``, ``NO_WORKER`` or ``SUPERSEDED``; tasks carry their specs.

    ``token`` is the token of every attempt of this claim, ``epoch`` the newest leader term's.
    """

    outcome: Outcome
    tasks: tuple[Task, ...] = ()
    token: str = ""
    epoch: int = 0


def claim_token(worker_id: str, incarnation: str, lane: int, number: int) -> str:
    """The token of the attempts that this claim starts."""
    return f"{worker_id}.{incarnation}.{lane}.{number}"


def worker_of_claim(token: str) -> str:
    """The worker that made the claim of this token."""
    return token.rsplit(".", 3)[0]


@attrs.frozen(kw_only=True, slots=False)  # one is made for each task
class Completion:
    """How an attempt ended.

    ``retry_delay_ms`` (with ``success`` False): the task is to run again after it. None: it ends.
    ``reason`` is a word for the record (``timeout``, ``not retryable``), ``error`` the text.
    """

    task_id: str
    token: str
    success: bool
    result: TaskResult
    error: str = ""
    reason: str = ""
    retry_delay_ms: int | None = None


@attrs.frozen(kw_only=True)
class Release:
    """An attempt that really stopped unfinished. ``fail``: the task ends (``on_crash: fail``)."""

    task_id: str
    token: str
    reason: str
    fail: bool = False


@attrs.frozen(kw_only=True)
class CancelAnswer:
    """``OK``, ``REQUESTED``, ``ALREADY`` (was cancelled), ``TOO_LATE``, ``UNKNOWN``; the status."""

    outcome: Outcome
    status: TaskStatus | None


@attrs.frozen
class Progress:
    """How far an attempt is; any small JSON."""

    task_id: str
    token: str
    value: JsonValue


class Working(ABC):
    """What clients and workers do to tasks."""

    @abstractmethod
    async def submit(
        self, items: Sequence[Submission], *, by: str, fence: str | None = None
    ) -> tuple[Outcome, ...]:
        """Create tasks, ready or delayed: ``OK``; ``DUP`` (the id exists with an equal spec, ended
        ones included); ``CONFLICT`` (with another); ``UNKNOWN`` (a run that it resumes from is not
        there, or has not ended). scheduled_ms := wall + delay. Event ``submitted``. A leader that
        submits gives its fence, which is compared as in each of its steps."""

    @abstractmethod
    async def claim(
        self, worker_id: str, incarnation: str, lane: int, number: int, limit: int
    ) -> Claimed:
        """Start attempts at the first entries of the worker's queue, at most ``limit``.

        Each: running, home lease until now + heartbeat timeout, start_ms := wall, attempt + 1,
        token `claim_token`. An entry past its start deadline ends ``cancelled``, reason
        ``expired``, and another takes its place while there is one (at most `MAX_BATCH` are read).
        A draining worker gets ``EMPTY``. The stalled mark is cleared, and the leader
        woken where there was one.
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
        self, task_ids: Sequence[str], *, by: str, reason: str, fence: str | None = None
    ) -> tuple[CancelAnswer, ...]:
        """Cancel: pending or retrying ends ``cancelled`` (``OK``); running is ``REQUESTED`` and the
        worker is woken (by a repeat too, without a second event); ended: ``ALREADY`` if
        cancelled, else ``TOO_LATE``; ``UNKNOWN``. A leader that cancels gives its fence. Events
        ``cancelled``, ``cancel_requested``."""

    @abstractmethod
    async def progress(self, items: Sequence[Progress]) -> tuple[Outcome, ...]:
        """Set the progress of running attempts: ``OK`` or ``STALE``. Writes no event."""
