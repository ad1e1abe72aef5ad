"""The checker passes a good history and flags bad ones, each made by hand from the good one."""

import copy
import json
import re
import subprocess
import sys

import pytest

from dsched_testkit.checker import check, main
from dsched_testkit.evidence import EvidenceError, Recorder, gathered, read

A, B = "10:t:a", "20:t:b"
TOKEN = "w1.i.0.1"
T0 = 1_000_000  # ms; the config `c` is due every 10 s from here on
POLICY = {
    "max_retries": 1,
    "retry_delay_ms": 2000,
    "backoff_rate": 2.0,
    "max_delay_ms": 60_000,
    "jitter": 0.25,
    "on_crash": "retry",
}
ONCE = {**POLICY, "max_retries": 0, "on_crash": "fail"}


def event(cursor, kind, at_ms, by, *items):
    items = list(items)
    return {
        "line": "event", "cursor": str(cursor), "kind": kind, "at_ms": at_ms, "by": by,
        "items": items,
    }  # fmt: skip


def act(position, what, boundary_ms, **content):
    line = {
        "line": "act", "config": "c", "act": what, "position": str(position),
        "from_ms": boundary_ms, "upto_ms": boundary_ms,
    }  # fmt: skip
    return line | ({"content": content} if content else {})


def fired(ms, **more):
    return {"config": "c", "ms": ms, "task": f"c@{ms}", "late": 0, **more}


def claimed(task, attempt=1):
    return {"task": task, "attempt": attempt}


def ended(task, attempt=1, status="success", code="ok", **more):
    return {"task": task, "status": status, "attempt": attempt, "code": code, "run": 1, **more}


def fire_of(n):
    return T0 + 10_000 * n


F1, F2, F3 = (f"c@{fire_of(n)}" for n in (1, 2, 3))


def good():
    """A healthy run: three fires, a retried job, a crash of a worker, a cancel, an edit of
    nothing."""
    every = {"every_ms": 10_000, "created_ms": T0, "overlap": "skip"}
    return [
        {
            "line": "run", "format": 1, "source": "by hand", "principals": ["client"],
            "at_rest": True, "recovery_bound_ms": 45_000, "loss_bound_s": 2.0, "lag_slo_ms": 2000,
            "calm_after_ms": 5000,
        },
        event(1, "leader", T0, A, {"act": "acquired"}),
        event(2, "config", T0, "client", {"config": "c", "act": "put", "revision": 1}),
        act(2, "put", T0, **every),
        event(3, "submitted", T0 + 1000, "client", {"task": "job1"}, {"task": "job2"}),
        event(4, "dispatched", T0 + 1000, A, {"task": "job1", "worker": "w1"}),
        event(5, "claimed", T0 + 1001, TOKEN, claimed("job1")),
        event(
            6, "completed", T0 + 1500, "w1",
            ended("job1", status="retrying", code="error", delay=2100),
        ),
        event(7, "claimed", T0 + 4000, "w1.i.0.2", claimed("job1", 2)),
        event(8, "completed", T0 + 4500, "w1", ended("job1", 2)),
        event(9, "fired", fire_of(1), A, fired(fire_of(1))),
        event(10, "claimed", fire_of(1) + 10, "w1.i.0.3", claimed(F1)),
        event(11, "completed", fire_of(1) + 900, "w1", ended(F1)),
        event(12, "skipped", fire_of(3), A, {
            "config": "c", "first": fire_of(2), "last": fire_of(2), "count": 1, "reason": "misfire",
        }),
        event(13, "fired", fire_of(3), A, fired(fire_of(3))),
        event(14, "claimed", fire_of(3) + 10, "w2.i.0.1", claimed(F3)),
        event(15, "leader", fire_of(3) + 20, A, {"act": "resigned"}),
        event(16, "leader", fire_of(3) + 30, B, {"act": "acquired"}),
        event(17, "reaped", fire_of(3) + 32_000, B, {
            "task": F3, "status": "pending", "crashes": 1, "worker": "w2",
        }),
        {"line": "reap", "task": F3, "at_ms": 500_000, "lease_until_ms": 499_000},
        event(18, "config", fire_of(3) + 32_100, "client", {
            "config": "c", "act": "deleted", "revision": 1,
        }),
        act(18, "deleted", fire_of(3) + 5000),
        event(19, "claimed", fire_of(3) + 33_000, "w1.i.0.4", claimed(F3, 2)),
        event(20, "completed", fire_of(3) + 34_000, "w1", ended(F3, 2)),
        event(21, "claimed", fire_of(3) + 34_100, "w1.i.0.5", claimed("job2")),
        event(22, "cancel_requested", fire_of(3) + 34_200, "client", {
            "task": "job2", "reason": "why",
        }),
        event(23, "completed", fire_of(3) + 34_900, "w1", ended(
            "job2", status="cancelled", code="cancelled",
        )),
        {"line": "clock", "store_ms": 400_000, "gen": 0},
        {"line": "clock", "store_ms": 500_000, "gen": 0},
        {"line": "invoke", "op": "1", "at_s": 1.0, "call": "submit", "task": "job1"},
        {"line": "ok", "op": "1", "at_s": 1.1},
        {"line": "invoke", "op": "2", "at_s": 1.0, "call": "submit", "task": "job2"},
        {"line": "ok", "op": "2", "at_s": 1.1},
        {"line": "invoke", "op": "3", "at_s": 9.0, "call": "submit", "task": "job3"},
        {"line": "fail", "op": "3", "at_s": 9.1},
        {"line": "invoke", "op": "4", "at_s": 9.0, "call": "submit", "task": "job4"},
        {"line": "info", "op": "4", "at_s": 19.1},
        *ledger("job1", 1, 1.0, 1.5, "first"),
        *ledger("job1", 2, 4.0, 4.5, "second"),
        *ledger(F1, 1, 10.0, 10.9, "fire"),
        {"line": "start", "task": F3, "attempt": 1, "worker": "w2", "at_s": 30.0},
        *ledger(F3, 2, 63.0, 64.0, "again"),
        {"line": "start", "task": "job2", "attempt": 1, "worker": "w1", "at_s": 64.1},
        {"line": "fault", "kind": "kill", "at_ms": fire_of(3) + 15, "worker": "w2"},
        task("job1", "success", 2, result="second"),
        task("job2", "cancelled", 1, policy=ONCE),
        task(F1, "success", 1, result="fire"),
        task(F3, "success", 2, result="again"),
        {
            "line": "census", "families": {"task:detail": 4, "task:ready": 0},
            "bounds": {"task:detail": 100, "task:ready": 100}, "empty_at_rest": ["task:ready"],
        },
        {"line": "rest", "waiting": 0, "after_s": 40.0, "bound_s": 120.0},
    ]  # fmt: skip


def ledger(name, attempt, from_s, upto_s, result):
    of = {"task": name, "attempt": attempt, "worker": "w1"}
    return [
        {"line": "start", **of, "at_s": from_s},
        {"line": "end", **of, "at_s": upto_s, "result": result},
    ]


def task(name, status, attempt, policy=POLICY, **more):
    return {
        "line": "task", "task": name, "status": status, "home": None, "attempt": attempt,
        "policy": policy, **more,
    }  # fmt: skip


# --- what the bad histories are made with ---


def at(lines, **wanted):
    """The position of the line with these values, of an event's first item too."""
    for number, line in enumerate(lines):
        facts = {**line, **(line["items"][0] if line["line"] == "event" else {})}
        if all(facts.get(key) == value for key, value in wanted.items()):
            return number
    raise LookupError(wanted)


def changed(where, /, **what):
    def make(lines):
        lines[at(lines, **where)].update(what)

    return make


def item(where, /, **what):
    def make(lines):
        lines[at(lines, **where)]["items"][0].update(what)

    return make


def without(**where):
    def make(lines):
        del lines[at(lines, **where)]

    return make


def after(where, *more):
    def make(lines):
        lines[at(lines, **where) + 1 : at(lines, **where) + 1] = copy.deepcopy(more)

    return make


def also(*makers):
    def make(lines):
        for maker in makers:
            maker(lines)

    return make


E9, E17, E20, E23 = ({"cursor": str(n)} for n in (9, 17, 20, 23))
EVICTED = [
    without(line="task", task="job1"),
    {"line": "fault", "kind": "evict", "at_ms": 0, "task": "job1"},
]
END = "23-1"  # cursors as a Redis stream has them also sort


def added(cursor, kind, by, *items, at_ms=T0 + 70_000):
    return after(E23, event(cursor, kind, at_ms, by, *items))


BAD = {
    # I1: each instant fires at most once
    "I1 an instant fired twice": (
        "I1",
        after(E9, event("9-1", "fired", fire_of(1), A, fired(fire_of(1)))),
    ),
    "I1 twice in one step": ("I1", changed(E9, items=[fired(fire_of(1)), fired(fire_of(1))])),
    # I2: every instant is accounted for once, and none fires early, late or unasked
    "I2 an instant forgotten": ("I2", without(cursor="12")),
    "I2 fired and skipped": ("I2", item({"cursor": "12"}, first=fire_of(1), count=2)),
    "I2 a range that miscounts": ("I2", item({"cursor": "12"}, count=2)),
    "I2 an instant not owed": ("I2", item(E9, ms=fire_of(1) - 1)),
    "I2 fired early": ("I2", changed(E9, at_ms=fire_of(1) - 1)),
    "I2 fired late without a fault": (
        "I2",
        also(item(E9, late=2500), changed(E9, at_ms=fire_of(1) + 2500)),
    ),
    # I3: leaders are fenced
    "I3 an act of the term before": ("I3", changed(E17, by=A)),
    "I3 an act without a term": ("I3", without(cursor="16")),
    "I3 an epoch that does not grow": ("I3", changed({"cursor": "16"}, by="10:u:b")),
    # I4: one attempt at a time
    "I4 claimed while it ran": ("I4", without(cursor="17")),
    "I4 an end without a claim": ("I4", without(cursor="10")),
    "I4 two at once in the ledger, no fault": (
        "I4",
        also(
            without(line="fault"),
            changed({"line": "start", "task": "job1", "attempt": 2}, at_s=1.2),
        ),
    ),
    # I5: what ends an attempt is of that attempt, and really ran
    "I5 the result of an older attempt": ("I5", item(E20, attempt=1)),
    "I5 a success that never began": ("I5", without(line="start", task=F1)),
    # I6: one end
    "I6 ended twice": (
        "I6",
        after({"cursor": "11"}, event("11-1", "completed", fire_of(1) + 950, "w1", ended(F1))),
    ),
    "I6 revived after its end": (
        "I6",
        added(END, "released", "w1", {"task": F1, "status": "pending", "reason": "x"}),
    ),
    "I6 another status in the store": (
        "I6",
        changed({"line": "task", "task": F1}, status="failed"),
    ),
    "I6 an end that no entry tells": ("I6", also(without(cursor="10"), without(cursor="11"))),
    "I6 more attempts than claims": ("I6", changed({"line": "task", "task": F1}, attempt=2)),
    # I7: nothing acknowledged is lost, everything comes to rest
    "I7 an acknowledged task that is gone": (
        "I7",
        changed({"line": "info"}, line="ok", at_s=9.5),
    ),
    "I7 not at rest in time": ("I7", changed({"line": "rest"}, after_s=121.0)),
    "I7 still waiting": ("I7", changed({"line": "rest"}, waiting=1)),
    "I7 a task that has not ended": (
        "I7",
        after({"line": "rest"}, task("job9", "running", 1) | {"home": "lease"}),
    ),
    "I7 what was refused happened": ("I7", added(END, "submitted", "client", {"task": "job3"})),
    # I8: one home
    "I8 ended and somewhere": ("I8", changed({"line": "task", "task": F1}, home="ready")),
    "I8 running in a queue": (
        "I8",
        after({"line": "rest"}, task("job9", "running", 1) | {"home": "queue"}),
    ),
    # I9: what the dead held is taken from them
    "I9 left with a dead worker": ("I9", changed({"line": "run"}, recovery_bound_ms=30_000)),
    # I10: attempts and retries by the policy
    "I10 claimed without a reason": (
        "I10",
        added(END, "claimed", "w1.i.0.9", claimed(F1, 3)),
    ),
    "I10 an attempt's number again": ("I10", item({"cursor": "19"}, attempt=1)),
    "I10 retried too soon": ("I10", item({"cursor": "6"}, delay=1999)),
    "I10 retried too late": ("I10", item({"cursor": "6"}, delay=2502)),
    "I10 retried too often": (
        "I10",
        changed({"line": "task", "task": "job1"}, policy={**POLICY, "max_retries": 0}),
    ),
    "I10 a crash counted twice": ("I10", item(E17, crashes=2)),
    # I11: a requested cancel wins
    "I11 succeeded after its cancel": ("I11", item(E23, status="success")),
    "I11 claimed after its cancel": (
        "I11",
        also(
            changed(E23, kind="released"),
            item(E23, status="pending", reason="x"),
            added(END, "claimed", "w1.i.0.9", claimed("job2", 2)),
        ),
    ),
    # I12: the accepted result is kept
    "I12 another result": ("I12", changed({"line": "task", "task": F1}, result="other")),
    "I5 the result of the attempt before": (
        "I5",
        changed({"line": "task", "task": "job1"}, result="first"),
    ),
    # I13: time
    "I13 back, and nobody says so": ("I13", changed({"cursor": "8"}, at_ms=T0)),
    "I13 a generation left out": (
        "I13",
        added(END, "clock_back", "store", {"back": 5000, "gen": 2}),
    ),
    "I13 a generation not told": ("I13", changed({"store_ms": 500_000}, gen=1)),
    "I13 store time went back": ("I13", changed({"store_ms": 500_000}, store_ms=399_999)),
    # I14 and I16: bounds, and nothing left
    "I14 too many": (
        "I14",
        changed({"line": "census"}, bounds={"task:detail": 3, "task:ready": 9}),
    ),
    "I14 an undeclared family": ("I14", changed({"line": "census"}, bounds={"task:detail": 9})),
    "I16 something left at rest": (
        "I16",
        changed({"line": "census"}, families={"task:detail": 4, "task:ready": 1}),
    ),
    # I15: repeats change nothing
    "I15 submitted twice": (
        "I15",
        added(END, "submitted", "client", {"task": "job7"}, {"task": "job7"}),
    ),
    # I17: nobody is disturbed
    "I17 a lease that was not over": ("I17", changed({"line": "reap"}, lease_until_ms=500_001)),
    "I17 an attempt without a lease": ("I17", changed({"line": "reap"}, lease_until_ms=None)),
    # I18: overlap
    "I18 fired while the one before lived": (
        "I18",
        also(
            changed({"cursor": "11"}, cursor="13-1", at_ms=fire_of(3) + 5),
            lambda lines: lines.insert(at(lines, cursor="13"), lines.pop(at(lines, cursor="13-1"))),
        ),
    ),
    # I19: at most once
    "I19 at most once, and twice": ("I19", changed({"line": "task", "task": F3}, policy=ONCE)),
    # I20: the store may lose its last writes, and no others
    "I20 lost long before the store failed": (
        "I20",
        also(
            changed({"line": "info"}, line="ok", at_s=9.5),
            after(E23, {"line": "lost", "kept": "23", "from_s": 30.0, "upto_s": 31.0}),
        ),
    ),
    "I20 more lost than allowed": (
        "I20",
        after(E23, {"line": "lost", "kept": "23", "from_s": 28.0, "upto_s": 31.0}),
    ),
    # I21: nothing fires for a config that is not to fire
    "I21 fired while paused": ("I21", after({"position": "2"}, act("8", "paused", T0 + 500))),
    "I21 fired after its deletion": (
        "I21",
        also(
            changed({"line": "act", "act": "deleted"}, position="9"),
        ),
    ),
    "I21 fired while disabled": (
        "I21",
        changed({"line": "act", "act": "put"}, content={"every_ms": 10_000, "enabled": False}),
    ),
    "I21 fired, and nobody made the config": ("I21", changed({"position": "2"}, config="d")),
    # I22: everything has an author
    "I22 by nobody": ("I22", changed({"cursor": "3"}, by="")),
    "I22 by no principal": ("I22", changed({"cursor": "3"}, by="mallory")),
    "I22 a leader resumes what was paused for good": (
        "I22",
        added(END, "config", B, {"config": "c", "act": "resumed", "revision": 1}),
    ),
    "I3 a pause that ends by itself is ended by a client": (
        "I3",
        added(
            END, "config", "client", {"config": "c", "act": "resumed", "revision": 1, "until": 5}
        ),
    ),
}


def test_a_good_history_holds_every_invariant():
    report = check(gathered(good()))
    assert report.violations == ()
    assert report.counts["fires"] == 2
    assert report.counts["configs accounted for"] == 1
    assert report.spreads["recovery after a kill"][2] == pytest.approx(31.985)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_flagged_by_the_invariant_it_breaks(name):
    invariant, spoil = BAD[name]
    lines = good()
    spoil(lines)
    found = check(gathered(lines)).violations
    assert invariant in {line.partition(":")[0] for line in found}, found


def test_thirty_and_more_bad_histories_are_known_for_all_invariants():
    assert len(BAD) >= 30
    assert {invariant for invariant, _ in BAD.values()} == {f"I{n}" for n in range(1, 23)}


GOOD_ALTHOUGH = {
    "an operation that nobody knows the end of": added(
        END, "submitted", "client", {"task": "job4"}
    ),
    "a loss that explains what is missing": also(
        changed({"line": "info"}, line="ok", at_s=9.5),
        after(E23, {"line": "lost", "kept": "23", "from_s": 9.0, "upto_s": 10.0}),
    ),
    "a fire that was lost and came again": also(
        after(
            E9,
            event("10", "fired", fire_of(1), A, fired(fire_of(1) + 1)),
            {"line": "lost", "kept": "9", "from_s": 9.0, "upto_s": 10.0},
        ),
        lambda lines: lines[at(lines, kind="fired", ms=fire_of(1) + 1)]["items"].pop(),
    ),
    "a step back of the clock that is told": also(
        added(END, "clock_back", "store", {"back": 50_000, "gen": 1}, at_ms=T0 + 20_000),
        changed({"store_ms": 500_000}, gen=1),
    ),
    "a late fire while something was broken": also(
        item(E9, late=2500),
        changed(E9, at_ms=fire_of(1) + 2500),
        changed({"cursor": "10"}, at_ms=fire_of(1) + 2600),
        changed({"cursor": "11"}, at_ms=fire_of(1) + 2700),
        after({"line": "fault"}, {"line": "fault", "kind": "outage", "at_ms": fire_of(1) + 10}),
    ),
    "an evicted task": also(EVICTED[0], after({"line": "rest"}, EVICTED[1])),
    "an entry that was exported twice": lambda lines: lines.insert(
        at(lines, cursor="10") + 1, copy.deepcopy(lines[at(lines, cursor="9")])
    ),
}


@pytest.mark.parametrize("name", GOOD_ALTHOUGH)
def test_what_may_happen_is_not_flagged(name):
    lines = good()
    GOOD_ALTHOUGH[name](lines)
    assert check(gathered(lines)).violations == ()


def overlap_of(policy, *entries):
    lines = [
        {"line": "run", "format": 1, "source": "by hand"},
        event(1, "leader", T0, A, {"act": "acquired"}),
        act(1, "put", 0, at_ms=1, overlap=policy),
    ]
    kinds = {"fired": A, "completed": "w1", "claimed": TOKEN, "cancelled": A}
    for number, (kind, facts) in enumerate(entries, 2):
        lines.append(event(number, kind, T0, kinds[kind], facts))
    found = check(gathered(lines)).violations
    return [line for line in found if line.startswith("I18")]


def superseded(name, reason="superseded"):
    return ("cancelled", {"task": name, "status": "cancelled", "reason": reason})


@pytest.mark.parametrize(
    ("policy", "entries", "good"),
    [
        ("skip", [("fired", fired(1)), ("completed", ended("c@1")), ("fired", fired(2))], True),
        ("skip", [("fired", fired(1)), ("fired", fired(2))], False),
        ("skip", [("fired", fired(1)), ("fired", fired(2, held=True))], False),
        (
            "queue_one",
            [
                ("fired", fired(1)),
                ("fired", fired(2, held=True)),
                ("completed", ended("c@1")),
                ("claimed", claimed("c@2")),
            ],
            True,
        ),
        (
            "queue_one",
            [("fired", fired(1)), ("fired", fired(2, held=True)), ("fired", fired(3, held=True))],
            False,
        ),
        (
            "queue_one",
            [("fired", fired(1)), ("fired", fired(2, held=True)), ("claimed", claimed("c@2"))],
            False,
        ),
        ("queue_one", [("fired", fired(1)), ("fired", fired(2))], False),
        (
            "queue_all",
            [
                *[
                    ("fired", fired(1)),
                    ("fired", fired(2, held=True)),
                    ("fired", fired(3, held=True)),
                ],
                *[("completed", ended("c@1")), ("claimed", claimed("c@2"))],
                *[("completed", ended("c@2")), ("claimed", claimed("c@3"))],
            ],
            True,
        ),
        (
            "queue_all",
            [
                *[
                    ("fired", fired(1)),
                    ("fired", fired(2, held=True)),
                    ("fired", fired(3, held=True)),
                ],
                *[("completed", ended("c@1")), ("claimed", claimed("c@3"))],
            ],
            False,
        ),
        (  # the clock went back: 25 is fired after 30, and goes before it
            "queue_all",
            [
                *[
                    ("fired", fired(20)),
                    ("fired", fired(30, held=True)),
                    ("fired", fired(25, held=True)),
                ],
                *[("completed", ended("c@20")), ("claimed", claimed("c@25"))],
                *[("completed", ended("c@25")), ("claimed", claimed("c@30"))],
            ],
            True,
        ),
        (  # 30 was let go before 25 came
            "queue_all",
            [
                *[("fired", fired(20)), ("fired", fired(30, held=True))],
                *[("completed", ended("c@20")), ("fired", fired(25, held=True))],
                *[("claimed", claimed("c@30")), ("completed", ended("c@30"))],
                ("claimed", claimed("c@25")),
            ],
            True,
        ),
        (
            "queue_all",
            [
                *[
                    ("fired", fired(20)),
                    ("fired", fired(30, held=True)),
                    ("fired", fired(25, held=True)),
                ],
                *[("completed", ended("c@20")), ("claimed", claimed("c@30"))],
            ],
            False,
        ),
        (
            "queue_all",
            [
                *[
                    ("fired", fired(20)),
                    ("fired", fired(30, held=True)),
                    ("fired", fired(25, held=True)),
                ],
                ("claimed", claimed("c@25")),
            ],
            False,
        ),
        (
            "queue_all",
            [
                *[
                    ("fired", fired(20)),
                    ("fired", fired(30, held=True)),
                    ("fired", fired(25, held=True)),
                ],
                *[("completed", ended("c@20")), ("claimed", claimed("c@25"))],
                ("claimed", claimed("c@30")),
            ],
            False,
        ),
        (
            "queue_one",
            [
                *[("fired", fired(1)), ("fired", fired(2, held=True)), superseded("c@2", "asked")],
                *[("fired", fired(3, held=True)), ("completed", ended("c@1"))],
                ("claimed", claimed("c@3")),
            ],
            True,
        ),
        (
            "queue_one",
            [
                *[("fired", fired(1)), ("fired", fired(2, held=True))],
                *[("completed", ended("c@1")), ("fired", fired(3, held=True))],
            ],
            True,
        ),
        (
            "queue_one",
            [
                *[("fired", fired(1)), ("fired", fired(2, held=True))],
                *[("completed", ended("c@1")), ("fired", fired(3, held=True))],
                *[("claimed", claimed("c@2")), ("claimed", claimed("c@3"))],
            ],
            False,
        ),
        ("queue_all", [("fired", fired(1)), ("fired", fired(2))], False),
        ("cancel_previous", [("fired", fired(1)), ("fired", fired(2)), superseded("c@1")], True),
        (
            "cancel_previous",
            [("fired", fired(1)), ("fired", fired(2)), superseded("c@1", "asked")],
            False,
        ),
        ("allow", [("fired", fired(1)), ("fired", fired(2))], True),
    ],
)
def test_overlap_is_checked_by_its_policy(policy, entries, good):
    assert (overlap_of(policy, *entries) == []) is good


def test_a_violation_is_printed_with_the_entries_about_it(tmp_path, capsys):
    lines = good()
    BAD["I1 an instant fired twice"][1](lines)
    path = tmp_path / "evidence.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert main([str(path)]) == 1
    said = capsys.readouterr().out
    assert said.startswith("verdict: violated")
    assert f"I1: {F1} was fired 2 times" in said
    first = said[said.index("I1: ") : said.index("I2: ")]
    assert len(re.findall(r"^ {4}9.* fired by 10:t:a", first, re.MULTILINE)) == 2


def test_the_command_reads_what_recorders_of_several_processes_wrote(tmp_path):
    for line in good():
        name = "store" if line["line"] in {"run", "event", "act", "reap", "clock"} else "rest"
        with Recorder(tmp_path / f"{name}.jsonl") as recorder:
            fields = {key: value for key, value in line.items() if key != "line"}
            recorder.write(line["line"], **fields)
    with (tmp_path / "rest.jsonl").open("a") as torn:
        torn.write('{"line": "start", "task": "jo')  # its writer was killed
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dsched_testkit.checker"),
            *(str(tmp_path / "store.jsonl"), str(tmp_path / "rest.jsonl")),
        ],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.stderr == ""
    assert done.stdout.startswith("verdict: every invariant held")
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"line": "gossip"}, "no such kind"),
        ({"line": "ok", "op": "9", "at_s": 1.0}, "nothing was invoked"),
        ({"line": "start", "task": "t"}, "lacks at_s, attempt"),
        ({"line": "run", "format": 9, "source": "later"}, "format 9"),
        (event(5, "claimed", T0, TOKEN, claimed("job9")), "lost line"),
    ],
)
def test_what_is_no_evidence_is_refused_with_its_place(tmp_path, capsys, line, why):
    path = tmp_path / "evidence.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in [*good(), line]), encoding="utf-8")
    with pytest.raises(EvidenceError, match=why):
        read([path])
    assert main([str(path)]) == 2
    assert f"evidence.jsonl:{len(good()) + 1}" in capsys.readouterr().err


def test_a_recorder_refuses_a_line_that_lacks_what_its_kind_must_have(tmp_path):
    with (
        Recorder(tmp_path / "x.jsonl") as recorder,
        pytest.raises(EvidenceError, match="lacks at_s"),
    ):
        recorder.write("ok", op="1")
