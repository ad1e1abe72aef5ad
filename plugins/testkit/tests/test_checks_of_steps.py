"""Histories of the steps of a run, made by hand, with the graph that the run is stored with."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dsched.model import Member, Resumption, Step, Taken, Task, TaskSpec, TaskStatus, Workflow
from dsched_testkit.checks.ends import one_home
from dsched_testkit.checks.steps import steps
from dsched_testkit.evidence import FORMAT, gathered, task_line

FLOW = Workflow(
    steps=[
        Step(id="a", executor="x"),
        Step(id="b", executor="x", needs=["a"], shards=2),
        Step(id="undo", executor="x", needs=["a"], when="failure"),
        Step(id="last", executor="x", needs=["b"], when="always"),
    ]
)
Entry = tuple[str, Mapping[str, Any]]


def born(name: str) -> Entry:
    return "born", {"task": f"r~{name}", "run": "r"}


def done(name: str, status: str = "success") -> Entry:
    return "completed", {"task": f"r~{name}", "status": status}


def skipped(step: str, status: str = "failed") -> Entry:
    return "step_skipped", {"run": "r", "step": step, "status": status, "reason": "x"}


ENDED: Entry = ("run_ended", {"task": "r", "status": "success", "run": 5})
A = (born("a"), done("a"))
FAILED = (born("a"), done("a", "failed"))
NO_UNDO = skipped("undo", "success")
SHARDS = (born("b~0"), born("b~1"), done("b~0"), done("b~1"))
LAST = (born("last"), done("last"))


def told(
    *entries: Entry,
    flow: Workflow = FLOW,
    at_ms: int | None = None,
    members: Sequence[Task] = (),
    resumes: Resumption | None = None,
    **run: Any,
) -> list[str]:
    """What is found in these entries, each of a call of its own unless ``at_ms`` is given."""
    spec = TaskSpec(executor="workflow" if flow.steps else "x", workflow=flow, resumes=resumes)
    task = Task(id="r", status=TaskStatus.SUCCESS, scheduled_ms=1, spec=spec)
    events = [
        {
            "line": "event",
            "cursor": str(at),
            "kind": kind,
            "by": "x",
            "items": [item],
            "at_ms": at if at_ms is None else at_ms,
        }
        for at, (kind, item) in enumerate(entries)
    ]
    first = {"line": "run", "format": FORMAT, "source": "by hand", **run}
    tasks = [{"line": "task", **task_line(one)} for one in (task, *members)]
    return steps(gathered([first, *events, *tasks]))


@pytest.mark.parametrize(
    "entries",
    [
        (*A, NO_UNDO, *SHARDS, *LAST, ENDED),
        (*FAILED, skipped("b"), born("undo"), done("undo"), *LAST, ENDED),
        (skipped("a"), skipped("b"), skipped("undo"), skipped("last"), ENDED),
    ],
)
def test_a_run_whose_steps_come_in_their_order_breaks_nothing(entries: tuple[Entry, ...]) -> None:
    assert told(*entries) == []


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ((born("a"), born("b~0")), "I23: r~b~0 was born before a, which it needs, had ended"),
        (
            (*A, *SHARDS[:3], born("last")),
            "I23: r~last was born before b, which it needs, had ended",
        ),
        (
            (*FAILED, born("b~0")),
            "I23: r~b~0 runs on success, and was born when what it needs had failed",
        ),
        (
            (*A, born("undo")),
            "I23: r~undo runs on failure, and was born when what it needs had succeeded",
        ),
        (
            (*A, NO_UNDO, *SHARDS, ENDED),
            "I25: run r ended with 0 of 1 members of step last, which was not skipped",
        ),
        (
            (*A, NO_UNDO, born("b~0"), done("b~0"), skipped("last"), ENDED),
            "I25: run r ended with 1 of 2 members of step b, which was not skipped",
        ),
    ],
)
def test_a_run_that_bears_too_early_or_forgets_a_step_is_told(
    entries: tuple[Entry, ...], said: str
) -> None:
    assert told(*entries) == [said]


def test_shards_without_steps_are_accounted_for_too() -> None:
    flow = Workflow(shards=2)
    missing = "I25: run r ended with 1 of 2 members of step shards, which was not skipped"
    assert told(born("0"), done("0"), ENDED, flow=flow) == [missing]
    assert told(born("0"), done("0"), born("1"), done("1"), ENDED, flow=flow) == []


EACH = Workflow(
    steps=[
        Step(id="each", executor="x", for_each="${params.x}"),
        Step(id="last", executor="x", needs=["each"]),
    ],
    params={"x": {"type": "list", "default": []}},
)


def item(at: int, total: int) -> Task:
    """A member as it is kept, which says of how many it is one."""
    spec = TaskSpec(executor="x", member=Member(step="each", index=at, total=total))
    return Task(id=f"r~each~{at}", status=TaskStatus.SUCCESS, scheduled_ms=1, spec=spec)


TWO = (born("each~0"), done("each~0"), born("each~1"), done("each~1"))


def test_a_list_that_is_born_as_its_members_say_or_skipped_breaks_nothing() -> None:
    assert told(*TWO, *LAST, ENDED, flow=EACH, members=[item(0, 2), item(1, 2)]) == []
    no_items = skipped("each", "success")
    assert told(no_items, *LAST, ENDED, flow=EACH) == []
    assert told(skipped("each"), skipped("last"), ENDED, flow=EACH) == []
    taken = Resumption(
        run_id="q", instant_ms=1, taken=[Taken(run_id="q", step="each", indexes=(0, 2))]
    )
    rest = (born("each~1"), done("each~1"), *LAST, ENDED)
    assert told(*rest, flow=EACH, members=[item(1, 3)], resumes=taken) == []
    short = "I25: run r ended with 1 of 2 members of step each, which was not skipped"
    early = "I23: r~last was born before each, which it needs, had ended"
    assert told(*rest, flow=EACH, members=[item(1, 4)], resumes=taken) == [early, short]


def test_a_list_with_an_item_that_is_forgotten_is_told() -> None:
    early = "I23: r~last was born before each, which it needs, had ended"
    short = "I25: run r ended with 2 of 3 members of step each, which was not skipped"
    assert told(*TWO, *LAST, ENDED, flow=EACH, members=[item(0, 3)]) == [early, short]
    none = "I25: run r ended with no items of step each, which was not skipped"
    assert told(*LAST, ENDED, flow=EACH) == [early, none]


def test_what_one_call_says_is_one_whatever_the_order_of_its_entries() -> None:
    call = [*FAILED, ENDED, skipped("last"), skipped("b"), skipped("undo")]
    assert told(*call, at_ms=7) == []
    call = [*FAILED, born("last"), skipped("undo"), skipped("b")]
    assert told(*call, at_ms=7) == []


def test_a_log_that_was_trimmed_tells_nothing_of_steps() -> None:
    assert told(ENDED, trimmed=True) == []


@pytest.mark.parametrize("status", ["pending", "running"])
def test_an_open_run_is_at_home_there(status: str) -> None:
    assert (
        one_home(gathered([{"line": "task", "task": "r", "status": status, "home": "open"}])) == []
    )


EACH_WORKER = Workflow(
    steps=[
        Step(id="each", executor="x", shards="each_worker"),
        Step(id="last", executor="x", needs=["each"]),
    ]
)


def test_a_member_for_each_worker_that_was_let_off_fails_nothing() -> None:
    members = [item(0, 2), item(1, 2)]
    off = skipped("each~1", "success")
    gone = (born("each~0"), done("each~0"), born("each~1"), off, done("each~1", "cancelled"))
    assert told(*gone, *LAST, ENDED, flow=EACH_WORKER, members=members) == []
    began = (*gone[:3], done("each~1", "cancelled"), *LAST, ENDED)
    wrong = "I23: r~last runs on success, and was born when what it needs had failed"
    assert told(*began, flow=EACH_WORKER, members=members) == [wrong]
    failed = (*gone[:4], done("each~1", "failed"), *LAST, ENDED)
    assert told(*failed, flow=EACH_WORKER, members=members) == [wrong], "it ran after all"
    nobody = skipped("each", "success")
    assert told(nobody, *LAST, ENDED, flow=EACH_WORKER) == []


def test_a_worker_whose_member_is_forgotten_is_told() -> None:
    short = "I25: run r ended with 2 of 3 members of step each, which was not skipped"
    early = "I23: r~last was born before each, which it needs, had ended"
    assert told(*TWO, *LAST, ENDED, flow=EACH_WORKER, members=[item(0, 3)]) == [early, short]
