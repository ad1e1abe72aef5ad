"""The settings' defaults, and their limits with key and reason."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dsched.config import (
    LogSettings,
    PluginSettings,
    PodSettings,
    ScheduleSettings,
    Settings,
    TaskSettings,
    WorkerSettings,
    read_settings,
)
from dsched.loading import Catalogue
from dsched.model import InvalidConfigError

S = timedelta(seconds=1)


def test_the_defaults_are_those_of_the_design() -> None:
    settings = Settings()
    assert settings.schedule == ScheduleSettings(
        leader_lock_ttl=10 * S,
        leader_renew_interval=3 * S,
        scan_interval=5 * S,
        balancer="least-tasks",
        dispatch_timeout=15 * S,
    )
    assert settings.worker == WorkerSettings(
        id="",
        heartbeat_interval=10 * S,
        heartbeat_timeout=30 * S,
        max_concurrent_tasks=10,
        backlog=None,
        labels={},
        drain_timeout=25 * S,
        address="",
    )
    assert settings.task == TaskSettings(
        default_timeout=300 * S,
        max_retry=3,
        retry_delay=10 * S,
        backoff_rate=2.0,
        result_ttl=timedelta(days=7),
    )
    assert settings.store == "sqlite"
    assert settings.pod == PodSettings(name="")
    assert settings.plugins == PluginSettings(enabled=(), disabled=())
    assert settings.log == LogSettings(format="console", level="info")


def test_a_backlog_that_is_not_given_is_the_capacity() -> None:
    assert WorkerSettings(max_concurrent_tasks=7).queue_bound == 7
    assert WorkerSettings(max_concurrent_tasks=7, backlog=0).queue_bound == 0


LONG_LABELS = "{" + ", ".join(f"k{i}: x" for i in range(65)) + "}"

# A section of the file, and the problems it has: (path, reason).
BAD = {
    "a renew interval over a third of the TTL": (
        "schedule: {leader_lock_ttl: 10s, leader_renew_interval: 3400ms}",
        [
            (
                "schedule.leader_renew_interval",
                (
                    "must be at most a third of leader_lock_ttl (10s), so that two may fail; "
                    "got 3s400ms"
                ),
            )
        ],
    ),
    "a heartbeat interval over a third of its timeout": (
        "worker: {heartbeat_interval: 11s}",
        [
            (
                "worker.heartbeat_interval",
                "must be at most a third of heartbeat_timeout (30s), so that two may fail; got 11s",
            )
        ],
    ),
    "a timeout shortened below its default interval": (
        "worker: {heartbeat_timeout: 20s}",
        [
            (
                "worker.heartbeat_interval",
                "must be at most a third of heartbeat_timeout (20s), so that two may fail; got 10s",
            )
        ],
    ),
    "no capacity": (
        "worker: {max_concurrent_tasks: 0}",
        [("worker.max_concurrent_tasks", "must be 1 to 10000, got 0")],
    ),
    "a negative backlog": (
        "worker: {backlog: -1}",
        [("worker.backlog", "must be 0 to 100000, got -1")],
    ),
    "a worker id with a space": (
        "worker: {id: a b}",
        [
            (
                "worker.id",
                (
                    "'a b' is not valid: it must start with a letter or digit and have at most 128 "
                    "of A-Z a-z 0-9 _ . : -"
                ),
            )
        ],
    ),
    "a pod name with the scheduler's sign": (
        "pod: {name: a@b}",
        [("pod.name", "'a@b' is not valid: '@' is reserved for the scheduler's own ids")],
    ),
    "a number for text": (
        "pod: {name: 12}",
        [("pod.name", "must be text, got a number (12); put it in quotes")],
    ),
    "a switch for a number": (
        "worker: {max_concurrent_tasks: yes}",
        [("worker.max_concurrent_tasks", "must be a whole number, got true or false (True)")],
    ),
    "a fraction for a whole number": (
        "worker: {max_concurrent_tasks: 1.5}",
        [("worker.max_concurrent_tasks", "must be a whole number, got a number (1.5)")],
    ),
    "labels that are not text": (
        "worker: {labels: {zone: 1, ok: x}}",
        [("worker.labels.zone", "must be text, got a number (1); put it in quotes")],
    ),
    "too many labels": (
        f"worker: {{labels: {LONG_LABELS}}}",
        [("worker.labels", "at most 64 labels, got 65")],
    ),
    "an address with a control character": (
        'worker: {address: "a\\nb"}',
        [("worker.address", "must be at most 256 printable characters")],
    ),
    "durations without unit, negative and finer than can be": (
        "task: {default_timeout: 5, retry_delay: -1s, result_ttl: 1us}",
        [
            ("task.default_timeout", "5 has no unit; add a unit, such as 5s or 5ms"),
            ("task.retry_delay", "-1s is negative; only 0s and more is possible here"),
            ("task.result_ttl", "1us is finer than a millisecond; use whole milliseconds"),
        ],
    ),
    "a retention out of bounds": (
        "{task: {keep_failed: 1ms, keep_success_count: 0, stats_ttl: 1m}, "  # noqa: ISC004
        "schedule: {missed_after: 100ms}}",
        [
            ("schedule.missed_after", "must be 1s to 1d, got 100ms"),
            ("task.keep_success_count", "must be 1 to 100000000, got 0"),
            ("task.keep_failed", "must be 1s to 3650d, got 1ms"),
            ("task.stats_ttl", "must be 1h to 366d, got 1m"),
        ],
    ),
    "a timeout of nothing": (
        "task: {default_timeout: 0s}",
        [("task.default_timeout", "must be 1ms to 3650d, got 0s")],
    ),
    "a retry policy that cannot be": (
        "task: {max_retry: -1, backoff_rate: .nan}",
        [
            ("task.max_retry", "must be 0 to 1000000, got -1"),
            ("task.backoff_rate", "must be 1 to 100, got nan"),
        ],
    ),
    "an unknown log format": (
        "log: {format: xml, level: INFO}",
        [
            ("log.format", "must be one of console, json; got text ('xml')"),
            ("log.level", "must be one of debug, info, warning, error; got text ('INFO')"),
        ],
    ),
    "text for a list": (
        "plugins: {enabled: dsched-balancers}",
        [("plugins.enabled", "must be a list, got text ('dsched-balancers')")],
    ),
    "a list for a section": (
        "task: [1]",
        [("task", "must be a mapping of keys to values, got a list")],
    ),
    "an unknown key with a neighbour": (
        "schedule: {balancr: least-tasks}",
        [("schedule.balancr", "is not a known key; did you mean 'balancer'?")],
    ),
    "an unknown key without one": (
        "log: {zzz: 1}",
        [("log.zzz", "is not a known key; there is format, level")],
    ),
    "an empty store": (
        'store: ""',
        [("store", "name one, such as sqlite or redis")],
    ),
    "several wrongs of one section": (
        "worker: {heartbeat_timeout: 20s, max_concurrent_tasks: 0, backlog: x, lables: {}}",
        [
            ("worker.lables", "is not a known key; did you mean 'labels'?"),
            ("worker.backlog", "must be a whole number, got text ('x')"),
            ("worker.max_concurrent_tasks", "must be 1 to 10000, got 0"),
            (
                "worker.heartbeat_interval",
                "must be at most a third of heartbeat_timeout (20s), so that two may fail; got 10s",
            ),
        ],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_setting_is_refused_with_key_and_reason(
    case: str, write: Any, refused: Any, catalogue: Catalogue
) -> None:
    text, problems = BAD[case]
    found = refused(read_settings, write(text), {}, {}, catalogue)
    assert found == [("dsched.yaml", path, reason) for path, reason in problems]


def test_settings_made_in_code_have_the_same_limits() -> None:
    with pytest.raises(InvalidConfigError, match="leader_renew_interval: must be at most a third"):
        ScheduleSettings(leader_renew_interval=5 * S)


def test_a_third_exactly_is_allowed(write: Any, catalogue: Catalogue) -> None:
    path = write("schedule: {leader_lock_ttl: 3s, leader_renew_interval: 1s}")
    loaded = read_settings(path, {}, {}, catalogue)
    assert loaded.settings.schedule.leader_renew_interval == S


def test_labels_cannot_be_changed_afterwards() -> None:
    labels = {"zone": "eu"}
    settings = WorkerSettings(labels=labels)
    labels["zone"] = "us"
    assert settings.labels == {"zone": "eu"}


def test_the_example_of_the_design_is_read(
    write: Any, catalogue: Catalogue, options: Any, tmp_path: Path
) -> None:
    text = """
schedule: {leader_lock_ttl: 10s, leader_renew_interval: 3s, scan_interval: 5s,
  balancer: least-tasks}
worker:   {id: "", heartbeat_interval: 10s, heartbeat_timeout: 30s, max_concurrent_tasks: 10,
  labels: {}, drain_timeout: 25s}
task:     {default_timeout: 5m, max_retry: 3, retry_delay: 10s, backoff_rate: 2.0, result_ttl: 7d}
store:    sqlite
sqlite:   {path: dsched.db}
redis:    {addr: "localhost:6379", password: "", db: 0, pool_size: 10, key_prefix: ""}
pod:      {name: ""}
executors:
  http:   {allow: []}
plugins:  {enabled: [], disabled: []}
"""
    loaded = read_settings(write(text, mode=0o644), {"POD_NAME": "pod-1"}, {}, catalogue)
    given, defaults = loaded.settings, Settings()
    assert (given.schedule, given.worker, given.task) == (
        defaults.schedule,
        defaults.worker,
        defaults.task,
    )
    assert loaded.stores["redis"] == options.redis()
    assert loaded.warnings == ()


def test_a_section_of_a_store_where_none_was_chosen_is_a_warning(
    write: Any, catalogue: Catalogue
) -> None:
    loaded = read_settings(write("redis: {addr: 'h:1'}"), {}, {}, catalogue)
    (warning,) = loaded.warnings
    assert warning.startswith("the section redis is not used: store is not set, so it is sqlite.")
    assert warning.endswith("Set `store: redis` to use it, or `store: sqlite` if that is meant")


@pytest.mark.parametrize(
    "text",
    ["store: redis\nredis: {addr: 'h:1'}", "store: sqlite\nredis: {db: 1}", "redis:", "redis: {}"],
)
def test_a_section_beside_a_choice_or_one_that_says_nothing_is_none(
    text: str, write: Any, catalogue: Catalogue
) -> None:
    assert read_settings(write(text), {}, {}, catalogue).warnings == ()
