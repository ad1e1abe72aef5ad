"""Time, waking and the leader lock: the groups of steps that elect and pace a leader.

The rules of every step are in `dsched.contracts.store`.
"""

from abc import ABC, abstractmethod

from dsched.contracts.outcomes import Outcome
from dsched.contracts.steps import Acquired, StoreTime

LEADER_BELL = "leader"
ELECTION_BELL = "election"
# How late a wait may end that has a step behind it. `Timing.bell` alone keeps its time.
WAIT_SLACK_S = 0.5


class Timing(ABC):
    """Time and waking."""

    @abstractmethod
    async def now(self) -> StoreTime:
        """Read the clock, as any step does."""

    @abstractmethod
    async def bell(self, who: str, timeout_s: float) -> bool:
        """Wait until the bell of ``who`` rings or the timeout passes; whether it rang.

        ``who`` is `LEADER_BELL`, `ELECTION_BELL` or a worker id. A ring while nobody waits is
        remembered once. A bell is only a hint: it may be lost, doubled or taken by somebody else.
        Safe to cancel. Raises `StoreUnavailableError` rather than pretend to wait.
        """


class Leadership(ABC):
    """The leader lock: one term, one fence."""

    @abstractmethod
    async def acquire(self, pod: str, token: str, ttl_ms: int) -> Acquired:
        """Take the lock if it is free or expired: ``OK`` and the fence ``epoch:token:pod``.

        A free lock, and the pod rests (`Operating.step_down`): ``RESTING`` with the fence "".

        ``epoch = max(stored epoch + 1, store time)``, kept without a time limit. If the lock is
        held with this very token (a repeat), ``OK`` with the same fence, unchanged. Else
        ``TAKEN`` with the holder's fence; a lock whose time limit is missing or longer than
        ``ttl_ms`` + 1 s is given ``ttl_ms``. Writes a ``leader`` event (by = fence).
        """

    @abstractmethod
    async def renew(self, fence: str, ttl_ms: int) -> Outcome:
        """Give the lock ``ttl_ms`` more if it is held with this fence: ``OK``, else ``FENCED``."""

    @abstractmethod
    async def resign(self, fence: str) -> Outcome:
        """Drop the lock if it is held with this fence and ring ``election``; else ``FENCED``."""

    @abstractmethod
    async def leader(self) -> str | None:
        """The fence of the current term, or None."""
