"""The figures of a run: counts, and how long the cluster was without a leader or a task without
a worker."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import attrs

from chaos.havoc import Havoc
from chaos.machine import Stalls
from dsched.contracts.store.events import EventKind
from dsched_testkit.checks.attempts import ENDS_AN_ATTEMPT
from dsched_testkit.evidence import Evidence, task_items


@attrs.frozen(kw_only=True)
class Figures:
    """What is printed and recorded. Spreads: how many, median, 99th percentile, maximum, in s."""

    faults: dict[str, int]
    not_applicable: dict[str, int]
    leader_changes: int
    worker_kills: int
    tasks: int
    fires: int
    executions: int
    runs: dict[str, int]
    operations: dict[str, int]
    histories: int
    lost: int
    losses_allowed: int
    longest_loss_s: float
    duplicate_fires: int
    stale_results: int
    violations: int
    rest_s: float
    stalls_s: float
    worst_stall_s: float
    spreads: dict[str, tuple[int, float, float, float]]

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return attrs.asdict(self)

    def lines(self) -> list[str]:
        """As people read it."""
        simple = attrs.asdict(
            self, filter=lambda field, value: not isinstance(value, dict), recurse=False
        )
        shown = [f"faults: {sum(self.faults.values())}: {_named(self.faults)}"]
        shown += [f"not applicable then: {_named(self.not_applicable)}"]
        shown += [f"operations: {_named(self.operations)}"]
        shown += [f"runs that ended: {_named(self.runs)}"]
        shown += [
            f"{name.replace('_', ' ')}: {value:.2f}"
            if isinstance(value, float)
            else f"{name.replace('_', ' ')}: {value}"
            for name, value in simple.items()
        ]
        for name, (count, half, most, top) in self.spreads.items():
            shown.append(
                f"{name}: {count} times, median {half:.2f} s, p99 {most:.2f} s, max {top:.2f} s"
            )
        return shown


def figures_of(
    evidence: Evidence, havoc: Havoc, stalls: Stalls, violations: Sequence[str]
) -> Figures:
    """Count."""
    kinds = Counter(event.kind for chapter in evidence.chapters for event in chapter.own)
    starting = Counter(one.partition(":")[0] for one in violations)
    ended = Counter(operation.ended for operation in evidence.operations.values())
    fires = sum(len(event.items) for event in evidence.last.log if event.kind is EventKind.FIRED)
    acquired = _acquired(evidence)
    return Figures(
        faults=dict(sorted(havoc.done.items())),
        not_applicable=dict(sorted(havoc.left_out.items())),
        leader_changes=max(0, len(acquired) - 1),
        worker_kills=havoc.done["kill"],
        tasks=len(evidence.tasks),
        fires=fires,
        executions=len(evidence.starts),
        runs=_runs(evidence),
        operations=dict(sorted(ended.items())),
        histories=len(evidence.chapters),
        lost=starting["I7"] + starting["I20"],
        losses_allowed=len({one["from_s"] for one in evidence.losses}),
        longest_loss_s=max((one["upto_s"] - one["from_s"] for one in evidence.losses), default=0.0),
        duplicate_fires=starting["I1"],
        stale_results=starting["I5"],
        violations=len(violations),
        rest_s=max((rest["after_s"] for rest in evidence.rests), default=0.0),
        stalls_s=stalls.total_s,
        worst_stall_s=stalls.worst_s,
        spreads=_spreads(evidence, havoc, acquired) if kinds else {},
    )


def _runs(evidence: Evidence) -> dict[str, int]:
    """How many runs of workflows ended in the history that stands, by status."""
    ended = Counter(
        str(item["status"])
        for event in evidence.last.log
        if event.kind is EventKind.RUN_ENDED
        for item in event.items
    )
    return dict(sorted(ended.items()))


def _acquired(evidence: Evidence) -> list[int]:
    """When each term began, in every history."""
    return [
        event.at_ms
        for chapter in evidence.chapters
        for event in chapter.own
        if event.kind is EventKind.LEADER and event.items[0]["act"] == "acquired"
    ]


def _spreads(
    evidence: Evidence, havoc: Havoc, acquired: list[int]
) -> dict[str, tuple[int, float, float, float]]:
    gaps: defaultdict[str, list[float]] = defaultdict(list)
    for before_ms, at_ms in pairwise(acquired):
        causes = [(ms, kind) for _, ms, kind in havoc.on_leaders if before_ms < ms <= at_ms]
        ms, kind = min(causes, default=(0, ""))
        if causes and not havoc.stepped_within(ms, at_ms):
            gaps[f"leader gap after {kind}"].append((at_ms - ms) / 1000)
    measured = dict(sorted(gaps.items()))
    measured["requeue after a kill"] = _requeues_s(evidence, havoc)
    return {name: _spread(values) for name, values in measured.items() if values}


def _requeues_s(evidence: Evidence, havoc: Havoc) -> list[float]:
    """From the kill of a worker until what it ran was taken from it, whatever else was broken."""
    killed = {kill["worker"]: kill["at_ms"] for kill in evidence.of_kind("kill")}
    holders: dict[str, str] = {}
    found = []
    for event, item in task_items(evidence.last.log):
        if event.kind is EventKind.CLAIMED:
            holders[item["task"]] = event.by.rsplit(".", 3)[0]
        elif event.kind in ENDS_AN_ATTEMPT and item["task"] in holders:
            killed_ms = killed.get(holders.pop(item["task"]))
            if (
                killed_ms is not None
                and event.at_ms >= killed_ms
                and not havoc.stepped_within(killed_ms, event.at_ms)
            ):
                found.append((event.at_ms - killed_ms) / 1000)
    return found


def _spread(values: list[float]) -> tuple[int, float, float, float]:
    values.sort()
    last = len(values) - 1
    return len(values), values[last // 2], values[round(last * 0.99)], values[last]


def _named(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items()) or "none"
