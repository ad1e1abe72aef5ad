"""Named tests: runs of many tasks."""

from dsched_testkit.suites.store.pins import PinTests
from dsched_testkit.suites.store.runs_advancing import AdvancingTests
from dsched_testkit.suites.store.runs_opening import OpeningTests
from dsched_testkit.suites.store.runs_reading import (
    CancellingRunsTests,
    PruningRunsTests,
    RunReadingTests,
)
from dsched_testkit.suites.store.runs_resuming import ResumingTests
from dsched_testkit.suites.store.runs_workers import WorkersOfStepsTests


class RunTests(
    OpeningTests,
    AdvancingTests,
    RunReadingTests,
    CancellingRunsTests,
    PruningRunsTests,
    ResumingTests,
    WorkersOfStepsTests,
    PinTests,
):
    """Runs of many tasks, their member logs, and how the leader advances them."""
