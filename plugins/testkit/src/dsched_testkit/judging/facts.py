"""What the collector kept of a run, compared with the whole log: decisions and statistics."""

from collections import Counter

from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.statistics import COUNTED, EVERYTHING
from dsched.model import Decision, TaskStatus, Verdict, fire_task_id
from dsched_testkit.memory import State


def facts_problems(state: State) -> list[str]:
    """I22: each fire that was collected has its one decision, with its last worker and its end; no
    miss outlives the fire of its instant; and the statistics count what the log says."""
    collected = [event for event in state.log if event.cursor <= state.collected]
    return [
        *_decisions(state, collected),
        *_misses(state, collected),
        *_statistics(state, collected),
    ]


def _decisions(state: State, log: list[Event]) -> list[str]:
    workers: dict[str, str] = {}
    ends: dict[str, str] = {}
    for event in log:
        for item in event.items:
            if event.kind is EventKind.DISPATCHED:
                workers[item["task"]] = item["worker"]
            elif "task" in item and TaskStatus(item.get("status", "pending")).terminal:
                ends[item["task"]] = item["status"]
    found = []
    for config_id, ms in _fired(log):
        kept = state.decisions.get(config_id, {})
        decision = kept.get((ms, Verdict.FIRED.value, ""))
        task_id = fire_task_id(config_id, ms)
        if decision is None:
            if len(kept) < state.settings.max_decisions:
                found.append(f"I22: {task_id} was fired, and has no decision")
        else:
            found += _followed(decision, task_id, workers.get(task_id), ends.get(task_id, ""))
    return found


def _followed(decision: Decision, task_id: str, worker: str | None, end: str) -> list[str]:
    found = []
    if decision.worker_id != worker:
        found.append(f"I22: {task_id} went to {worker}, its decision says {decision.worker_id}")
    if decision.ended.partition(":")[0] != end:
        found.append(f"I22: {task_id} ended {end!r}, its decision says {decision.ended!r}")
    return found


def _misses(state: State, log: list[Event]) -> list[str]:
    fired = set(_fired(log))
    return [
        f"I22: {config_id}@{key[0]} was fired, and still counts as missed"
        for config_id, kept in state.decisions.items()
        for key, decision in kept.items()
        if decision.verdict is Verdict.MISSED and (config_id, key[0]) in fired
    ]


# What a run does its members do, which are counted.
_OF_RUNS = frozenset({EventKind.RUN_ENDED, EventKind.STEP_SKIPPED})


def _statistics(state: State, log: list[Event]) -> list[str]:
    counted: Counter[str] = Counter()
    for event in log:
        for item in event.items:
            counted["fires"] += event.kind is EventKind.FIRED
            counted["skipped"] += item["count"] if event.kind is EventKind.SKIPPED else 0
            counted["missed"] += event.kind is EventKind.MISSED
            counted["runs"] += event.kind is EventKind.CLAIMED
            status = None if event.kind in _OF_RUNS else item.get("status")
            if status == "retrying":
                counted["retries"] += event.kind is EventKind.COMPLETED
            elif status in ("success", "failed", "cancelled"):
                counted[status] += 1
    kept: Counter[str] = Counter()
    for (config_id, _), (adds, _) in state.stats.items():
        if config_id == EVERYTHING:
            kept.update(adds)
    return [
        f"I22: the statistics say {kept[word]} {word}, the log {counted[word]}"
        for word in COUNTED
        if kept[word] != counted[word]
    ]


def _fired(log: list[Event]) -> list[tuple[str, int]]:
    return [
        (item["config"], item["ms"])
        for event in log
        if event.kind is EventKind.FIRED
        for item in event.items
    ]
