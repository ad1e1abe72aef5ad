"""The reference store: the contract in its plainest form, in memory, for tests and simulation."""

import time
from collections.abc import Callable

from dsched.contracts.store import Store
from dsched.contracts.store.settings import StoreSettings
from dsched_testkit.memory.collecting import MemoryCollecting
from dsched_testkit.memory.configs import MemoryConfigs
from dsched_testkit.memory.dispatching import MemoryDispatching
from dsched_testkit.memory.documents import MemoryDocuments
from dsched_testkit.memory.firing import MemoryFiring
from dsched_testkit.memory.formats import MemoryMigrating
from dsched_testkit.memory.history import MemoryRemembering
from dsched_testkit.memory.leadership import MemoryLeadership, MemoryTiming
from dsched_testkit.memory.limits import MemoryLimiting
from dsched_testkit.memory.operating import MemoryOperating
from dsched_testkit.memory.reading import MemoryReading
from dsched_testkit.memory.recovering import MemoryRecovering
from dsched_testkit.memory.runs import MemoryRuns
from dsched_testkit.memory.state import State
from dsched_testkit.memory.tasklogs import MemoryTaskLogs
from dsched_testkit.memory.watching import MemoryWatching
from dsched_testkit.memory.workers import MemoryWorkers
from dsched_testkit.memory.working import MemoryWorking

__all__ = ["MemoryStore", "State", "new_state", "wall_clock_ms"]


class MemoryStore(
    MemoryTiming,
    MemoryLeadership,
    MemoryWorkers,
    MemoryConfigs,
    MemoryFiring,
    MemoryDispatching,
    MemoryLimiting,
    MemoryRuns,
    MemoryRecovering,
    MemoryCollecting,
    MemoryWatching,
    MemoryWorking,
    MemoryTaskLogs,
    MemoryReading,
    MemoryDocuments,
    MemoryOperating,
    MemoryRemembering,
    MemoryMigrating,
    Store,
):
    """A handle on a `State`. Several handles, also in several threads, share one state."""


def wall_clock_ms() -> int:
    """The machine's clock, in ms since the epoch."""
    return time.time_ns() // 1_000_000


def new_state(
    wall: Callable[[], int] = wall_clock_ms, settings: StoreSettings | None = None
) -> State:
    """An empty store's content."""
    return State(wall, settings)
