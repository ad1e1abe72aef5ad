"""How long a healed cluster may take to come to rest: the work it still owes, and two minutes.

A greedy scheduler with m slots ends work W, whose longest chain takes L, within W / m + L (Graham
1966). So only the backlog of an overloaded run gets more time than `SETTLE_S`. What is held makes a
chain: the held tasks of a config go one after the other, and `queue_all` may hold a hundred.
"""

from collections import defaultdict
from collections.abc import Iterable

import attrs

from dsched.model import Home, TaskSpec
from dsched.model.workflow import members_of
from dsched.planning.runs import member_spec, steps_of
from dsched_testkit.memory.state import TaskRow

SETTLE_S = 120.0
# A backlog may take long, but if no task ends for this long it is a violation.
STANDSTILL_S = 120.0
GRACE_S = 5.0
LONGEST_RETRY_DELAY_S = 3.75
STUBBORN = frozenset({"ignore_cancel", "late_answer"})
MOST_PARTS = 4  # of a random step
MOST_WORKERS = 12  # with those that were killed, and have not been missed yet


def rest_within_s(rows: Iterable[TaskRow], *, slots: int, labelled_slots: int) -> float:
    """The bound, in seconds from now, if nothing fails any more."""
    work_s = labelled_s = 0.0
    # By config, or by task: the longest of what may run now, and what is held behind it.
    longest_s: defaultdict[str, float] = defaultdict(float)
    held_s: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        if row.status.terminal:
            continue
        holds_s, lasts_s = _row_s(row)
        work_s += holds_s
        labelled_s += holds_s if row.spec.required_labels else 0
        if row.home is Home.HELD:
            held_s[row.config_id] += lasts_s
        else:
            chain = row.id if row.view().fire_ms is None else row.config_id
            longest_s[chain] = max(longest_s[chain], lasts_s)
    chains = longest_s.keys() | held_s.keys()
    chain_s = max((longest_s[one] + held_s[one] for one in chains), default=0.0)
    return SETTLE_S + work_s / slots + labelled_s / labelled_slots + chain_s


def _row_s(row: TaskRow) -> tuple[float, float]:
    """How long a task may hold a slot in all, and how long it may last once it can run."""
    if row.spec.workflow is not None:
        all_s = sum(_members_s(row))
        return all_s, all_s
    # Its worker may be gone: then its first try is lost, and counts as one more.
    tries = 2 + max(0, row.spec.retry.max_retries - row.retry_count)
    slot_s = _slot_s(row)
    return tries * slot_s, tries * (slot_s + LONGEST_RETRY_DELAY_S)


def _members_s(row: TaskRow) -> list[float]:
    """How long each member of a run may take at most, all its tries added up; born or not."""
    spec, flow = row.spec, row.spec.workflow
    found: list[float] = []
    if flow is None:
        return found
    for step_id, step in steps_of(flow):
        own = member_spec(spec, step_id, None, instant_ms=0)
        members = step.members if step else members_of(flow.shards)
        if (step or flow).each_worker:
            members = MOST_WORKERS
        if step is not None and step.listed:
            # What another step answered is a list where that has parts, of which there are so many.
            items = step.for_each
            members = len(items) if isinstance(items, list) else MOST_PARTS
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


@attrs.define
class Ends:
    """Which tasks have ended, and when (s) one was last seen that had.

    How many live does not tell: where a member of a run ends, the next one is born in its place.
    """

    last_s: float
    known: set[str] = attrs.field(factory=set)

    def see(self, rows: Iterable[TaskRow], now_s: float) -> int:
        """Take note of what has ended by now; how many live."""
        before, living = len(self.known), 0
        for row in rows:
            if row.status.terminal:
                self.known.add(row.id)
            else:
                living += 1
        if len(self.known) > before:
            self.last_s = now_s
        return living

    def stands_still(self, now_s: float) -> bool:
        """Whether none has ended for too long."""
        return now_s >= self.last_s + STANDSTILL_S
