"""I4 to I6, I9 to I11, I15, I17 and I19: the life of each task, attempt by attempt."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from dsched.contracts.store.events import Event, EventKind
from dsched.model import TaskStatus
from dsched_testkit.evidence import Chapter, Evidence, Line, task_items

ENDS_AN_ATTEMPT = frozenset({EventKind.COMPLETED, EventKind.RELEASED, EventKind.REAPED})

Log = Sequence[Event]


def one_at_a_time(log: Log) -> list[str]:
    """I4 and I5: a claim comes after the end of the one before; what ends is the last claim."""
    found: list[str] = []
    running: dict[str, int] = {}
    for event, item in task_items(log):
        task_id = item["task"]
        if event.kind is EventKind.CLAIMED:
            if task_id in running:
                found.append(f"I4: {task_id} was claimed while attempt {running[task_id]} lived")
            running[task_id] = item["attempt"]
        elif event.kind in ENDS_AN_ATTEMPT:
            attempt = running.pop(task_id, None)
            if attempt is None:
                found.append(f"I4: {event.kind} of {task_id}, which did not run")
            elif item.get("attempt", attempt) != attempt:
                found.append(f"I5: {task_id}: {item['attempt']} ended, {attempt} was current")
    return found


def terminal_once(log: Log) -> list[str]:
    """I6: after its end nothing happens to a task."""
    found: list[str] = []
    ended: set[str] = set()
    for event, item in task_items(log):
        task_id, status = item["task"], item.get("status")
        if task_id in ended:
            found.append(f"I6: {event.kind} of {task_id} after its end")
        if status is not None and TaskStatus(status).terminal:
            ended.add(task_id)
    return found


def claims(log: Log) -> list[str]:
    """I10: claims <= 1 + retries + crashes + releases; their numbers only grow."""
    found: list[str] = []
    number: defaultdict[str, int] = defaultdict(int)
    counts: defaultdict[str, int] = defaultdict(int)
    reasons: defaultdict[str, int] = defaultdict(int)
    for event, item in task_items(log):
        if event.kind is EventKind.CLAIMED:
            counts[item["task"]] += 1
            if item["attempt"] <= number[item["task"]]:
                found.append(
                    f"I10: attempt {item['attempt']} of {item['task']} comes a second time"
                )
            number[item["task"]] = item["attempt"]
        elif event.kind in ENDS_AN_ATTEMPT and not TaskStatus(item["status"]).terminal:
            reasons[item["task"]] += 1
    return found + [
        f"I10: {task_id} was claimed {n} times, with {reasons[task_id]} reasons to run again"
        for task_id, n in counts.items()
        if n > 1 + reasons[task_id]
    ]


def submitted_once(log: Log) -> list[str]:
    """I15: a repeat of a submission makes no second task."""
    counts = Counter(i["task"] for event, i in task_items(log) if event.kind is EventKind.SUBMITTED)
    return [f"I15: {task_id} was submitted {n} times" for task_id, n in counts.items() if n > 1]


def cancels_win(log: Log) -> list[str]:
    """I11: a task whose cancel was requested ends `cancelled`, and is not claimed again."""
    found: list[str] = []
    asked: set[str] = set()
    for event, item in task_items(log):
        task_id, status = item["task"], item.get("status")
        if event.kind is EventKind.CANCEL_REQUESTED:
            asked.add(task_id)
        elif task_id in asked and event.kind is EventKind.CLAIMED:
            found.append(f"I11: {task_id} was claimed after its cancel was requested")
        elif task_id in asked and status is not None and status != TaskStatus.CANCELLED:
            found.append(f"I11: {task_id} became {status} after its cancel was requested")
    return found


def at_most_once(log: Log, tasks: Mapping[str, Line]) -> list[str]:
    """I19: a task that may neither be retried nor run again after a crash is claimed once."""
    counts = Counter(i["task"] for event, i in task_items(log) if event.kind is EventKind.CLAIMED)
    return [
        f"I19: {task_id} was claimed {n} times"
        for task_id, n in counts.items()
        if n > 1 and (policy := tasks.get(task_id, {}).get("policy")) is not None
        if policy["max_retries"] == 0 and policy["on_crash"] == "fail"
    ]


def retries(log: Log, tasks: Mapping[str, Line]) -> list[str]:
    """I10: the delay before retry n lies in [d, d x (1 + jitter)], d by the task's policy."""
    found: list[str] = []
    counts: Counter[str] = Counter()
    crashes: dict[str, int] = {}
    for event, item in task_items(log):
        task_id = item["task"]
        policy = tasks.get(task_id, {}).get("policy")
        if event.kind is EventKind.REAPED and "crashes" in item:
            if item["crashes"] != crashes.get(task_id, 0) + 1:
                found.append(f"I10: {task_id} has {item['crashes']} crashes after a lease was over")
            crashes[task_id] = item["crashes"]
        if event.kind is not EventKind.COMPLETED or "delay" not in item or policy is None:
            continue
        counts[task_id] += 1
        n = counts[task_id]
        asked_ms = policy["retry_delay_ms"] * policy["backoff_rate"] ** (n - 1)
        least_ms = min(asked_ms, policy["max_delay_ms"])
        if not int(least_ms) <= item["delay"] <= least_ms * (1 + policy["jitter"]) + 1:
            found.append(f"I10: {task_id} waits {item['delay']} ms before retry {n}")
        if n > policy["max_retries"]:
            found.append(f"I10: {task_id} is retried {n} times, {policy['max_retries']} allowed")
    return found


def undisturbed(evidence: Evidence) -> list[str]:
    """I17: nobody takes an attempt away whose lease is not over."""
    return [
        f"I17: {reap['task']} was reaped at {reap['at_ms']}, "
        f"its lease ends at {reap['lease_until_ms']}"
        for reap in evidence.reaps
        if reap["lease_until_ms"] is None or reap["lease_until_ms"] > reap["at_ms"]
    ]


def recovered(evidence: Evidence) -> list[str]:
    """I9: what a dead worker ran is taken from it within ``recovery_bound_ms``, without a fault."""
    bound_ms = evidence.run.get("recovery_bound_ms")
    if bound_ms is None:
        return []
    return [
        f"I9: {task_id} was held by the dead {worker} for {held_ms} ms"
        for worker, task_id, held_ms in _held_by_the_dead(evidence, bound_ms)
        if held_ms > bound_ms
    ]


def recovery_times_ms(evidence: Evidence) -> list[int]:
    """How long each attempt of a killed worker stayed with it."""
    bound_ms = evidence.run.get("recovery_bound_ms", 0)
    return [held_ms for _, _, held_ms in _held_by_the_dead(evidence, bound_ms)]


def _held_by_the_dead(evidence: Evidence, bound_ms: int) -> Iterator[tuple[str, str, int]]:
    kills = evidence.of_kind("kill")
    if not kills or not evidence.last.log:
        return
    spans = list(_attempts(evidence.last))
    for kill in kills:
        at_ms, worker = kill["at_ms"], kill.get("worker")
        others = [f for f in evidence.faults if f["kind"] != "kill"]
        if any(
            f["at_ms"] <= at_ms + bound_ms and at_ms <= f.get("upto_ms", f["at_ms"]) for f in others
        ):
            continue
        for task_id, holder, from_ms, upto_ms in spans:
            if holder == worker and from_ms <= at_ms < upto_ms:
                yield worker, task_id, upto_ms - at_ms


def _attempts(chapter: Chapter) -> Iterator[tuple[str, str, int, int]]:
    """(task, worker, from, upto) of each attempt; one that has not ended lasts to the log's end."""
    open_: dict[str, tuple[str, int]] = {}
    for event, item in task_items(chapter.log):
        task_id = item["task"]
        if event.kind is EventKind.CLAIMED:
            open_[task_id] = (event.by.rsplit(".", 3)[0], event.at_ms)
        elif event.kind in ENDS_AN_ATTEMPT and task_id in open_:
            worker, from_ms = open_.pop(task_id)
            yield task_id, worker, from_ms, event.at_ms
    for task_id, (worker, from_ms) in open_.items():
        yield task_id, worker, from_ms, chapter.log[-1].at_ms


def ran(evidence: Evidence) -> list[str]:
    """I5: every success is of an attempt that an executor really began."""
    if not evidence.starts:
        return []
    began = {(line["task"], line["attempt"]) for line in evidence.starts}
    return [
        f"I5: {item['task']} succeeded in attempt {item['attempt']}, which never began"
        for event, item in task_items(evidence.last.log)
        if event.kind is EventKind.COMPLETED and item["code"] == "ok"
        if (item["task"], item["attempt"]) not in began
    ]


def side_by_side(evidence: Evidence) -> tuple[list[str], list[float]]:
    """I4 in the executors' ledger: attempts of one task overlap only where something was broken.

    Also how long each overlap lasted, in seconds.
    """
    ends: dict[tuple[str, int, str | None], float] = {
        (line["task"], line["attempt"], line.get("token")): line["at_s"] for line in evidence.ends
    }
    spans: defaultdict[str, list[tuple[float, float, int]]] = defaultdict(list)
    for line in evidence.starts:
        key = line["task"], line["attempt"], line.get("token")
        upto_s = ends.get(key, float(line["at_s"]))
        spans[line["task"]].append((line["at_s"], upto_s, line["attempt"]))
    found, seconds = [], []
    for task_id, tries in spans.items():
        tries.sort()
        for (_, upto_s, older), (from_s, _, newer) in pairwise(tries):
            if from_s < upto_s:
                seconds.append(upto_s - from_s)
                if not evidence.faults:
                    found.append(f"I4: attempts {older} and {newer} of {task_id} ran side by side")
    return found, seconds
