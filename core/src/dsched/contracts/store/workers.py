"""Workers: registration, heartbeats, drain, and what these steps take and answer."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import attrs

from dsched.contracts.store.outcomes import Outcome
from dsched.model import Ability, Worker


@attrs.frozen(kw_only=True)
class Registration:
    """A worker presents itself. `incarnation` orders the processes that ever had this id.

    ``ability`` None: it does not say what it can run, and takes anything.
    """

    worker_id: str
    incarnation: str
    capacity: int
    backlog: int
    heartbeat_timeout_ms: int
    labels: Mapping[str, str] = attrs.field(factory=dict)
    address: str = ""
    ability: Ability | None = None


@attrs.frozen
class Held:
    """An attempt that a worker believes it holds."""

    task_id: str
    token: str


@attrs.frozen(kw_only=True)
class HeartbeatAnswer:
    """What a worker learns from a beat.

    ``lost``: listed attempts that are no longer its own; stop them, their results are refused.
    ``cancel``: listed attempts whose cancellation was asked for. ``draining``: stop claiming.
    ``capacity``: how many it is to run at once by now (`Operating.resize`); None with an outcome
    other than ``OK``.
    """

    outcome: Outcome
    lost: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()
    draining: bool = False
    capacity: int | None = None


class Workers(ABC):
    """Registration, heartbeats, drain.

    A worker is *gone* when its last beat is older than its own heartbeat timeout, *silent* when
    `missed_a_beat` says so of that age (the engine gives it less; no step decides on it). A call
    with an incarnation other than the stored one: lower, and the stored worker is not gone:
    ``SUPERSEDED``; else ``NO_WORKER``; an unknown worker: ``NO_WORKER``.
    """

    @abstractmethod
    async def register(self, worker: Registration) -> Outcome:
        """Make the worker known, with a fresh beat: ``OK`` or ``SUPERSEDED``.

        What the digest of its ability stands for is kept for `abilities` as long as a registered
        worker has that digest; the leader is woken where a digest is new to the worker.
        The same incarnation again updates its fields and keeps its lanes, draining flag and queue,
        and its capacity, which `Operating.resize` may have changed meanwhile.
        A newer one (or any, if the stored worker is gone) takes over: queue entries of the
        predecessor go back to ready (at most `MAX_BATCH`; the rest stays in the queue), the leases
        of all that had the id before are over at once, lanes, stalled and draining flags are
        cleared. Writes a ``worker`` event ``registered``, and before it ``superseded`` where one
        was taken over.
        More than `MAX_WORKERS` registered: `StoreRefusedError`.
        """

    @abstractmethod
    async def heartbeat(
        self, worker_id: str, incarnation: str, held: Sequence[Held]
    ) -> HeartbeatAnswer:
        """Beat, and renew the leases of the attempts listed to now + heartbeat timeout.

        An attempt is renewed if its token is current and its home the lease, even if the lease is
        over but not yet reaped; else its id is in ``lost``. Those with a requested cancel are in
        ``cancel``. A gone worker is alive again, and the leader is woken for it. With ``NO_WORKER``
        the leases are renewed all the same (by the 30 s default if the timeout is unknown),
        ``lost`` and ``cancel`` answered; with ``SUPERSEDED`` nothing is renewed and all listed are
        lost. Attempts not listed are untouched. Writes no event.
        """

    @abstractmethod
    async def workers(self) -> tuple[Worker, ...]:
        """All registered workers by ascending id, with the store's counts."""

    @abstractmethod
    async def abilities(self, digests: Sequence[str]) -> tuple[Ability | None, ...]:
        """What digests of `Worker.ability` stand for, at most `MAX_BATCH`; None where unknown."""

    @abstractmethod
    async def drain(self, worker_id: str, incarnation: str | None) -> Outcome:
        """Set the draining flag and put its queue back to ready, the first `MAX_BATCH` at most.

        ``OK`` if something changed, ``ALREADY`` if it was draining with an empty queue,
        ``NO_WORKER``, ``SUPERSEDED``. With ``incarnation`` None any incarnation is meant (an
        operator, who may `Operating.undrain` it); a worker that drains itself leaves. Repeat until
        ``ALREADY``. Event ``worker`` ``draining`` when the flag was set, ``recalled`` for the
        tasks put back. Wakes the worker when the flag was set.
        """

    @abstractmethod
    async def deregister(self, worker_id: str, incarnation: str) -> Outcome:
        """Forget the worker; what was in its queue goes back to ready (at most `MAX_BATCH`; the
        rest is recalled by the leader). ``OK``, ``NO_WORKER`` (also a repeat), ``SUPERSEDED``.
        Its leases, if any are left, run out by themselves. Event ``worker`` ``deregistered``,
        ``recalled`` for the tasks put back."""
