"""Task files: what is accepted, and everything that is refused, with file, path and reason."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from dsched.config import ConfigError, TaskSettings
from dsched.config.task_file import read_tasks, task_from_mapping
from dsched.loading import Catalogue, load_catalogue
from dsched.model import DstGap, Misfire, Overlap, RetryPolicy, TaskConfig

DEFAULTS = TaskSettings()
M = timedelta(minutes=1)


@pytest.fixture
def read(write: Any, catalogue: Catalogue) -> Any:
    def read_text(text: str, defaults: TaskSettings = DEFAULTS) -> list[TaskConfig]:
        return read_tasks(write(text, "tasks.yaml"), defaults=defaults, catalogue=catalogue)

    return read_text


def test_the_example_of_the_design_is_read(read: Any) -> None:
    (config,) = read("""
tasks:
  - id: report
    name: Daily report
    cron_expr: "30 2 * * *"
    timezone: Europe/Berlin
    executor: http
    payload: {method: POST, url: "https://reports.example.com/run", json: {day: yesterday}}
    timeout: 2m
    retry: {max_retries: 5, retry_delay: 10s, backoff_rate: 2.0}
""")
    assert config == TaskConfig(
        id="report",
        name="Daily report",
        cron_expr="30 2 * * *",
        timezone="Europe/Berlin",
        executor="http",
        type="http",
        payload={
            "method": "POST",
            "url": "https://reports.example.com/run",
            "json": {"day": "yesterday"},
        },
        timeout=2 * M,
        origin="file:tasks",
        retry=RetryPolicy(max_retries=5, retry_delay=timedelta(seconds=10), backoff_rate=2.0),
    )


def test_every_field_can_be_given(read: Any) -> None:
    (config,) = read("""
tasks:
  - id: all
    executor: local
    payload: [1, null, {a: 1.5}]
    every: 1h30m
    timezone: Asia/Shanghai
    dst_gap: skip
    start_at: 2026-01-31T09:00:00+08:00
    end_at: "2027-01-31T09:00:00Z"
    jitter: 30s
    misfire: fire_all
    misfire_grace: 5m
    misfire_cap: 7
    overlap: queue_all
    start_deadline: 10m
    on_crash: fail
    max_crashes: 1
    priority: 9
    labels: {team: a}
    required_labels: {gpu: "yes"}
    affinity_key: k
    owner: me
    enabled: false
""")
    assert config.payload == [1, None, {"a": 1.5}]
    assert config.every == 90 * M
    assert config.dst_gap is DstGap.SKIP
    assert config.misfire is Misfire.FIRE_ALL
    assert config.overlap is Overlap.QUEUE_ALL
    assert config.start_at == datetime(2026, 1, 31, 9, tzinfo=timezone(timedelta(hours=8)))
    assert config.end_at == datetime(2027, 1, 31, 9, tzinfo=UTC)
    assert (config.jitter, config.start_deadline) == (M / 2, 10 * M)
    assert (config.labels, config.required_labels) == ({"team": "a"}, {"gpu": "yes"})
    assert (config.enabled, config.priority, config.max_crashes) == (False, 9, 1)


def test_an_instant_may_be_text_or_a_date_of_yaml(read: Any) -> None:
    first, second = read("""
tasks:
  - {id: a, executor: local, at: 2026-01-31T09:00:00Z}
  - {id: b, executor: local, at: "2026-01-31T10:00:00+01:00"}
""")
    assert first.at == second.at == datetime(2026, 1, 31, 9, tzinfo=UTC)


def test_the_settings_fill_in_timeout_and_retry_where_the_file_says_nothing(read: Any) -> None:
    defaults = TaskSettings(default_timeout=7 * M, max_retry=9, retry_delay=M, backoff_rate=3.0)
    nothing, some, all_ = read(
        """
tasks:
  - {id: a, executor: local, every: 1h}
  - {id: b, executor: local, every: 1h, retry: {max_retries: 1, jitter: 0}}
  - {id: c, executor: local, every: 1h, timeout: 1m,
     retry: {max_retries: 0, retry_delay: 1s, backoff_rate: 1}}
""",
        defaults,
    )
    assert nothing.timeout == 7 * M
    assert nothing.retry == RetryPolicy(max_retries=9, retry_delay=M, backoff_rate=3.0)
    assert some.retry == RetryPolicy(max_retries=1, retry_delay=M, backoff_rate=3.0, jitter=0.0)
    assert all_.timeout == M
    assert all_.retry == RetryPolicy(
        max_retries=0, retry_delay=timedelta(seconds=1), backoff_rate=1.0
    )


def test_a_type_alone_chooses_the_executor_and_an_executor_alone_its_type(read: Any) -> None:
    configs = read("""
tasks:
  - {id: a, type: rpc, every: 1h}
  - {id: b, executor: grpc, every: 1h}
  - {id: c, executor: grpc, type: rpc, every: 1h}
""")
    assert {(config.executor, config.type) for config in configs} == {("grpc", "rpc")}


def test_a_file_without_tasks_in_its_list_has_none(read: Any) -> None:
    assert read("tasks: []") == []


LINES = "executor: local, every: 1h"

BAD_FILES = {
    "an empty file": ("", [("", "must have a list under the key `tasks`; there is nothing")]),
    "no list": ("tasks: {a: 1}", [("tasks", "must be a list of tasks (`- id: ...`)")]),
    "nothing in the list": ("tasks:", [("tasks", "must be a list of tasks (`- id: ...`)")]),
    "a bare list": (
        "- id: a",
        [("", "must have a list under the key `tasks`; there is no such key")],
    ),
    "a misspelt key": (
        "task: []",
        [
            ("", "must have a list under the key `tasks`; there is no such key"),
            ("task", "is not a known key; did you mean 'tasks'?"),
        ],
    ),
    "a key too many": (
        "tasks: []\ndefaults: {}",
        [("defaults", "is not a known key; there is calendars, limits, tasks")],
    ),
    "a task that is no mapping": (
        "tasks: [a, null]",
        [
            ("tasks[0]", "must be a mapping with the keys of a task, such as id"),
            ("tasks[1]", "must be a mapping with the keys of a task, such as id"),
        ],
    ),
    "the same key twice": (
        f"tasks:\n  - {{id: a, {LINES}, every: 2h}}",
        [("tasks[0].every", "is there twice, first in line 2; remove one")],
    ),
    "the same id twice": (
        f"tasks:\n  - {{id: a, {LINES}}}\n  - {{id: b, {LINES}}}\n  - {{id: a, {LINES}}}",
        [("tasks[2].id", "is the id of tasks[0] too; ids are unique, rename one")],
    ),
    "too many tasks": (
        "tasks: [" + "a," * 10_001 + "]",
        [("tasks", "has 10001 tasks; at most 10000 a file are allowed, split it")],
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused(case: str, read: Any, refused: Any) -> None:
    text, problems = BAD_FILES[case]
    assert refused(read, text) == [("tasks.yaml", path, reason) for path, reason in problems]


def test_a_bomb_is_refused(read: Any, refused: Any) -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 20)
    )
    ((file, path, reason),) = refused(read, bomb)
    assert (file, path) == ("tasks.yaml", "")
    assert "values once aliases are followed" in reason


def test_all_problems_of_a_file_come_in_one_report_in_the_order_of_its_lines(read: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        read("""
tasks:
  - id: a
    executor: nope
    every: 1h
  - id: a
    executor: local
    every: 5
    every: 6
  - id: "{x}"
    executor: local
    every: 1h
    parents: [a]
""")
    shown = [str(problem).split(": ")[:2] for problem in caught.value.problems]
    assert shown == [
        ["tasks.yaml:4", "tasks[0].executor"],
        ["tasks.yaml:6", "tasks[1].id"],
        ["tasks.yaml:8", "tasks[1].every"],
        ["tasks.yaml:9", "tasks[1].every"],
        ["tasks.yaml:10", "tasks[2].id"],
        ["tasks.yaml:13", "tasks[2].parents"],
    ]


def test_a_report_of_very_many_problems_is_cut_but_says_so(read: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        read("tasks: [" + "a," * 500 + "]")
    assert len(caught.value.problems) == 500
    assert str(caught.value).splitlines()[-1] == "... and 400 problems more"


def test_without_any_executor_the_report_says_so(write: Any, refused: Any) -> None:
    path = write("tasks:\n  - {id: a, type: http, every: 1h}", "tasks.yaml")
    ((_, _, reason),) = refused(
        read_tasks, path, defaults=DEFAULTS, catalogue=load_catalogue(path=[])
    )
    assert reason == (
        "no installed executor runs type 'http'; installed types: none; "
        'pip install "dsched[standard]" installs those that ship with dsched'
    )


def test_a_task_from_a_mapping_goes_by_the_same_rules(catalogue: Catalogue, refused: Any) -> None:
    raw = {"id": "a", "type": "rpc", "every": timedelta(hours=1), "at": None}
    config = task_from_mapping(raw, defaults=DEFAULTS, catalogue=catalogue)
    assert (config.executor, config.every) == ("grpc", timedelta(hours=1))
    assert raw == {"id": "a", "type": "rpc", "every": timedelta(hours=1), "at": None}
    assert refused(
        task_from_mapping,
        {**raw, "priority": 99, "timout": 1},
        defaults=DEFAULTS,
        catalogue=catalogue,
        source="body",
        path="config",
    ) == [
        ("body", "config.timout", "is not a known key; did you mean 'timeout'?"),
        ("body", "config.priority", "must be 0 to 9, got 99"),
    ]


def test_a_mapping_nested_without_end_is_refused(catalogue: Catalogue, refused: Any) -> None:
    payload: Any = []
    for _ in range(100_000):
        payload = [payload]
    raw = {"id": "a", "executor": "local", "every": "1h", "payload": payload}
    ((_, path, reason),) = refused(task_from_mapping, raw, defaults=DEFAULTS, catalogue=catalogue)
    assert path == "payload"
    assert reason.endswith("is nested deeper than 64 levels")
