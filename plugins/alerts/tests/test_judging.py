"""Which notices are worth an alert: kinds, thresholds, silences, repeats. Time is given."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest
from alert_hook import SECRET, entry, failed

from dsched.contracts import BlockedClass, ClusterGauges, StoreCalled, Unrunnable
from dsched.contracts.observer import (
    HistoryBroken,
    InstantsMissed,
    InvariantViolated,
    NobodyLeads,
    StoreWrites,
)
from dsched.contracts.store.history import Loss
from dsched.contracts.store.watching import MissedInstant
from dsched.model import Worker
from dsched_alerts.alert import Kind
from dsched_alerts.judging import MAX_KEYS, Judge
from dsched_alerts.options import AlertOptions

ALL = tuple(kind.value for kind in Kind)


def judge(**more):
    return Judge(
        AlertOptions(url="https://hooks.example.com/x", secret=SECRET, **{"kinds": ALL, **more})
    )


def kinds(alerts):
    return [alert.kind.value for alert in alerts]


def gauges(*workers, ready=0, age_s=0.0, now_ms=1_000_000):
    return ClusterGauges(
        tasks_by_status={},
        waiting_by_home={"ready": ready},
        oldest_ready_age_s=age_s,
        workers=workers,
        now_ms=now_ms,
    )


def worker(name="w1", *, gone=False, heard_ms=970_000):
    return Worker(
        id=name, incarnation="i", capacity=1, backlog=1, gone=gone, last_heartbeat_ms=heard_ms
    )


def overdue(epoch, due_ms=1000):
    missed = (MissedInstant("job", due_ms),)
    return InstantsMissed(pod="p", epoch=epoch, missed=missed, now_ms=due_ms + 30_000)


@pytest.mark.parametrize(
    ("notice", "kind", "summary"),
    [
        (failed(), "failed", "task job@1000 of job failed: error"),
        (
            entry("reaped", task="t", status="failed", crashes=4, worker="w", reason="poison"),
            "failed",
            "task t failed: poison",
        ),
        (
            entry("released", task="job@1", status="failed", reason="released"),
            "failed",
            "task job@1 of job failed: released",
        ),
        (
            entry("completed", task="job@1", status="retrying", attempt=2, code="503", delay=9),
            "attempt_failed",
            "task job@1 of job failed in attempt 2 and is tried again: 503",
        ),
        (
            entry("reaped", task="job@1", status="pending", crashes=1, worker="w"),
            "attempt_failed",
            "task job@1 of job lost its worker and runs again: crash",
        ),
        (
            entry("fired", config="job", ms=1, task="job@1", late=61_000),
            "late",
            "job fired 61.0 s late",
        ),
        (overdue(0), "missed", "job is overdue by 30.0 s: nobody leads"),
        (overdue(7), "missed", "job is overdue by 30.0 s: its leader has not fired it"),
        (
            entry("skipped", config="job", first=1, last=9, count=3, reason="misfire"),
            "missed",
            "job missed 3 runs for good: its misfire policy dropped what came too late",
        ),
        (
            entry("config", config="job", act="paused", revision=1, who="dsched", why="3 failures"),
            "paused",
            "job has paused itself, and does not fire until it is resumed: 3 failures",
        ),
        (
            NobodyLeads(pod="p", idle_s=12.5),
            "leaderless",
            "nobody has led for 12.5 s, says pod p: nothing is fired or dispatched",
        ),
        (
            InvariantViolated(name="I4", detail="two claims of t"),
            "defect",
            "invariant I4 is violated, a defect of dsched or of its store: two claims of t",
        ),
    ],
)
def test_what_needs_attention_is_said_in_a_sentence(notice, kind, summary):
    (alert,) = judge().judge(notice, 1000)
    assert (alert.kind.value, alert.summary, alert.state) == (kind, summary, "firing")


@pytest.mark.parametrize(
    "notice",
    [
        entry("completed", task="t", status="success", attempt=1, code="ok", run=1),
        entry("completed", task="t", status="cancelled", attempt=1, code="ok", run=1),
        entry("released", task="t", status="pending", reason="drain"),
        entry("fired", config="job", ms=1, task="job@1", late=59_000),
        entry("skipped", config="job", first=1, last=1, count=1, reason="paused"),
        entry("cancelled", task="t", status="cancelled", reason="asked"),
        entry("of a later version", task="t"),
        entry("missed", config="job", ms=1, late=30_000, term=0),  # its pod has reported it already
        StoreCalled(step="claim", seconds=1, outcome="ok"),
        gauges(worker(), ready=5, age_s=10),
    ],
)
def test_what_is_as_it_should_be_is_nobodys_worry(notice):
    assert judge().judge(notice, 1000) == []


def test_a_time_without_leader_is_told_while_it_lasts_and_when_it_is_over():
    told = judge()
    (firing,) = told.judge(NobodyLeads(pod="p", idle_s=30), 1000)
    (over,) = told.judge(entry("leaderless", epoch=3, idle=30_000), 2000)
    assert (firing.state, over.state, over.kind) == ("firing", "resolved", Kind.LEADERLESS)
    assert "leads again" in over.summary


def test_an_instant_that_two_pods_report_missed_has_one_id():
    (one,) = judge().judge(overdue(0), 5)
    (two,) = judge().judge(overdue(0), 9)
    assert one.id == two.id == "missed:job:1000"


def test_a_retried_attempt_is_told_only_to_those_who_ask_for_attempts():
    retried = entry("completed", task="t", status="retrying", attempt=1, code="e", run=1, delay=1)
    told = judge(kinds=AlertOptions().kinds)
    assert told.judge(retried, 1000) == []
    assert kinds(told.judge(failed("2"), 1000)) == ["failed"]


def test_an_entry_that_comes_again_is_not_told_again():
    told = judge(repeat_after=timedelta(0))
    assert len(told.judge(failed("7"), 1000)) == 1
    assert told.judge(failed("7"), 1000) == []
    assert len(told.judge(failed("8"), 1000)) == 1


def test_repeats_of_one_config_are_held_back_and_counted_by_the_next_alert():
    told = judge(repeat_after=timedelta(seconds=10))
    at = [told.judge(failed(str(n), at_ms=1000 * n), 0) for n in range(12)]
    assert [len(alerts) for alerts in at] == [1] + [0] * 9 + [1, 0]
    assert (at[0][0].repeats, at[10][0].repeats) == (0, 9)
    assert kinds(told.judge(failed("x", task="other@1", at_ms=11_000), 0)) == ["failed"]


def test_a_threshold_of_failures_counts_those_within_its_time():
    told = judge(failed_count=3, failed_within=timedelta(seconds=10), repeat_after=timedelta(0))
    times_s = [0, 5, 20, 24, 29, 30, 60]
    found = [told.judge(failed(str(s), at_ms=s * 1000), 0) for s in times_s]
    assert [len(alerts) for alerts in found] == [0, 0, 0, 0, 1, 1, 0]


def test_only_the_configs_asked_for_are_told_of_and_the_cluster_always():
    told = judge(configs=("shop.*", "nightly"))
    assert told.judge(failed("1", task="other@1"), 0) == []
    assert told.judge(failed("2", task="adhoc"), 0) == []
    assert len(told.judge(failed("3", task="shop.orders@1"), 0)) == 1
    assert len(told.judge(failed("4", task="nightly@manual-x"), 0)) == 1
    assert kinds(told.judge(NobodyLeads(pod="p", idle_s=5), 0)) == ["leaderless"]


def test_a_silence_holds_back_and_what_still_stands_is_told_when_it_is_over():
    told = judge(silences=("22:00-06:00 UTC",))
    night = round(datetime(2026, 1, 5, 23, tzinfo=UTC).timestamp() * 1000)
    morning = night + 8 * 3_600_000
    lost = gauges(worker(gone=True))
    assert told.judge(failed(), night) == []
    assert told.judge(lost, night) == []
    assert told.judge(lost, night + 1000) == []
    assert told.counts.silenced == 3
    assert kinds(told.judge(lost, morning)) == ["worker_lost"]


def test_a_lost_worker_is_told_once_and_when_it_is_back():
    told = judge()
    assert told.judge(gauges(worker()), 1) == []
    (lost,) = told.judge(gauges(worker(gone=True)), 2)
    assert (lost.worker_id, lost.state) == ("w1", "firing")
    assert "not heard of for 30 s" in lost.summary
    assert told.judge(gauges(worker(gone=True)), 3) == []
    (back,) = told.judge(gauges(worker()), 4)
    assert (back.worker_id, back.state, back.summary) == ("w1", "resolved", "worker w1 is back")
    assert told.judge(gauges(worker()), 5) == []


def test_a_worker_that_left_cleanly_or_was_lost_long_ago_is_no_news():
    told = judge()
    told.judge(gauges(worker("a"), worker("b")), 1)
    assert told.judge(gauges(worker("b")), 2) == []
    assert judge().judge(gauges(worker(gone=True, heard_ms=10)), 1) == []


def test_two_leaders_give_the_same_loss_the_same_id():
    (one,) = judge().judge(gauges(worker(gone=True)), 10)
    (two,) = judge().judge(gauges(worker(gone=True)), 99)
    assert one.id == two.id


def test_a_backlog_is_told_by_age_or_size_once_until_it_is_over():
    told = judge(backlog_after=timedelta(seconds=60), backlog_size=100)
    (old,) = told.judge(gauges(ready=3, age_s=61), 1)
    assert old.summary == "the oldest of 3 ready tasks has waited 61 s for a worker"
    assert told.judge(gauges(ready=100, age_s=1), 2) == []
    (over,) = told.judge(gauges(ready=99, age_s=1), 3)
    assert (over.kind, over.state) == (Kind.BACKLOG, "resolved")
    (many,) = told.judge(gauges(ready=100, age_s=1), 4)
    assert many.summary == "100 tasks are ready and wait for a worker"


def a_backlog(age_s, ready=3):
    return gauges(ready=ready, age_s=age_s)


def test_a_backlog_is_not_told_again_by_the_next_leader_but_its_end_is():
    options = {"backlog_after": timedelta(seconds=60)}
    first, second = judge(**options), judge(**options)
    assert [alert.kind for alert in first.judge(a_backlog(61), 0)] == [Kind.BACKLOG]
    assert second.judge(a_backlog(130), 69_000) == []
    assert second.judge(a_backlog(135), 74_000) == []
    (over,) = second.judge(a_backlog(0, ready=0), 80_000)
    assert (over.kind, over.state) == (Kind.BACKLOG, "resolved")
    (anew,) = second.judge(a_backlog(61), 200_000)
    assert anew.state == "firing"


def test_a_backlog_that_perhaps_nobody_told_is_told_once_it_has_lasted():
    told = judge(backlog_after=timedelta(seconds=60), repeat_after=timedelta(minutes=10))
    found = [
        (s, alert.state)
        for s in range(0, 1200, 10)
        for alert in told.judge(a_backlog(3600 + s), s * 1000)
    ]
    assert found == [(600, "firing")]


def test_a_backlog_that_began_about_when_the_leaders_changed_is_told_by_both_with_one_id():
    options = {"backlog_after": timedelta(seconds=60)}
    (one,) = judge(**options).judge(a_backlog(61), 1)
    (two,) = judge(**options).judge(
        attrs.evolve(a_backlog(91), now_ms=a_backlog(0).now_ms + 30_000), 2
    )
    assert one.id == two.id


def test_a_leader_that_leads_again_knows_nothing_of_the_backlog_of_its_last_term():
    told = judge(backlog_after=timedelta(seconds=60))
    assert len(told.judge(a_backlog(61), 0)) == 1
    # Meanwhile another led, under which it was over, and began again.
    assert len(told.judge(a_backlog(70), 3_600_000)) == 1


def test_what_is_remembered_is_bounded():
    told = judge()
    for n in range(MAX_KEYS + 50):
        told.judge(failed(str(n), task=f"adhoc-{n}"), 0)
    assert {len(told._seen), len(told._posted), len(told._failures)} == {MAX_KEYS}


def test_a_store_that_takes_no_writes_is_told_by_each_pod_in_the_stores_words_and_when_it_is_over():
    judging = judge()
    stopped = StoreWrites(pod="p", taken=False, reason="disk", words="the disk is full")
    (alert,) = judging.judge(stopped, 1000)
    assert (alert.kind, alert.state, alert.reason) == (Kind.STORE_READ_ONLY, "firing", "disk")
    assert alert.summary.endswith("the disk is full")
    (other,) = judging.judge(attrs.evolve(stopped, pod="q"), 1000)
    assert other.id != alert.id
    (over,) = judging.judge(StoreWrites(pod="p", taken=True, lasted_s=146.0), 147_000)
    assert (over.kind, over.state, over.value) == (Kind.STORE_READ_ONLY, "resolved", 146_000)
    assert over.summary == "the store takes writes of pod p again, after 146 s"


def broken(loss=Loss.RESTORED, generation=1, pod="p"):
    return HistoryBroken(pod=pod, loss=loss, generation=generation, from_ms=1000)


@pytest.mark.parametrize("loss", [Loss.RESTORED, Loss.REPLACED, Loss.EMPTIED])
def test_a_loss_of_the_past_is_told_by_default_and_says_what_it_was(loss):
    by_default = Judge(AlertOptions(url="https://hooks.example.com/x", secret=SECRET))
    (alert,) = by_default.judge(broken(loss), 5000)
    assert (alert.kind, alert.reason, alert.at_ms) == (Kind.HISTORY, loss.value, 5000)
    assert alert.summary.startswith("the history of the store is broken: ")
    assert alert.summary.endswith("(noticed by p)")


def test_one_break_is_one_alert_whoever_tells_it_and_however_often():
    judging = judge(repeat_after=timedelta(0))
    told = [judging.judge(broken(pod=pod), 5000 + at) for at, pod in enumerate("pq")]
    assert [len(alerts) for alerts in told] == [1, 0]
    assert len(judging.judge(broken(generation=2), 6000)) == 1


def test_an_operators_word_is_told_from_the_log_and_what_pods_told_is_not_told_again():
    declared = entry("history", generation=3, loss="declared", why="disk", **{"from": None})
    (alert,) = judge().judge(declared, 5000)
    assert (alert.kind, alert.reason, alert.value) == (Kind.HISTORY, "declared", 3)
    seen = entry("history", generation=4, loss="restored", **{"from": 1000})
    assert judge().judge(seen, 5000) == []


def unrunnable(lasted_s, reason="no worker has function etl.load", tasks=3):
    return attrs.evolve(
        gauges(), unrunnable=(Unrunnable(reason=reason, tasks=tasks, lasted_s=lasted_s),)
    )


def test_what_nobody_can_run_is_told_once_after_a_while_and_when_it_is_over():
    judging = judge(unrunnable_after=timedelta(seconds=30))
    assert judging.judge(unrunnable(29), 1_000) == []
    (alert,) = judging.judge(unrunnable(30), 2_000)
    assert (alert.kind, alert.state) == (Kind.UNRUNNABLE, "firing")
    assert alert.summary == "3 tasks wait for 30 s: no worker has function etl.load"
    assert alert.reason == "no worker has function etl.load"
    assert judging.judge(unrunnable(40), 3_000) == []
    (over,) = judging.judge(gauges(), 4_000)
    assert (over.kind, over.state, over.worker_id) == (Kind.UNRUNNABLE, "resolved", "")
    assert judging.judge(gauges(), 5_000) == []
    assert kinds(judging.judge(unrunnable(31), 6_000)) == ["unrunnable"]


def test_another_reason_is_another_alert_and_who_wants_none_gets_none():
    judging = judge()
    first = judging.judge(unrunnable(60), 1_000)
    other = judging.judge(unrunnable(60, "no worker has executor grpc", 1), 2_000)
    assert [one.summary for one in other] == [
        "1 task waits for 60 s: no worker has executor grpc",
        "nothing waits any more because no worker has function etl.load",
    ]
    assert first[0].key == other[1].key != other[0].key
    assert judge(kinds=("failed",)).judge(unrunnable(600), 1_000) == []


def full(lasted_s, *workers, demands="gpu=1", tasks=9):
    one = BlockedClass(kind="full", demands=demands, tasks=tasks, lasted_s=lasted_s)
    return attrs.evolve(gauges(*workers), full=(one,))


def busy():
    return attrs.evolve(worker("busy"), running=1)


def test_workers_that_are_full_beside_others_are_told_once_after_a_while_and_when_it_is_over():
    judging = judge(full_after=timedelta(seconds=60))
    assert judging.judge(full(59, busy(), worker("idle")), 1_000) == []
    (alert,) = judging.judge(full(60, busy(), worker("idle")), 2_000)
    assert (alert.kind, alert.state, alert.reason) == (Kind.FULL, "firing", "gpu=1")
    assert alert.summary == (
        "9 tasks wait, the oldest for 60 s: all workers with gpu=1 are full, "
        "though others have room"
    )
    assert judging.judge(full(65, busy()), 3_000) == [], "the others are full for a moment only"
    assert judging.judge(full(70, busy(), worker("idle")), 4_000) == []
    (over,) = judging.judge(full(2, busy(), worker("idle")), 5_000)
    assert (over.kind, over.state, over.worker_id) == (Kind.FULL, "resolved", "")
    assert over.summary == "no task waits long any more for gpu=1"


@pytest.mark.parametrize(
    "away",
    [{"running": 1}, {"gone": True}, {"silent": True}, {"draining": True}, {"stalled": True}],
)
def test_workers_that_are_full_where_no_other_has_room_are_no_alert_of_their_own(away):
    wanted = judge(kinds=("full",), full_after=timedelta(seconds=60))
    other = attrs.evolve(worker("other"), **away)
    assert wanted.judge(full(600, busy(), other), 1_000) == []
    assert kinds(wanted.judge(full(600, busy(), worker("idle")), 2_000)) == ["full"]
    assert judge(kinds=("failed",)).judge(full(6000, busy(), worker("idle")), 1_000) == []
