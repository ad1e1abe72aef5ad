"""I26: a member that is for one worker runs there, or not at all."""

from collections.abc import Iterator

from dsched.contracts.store.events import EventKind
from dsched.model import name_in_run, run_of, step_of_name
from dsched_testkit.evidence import Evidence, task_items


def pins(evidence: Evidence) -> list[str]:
    """I26: a task with a ``pin`` is claimed and begun by that worker alone, and no two members of a
    step are for one worker."""
    pin_of = {task: line["pin"] for task, line in evidence.tasks.items() if line.get("pin")}
    if not pin_of:
        return []
    return [*_elsewhere(evidence, pin_of), *_twice(pin_of)]


def _elsewhere(evidence: Evidence, pin_of: dict[str, str]) -> Iterator[str]:
    for event, item in task_items(evidence.last.log):
        pin = pin_of.get(item["task"])
        if event.kind is EventKind.CLAIMED and pin not in (None, event.by.rsplit(".", 3)[0]):
            yield f"I26: {item['task']} is for {pin}, and was claimed by {event.by}"
    for start in evidence.starts:
        pin = pin_of.get(start["task"])
        if pin is not None and start.get("worker", pin) != pin:
            yield f"I26: {start['task']} is for {pin}, and began at {start['worker']}"


def _twice(pin_of: dict[str, str]) -> Iterator[str]:
    first: dict[tuple[str | None, str, str], str] = {}
    for task, pin in sorted(pin_of.items()):
        step = step_of_name(name_in_run(task))[0]
        other = first.setdefault((run_of(task), step, pin), task)
        if other != task:
            yield f"I26: {other} and {task} of one step are both for {pin}"
