"""Time and wake-ups: the store's clock, and waiting for work that others make."""

from abc import ABC, abstractmethod

import attrs


@attrs.frozen(kw_only=True)
class StoreTime:
    """One reading of the store's clock. `clock_gen` counts the times it was seen stepping back.

    ``fraction_ms``: how far into the millisecond it was, where the store can tell. It decides
    nothing; the leader wakes up earlier by as much.
    """

    wall_ms: int
    now_ms: int
    clock_gen: int
    fraction_ms: float = 0.0


LEADER_WAKEUP = "leader"
ELECTION_WAKEUP = "election"
# How late a wait may end that is followed by a step. `Timing.wakeup` by itself ends on time.
WAIT_SLACK_S = 0.5


class Timing(ABC):
    """The clock, and wake-ups."""

    @abstractmethod
    async def now(self) -> StoreTime:
        """Read the clock, as any step does."""

    @abstractmethod
    async def wakeup(self, who: str, timeout_s: float) -> bool:
        """Wait until a step wakes ``who`` or the timeout passes; whether it was woken.

        ``who`` is `LEADER_WAKEUP`, `ELECTION_WAKEUP` or a worker id. One wake-up while nobody waits
        is remembered. A wake-up is only a hint: it may be lost, doubled or taken by another that
        waits under the same name.
        Safe to cancel. Raises `StoreUnavailableError` rather than pretend to wait.
        """
