"""Notices when the store's clock jumps, against the leader's own monotonic clock."""

from dsched.contracts.store.timing import StoreTime
from dsched.engine.runtime import Runtime

JUMP_S = 5.0
# Clocks drift apart by some 0.05 %: an older reading proves no jump of 5 s.
FRESH_S = 600.0


class ClockWatch:
    """Compares each reading of the store's clock with the time that really passed here.

    It outlives a term: a jump longer than the lock's time to live ends the term that would see it.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._last: tuple[float, int] | None = None
        self.clock_gen: int | None = None

    def read(self, time: StoreTime) -> bool:
        """Take note of a reading; whether the wall jumped forward by more than 5 s."""
        here_s = self._runtime.monotonic()
        last, self._last = self._last, (here_s, time.wall_ms)
        self.clock_gen = time.clock_gen
        if last is None:
            return False
        passed_s, stepped_s = here_s - last[0], (time.wall_ms - last[1]) / 1000
        return passed_s < FRESH_S and stepped_s - passed_s > JUMP_S
