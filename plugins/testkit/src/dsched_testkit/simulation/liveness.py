"""How long a healed cluster may take to come to rest: the work it still owes, and two minutes.

A greedy scheduler with m slots ends work W, whose longest chain takes L, within W / m + L (Graham
1966). So only the backlog of an overloaded run gets more time than `SETTLE_S`.
"""

from collections.abc import Iterable

from dsched.model import TaskSpec
from dsched.planning.runs import member_spec, steps_of
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
        if row.spec.workflow is not None:
            each_s = _members_s(row)
            work_s += sum(each_s)
            labelled_s += sum(each_s) if row.spec.required_labels else 0
            longest_s = max(longest_s, sum(each_s))
            continue
        # Its worker may be gone: then its first try is lost, and counts as one more.
        tries = 2 + max(0, row.spec.retry.max_retries - row.retry_count)
        slot_s = _slot_s(row)
        work_s += tries * slot_s
        if row.spec.required_labels:
            labelled_s += tries * slot_s
        longest_s = max(longest_s, tries * (slot_s + LONGEST_RETRY_DELAY_S))
    return SETTLE_S + work_s / slots + labelled_s / labelled_slots + IN_A_ROW * longest_s


def _members_s(row: TaskRow) -> list[float]:
    """How long each member of a run may take at most, all its tries added up; born or not."""
    spec, flow, found = row.spec, row.spec.workflow, []
    for step_id, step in steps_of(flow) if flow else ():
        own = member_spec(spec, step_id, None, instant_ms=0)
        members = step.members if step else (flow and flow.shards) or 1
        tries = 2 + own.retry.max_retries
        found += members * [tries * (_try_s(own) + LONGEST_RETRY_DELAY_S)]
    return found


def _slot_s(row: TaskRow) -> float:
    """How long one try may hold a slot."""
    return _try_s(row.spec)


def _try_s(spec: TaskSpec) -> float:
    payload, limit_s = spec.payload, spec.timeout.total_seconds() + GRACE_S
    if payload["do"] in STUBBORN:
        return max(float(payload["s"]), limit_s)
    return limit_s if payload["do"] == "hang" else min(float(payload["s"]), limit_s)
