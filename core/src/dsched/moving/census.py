"""What a store holds, counted and summed up, so that two stores can be compared by little."""

import hashlib
from collections.abc import Mapping
from typing import Any

import attrs

from dsched.contracts.store.moving import Part
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.statistics import HOUR_MS
from dsched.model import TaskStatus
from dsched.model.json import dumps

# What is to be removed within so long of the first look may be gone at the second.
SOON_MS = HOUR_MS
_BITS = 256
# What no retention removes, and no clock: the same at any later time.
LASTING = ("configs", "live tasks", "documents", "decisions", "terms", "log entries")


@attrs.define
class Census:
    """Counts by kind, and a sum over each kind that no order changes.

    ``wall_ms`` is the time of the first look. What ages away soon after it is left out.
    """

    wall_ms: int
    settings: StoreSettings
    counts: dict[str, int] = attrs.field(factory=dict)
    sums: dict[str, int] = attrs.field(factory=dict)

    def add(self, part: Part) -> None:
        """Count a part."""
        for limit in part.limits:
            rated = [limit.rate, limit.burst] if limit.rate else []
            self._count("limits", [limit.id, limit.max_running, *rated])
        for config in part.configs:
            self._count("configs", attrs.asdict(config))
        for moved in part.tasks:
            task = moved.task
            record = attrs.asdict(task) | {"lines": [attrs.astuple(one) for one in moved.lines]}
            if moved.members:
                record["members"] = [attrs.astuple(one) for one in moved.members]
            if task.end_ms is None:
                self._count("live tasks", record)
            elif not self._ages(task.end_ms + self.settings.kept_ms(TaskStatus(task.status))):
                self._count("ended tasks", record)
        for document in part.documents:
            if document.ttl_ms is None:
                self._count("documents", [document.kind, document.id, document.value])
            elif document.ttl_ms > SOON_MS:
                self._count("passing documents", [document.kind, document.id, document.value])
        for decision in part.decisions:
            self._count("decisions", attrs.asdict(decision))
        for term in part.terms:
            self._count("terms", attrs.asdict(term))
        for event in part.events:
            items = [dict(item) for item in event.items]
            self._count("log entries", [event.kind, event.at_ms, event.by, items, part.collected])
        for rollup in part.rollups:
            if not self._ages(rollup.hour_ms + self.settings.stats_ttl_ms):
                self._count("hours of statistics", attrs.asdict(rollup))

    def differences(self, other: "Census") -> list[str]:
        """The kinds of which the other holds something else, with both counts."""
        return differences(self.summary(), other.summary())

    def summary(self) -> dict[str, list[Any]]:
        """By kind: how many, and their sum."""
        return {kind: [self.counts[kind], f"{self.sums[kind]:064x}"] for kind in self.counts}

    def lasting(self) -> dict[str, list[Any]]:
        """The part of the summary that stays as it is."""
        return {kind: one for kind, one in self.summary().items() if kind in LASTING}

    def _ages(self, until_ms: int) -> bool:
        return until_ms <= self.wall_ms + SOON_MS

    def _count(self, kind: str, record: Any) -> None:
        text = dumps(_plain(record))
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.sums[kind] = (self.sums.get(kind, 0) + int.from_bytes(digest)) % 2**_BITS


def differences(one: Mapping[str, list[Any]], other: Mapping[str, list[Any]]) -> list[str]:
    """The kinds of two summaries that differ."""
    found = []
    for kind in sorted({*one, *other}):
        left, right = one.get(kind, [0, ""]), other.get(kind, [0, ""])
        if left != right:
            found.append(f"{kind}: {left[0]} and {right[0]}")
    return found


_LATER = frozenset({"workflow", "member"})


def _plain(value: Any) -> Any:
    """Values of JSON, whatever stood in a record."""
    if isinstance(value, Mapping):
        found = {str(key): _plain(one) for key, one in value.items()}
        # What has none of what came later counts as it did.
        return {key: one for key, one in found.items() if one is not None or key not in _LATER}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)
