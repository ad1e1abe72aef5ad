"""The store contract as named tests: subclass `StoreContract` and override `open_store`.

    class TestMyStore(StoreContract):
        @asynccontextmanager
        async def open_store(self, clock, settings):
            async with open_my_store(name=clock.name, wall=clock, settings=settings) as store:
                yield store

`WallClock` says what a clock's name, callable value and cleanup are for. A store whose clock is
not in the test's process overrides ``set_wall`` as well. Groups can be taken one by one.
"""

from dsched_testkit.suites.store.ability import AbilityTests
from dsched_testkit.suites.store.attempts import AttemptTests
from dsched_testkit.suites.store.cancelling import CancelTests, SubmitTests
from dsched_testkit.suites.store.claiming import ClaimTests, ClaimWhenRungTests
from dsched_testkit.suites.store.classes import ClassTests
from dsched_testkit.suites.store.classes_waking import ClassWakingTests
from dsched_testkit.suites.store.clock import ClockTests
from dsched_testkit.suites.store.collecting import CollectTests, ProjectedTests
from dsched_testkit.suites.store.completing import CompleteTests
from dsched_testkit.suites.store.configs import ConfigTests, DeletingTests, PausingTests
from dsched_testkit.suites.store.dispatching import DispatchTests, ReadyTests, RecallTests
from dsched_testkit.suites.store.documents import DocumentTests
from dsched_testkit.suites.store.draining import DrainTests
from dsched_testkit.suites.store.editing import EditTests
from dsched_testkit.suites.store.facts import FateTests, StatsTests
from dsched_testkit.suites.store.firing import FiringTests, ReplanTests
from dsched_testkit.suites.store.fixed_delay import FixedDelayEndTests, FixedDelayTests
from dsched_testkit.suites.store.given_fences import GivenFenceTests
from dsched_testkit.suites.store.harness import StoreHarness, WallClock
from dsched_testkit.suites.store.history import BreakTests, HistoryTests
from dsched_testkit.suites.store.leadership import LeadershipTests
from dsched_testkit.suites.store.limits import LimitTests
from dsched_testkit.suites.store.migrating import MigrateTests
from dsched_testkit.suites.store.off_days import OffDaysTests
from dsched_testkit.suites.store.operating import (
    PodTests,
    ReasonedSubmitTests,
    StepDownTests,
    TermTests,
    UndrainTests,
)
from dsched_testkit.suites.store.origins import OriginTests
from dsched_testkit.suites.store.overlap import HeldTests, OverlapTests
from dsched_testkit.suites.store.own_limits import OwnLimitTests
from dsched_testkit.suites.store.parking import ParkingTests
from dsched_testkit.suites.store.pausing_itself import PausingItselfTests
from dsched_testkit.suites.store.pausing_until import PausingUntilTests
from dsched_testkit.suites.store.polling import PollTests
from dsched_testkit.suites.store.prefixes import PrefixTests
from dsched_testkit.suites.store.promoting import PromoteTests
from dsched_testkit.suites.store.queue_order import QueueOrderTests
from dsched_testkit.suites.store.queueing import QueueAllTests
from dsched_testkit.suites.store.rates import RateTests
from dsched_testkit.suites.store.reading import EventTests, HandleTests, ReadTests
from dsched_testkit.suites.store.reading_lines import ReadLinesTests
from dsched_testkit.suites.store.recovering import OverdueTests, PruneTests, ReapTests
from dsched_testkit.suites.store.releasing import ProgressTests, ReleaseTests
from dsched_testkit.suites.store.resizing import ResizeTests
from dsched_testkit.suites.store.retention import RetentionTests
from dsched_testkit.suites.store.runs import RunTests
from dsched_testkit.suites.store.skipping import SkippedFireTests, SkipTests
from dsched_testkit.suites.store.tasklogs import AppendLinesTests, LogCapTests
from dsched_testkit.suites.store.watching import LeaderlessTests, MissedTests
from dsched_testkit.suites.store.windows import WindowTests
from dsched_testkit.suites.store.workers import HeartbeatTests, WorkerTests


class LeadingContract(
    LeadershipTests,
    FiringTests,
    ReplanTests,
    PromoteTests,
    OverlapTests,
    QueueAllTests,
    HeldTests,
    ReadyTests,
    PollTests,
    DispatchTests,
    QueueOrderTests,
    ClassTests,
    ClassWakingTests,
    LimitTests,
    OwnLimitTests,
    RateTests,
    RecallTests,
    OverdueTests,
    ReapTests,
    PruneTests,
    RetentionTests,
    CollectTests,
    ProjectedTests,
    FateTests,
    StatsTests,
    MissedTests,
    OffDaysTests,
    ParkingTests,
    PausingItselfTests,
    PausingUntilTests,
    LeaderlessTests,
    RunTests,
    GivenFenceTests,
):
    """What the leader needs of a store."""


class WorkingContract(
    WorkerTests,
    AbilityTests,
    HeartbeatTests,
    DrainTests,
    ResizeTests,
    ClaimTests,
    ClaimWhenRungTests,
    CompleteTests,
    ReleaseTests,
    AttemptTests,
    ProgressTests,
    AppendLinesTests,
    LogCapTests,
):
    """What the workers need of a store."""


class ClientContract(
    ConfigTests,
    EditTests,
    OriginTests,
    PrefixTests,
    DeletingTests,
    PausingTests,
    FixedDelayTests,
    FixedDelayEndTests,
    SubmitTests,
    CancelTests,
    ReadTests,
    WindowTests,
    ReadLinesTests,
    EventTests,
    HandleTests,
    DocumentTests,
    ClockTests,
):
    """What clients, and everybody, need of a store."""


class OperatorContract(
    SkippedFireTests,
    SkipTests,
    UndrainTests,
    TermTests,
    StepDownTests,
    PodTests,
    ReasonedSubmitTests,
    HistoryTests,
    BreakTests,
    MigrateTests,
):
    """What operators need of a store."""


class StoreContract(LeadingContract, WorkingContract, ClientContract, OperatorContract):
    """Everything a store must do."""


__all__ = [
    "ClientContract",
    "LeadingContract",
    "OperatorContract",
    "StoreContract",
    "StoreHarness",
    "WallClock",
    "WorkingContract",
]
