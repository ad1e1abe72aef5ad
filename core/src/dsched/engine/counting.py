"""What the statistics count in the event log, by config and hour."""

from collections.abc import Mapping

from dsched.contracts.statistics import EVERYTHING, HOUR_MS, RUN, WAIT, Rollup, slot_of
from dsched.contracts.steps import Event, EventKind
from dsched.model import JsonValue, TaskStatus, config_of, fire_instant_of

Item = Mapping[str, JsonValue]

_ENDS = {"success": "success", "failed": "failed", "cancelled": "cancelled"}
_Cell = tuple[dict[str, int], dict[str, int]]


class Tally:
    """Adds up entries of the log. Each is counted for its config, and for `EVERYTHING`."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, int], _Cell] = {}

    def count(self, event: Event) -> None:
        """Count one entry."""
        hour_ms = event.at_ms - event.at_ms % HOUR_MS
        for item in event.items:
            names, tops = _counted(event, item)
            if not names:
                continue
            owner = item.get("config") or config_of(item.get("task") or "")
            for config_id in (EVERYTHING, owner) if owner else (EVERYTHING,):
                self._add(config_id, hour_ms, names, tops)

    def _add(
        self, config_id: str, hour_ms: int, names: Mapping[str, int], tops: Mapping[str, int]
    ) -> None:
        adds, highest = self._cells.setdefault((config_id, hour_ms), ({}, {}))
        for name, number in names.items():
            adds[name] = adds.get(name, 0) + number
        for name, number in tops.items():
            highest[name] = max(highest.get(name, 0), number)

    def rollups(self) -> tuple[Rollup, ...]:
        """What was counted."""
        return tuple(
            Rollup(config_id=config_id, hour_ms=hour_ms, adds=adds, tops=tops)
            for (config_id, hour_ms), (adds, tops) in self._cells.items()
        )


def _counted(event: Event, item: Item) -> tuple[dict[str, int], dict[str, int]]:
    """What one item adds, and the durations it may be the longest of."""
    match event.kind:
        case EventKind.FIRED:
            return {"fires": 1}, {}
        case EventKind.SKIPPED:
            return {"skipped": item["count"]}, {}
        case EventKind.MISSED:
            return {"missed": 1}, {}
        case EventKind.CLAIMED:
            return _claimed(event, item)
    names = {_ENDS[item["status"]]: 1} if item.get("status") in _ENDS else {}
    if event.kind is not EventKind.COMPLETED:
        return names, {}
    if item["status"] == TaskStatus.RETRYING:
        names["retries"] = 1
    run_ms = max(0, item["run"])
    return {**names, f"{RUN}{slot_of(run_ms)}": 1}, {RUN: run_ms}


def _claimed(event: Event, item: Item) -> tuple[dict[str, int], dict[str, int]]:
    """An attempt begun; the first of a fire's task tells how long the fire waited."""
    due_ms = fire_instant_of(item["task"])
    if due_ms is None or item["attempt"] != 1:
        return {"runs": 1}, {}
    wait_ms = max(0, event.at_ms - due_ms)
    return {"runs": 1, f"{WAIT}{slot_of(wait_ms)}": 1}, {WAIT: wait_ms}
