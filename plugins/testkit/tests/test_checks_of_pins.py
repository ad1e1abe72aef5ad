"""I26: what is for one worker runs there or not at all, in histories and contents made by hand."""

from typing import Any

import attrs
import pytest

from dsched.model import Home, Member, Task, TaskSpec, TaskStatus
from dsched.model.pins import pinned_to
from dsched_testkit.checks.pins import pins
from dsched_testkit.evidence import FORMAT, gathered, task_line
from dsched_testkit.memory import State
from dsched_testkit.memory.audit import Audit
from dsched_testkit.memory.rows import TaskRow

TOKEN = "%s.0100-a.0.1"


def member(index: int, worker: str | None) -> Task:
    labels = {"zone": "eu"} if worker is None else pinned_to(worker, {"zone": "eu"})
    of = Member(step="all", index=index, total=2)
    spec = TaskSpec(executor="x", required_labels=labels, member=of)
    return Task(id=f"r~all~{index}", status=TaskStatus.SUCCESS, scheduled_ms=1, spec=spec)


def claimed(index: int, worker: str, cursor: int = 1) -> dict[str, Any]:
    return {
        "line": "event", "cursor": str(cursor), "kind": "claimed", "at_ms": cursor,
        "by": TOKEN % worker, "items": [{"task": f"r~all~{index}", "attempt": 1}],
    }  # fmt: skip


def began(index: int, worker: str) -> dict[str, Any]:
    return {"line": "start", "task": f"r~all~{index}", "attempt": 1, "at_s": 1.0, "worker": worker}


def told(*lines: dict[str, Any], members: tuple[Task, ...]) -> list[str]:
    first = {"line": "run", "format": FORMAT, "source": "by hand"}
    tasks = [{"line": "task", **task_line(one)} for one in members]
    return pins(gathered([first, *lines, *tasks]))


TWO = (member(0, "w.eu"), member(1, "w2"))


def test_what_runs_on_its_worker_breaks_nothing_nor_does_what_never_ran() -> None:
    assert told(claimed(0, "w.eu"), began(0, "w.eu"), members=TWO) == []
    assert told(claimed(0, "w9"), began(0, "w9"), members=(member(0, None),)) == [], "for anybody"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (claimed(1, "w.eu"), "I26: r~all~1 is for w2, and was claimed by w.eu.0100-a.0.1"),
        (began(0, "w2"), "I26: r~all~0 is for w.eu, and began at w2"),
    ],
)
def test_what_runs_elsewhere_is_told(line: dict[str, Any], said: str) -> None:
    assert told(line, members=TWO) == [said]


def test_two_members_for_one_worker_are_told() -> None:
    twice = (member(0, "w"), member(1, "w"))
    assert told(members=twice) == ["I26: r~all~0 and r~all~1 of one step are both for w"]
    other = attrs.evolve(member(1, "w"), id="r~other~1")
    assert told(members=(member(0, "w"), other)) == [], "another step has one for each, too"


@pytest.mark.parametrize("home", [Home.QUEUE, Home.LEASE])
def test_the_content_of_a_store_tells_what_is_with_another_worker(home: Home) -> None:
    state = State(lambda: 0)
    spec = TWO[1].spec
    assert spec is not None
    row = TaskRow(id="r~all~1", spec=spec, scheduled_ms=1, status=TaskStatus.PENDING)
    row.home, row.worker_id = home, "w1"
    state.tasks[row.id] = row
    said = "I26: r~all~1 is for w2, and is with w1"
    assert said in Audit(state).problems()
    row.worker_id = "w2"
    assert said not in Audit(state).problems()
