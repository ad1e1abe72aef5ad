"""Invariants of the reference's content (docs/evidence.md): I4, I6, I8, I13, I26, its counts."""

import math
from collections import Counter
from typing import Any

from dsched.model import Home, TaskStatus
from dsched.model.pins import pin_of
from dsched_testkit.memory import State
from dsched_testkit.memory.pace_audit import PaceAudit
from dsched_testkit.memory.places import UNDER, Places


def _room_from_ms(places: Places, name: str) -> int:
    """When a name has a token, which now is if it has one or needs none."""
    return places.now_ms if places.tokens_left(name) else places.next_token_ms(name) or 0


_HOMES: dict[TaskStatus, set[Home | None]] = {
    TaskStatus.PENDING: {Home.DELAYED, Home.READY, Home.QUEUE, Home.HELD, Home.OPEN},
    TaskStatus.RUNNING: {Home.LEASE, Home.OPEN},
    TaskStatus.RETRYING: {Home.DELAYED},
    TaskStatus.SUCCESS: {None},
    TaskStatus.FAILED: {None},
    TaskStatus.CANCELLED: {None},
}


class Audit:
    """Looks at a `State` after each step, and remembers what must not change any more."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._ended: dict[str, Any] = {}
        self._mark_ms = 0
        self._paces = PaceAudit(state)

    def problems(self) -> list[str]:
        """Every violation, in words."""
        found = [*self._one_home(), *self._terminal_once(), *self._time(), *self._live()]
        found += [*self._pinned(), *self._classes(), *self._places()]
        return [*found, *self._paces.problems()]

    def _pinned(self) -> list[str]:
        """I26: what is for one worker is on its way to that one, or runs there."""
        return [
            f"I26: {row.id} is for {pin}, and is with {row.worker_id}"
            for row in self._state.tasks.values()
            if row.home in (Home.QUEUE, Home.LEASE)
            and (pin := pin_of(row.spec.required_labels)) not in (None, row.worker_id)
        ]

    def _places(self) -> list[str]:
        """I27 and I29 of limits: places are what is queued and leased; what waits under a limit is
        refused by it, or it is open, or a task of it is on its way to a worker."""
        places, rows = self._state.places, self._state.tasks.values()
        held = Counter(
            name for row in rows if row.home in (Home.QUEUE, Home.LEASE) for name in row.spec.limits
        )
        found = [] if held == places.held else [f"I27: places are {places.held}, not {held}"]
        on_the_way = {
            name
            for row in rows
            if row.home is Home.READY and row.under is None
            for name in row.spec.limits
        }
        found += [
            f"I29: tasks wait under limit {name}, which has room or soon will, for good"
            for name in places.waiting
            if places.places_left(name) > 0
            and name not in on_the_way
            and places.open.get(name, math.inf) > _room_from_ms(places, name)
        ]
        return found

    def _classes(self) -> list[str]:
        """I29: what waits under a class is ready, is of that class, and the class is shut."""
        found = []
        for row in self._state.tasks.values():
            if row.under is None:
                continue
            if row.under.startswith(UNDER):
                if (
                    row.home is not Home.READY
                    or row.under.removeprefix(UNDER) not in row.spec.limits
                ):
                    found.append(f"I29: {row.id} waits under a limit, and is not ready or not its")
                continue
            if row.home is not Home.READY or row.under not in self._state.shut:
                found.append(f"I29: {row.id} waits under a class, and is not ready or it is open")
            if row.under != row.demanded:
                found.append(f"I29: {row.id} waits under a class that is not its own")
        return found

    def _placed(self) -> dict[Home, list[str]]:
        state = self._state
        return {
            Home.DELAYED: list(state.delayed),
            Home.READY: list(state.ready),
            Home.QUEUE: [key for queue in state.queues.values() for key in queue],
            Home.HELD: [key for line in state.held.values() for key in line],
            Home.LEASE: list(state.leases),
            Home.OPEN: list(state.open),
        }

    def _one_home(self) -> list[str]:
        """I8: status and home agree, and a task is in the one place it says. I4 follows."""
        found = []
        placed = self._placed()
        times = Counter(key for keys in placed.values() for key in keys)
        for row in self._state.tasks.values():
            if row.home not in _HOMES[row.status]:
                found.append(f"I8: {row.id} is {row.status} and lives in {row.home}")
            if times.pop(row.id, 0) != (0 if row.home is None else 1):
                found.append(f"I8: {row.id} is in several places, or in none")
            elif row.home is not None and row.id not in placed[row.home]:
                found.append(f"I8: {row.id} is not where it says, in {row.home}")
        found += [f"I8: {key} is somewhere and not a task" for key in times]
        running = sorted(key for keys in self._state.running.values() for key in keys)
        if running != sorted(placed[Home.LEASE]):
            found.append("I4: the tasks running by worker are not those with a lease")
        return found

    def _terminal_once(self) -> list[str]:
        """I6: nothing after the end changes status, attempt, token or result."""
        found = []
        ended = {
            row.id: (row.status, row.attempt, row.token, row.result, row.end_ms)
            for row in self._state.tasks.values()
            if row.status.terminal
        }
        for task_id, before in self._ended.items():
            row = self._state.tasks.get(task_id)
            if row is not None and ended.get(task_id, before) != before:
                found.append(f"I6: {task_id} changed after its end")
            if row is not None and task_id not in ended and row.attempt >= before[1] > 0:
                found.append(f"I6: {task_id} lives again after its end")
        self._ended = ended
        return found

    def _time(self) -> list[str]:
        """I13: store time never goes back."""
        before, self._mark_ms = self._mark_ms, self._state.mark_ms
        return [] if before <= self._mark_ms else ["I13: store time went back"]

    def _live(self) -> list[str]:
        """The live tasks of a config are exactly its fires' tasks that have not ended."""
        expected: dict[str, set[str]] = {}
        for row in self._state.tasks.values():
            config_id, _, suffix = row.id.partition("@")
            if suffix.isdigit() and not row.status.terminal:
                expected.setdefault(config_id, set()).add(row.id)
        found = {key: set(ids) for key, ids in self._state.live.items() if ids}
        return [] if expected == found else [f"live tasks are {found}, not {expected}"]
