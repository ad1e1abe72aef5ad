"""Checks a whole history of the reference store against the invariants of the test plan.

`History` reads the event log from its beginning, so the log must not have been trimmed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from dsched.contracts.steps import Event, EventKind, fence_epoch
from dsched.model import JsonValue, TaskStatus
from dsched_testkit.memory import State
from dsched_testkit.suites.machine.audit import Audit

Item = Mapping[str, JsonValue]

_ENDS_AN_ATTEMPT = {EventKind.COMPLETED, EventKind.RELEASED, EventKind.REAPED}
_ONLY_LEADERS = {EventKind.FIRED, EventKind.DISPATCHED, EventKind.DEFERRED, EventKind.REAPED}


class History:
    """What happened, from the log, and what is stored now."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._log = tuple(state.log)

    def problems(self) -> list[str]:
        """Every violation of I1, I3 to I6, I8 and I10, in words; for a history still under way."""
        return [
            *self._fire_unique(),
            *self._fenced(),
            *self._one_attempt_at_a_time(),
            *self._terminal_once(),
            *self._attempts(),
            *Audit(self._state).problems(),
        ]

    def lost(self, acknowledged: Iterable[str]) -> list[str]:
        """I7, at quiescence: every task that was acknowledged is there and has ended."""
        found = []
        for task_id in acknowledged:
            row = self._state.tasks.get(task_id)
            if row is None:
                found.append(f"I7: {task_id} is gone")
            elif not row.status.terminal:
                found.append(f"I7: {task_id} is still {row.status} ({row.home}, {row.reason})")
        return found

    def unaccounted(self, config_id: str, instants: Iterable[int]) -> list[str]:
        """I2: each instant was fired, or is in exactly one skipped range, and nothing else was."""
        fired = Counter(item["ms"] for item in self._items(EventKind.FIRED, config_id))
        ranges = [(i["first"], i["last"]) for i in self._items(EventKind.SKIPPED, config_id)]
        found, owed = [], set(instants)
        for at_ms in sorted(owed):
            skipped = sum(first <= at_ms <= last for first, last in ranges)
            if fired[at_ms] + skipped != 1:
                found.append(f"I2: {config_id}@{at_ms}: fired {fired[at_ms]}, skipped {skipped}")
        found += [f"I2: {config_id}@{ms} was fired, not owed" for ms in fired if ms not in owed]
        for item in self._items(EventKind.SKIPPED, config_id):
            inside = sum(item["first"] <= at_ms <= item["last"] for at_ms in owed)
            if inside != item["count"]:
                found.append(f"I2: {dict(item)} holds {inside} owed instants")
        return found

    def _items(self, kind: EventKind, config_id: str) -> Iterator[Item]:
        for event in self._log:
            if event.kind is kind:
                yield from (item for item in event.items if item["config"] == config_id)

    def _fire_unique(self) -> list[str]:
        fires = Counter(
            (item["config"], item["ms"])
            for event in self._log
            if event.kind is EventKind.FIRED
            for item in event.items
        )
        return [
            f"I1: {config}@{ms} was fired {n} times" for (config, ms), n in fires.items() if n > 1
        ]

    def _fenced(self) -> list[str]:
        """I3: a leader's entry is by the term that holds the lock there; epochs only grow."""
        found, fence, epoch = [], "", -1
        for event in self._log:
            if event.kind is EventKind.LEADER:
                acquired = event.items[0]["act"] == "acquired"
                if acquired and fence_epoch(event.by) <= epoch:
                    found.append(f"I3: the epoch of {event.by} is not above {epoch}")
                fence = event.by if acquired else ""
                epoch = max(epoch, fence_epoch(event.by))
            elif event.kind in _ONLY_LEADERS and event.by != fence:
                found.append(
                    f"I3: {event.kind} {event.cursor} by {event.by}, the term is {fence!r}"
                )
        return found

    def _one_attempt_at_a_time(self) -> list[str]:
        """I4 and I5: a claim comes after the end of the one before; what ends is the last claim."""
        found: list[str] = []
        running: dict[str, int] = {}
        for event, item in self._task_items():
            task_id = item["task"]
            if event.kind is EventKind.CLAIMED:
                if task_id in running:
                    found.append(
                        f"I4: {task_id} was claimed while attempt {running[task_id]} lived"
                    )
                running[task_id] = item["attempt"]
            elif event.kind in _ENDS_AN_ATTEMPT:
                attempt = running.pop(task_id, None)
                if attempt is None:
                    found.append(f"I4: {event.kind} of {task_id}, which did not run")
                elif item.get("attempt", attempt) != attempt:
                    found.append(f"I5: {task_id}: {item['attempt']} ended, {attempt} was current")
        return found

    def _terminal_once(self) -> list[str]:
        """I6: after its end nothing happens to a task."""
        found: list[str] = []
        ended: set[str] = set()
        for event, item in self._task_items():
            task_id, status = item["task"], item.get("status")
            if task_id in ended:
                found.append(f"I6: {event.kind} of {task_id} after its end")
            if status is not None and TaskStatus(status).terminal:
                ended.add(task_id)
        return found

    def _attempts(self) -> list[str]:
        """I10: claims <= 1 + retries + crashes + releases."""
        claims: defaultdict[str, int] = defaultdict(int)
        reasons: defaultdict[str, int] = defaultdict(int)
        for event, item in self._task_items():
            if event.kind is EventKind.CLAIMED:
                claims[item["task"]] += 1
            elif event.kind in _ENDS_AN_ATTEMPT and not TaskStatus(item["status"]).terminal:
                reasons[item["task"]] += 1
        return [
            f"I10: {task_id} was claimed {n} times, with {reasons[task_id]} reasons to run again"
            for task_id, n in claims.items()
            if n > 1 + reasons[task_id]
        ]

    def _task_items(self) -> Iterator[tuple[Event, Item]]:
        for event in self._log:
            for item in event.items:
                if "task" in item:
                    yield event, item
