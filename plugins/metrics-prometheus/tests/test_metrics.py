"""What moves each metric, read from a real page, and the README's table of them."""

import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from dsched import __version__
from dsched.contracts import (
    ClusterGauges,
    EventKind,
    HeartbeatSent,
    InstantsMissed,
    InvariantViolated,
    LogEntry,
    NobodyLeads,
    ObserverTrouble,
    StoreCalled,
    StoreWrites,
    TermChanged,
    ThreadOutlived,
    Unrunnable,
)
from dsched.contracts.observer import BlockedClass, BlockedKind, LimitGauge
from dsched.contracts.store.watching import MissedInstant
from dsched.model import Worker
from dsched_metrics_prometheus.histograms import CountedHistogram
from dsched_metrics_prometheus.metrics import Metrics
from dsched_metrics_prometheus.options import MetricsOptions
from dsched_metrics_prometheus.share_metrics import MAX_WORKERS

README = Path(__file__).parents[1] / "README.md"
Entry = Callable[..., LogEntry]
Read = Callable[[Metrics], Any]
BY = "1:t:pod"  # whom the entries of these tests are by: a worker, where an attempt ended


def worker(name: str, *, running: int = 0, queued: int = 0, **more: bool) -> Worker:
    return Worker(
        id=name, incarnation="1", capacity=4, backlog=4, running=running, queued=queued, **more
    )


PICTURE = ClusterGauges(
    tasks_by_status={"pending": 7, "running": 2},
    waiting_by_home={"ready": 4, "queue": 3, "lease": 2},
    oldest_ready_age_s=1.5,
    workers=(
        worker("w1", running=2, queued=3),
        worker("w2", running=4),
        worker("w3", draining=True),
        worker("w4", gone=True, silent=True),
        worker("w5", silent=True),
        worker("w6"),
    ),
    now_ms=1_700_000_000_000,
    unrunnable=(Unrunnable(reason="no worker has executor x", tasks=5, lasted_s=9.0),),
    blocked={"full": BlockedKind(classes=2, tasks=30, lasted_s=61.5), "nobody": BlockedKind()},
    worst=(BlockedClass(kind="full", demands="zone=eu", tasks=29, lasted_s=61.5),),
    limits=(
        LimitGauge(name="tenant:a", max_running=2, held=2, waiting=40, oldest_s=61.5),
        LimitGauge(name="paced", max_running=None, held=9, waiting=3, oldest_s=7.5),
    ),
)
LEADING = TermChanged(pod="pod-a", leading=True, epoch=17)
NOT_LEADING = TermChanged(pod="pod-a", leading=False, epoch=17, reason="resigned")

K = EventKind
# Entry of the log -> (sample, labels, by how much it grows).
FROM_THE_LOG = [
    (K.FIRED, [{"config": "c", "ms": 1, "task": "c@1", "late": 30}], "dsched_fires_total", {}, 1),
    (
        K.FIRED,
        [{"task": "c@1", "late": 30}, {"task": "c@2", "late": 3}],
        "dsched_schedule_lateness_seconds_sum",
        {},
        0.033,
    ),
    (
        K.FIRED,
        [{"task": "c@1", "late": 30}, {"task": "c@2", "late": 3}],
        "dsched_schedule_lateness_seconds_bucket",
        {"le": "0.005"},
        1,
    ),
    (
        K.SKIPPED,
        [{"config": "c", "first": 1, "last": 9, "count": 5, "reason": "overlap"}],
        "dsched_fires_skipped_total",
        {"reason": "overlap"},
        5,
    ),
    (K.SUBMITTED, [{"task": "a"}, {"task": "b"}], "dsched_tasks_submitted_total", {}, 2),
    (
        K.DISPATCHED,
        [{"task": "a", "worker": "w"}],
        "dsched_dispatches_total",
        {"outcome": "ok"},
        1,
    ),
    (
        K.DEFERRED,
        [{"task": "a", "delay": 2000, "reason": "no worker"}],
        "dsched_dispatches_total",
        {"outcome": "deferred"},
        1,
    ),
    (
        K.RECALLED,
        [{"task": "a", "worker": "w"}],
        "dsched_dispatches_total",
        {"outcome": "failed"},
        1,
    ),
    *(
        (
            K.COMPLETED,
            [{"task": "c@1", "status": status, "attempt": 1, "code": "ok", "run": 40}],
            name,
            {**labels, "outcome": outcome},
            grows,
        )
        for status, outcome in [
            ("success", "success"),
            ("failed", "failed"),
            ("cancelled", "cancelled"),
            ("retrying", "retried"),
        ]
        for name, labels, grows in [
            ("dsched_task_outcomes_total", {}, 1),
            ("dsched_config_task_outcomes_total", {"config": "c"}, 1),
            ("dsched_task_run_seconds_sum", {}, 0.04),
            ("dsched_task_run_seconds_bucket", {"le": "0.05"}, 1),
        ]
    ),
    (
        K.COMPLETED,
        [{"task": "ad-hoc", "status": "success", "run": 1}],
        "dsched_config_task_outcomes_total",
        {"config": "", "outcome": "success"},
        1,
    ),
    (
        K.REAPED,
        [{"task": "c@1", "status": "pending", "crashes": 1, "worker": "w"}],
        "dsched_task_crashes_total",
        {},
        1,
    ),
    (
        K.REAPED,
        [{"task": "c@1", "status": "failed", "crashes": 4, "worker": "w", "reason": "poison"}],
        "dsched_task_outcomes_total",
        {"outcome": "failed"},
        1,
    ),
    (
        K.RELEASED,
        [{"task": "c@1", "status": "pending", "reason": "drain"}],
        "dsched_task_releases_total",
        {},
        1,
    ),
    (
        K.CANCELLED,
        [{"task": "c@1", "status": "cancelled", "reason": "asked"}],
        "dsched_task_outcomes_total",
        {"outcome": "cancelled"},
        1,
    ),
    *(
        (
            K.COMPLETED,
            [{"task": "c@1", "status": "success", "attempt": 1, "code": "ok", "run": 40}],
            name,
            labels,
            grows,
        )
        for name, labels, grows in [
            ("dsched_worker_task_outcomes_total", {"worker": BY, "outcome": "success"}, 1),
            ("dsched_worker_task_run_seconds_sum", {"worker": BY}, 0.04),
            ("dsched_worker_task_run_seconds_bucket", {"worker": BY, "le": "0.05"}, 1),
            ("dsched_config_task_run_seconds_sum", {"config": "c"}, 0.04),
        ]
    ),
    (
        K.REAPED,
        [{"task": "c@1", "status": "pending", "crashes": 1, "worker": "w"}],
        "dsched_worker_task_outcomes_total",
        {"worker": "w", "outcome": "crashed"},
        1,
    ),
    *(
        (
            K.CONFIG,
            [
                {"config": "c", "act": "paused", "revision": 1, "who": "dsched", "why": why},
                {"config": "d", "act": "paused", "revision": 1, "why": "by hand"},
            ],
            "dsched_config_pauses_total",
            {"reason": reason},
            1,
        )
        for why, reason in [
            ("3 failures in a row: last c@1: 503", "failures"),
            ("max_runs: it has fired 3 of 3 times", "max_runs"),
        ]
    ),
    (K.CLOCK_BACK, [{"back": 5000, "gen": 2}], "dsched_clock_steps_back_total", {}, 1),
    (K.GAP, [{"dropped": 12}], "dsched_events_dropped_total", {}, 12),
]

STORE = StoreCalled(step="claim", seconds=0.003, outcome="ok")
BEAT = HeartbeatSent(worker_id="w", delay_s=0.2, running=3, capacity=8)
TROUBLE = ObserverTrouble(observer="mail", dropped=9, failed=2)
# Any other notice -> (sample, labels, its value).
FROM_NOTICES = [
    (LEADING, "dsched_leader_elections_total", {}, 1),
    (LEADING, "dsched_is_leader", {}, 1),
    (LEADING, "dsched_leader_epoch", {"pod": "pod-a"}, 17),
    (PICTURE, "dsched_tasks", {"status": "pending"}, 7),
    (PICTURE, "dsched_tasks_at_home", {"home": "queue"}, 3),
    (PICTURE, "dsched_oldest_ready_task_age_seconds", {}, 1.5),
    (PICTURE, "dsched_unrunnable_tasks", {"reason": "no worker has executor x"}, 5),
    (PICTURE, "dsched_blocked_classes", {"kind": "full"}, 2),
    (PICTURE, "dsched_blocked_classes", {"kind": "nobody"}, 0),
    (PICTURE, "dsched_blocked_tasks", {"kind": "full"}, 30),
    (PICTURE, "dsched_blocked_seconds", {"kind": "full"}, 61.5),
    (PICTURE, "dsched_blocked_class_tasks", {"kind": "full", "demands": "zone=eu"}, 29),
    (PICTURE, "dsched_blocked_class_seconds", {"kind": "full", "demands": "zone=eu"}, 61.5),
    (PICTURE, "dsched_limit_max_running", {"limit": "tenant:a"}, 2),
    (PICTURE, "dsched_limit_held", {"limit": "tenant:a"}, 2),
    (PICTURE, "dsched_limit_waiting", {"limit": "tenant:a"}, 40),
    (PICTURE, "dsched_limit_oldest_waiting_seconds", {"limit": "paced"}, 7.5),
    (PICTURE, "dsched_demand_slots", {}, 9),
    (PICTURE, "dsched_wanted_workers", {}, 3),
    (PICTURE, "dsched_workers_online", {}, 4),
    (PICTURE, "dsched_workers", {"status": "idle"}, 1),
    (PICTURE, "dsched_workers", {"status": "busy"}, 2),
    (PICTURE, "dsched_workers", {"status": "draining"}, 1),
    (PICTURE, "dsched_workers", {"status": "silent"}, 1),
    (PICTURE, "dsched_workers", {"status": "gone"}, 1),
    (PICTURE, "dsched_worker_running_tasks", {"worker": "w1"}, 2),
    (PICTURE, "dsched_worker_capacity", {"worker": "w1"}, 4),
    (PICTURE, "dsched_worker_queue_depth", {"worker": "w1"}, 3),
    (BEAT, "dsched_heartbeat_delay_seconds_sum", {}, 0.2),
    (BEAT, "dsched_heartbeat_delay_seconds_bucket", {"le": "0.25"}, 1),
    (BEAT, "dsched_own_running_tasks", {"worker": "w"}, 3),
    (BEAT, "dsched_own_capacity", {"worker": "w"}, 8),
    (STORE, "dsched_store_step_seconds_sum", {"step": "claim", "outcome": "ok"}, 0.003),
    (ThreadOutlived(task_id="t", worker_id="w"), "dsched_threads_outlived_total", {}, 1),
    (
        InvariantViolated(name="I4", detail="..."),
        "dsched_invariant_violations_total",
        {"invariant": "I4"},
        1,
    ),
    (
        InstantsMissed(pod="p", epoch=0, missed=(MissedInstant("c", 1),) * 3, now_ms=9),
        "dsched_instants_missed_total",
        {"reason": "leaderless"},
        3,
    ),
    (
        InstantsMissed(pod="p", epoch=7, missed=(MissedInstant("c", 1),), now_ms=9),
        "dsched_instants_missed_total",
        {"reason": "unfired"},
        1,
    ),
    (NobodyLeads(pod="p", idle_s=70.0), "dsched_leaderless_total", {}, 1),
    (TROUBLE, "dsched_observer_notices_dropped_total", {"observer": "mail"}, 9),
    (TROUBLE, "dsched_observer_notices_failed_total", {"observer": "mail"}, 2),
]


@pytest.mark.parametrize(("kind", "items", "name", "labels", "grows"), FROM_THE_LOG)
async def test_an_entry_of_the_log_moves_its_metric(
    open_page: Any, entry: Entry, kind: EventKind, items: Any, name: str, labels: Any, grows: float
) -> None:
    async with open_page() as page:
        before = (await page.scrape()).value(name, **labels) or 0
        page.observer.notify(entry(kind, *items))
        once = await page.scrape()
        page.observer.notify(entry(kind, *items))
        twice = await page.scrape()
    assert once.value(name, **labels) == pytest.approx(before + grows)
    assert twice.value(name, **labels) == pytest.approx(before + 2 * grows)


@pytest.mark.parametrize(("notice", "name", "labels", "value"), FROM_NOTICES)
async def test_a_notice_moves_its_metric(
    open_page: Any, notice: Any, name: str, labels: Any, value: float
) -> None:
    async with open_page() as page:
        assert not (await page.scrape()).value(name, **labels)
        page.observer.notify(notice)
        assert (await page.scrape()).value(name, **labels) == pytest.approx(value)


# Shown from the start; they have tests of their own.
ALWAYS = {"dsched_store_writable", "dsched_build_info"}


def test_every_metric_of_the_readme_is_moved_by_a_test_above() -> None:
    moved = {row[2] for row in FROM_THE_LOG} | {row[1] for row in FROM_NOTICES}
    moved = {re.sub(r"_(sum|bucket)$", "", name) for name in moved}
    assert {name for name, *_ in readme_table()} == moved | ALWAYS


# --- the leader only -------------------------------------------------------------------------


def test_the_picture_of_the_cluster_goes_with_the_leadership(read: Read) -> None:
    metrics = Metrics(MetricsOptions())
    empty = read(metrics)
    for notice in (LEADING, PICTURE):
        metrics.notify(notice)
    shown = read(metrics)
    metrics.notify(NOT_LEADING)
    after = read(metrics)
    assert {"dsched_tasks", "dsched_workers_online", "dsched_leader_epoch"} <= shown.names()
    assert empty.names() == after.names()
    assert after.value("dsched_is_leader") == 0
    assert after.value("dsched_leader_elections_total") == 1  # a total stays


def test_a_worker_that_left_is_not_shown_any_more(read: Read) -> None:
    metrics = Metrics(MetricsOptions())
    metrics.notify(PICTURE)
    metrics.notify(
        ClusterGauges(
            tasks_by_status={},
            waiting_by_home={},
            oldest_ready_age_s=0.0,
            workers=(worker("w2"),),
            now_ms=1_700_000_005_000,
        )
    )
    samples = read(metrics)
    assert samples.value("dsched_worker_capacity", worker="w1") is None
    assert samples.value("dsched_worker_capacity", worker="w2") == 4


def test_a_picture_that_is_not_renewed_is_dropped(read: Read) -> None:
    now = [100.0]
    metrics = Metrics(MetricsOptions(stale_after_s=60), monotonic=lambda: now[0])
    metrics.notify(PICTURE)
    now[0] += 59
    assert read(metrics).value("dsched_workers_online") == 4
    now[0] += 2
    assert read(metrics).value("dsched_workers_online") is None


# --- repeats ---------------------------------------------------------------------------------


def test_an_entry_that_comes_again_is_not_counted_again(read: Read, entry: Entry) -> None:
    metrics = Metrics(MetricsOptions())
    first, second = (entry(K.SUBMITTED, {"task": name}) for name in "ab")
    for notice in (first, second, NOT_LEADING, first, second, second):
        metrics.notify(notice)
    assert read(metrics).value("dsched_tasks_submitted_total") == 2


def test_entries_are_told_apart_whatever_a_cursor_looks_like(read: Read, entry: Entry) -> None:
    metrics = Metrics(MetricsOptions())
    for cursor in ("9", "10", "1-9", "1-10", "abc"):  # as text, "10" comes before "9"
        metrics.notify(entry(K.SUBMITTED, {"task": "a"}, cursor=cursor))
    assert read(metrics).value("dsched_tasks_submitted_total") == 5


def test_remembering_entries_takes_bounded_room(entry: Entry) -> None:
    metrics = Metrics(MetricsOptions())
    for _ in range(5000):
        metrics.notify(entry(K.CLAIMED))
    assert len(metrics._tasks._seen) == 4096


# --- labels ----------------------------------------------------------------------------------


def test_configs_beyond_the_cap_become_other(read: Read, entry: Entry) -> None:
    metrics = Metrics(MetricsOptions(max_configs=2))
    items = [{"task": f"c{index % 5}@{index}", "status": "success"} for index in range(50)]
    metrics.notify(entry(K.COMPLETED, *items))
    samples = read(metrics)
    name = "dsched_config_task_outcomes_total"
    by_config = {dict(labels)["config"]: value for (of, labels), value in samples.items()
                 if of == name}  # fmt: skip
    assert by_config == {"c0": 10, "c1": 10, "other": 30}
    assert samples.value("dsched_task_outcomes_total", outcome="success") == 50


def test_with_a_cap_of_zero_no_config_is_named(read: Read, entry: Entry) -> None:
    metrics = Metrics(MetricsOptions(max_configs=0))
    metrics.notify(entry(K.COMPLETED, {"task": "secret-plan@1", "status": "success", "run": 1}))
    assert b"secret-plan" not in metrics.render()
    assert read(metrics).value(
        "dsched_config_task_outcomes_total", config="other", outcome="success"
    ) == 1  # fmt: skip


def test_no_task_id_ever_becomes_a_label(entry: Entry) -> None:
    metrics = Metrics(MetricsOptions())
    metrics.notify(ThreadOutlived(task_id="needle", worker_id="w"))
    for kind in EventKind:
        item = {"task": "needle", "config": "needle", "status": "failed", "run": 1, "late": 1}
        metrics.notify(entry(kind, item))
        metrics.notify(entry(kind, {**item, "task": "c@needle"}))
    assert b"needle" not in metrics.render()


@pytest.mark.parametrize(
    "notices",
    [
        [StoreCalled(step=f"s{n}", seconds=0.1, outcome=f"o{n}") for n in range(1000)],
        [InvariantViolated(name=f"I{n}", detail="") for n in range(1000)],
        [ObserverTrouble(observer=f"o{n}", dropped=1, failed=1) for n in range(1000)],
        [HeartbeatSent(worker_id=f"w{n}", delay_s=0, running=1, capacity=1) for n in range(1000)],
    ],
    ids=["steps", "invariants", "observers", "workers"],
)
def test_every_other_label_has_a_bound_too(read: Read, notices: list[Any]) -> None:
    metrics = Metrics(MetricsOptions())
    for notice in notices:
        metrics.notify(notice)
    assert len(read(metrics)) < 2500


def test_labels_are_escaped(read: Read) -> None:
    metrics = Metrics(MetricsOptions())
    evil = 'a"} 1\nforged{x="\\'
    metrics.notify(InvariantViolated(name=evil, detail=""))
    samples = read(metrics)
    assert samples.value("dsched_invariant_violations_total", invariant=evil) == 1
    assert "forged" not in samples.names()


def test_an_item_without_what_was_promised_spoils_nothing_beside_it(
    read: Read, entry: Entry
) -> None:
    metrics = Metrics(MetricsOptions())
    metrics.notify(entry(K.COMPLETED, {}, {"task": 5, "status": [], "run": "x"}))
    metrics.notify(
        entry(K.COMPLETED, {"run": True}, {"task": "c@1", "status": "failed", "run": -5})
    )
    metrics.notify(entry(K.FIRED, {"late": None}, {"late": 10}))
    samples = read(metrics)
    assert samples.value("dsched_config_task_outcomes_total", config="c", outcome="failed") == 1
    assert samples.value("dsched_task_run_seconds_sum", outcome="failed") == 0
    assert samples.value("dsched_schedule_lateness_seconds_count") == 1


def test_tasks_that_ended_alike_are_counted_each_and_observed_together(
    read: Read, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed = []
    observe = CountedHistogram.observe_alike
    monkeypatch.setattr(
        CountedHistogram,
        "observe_alike",
        lambda self, amount, count: (observed.append(count), observe(self, amount, count)),
    )
    ended = [{"task": f"c@{n}", "status": "success", "run": 3} for n in range(98)]
    others = [{"task": "d@1", "status": "success", "run": 3}]
    slower = [{"task": "c@98", "status": "failed", "run": 70_000}]
    metrics = Metrics(MetricsOptions())
    metrics.notify(entry(K.COMPLETED, *ended, *others, *slower))
    assert sorted(observed) == [1] * 6 + [98] * 3, "three histograms, three kinds of ends"
    samples = read(metrics)
    runs = "dsched_task_run_seconds"
    assert samples.value(f"{runs}_count", outcome="success") == 99
    assert samples.value(f"{runs}_sum", outcome="success") == pytest.approx(0.297)
    assert samples.value(f"{runs}_bucket", outcome="success", le="0.001") == 0
    assert samples.value(f"{runs}_bucket", outcome="success", le="0.005") == 99
    assert samples.value(f"{runs}_bucket", outcome="failed", le="60.0") == 0
    assert samples.value(f"{runs}_bucket", outcome="failed", le="120.0") == 1
    assert samples.value("dsched_config_task_run_seconds_count", config="c") == 99
    assert samples.value("dsched_config_task_run_seconds_count", config="d") == 1


def test_a_kind_of_notice_that_is_not_known_is_ignored(read: Read) -> None:
    metrics = Metrics(MetricsOptions())
    before = _ours(read(metrics))
    metrics.notify(object())  # type: ignore[arg-type]
    assert before == _ours(read(metrics))


def _ours(samples: dict[Any, float]) -> dict[Any, float]:
    """Without those of the process, whose time goes on."""
    return {key: value for key, value in samples.items() if key[0].startswith("dsched_")}


# --- the README ------------------------------------------------------------------------------


def readme_table() -> list[tuple[str, str, set[str]]]:
    rows = re.findall(r"^\| `(dsched_\w+)` \| (\w+) \|([^|]*)\|", README.read_text(), re.MULTILINE)
    return [(name, kind, {each.strip() for each in labels.split(",")} - {""})
            for name, kind, labels in rows]  # fmt: skip


def test_the_readme_lists_every_metric_with_its_type_and_labels(entry: Entry) -> None:
    metrics = Metrics(MetricsOptions())
    for kind, items, *_ in FROM_THE_LOG:  # so that each has a sample, and with it its labels
        metrics.notify(entry(kind, *items))
    for notice, *_ in FROM_NOTICES:
        metrics.notify(notice)
    found = {}
    for family in metrics.registry.collect():
        if family.name.startswith("process_"):
            continue  # the usual ones, by their own names
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = (family.type, labels)
    assert {name: (kind, labels) for name, kind, labels in readme_table()} == found


def test_the_readme_says_each_default(entry: Entry) -> None:
    text, options = README.read_text(), MetricsOptions()
    for name, shown in [
        ("bind", f"`{options.bind}`"),
        ("port", "9464"),
        ("max_configs", str(options.max_configs)),
        ("stale_after_s", f"{options.stale_after_s:g}"),
    ]:
        assert f"| `metrics.{name}` | {shown} |" in text


def test_the_page_has_no_series_of_creation_times(entry: Entry) -> None:
    metrics = Metrics(MetricsOptions())
    for kind, items, *_ in FROM_THE_LOG:
        metrics.notify(entry(kind, *items))
    assert b"_created" not in metrics.render()


def test_whether_the_store_takes_writes_is_one_series_at_a_time(read: Read) -> None:
    metrics = Metrics(MetricsOptions())
    assert _writable(read(metrics)) == {"": 1}
    metrics.notify(StoreWrites(pod="p", taken=False, reason="memory", words="OOM"))
    assert _writable(read(metrics)) == {"memory": 0}
    metrics.notify(StoreWrites(pod="p", taken=True, lasted_s=3.0))
    assert _writable(read(metrics)) == {"": 1}


def _writable(samples: Any) -> dict[str, float]:
    found = {name: value for name, value in samples.items() if name[0] == "dsched_store_writable"}
    return {dict(labels).get("reason", ""): value for (_, labels), value in found.items()}


def test_build_and_process_are_shown_from_the_start(read: Read) -> None:
    samples = read(Metrics(MetricsOptions()))
    python = platform.python_version()
    assert samples.value("dsched_build_info", version=__version__, python=python) == 1
    if sys.platform == "linux":
        assert samples.value("process_resident_memory_bytes") > 1_000_000
        assert samples.value("process_open_fds") > 0


def test_workers_that_are_gone_long_make_room_for_others(entry: Entry, read: Read) -> None:
    metrics = Metrics(MetricsOptions())
    for number in range(MAX_WORKERS + 5):
        gone = {"task": "c@1", "status": "pending", "crashes": 1, "worker": f"w{number}"}
        metrics.notify(entry(K.REAPED, gone))
        done = {"task": "c@1", "status": "success", "attempt": 1, "code": "ok", "run": 4}
        event = attrs.evolve(entry(K.COMPLETED, done).event, by=f"w{number}")
        metrics.notify(LogEntry(event=event))
    shown = {
        dict(labels)["worker"]
        for name, labels in read(metrics)
        if name.startswith("dsched_worker_task")
    }
    assert shown == {f"w{number}" for number in range(5, MAX_WORKERS + 5)}
