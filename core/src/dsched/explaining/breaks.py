"""What a break of the store's history means for an instant or a task, in sentences."""

from collections.abc import Iterable, Sequence

from dsched.contracts.store.history import Break, Loss
from dsched.model import Task, rfc3339_ms

_WHAT = {
    Loss.RESTORED: "the store became an older state of itself (a backup, or a replica that lagged)",
    Loss.REPLACED: "the store was emptied, or another was put in its place",
    Loss.DECLARED: "a backup was put in the store's place",
}


def touching(breaks: Iterable[Break], first_ms: int, last_ms: int) -> list[Break]:
    """The breaks whose span overlaps this time."""
    return [one for one in breaks if first_ms <= one.at_ms and last_ms > (one.from_ms or 0)]


def told_of_instant(breaks: Iterable[Break], at_ms: int, decided_ms: int | None) -> list[str]:
    """What to say about an instant: it may have fired twice, or its record may be lost.

    This holds too if a span lies between the instant and when it was decided on (``decided_ms``).
    """
    last_ms = at_ms if decided_ms is None else max(at_ms, decided_ms)
    return [
        f"{_happened(one)}: an instant in between may have been fired before, and what was "
        "recorded of that is gone."
        for one in touching(breaks, at_ms, last_ms)
    ]


def told_of_task(breaks: Iterable[Break], task: Task, now_ms: int) -> list[str]:
    """What to say about a task that lived in such a span."""
    last_ms = now_ms if task.end_ms is None else task.end_ms
    return [
        f"{_happened(one)}: what this task did in between is gone, and it may have run before."
        for one in touching(breaks, min(task.scheduled_ms, last_ms), last_ms)
    ]


def told_of_unknown(breaks: Sequence[Break]) -> str:
    """What to say about an unknown task or config; "" without any break."""
    if not breaks:
        return ""
    return f"{_happened(breaks[0])}: what was made in between is forgotten"


def _happened(one: Break) -> str:
    since = "before" if one.from_ms is None else f"between {rfc3339_ms(one.from_ms)} and"
    reason = f": {one.why}" if one.why else ""
    return (
        f"The store's history is broken: what happened {since} {rfc3339_ms(one.at_ms)} may "
        f"be lost, as {_WHAT.get(one.loss, one.loss)} (noticed by {one.by}{reason})"
    )
