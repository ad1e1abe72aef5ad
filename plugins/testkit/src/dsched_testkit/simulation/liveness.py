"""How long a healed cluster may take to come to rest: the work it still owes, and two minutes.

A greedy scheduler with m slots ends work W, whose longest chain takes L, within W / m + L (Graham
1966). So only the backlog of an overloaded run gets more time than `SETTLE_S`.
"""

from collections.abc import Iterable

from dsched_testkit.memory.state import TaskRow

SETTLE_S = 120.0
GRACE_S = 5.0
LONGEST_RETRY_DELAY_S = 3.75
STUBBORN = frozenset({"ignore_cancel", "late_answer"})
IN_A_ROW = 2  # a held task waits for the one before it


def rest_within_s(rows: Iterable[TaskRow], *, slots: int, labelled_slots: int) -> float:
    """The bound, in seconds from now, if nothing fails any more."""
    work_s = labelled_s = longest_s = 0.0
    for row in rows:
        if row.status.terminal:
            continue
        # Its worker may be gone: then its first try is lost, and counts as one more.
        tries = 2 + max(0, row.spec.retry.max_retries - row.retry_count)
        slot_s = _slot_s(row)
        work_s += tries * slot_s
        if row.spec.required_labels:
            labelled_s += tries * slot_s
        longest_s = max(longest_s, tries * (slot_s + LONGEST_RETRY_DELAY_S))
    return SETTLE_S + work_s / slots + labelled_s / labelled_slots + IN_A_ROW * longest_s


def _slot_s(row: TaskRow) -> float:
    """How long one try may hold a slot."""
    payload, limit_s = row.spec.payload, row.spec.timeout.total_seconds() + GRACE_S
    if payload["do"] in STUBBORN:
        return max(float(payload["s"]), limit_s)
    return limit_s if payload["do"] == "hang" else min(float(payload["s"]), limit_s)
