"""The observer contract as named tests: subclass `ObserverContract`, override ``open_observer``.

class TestMine(ObserverContract):
    def open_observer(self):
        return open_my_observer(MyOptions())
"""

import time
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from dsched.contracts.observer import (
    ClusterGauges,
    HeartbeatSent,
    HistoryBroken,
    InstantsMissed,
    InvariantViolated,
    LogEntry,
    NobodyLeads,
    Observer,
    StoreCalled,
    TermChanged,
    ThreadOutlived,
)
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.history import Loss
from dsched.contracts.store.watching import MissedInstant
from dsched.model import TaskStatus, Worker

_ITEMS: dict[EventKind, dict[str, Any]] = {
    EventKind.LEADER: {"act": "acquired"},
    EventKind.WORKER: {"worker": "w1", "act": "registered"},
    EventKind.CONFIG: {"config": "c", "act": "put", "revision": 1},
    EventKind.FIRED: {"config": "c", "ms": 1000, "task": "c@1000", "late": 5},
    EventKind.SKIPPED: {"config": "c", "first": 1, "last": 9, "count": 3, "reason": "misfire"},
    EventKind.MISSED: {"config": "c", "ms": 1000, "late": 60_000, "term": 0},
    EventKind.LEADERLESS: {"epoch": 7, "idle": 70_000},
    EventKind.SUBMITTED: {"task": "t"},
    EventKind.DISPATCHED: {"task": "c@1000", "worker": "w1"},
    EventKind.DEFERRED: {"task": "t", "delay": 2000, "reason": "no worker"},
    EventKind.RECALLED: {"task": "t", "worker": "w1", "stalled": True},
    EventKind.CLAIMED: {"task": "c@1000", "attempt": 1},
    EventKind.COMPLETED: {
        "task": "c@1000",
        "status": "success",
        "attempt": 1,
        "code": "ok",
        "run": 12,
    },
    EventKind.RELEASED: {"task": "t", "status": "pending", "reason": "drain"},
    EventKind.REAPED: {"task": "t", "status": "pending", "crashes": 1, "worker": "w1"},
    EventKind.CANCELLED: {"task": "t", "status": "cancelled", "reason": "asked"},
    EventKind.CANCEL_REQUESTED: {"task": "t", "reason": "asked"},
    EventKind.CLOCK_BACK: {"back": 5000, "gen": 1},
    EventKind.GAP: {"dropped": 7},
    EventKind.HISTORY: {"generation": 1, "loss": "restored", "from": 1000},
}


def an_entry(kind: EventKind, cursor: str = "1") -> LogEntry:
    """An entry of the log, as a store would write it."""
    item = _ITEMS.get(kind, {})
    return LogEntry(event=Event(cursor=cursor, kind=kind, at_ms=1000, by="x", items=(item,)))


def every_notice() -> list[Any]:
    """One notice of each kind, and an entry of the log of each kind."""
    worker = Worker(id="w1", incarnation="1", capacity=2, backlog=2)
    return [
        *(an_entry(kind) for kind in EventKind),
        an_entry(EventKind("of a later version")),
        TermChanged(pod="p", leading=True, epoch=7),
        TermChanged(pod="p", leading=False, epoch=7, reason="resigned"),
        ClusterGauges(
            tasks_by_status={status.value: 1 for status in TaskStatus},
            waiting_by_home={"ready": 1},
            oldest_ready_age_s=1.5,
            workers=(worker,),
            now_ms=1000,
        ),
        HeartbeatSent(worker_id="w1", delay_s=0.1, running=1, capacity=2),
        StoreCalled(step="claim", seconds=0.001, outcome="ok"),
        ThreadOutlived(task_id="t", worker_id="w1"),
        InstantsMissed(pod="p", epoch=7, missed=(MissedInstant("c", 1000),), now_ms=61_000),
        NobodyLeads(pod="p", idle_s=70.0),
        HistoryBroken(pod="p", loss=Loss.RESTORED, generation=1, from_ms=1000),
        HistoryBroken(pod="p", loss=Loss.EMPTIED, generation=0, from_ms=None),
        InvariantViolated(name="I4", detail="two claims"),
    ]


class ObserverContract:
    """What every observer does."""

    pytestmark = pytest.mark.asyncio

    #: How long one notice may take on average, in seconds.
    budget_s = 0.002

    def open_observer(self) -> AbstractAsyncContextManager[Observer]:
        """Open the observer under test."""
        raise NotImplementedError("override open_observer: it opens the observer under test")

    async def test_it_takes_note_of_every_kind_of_notice(self) -> None:
        """Those it has no use for, too."""
        async with self.open_observer() as observer:
            for notice in every_notice():
                observer.notify(notice)

    async def test_it_ignores_notices_it_does_not_know(self) -> None:
        """A later version of dsched may give more kinds."""

        class FromTheFuture:
            """A kind of notice that does not exist yet."""

        async with self.open_observer() as observer:
            observer.notify(FromTheFuture())  # type: ignore[arg-type]

    async def test_it_takes_an_entry_that_comes_twice(self) -> None:
        """After a change of leaders an entry may come again, with equal cursor."""
        async with self.open_observer() as observer:
            for _ in range(2):
                observer.notify(an_entry(EventKind.COMPLETED, cursor="9"))

    async def test_it_never_blocks(self) -> None:
        """Judged by the best of several rounds, so that a busy machine fails nobody."""
        notices = every_notice()
        async with self.open_observer() as observer:
            best_s = min(self._round_s(observer, notices) for _ in range(5))
        assert best_s < self.budget_s

    async def test_it_is_opened_and_closed_again_and_again(self) -> None:
        """A pod that restarts its observers leaves nothing behind, such as a port or a name."""
        for _ in range(3):
            async with self.open_observer() as observer:
                observer.notify(an_entry(EventKind.FIRED))

    @staticmethod
    def _round_s(observer: Observer, notices: list[Any]) -> float:
        start_s = time.perf_counter()
        for notice in notices:
            observer.notify(notice)
        return (time.perf_counter() - start_s) / len(notices)
