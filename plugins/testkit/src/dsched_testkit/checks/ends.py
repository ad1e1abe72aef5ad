"""I7, I8, I12, I14, I16 and I20: what must be there in the end, and what must not."""

from collections import Counter

from dsched.contracts.store.events import EventKind
from dsched.model import Home, TaskStatus
from dsched_testkit.evidence import Evidence, Line, task_items

SLACK_S = 0.05  # an acknowledgement may arrive this long after the write
_SUBMITS = frozenset({"submit", "trigger"})
_HOMES: dict[TaskStatus, frozenset[str | None]] = {
    TaskStatus.PENDING: frozenset({Home.DELAYED, Home.READY, Home.QUEUE, Home.HELD, Home.OPEN}),
    TaskStatus.RUNNING: frozenset({Home.LEASE, Home.OPEN}),
    TaskStatus.RETRYING: frozenset({Home.DELAYED}),
    **dict.fromkeys(
        (TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED), frozenset({None})
    ),
}


def at_rest(evidence: Evidence) -> list[str]:
    """I7: after the faults everything came to rest in time, and every task has ended."""
    found = [
        f"I7: {rest['waiting']} tasks had not ended {rest['after_s']:.0f} s after healing, "
        f"{rest['bound_s']:.0f} s were allowed" + (f": {why}" if (why := rest.get("why")) else "")
        for rest in evidence.rests
        if rest["waiting"] or rest["after_s"] > rest["bound_s"]
    ]
    if not evidence.run.get("at_rest", bool(evidence.rests)):
        return found
    return found + [
        f"I7: {task['task']} is still {task['status']} ({task.get('home')}, {task.get('reason')})"
        for task in evidence.tasks.values()
        if not TaskStatus(task["status"]).terminal
    ]


def acknowledged(evidence: Evidence) -> list[str]:
    """I7 and I20: what was acknowledged is there, unless the store lost it within its bound."""
    found = []
    bound_s = evidence.run.get("loss_bound_s")
    for loss in evidence.losses:
        if bound_s is not None and loss.get("kind") != "wipe":
            lasted_s = loss["upto_s"] - loss["from_s"]
            if lasted_s > bound_s:
                found.append(
                    f"I20: {lasted_s:.1f} s of writes were lost, {bound_s:g} s are allowed"
                )
    present = {item["task"] for _, item in task_items(evidence.last.log)} | set(evidence.tasks)
    forgotten = {fault.get("task") for fault in evidence.of_kind("evict")}
    for operation in evidence.operations.values():
        task_id = operation.call.get("task")
        if operation.call["call"] not in _SUBMITS or task_id is None:
            continue
        if operation.ended == "ok" and task_id not in present | forgotten:
            at_s = 0.0 if operation.end is None else operation.end["at_s"]
            if not any(_covers(loss, at_s) for loss in evidence.losses):
                what = "I20" if evidence.losses else "I7"
                found.append(f"{what}: {task_id} is gone; it was acknowledged at {at_s:.3f} s")
    return found + _refused(evidence)


def _refused(evidence: Evidence) -> list[str]:
    """What certainly did not happen must not be in the log."""
    submitted = {
        item["task"]
        for event, item in task_items(evidence.last.log)
        if event.kind is EventKind.SUBMITTED
    }
    by_task: dict[str, list[str]] = {}
    for operation in evidence.operations.values():
        if operation.call["call"] in _SUBMITS and operation.call.get("task") is not None:
            by_task.setdefault(operation.call["task"], []).append(operation.ended)
    return [
        f"I7: {task_id} was submitted, though every client was told that it was not"
        for task_id, ended in by_task.items()
        if set(ended) == {"fail"} and task_id in submitted
    ]


def _covers(loss: Line, at_s: float) -> bool:
    return bool(loss["from_s"] <= at_s <= loss["upto_s"] + SLACK_S)


def one_home(evidence: Evidence) -> list[str]:
    """I8 and I6: status and home agree, and both with what the log tells of the task."""
    found = []
    said: dict[str, str] = {}
    claims: Counter[str] = Counter()
    for event, item in task_items(evidence.last.log):
        if "status" in item:
            said[item["task"]] = item["status"]
        claims[item["task"]] += event.kind is EventKind.CLAIMED
    for task_id, task in evidence.tasks.items():
        status = TaskStatus(task["status"])
        if "home" in task and task["home"] not in _HOMES[status]:
            found.append(f"I8: {task_id} is {status} and lives in {task['home']}")
        ended = task_id in said and TaskStatus(said[task_id]).terminal
        if ended and said[task_id] != status:
            found.append(f"I6: {task_id} ended {said[task_id]}, the store says {status}")
        if status.terminal and not ended and not evidence.run.get("trimmed"):
            found.append(f"I6: {task_id} is {status}, the log tells of no end")
        if ended and "attempt" in task and task["attempt"] != claims[task_id]:
            found.append(
                f"I6: {task_id} has attempt {task['attempt']}, the log {claims[task_id]} claims"
            )
    return found


def results_kept(evidence: Evidence) -> list[str]:
    """I12 and I5: the result of a success is what the accepted attempt's executor gave."""
    gave: dict[tuple[str, int], list[object]] = {}
    for line in evidence.ends:
        if "result" in line:
            gave.setdefault((line["task"], line["attempt"]), []).append(line["result"])
    found: list[str] = []
    if not gave:
        return found
    for event, item in task_items(evidence.last.log):
        if event.kind is not EventKind.COMPLETED or item["code"] != "ok":
            continue
        if item["status"] == "cancelled":
            continue
        task_id, attempt = item["task"], item["attempt"]
        task = evidence.tasks.get(task_id)
        if task is None or "result" not in task:
            continue  # evicted or past its time: I7 checks that
        if task["result"] not in gave.get((task_id, attempt), []):
            found.append(_other_result(task_id, attempt, task["result"], gave))
    return found


def _other_result(
    task_id: str, attempt: int, has: object, gave: dict[tuple[str, int], list[object]]
) -> str:
    """Whose result it is: an older attempt's was accepted with a token that was not current."""
    for (owner, other), results in gave.items():
        if owner == task_id and has in results:
            return f"I5: {task_id} has the result of attempt {other}, {attempt} was accepted"
    own = gave.get((task_id, attempt), "nothing")
    return f"I12: {task_id} has {has}, attempt {attempt} gave {own}"


def bounded(evidence: Evidence) -> list[str]:
    """I14 and I16: no family of keys beyond its bound, none undeclared, nothing left at rest."""
    found = []
    for census in evidence.censuses:
        bounds = census.get("bounds", {})
        for family, count in census["families"].items():
            if bounds and family not in bounds:
                found.append(f"I14: {family} is a family of keys that nobody declared")
            elif bounds and bounds[family] is not None and count > bounds[family]:
                found.append(f"I14: {family} has {count} entries, at most {bounds[family]} allowed")
            if family in census.get("empty_at_rest", ()) and count:
                found.append(f"I16: {family} still has {count} entries at rest")
    return found
