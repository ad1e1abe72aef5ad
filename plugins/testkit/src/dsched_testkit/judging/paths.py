"""The paths that a run took, as its log shows them: they prove that the faults had an effect."""

from collections import Counter
from collections.abc import Iterable

from dsched.contracts.store.events import Event, EventKind


def recovery_paths(log: Iterable[Event]) -> Counter[str]:
    """The recoveries that the log shows, by name."""
    seen: Counter[str] = Counter()
    for event in log:
        for item in event.items:
            name = event.kind.value
            if event.kind is EventKind.FIRED:
                name += " held" if item.get("held") else ""
            elif event.kind in (EventKind.LEADER, EventKind.WORKER, EventKind.CONFIG):
                name += f" {item['act']}"
            elif event.kind is EventKind.RECALLED:
                name += " stalled" if item.get("stalled") else ""
                name += " displaced" if item.get("displaced") else ""
            elif event.kind is EventKind.COMPLETED:
                reason = item.get("reason", "")
                name += f" {item['status']}" + (f" {reason}" if reason in _REASONS else "")
            elif event.kind in (EventKind.RELEASED, EventKind.REAPED):
                name += f" {item['status']}"
                name += " poison" if item.get("reason") == "poison" else ""
            elif event.kind is EventKind.RUN_ENDED:
                name += f" {item['status']}"
            elif event.kind in (EventKind.SKIPPED, EventKind.CANCELLED):
                reason = item["reason"]
                name += f" {reason}" if event.kind is EventKind.SKIPPED or reason in _ENDS else ""
            seen[name] += 1
    return seen


_REASONS = {"timeout", "retries exhausted", "not retryable"}
_ENDS = {"superseded", "expired"}
