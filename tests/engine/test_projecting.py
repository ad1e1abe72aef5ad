"""What the collector makes of the log, entry by entry."""

import pytest

from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.statistics import (
    EVERYTHING,
    HOUR_MS,
    MAX_COUNTED_WORKERS,
    bucket_of,
    worker_key,
)
from dsched.contracts.store.working import claim_token
from dsched.engine.leader.counting import CountedWorkers
from dsched.engine.leader.projecting import project
from dsched.model import Decision, DecisionUpdate, MissReason, Verdict

FENCE = "17:token:pod"
AT_MS = 1_800_000_000_000


def entry(kind, *items, at_ms=AT_MS, by=FENCE):
    return Event(cursor=f"{kind}-{at_ms}", kind=EventKind(kind), at_ms=at_ms, by=by, items=items)


def fired(ms=AT_MS - 5, **more):
    return entry("fired", {"config": "c", "ms": ms, "task": f"c@{ms}", "late": 5, **more})


def dispatched(ms=AT_MS - 5, worker="w1", **more):
    return entry("dispatched", {"task": f"c@{ms}", "worker": worker, **more})


def test_a_fire_is_told_with_its_worker_and_its_end_when_they_are_in_the_same_part():
    ended = entry(
        "cancelled", {"task": f"c@{AT_MS - 5}", "status": "cancelled", "reason": "expired"}
    )
    made = project("", [fired(), dispatched(why="least 0/8"), ended])
    assert made.decisions == (
        Decision(
            config_id="c",
            verdict=Verdict.FIRED,
            first_ms=AT_MS - 5,
            last_ms=AT_MS - 5,
            late_ms=5,
            at_ms=AT_MS,
            term=17,
            task_id=f"c@{AT_MS - 5}",
            worker_id="w1",
            worker_why="least 0/8",
            ended="cancelled: expired",
        ),
    )
    assert made.updates == ()
    assert made.decisions[0].account == "cancelled: expired"


def test_what_became_of_an_earlier_fire_is_one_fate_and_the_last_dispatch_counts():
    done = entry("completed", {"task": "c@5", "status": "success", "attempt": 1, "run": 9})
    made = project("", [dispatched(5, "w1", why="a"), dispatched(5, "w2"), done])
    assert made.updates == (
        DecisionUpdate(config_id="c", first_ms=5, worker_id="w2", worker_why="", ended="success"),
    )


def of_worker(made, worker_id, hour_ms=AT_MS - AT_MS % HOUR_MS):
    found = [one for one in made.rollups if one.config_id == worker_key(worker_id)]
    assert all(one.hour_ms == hour_ms for one in found)
    return bucket_of(None, hour_ms, found, worker_id=worker_id)


def test_statistics_count_by_worker_what_it_ran_and_what_ended_by_its_death():
    claimed = entry(
        "claimed",
        {"task": "c@5", "attempt": 1},
        {"task": "a", "attempt": 1},
        by=claim_token("w1", "17", 0, 3),
    )
    done = entry(
        "completed",
        {"task": "c@5", "status": "success", "attempt": 1, "run": 9},
        {"task": "b", "status": "retrying", "attempt": 1, "run": 30},
        by="w1",
    )
    reaped = entry("reaped", {"task": "a", "status": "failed", "crashes": 4, "worker": "w2"})
    cancelled = entry("cancelled", {"task": "x", "status": "cancelled", "reason": "r"}, by="api")
    made = project("", [claimed, done, reaped, cancelled])
    first, second = of_worker(made, "w1"), of_worker(made, "w2")
    assert (first.runs, first.success, first.retries, first.failed) == (2, 1, 1, 0)
    assert (first.run.count, first.run.max_ms, first.success_rate) == (2, 30, 1.0)
    assert (second.runs, second.failed, second.success_rate) == (0, 1, 0.0)
    assert of_worker(made, "api").cancelled == 0


def test_no_more_workers_are_counted_in_an_hour_than_there_is_room_for():
    counted = CountedWorkers()

    def made_of(numbers, at_ms=AT_MS):
        claims = [
            entry("claimed", {"task": "a", "attempt": 1}, by=f"w{n}.17.0.{k}", at_ms=at_ms)
            for n in numbers
            for k in range(2)
        ]
        keys = {one.config_id for one in project("", claims, counted).rollups}
        return keys - {EVERYTHING}

    first = made_of(range(MAX_COUNTED_WORKERS - 1))
    assert len(first) == MAX_COUNTED_WORKERS - 1
    many = range(1000, 1000 + MAX_COUNTED_WORKERS)
    assert made_of(many) == {worker_key("w1000")}
    assert made_of([0, 1000, 1001]) == {worker_key("w0"), worker_key("w1000")}  # read again
    assert len(made_of(many, at_ms=AT_MS + HOUR_MS)) == MAX_COUNTED_WORKERS


def test_tasks_that_no_fire_made_have_no_fates():
    items = [{"task": "adhoc", "worker": "w"}, {"task": "c@manual-1", "worker": "w"}]
    assert project("", [entry("dispatched", *items)]).updates == ()


@pytest.mark.parametrize(("term", "reason"), [(0, MissReason.LEADERLESS), (17, MissReason.UNFIRED)])
def test_a_miss_says_whether_anybody_led(term, reason):
    missed = entry("missed", {"config": "c", "ms": 5, "late": 60_000, "term": term}, by="pod2")
    (decision,) = project("", [missed]).decisions
    assert (decision.verdict, decision.reason) == (Verdict.MISSED, reason.value)
    assert (decision.first_ms, decision.late_ms, decision.term) == (5, 60_000, term)


def test_statistics_count_by_config_by_hour_and_everything():
    later = AT_MS + HOUR_MS
    made = project(
        "",
        [
            fired(AT_MS - 1000),
            entry(
                "skipped", {"config": "c", "first": 1, "last": 9, "count": 4, "reason": "misfire"}
            ),
            entry("missed", {"config": "c", "ms": 5, "late": 60_000, "term": 0}),
            entry(
                "claimed", {"task": f"c@{AT_MS - 1000}", "attempt": 1}, {"task": "x", "attempt": 1}
            ),
            entry("completed", {"task": "x", "status": "retrying", "attempt": 1, "run": 50}),
            entry("claimed", {"task": "x", "attempt": 2}, at_ms=later),
            entry(
                "completed", {"task": "x", "status": "failed", "attempt": 2, "run": 70}, at_ms=later
            ),
            entry("reaped", {"task": f"c@{AT_MS - 1000}", "status": "failed"}, at_ms=later),
        ],
    )
    totals = {
        (one.config_id, one.hour_ms): bucket_of(None, 0, [one])
        for one in made.rollups
        if one.config_id != worker_key(FENCE)  # who signed the entries of this test
    }
    hour = AT_MS - AT_MS % HOUR_MS
    assert set(totals) == {(o, h) for o in ("c", EVERYTHING) for h in (hour, hour + HOUR_MS)}
    ours, all_of_it = totals["c", hour], totals[EVERYTHING, hour]
    assert (ours.fires, ours.skipped, ours.missed, ours.runs, ours.retries) == (1, 4, 1, 1, 0)
    assert (ours.wait.count, ours.wait.max_ms, ours.run.count) == (1, 1000, 0)
    assert (all_of_it.runs, all_of_it.retries, all_of_it.run.max_ms) == (2, 1, 50)
    assert (totals["c", hour + HOUR_MS].failed, totals["c", hour + HOUR_MS].run.count) == (1, 0)
    last = totals[EVERYTHING, hour + HOUR_MS]
    assert (last.failed, last.runs, last.run.max_ms) == (2, 1, 70)
