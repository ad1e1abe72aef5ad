"""The leader lock: one term, one fence."""

from abc import ABC, abstractmethod

import attrs

from dsched.contracts.store.outcomes import Outcome


@attrs.frozen(kw_only=True)
class Acquired:
    """``OK`` with the caller's own fence, or ``TAKEN`` with the holder's."""

    outcome: Outcome
    fence: str


def fence_epoch(fence: str) -> int:
    """The epoch of a fence ``epoch:token:pod``."""
    return int(fence.partition(":")[0])


def fence_pod(fence: str) -> str:
    """The pod of a fence ``epoch:token:pod``."""
    return fence.split(":", 2)[2]


class Leadership(ABC):
    """The leader lock: one term, one fence."""

    @abstractmethod
    async def acquire(self, pod: str, token: str, ttl_ms: int, *, floor: int = 0) -> Acquired:
        """Take the lock if it is free or expired: ``OK`` and the fence ``epoch:token:pod``.

        A free lock, and the pod rests (`Operating.step_down`): ``RESTING`` with the fence "".

        ``epoch = max(stored epoch + 1, store time, floor)``, kept without a time limit. If the lock
        is held with this very token (a repeat), ``OK`` with the same fence, unchanged. Else
        ``TAKEN`` with the holder's fence; a lock whose time limit is missing or longer than
        ``ttl_ms`` + 1 s is given ``ttl_ms``. Writes a ``leader`` event (by = fence).
        """

    @abstractmethod
    async def renew(self, fence: str, ttl_ms: int) -> Outcome:
        """Give the lock ``ttl_ms`` more if it is held with this fence: ``OK``, else ``FENCED``."""

    @abstractmethod
    async def resign(self, fence: str) -> Outcome:
        """Drop the lock if it is held with this fence: ``OK``, else ``FENCED``.

        Wakes a follower (`ELECTION_WAKEUP`). Writes a ``leader`` event ``resigned``.
        """

    @abstractmethod
    async def leader(self) -> str | None:
        """The fence of the current term, or None."""
