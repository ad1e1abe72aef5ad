"""Workflows in task files: read, refused with line and key, and written back."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dsched.config.intake import CatalogueIntake
from dsched.config.problems import ConfigError
from dsched.config.settings import TaskSettings
from dsched.config.task_file import read_tasks
from dsched.model import TaskConfig, When

NIGHTLY = """
tasks:
  - id: nightly
    cron_expr: "0 2 * * *"
    timezone: Europe/Berlin
    run_timeout: 3h
    fail_fast: true
    timeout: 10m
    steps:
      extract: {executor: http, payload: {url: "https://etl/extract"}}
      load:
        needs: [extract]
        executor: http
        timeout: 1h
        retry: {max_retries: 1}
        payload: {url: "https://etl/load", json: {rows: "${needs.extract.data.rows}"}}
      tables:
        needs: [load]
        shards: 8
        max_parallel: 4
        executor: http
        payload: {url: "https://etl/${shard.index}"}
      undo:
        needs: [load, tables]
        when: failure
        executor: http
        payload: {url: "https://etl/undo"}
  - id: reindex
    every: 1h
    executor: http
    shards: 8
    payload: {url: "https://search/reindex?part=${shard.index}&of=${shard.total}"}
"""


def read(tmp_path: Path, text: str, catalogue: Any) -> list[TaskConfig]:
    file = tmp_path / "tasks.yaml"
    file.write_text(text)
    return read_tasks(str(file), defaults=TaskSettings(), catalogue=catalogue)


def refused(tmp_path: Path, text: str, catalogue: Any) -> str:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, text, catalogue)
    return str(error.value)


def test_steps_and_shards_are_read(tmp_path: Path, catalogue: Any) -> None:
    nightly, reindex = read(tmp_path, NIGHTLY, catalogue)
    flow = nightly.workflow
    assert flow is not None
    assert (nightly.executor, nightly.payload) == ("workflow", None)
    assert (flow.timeout, flow.fail_fast) == (timedelta(hours=3), True)
    assert (nightly.timeout, flow.timezone) == (timedelta(minutes=10), "Europe/Berlin")
    extract, load, tables, undo = flow.steps
    assert (extract.timeout, load.timeout) == (None, timedelta(hours=1))
    assert load.retry is not None
    assert load.retry.max_retries == 1
    assert (tables.needs, tables.shards, tables.max_parallel) == (("load",), 8, 4)
    assert undo.when is When.FAILURE
    assert extract.type == "http"
    assert reindex.workflow is not None
    assert (reindex.executor, reindex.workflow.shards) == ("http", 8)


def test_what_was_read_is_written_back_as_an_entry(tmp_path: Path, catalogue: Any) -> None:
    intake = CatalogueIntake(defaults=TaskSettings(), catalogue=catalogue)
    for config in read(tmp_path, NIGHTLY, catalogue):
        again = intake.config(config.id, intake.entry(config))
        assert again.workflow == config.workflow
        assert again.spec == config.spec


def a_file(steps: str) -> str:
    return f"tasks:\n  - id: t\n    every: 1h\n{steps}"


PAYLOAD = "payload: {url: 'http://x/'}"
CIRCLE = f"""    steps:
      a: {{executor: http, needs: [b], {PAYLOAD}}}
      b: {{executor: http, needs: [a], {PAYLOAD}}}
"""


def a_step(said: str = "", step_id: str = "a", payload: str = PAYLOAD) -> str:
    """A task of one step."""
    return f"    steps:\n      {step_id}: {{executor: http, {said}{payload}}}\n"


def shards(said: str) -> str:
    """A task without steps."""
    return f"    executor: http\n    {said}\n    {PAYLOAD}\n"


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (CIRCLE, "go in a circle"),
        (a_step("needs: [z], "), "'z'"),
        (a_step(step_id="A"), "no id of a step"),
        (a_step(payload="payload: {urll: x}"), "url is missing"),
        (a_step("want: 1, "), "want"),
        (a_step("when: often, "), "often"),
        (a_step(payload="payload: {url: 'http://x/${needs.b.data}'}"), "does not need 'b'"),
        ("    steps:\n      a: {executor: nope, payload: {}}\n", "nope"),
        ("    steps: []\n", "must be a mapping"),
        ("    steps:\n      a: http\n", "must be a mapping with the keys of a step"),
        (shards("fail_fast: true"), "fail_fast"),
        (shards("shards: 0"), "shards"),
        (shards("shards: many"), "shards"),
        (shards("shards: 2\n    run_timeout: soon"), "run_timeout"),
        ("    executor: http\n" + a_step(), "belongs to each"),
        (a_step("for_each: tables, "), "a.for_each"),
        (a_step("for_each: {b: 1}, "), "must be a list"),
        (a_step("for_each: [1], shards: 2, "), "cannot be given with shards"),
        (a_step("for_each: '${needs.b.data}', "), "does not need 'b'"),
        (a_step(f"for_each: {list(range(1001))}, "), "has 1001 items; at most 1000"),
        (a_step(payload="payload: {url: 'http://x/${item}'}"), "where a step has for_each"),
        (shards("for_each: [1]"), "for_each"),
        (shards("shards: many"), "must be 1 to 1000, or each_worker; got 'many'"),
        (shards("shards: true"), "must be 1 to 1000, or each_worker; got "),
        (shards("shards: 2.5"), "must be 1 to 1000, or each_worker; got "),
        (shards("shards: {each_worker: 3}"), "must be 1 to 1000, or each_worker; got "),
        (shards("shards: [each_worker, 3]"), "must be 1 to 1000, or each_worker; got "),
        (shards("each_worker: 3"), "each_worker"),
        (shards("shards: each_worker\n    max_parallel: 0"), "max_parallel"),
        (
            shards("shards: each_worker\n    required_labels: {dsched.worker: w1}"),
            "say shards: each_worker",
        ),
        (shards("shards: each_worker\n    for_each: [1]"), "for_each"),
        (shards("shards: each_worker\n    affinity_key: eu"), "affinity_key: means nothing with"),
        ("    shards: each_worker\n" + a_step(), "give steps, or shards"),
        (a_step("for_each: [1], shards: each_worker, "), "cannot be given with shards"),
        (a_step("shards: each_workers, "), "must be a whole number, or each_worker; got text"),
        (a_step("required_labels: {dsched.worker: w1}, "), "required_labels.dsched.worker"),
    ],
)
def test_what_cannot_be_run_is_refused_by_line_and_key(
    tmp_path: Path, catalogue: Any, steps: str, said: str
) -> None:
    message = refused(tmp_path, a_file(steps), catalogue)
    assert said in message
    assert "tasks.yaml:" in message


def test_a_plain_payload_means_what_it_meant(tmp_path: Path, catalogue: Any) -> None:
    (config,) = read(
        tmp_path, a_file("    executor: http\n    payload: {url: 'http://x/${a}'}\n"), catalogue
    )
    assert config.payload == {"url": "http://x/${a}"}
    assert config.workflow is None


LISTS = """
tasks:
  - id: lists
    every: 1h
    steps:
      load: {executor: http, payload: {url: "https://etl/load"}}
      tables:
        needs: [load]
        for_each: "${needs.load.data.body.tables}"
        max_parallel: 4
        executor: http
        payload: {url: "https://etl/index/${item.name}"}
      zones:
        for_each: [eu, {zone: us}, "${fire.date}"]
        executor: http
        payload: {url: "https://etl/zone", json: {zone: "${item}"}}
"""


def test_lists_are_read_and_written_back(tmp_path: Path, catalogue: Any) -> None:
    (config,) = read(tmp_path, LISTS, catalogue)
    assert config.workflow is not None
    _, tables, zones = config.workflow.steps
    assert (tables.for_each, tables.max_parallel) == ("${needs.load.data.body.tables}", 4)
    assert zones.for_each == ["eu", {"zone": "us"}, "${fire.date}"]
    intake = CatalogueIntake(defaults=TaskSettings(), catalogue=catalogue)
    assert intake.config("lists", intake.entry(config)).workflow == config.workflow


EACH_WORKER = """
tasks:
  - id: clear
    every: 1h
    executor: http
    shards: each_worker
    max_parallel: 1
    required_labels: {zone: eu}
    payload: {url: "http://x/clear?of=${shard.total}"}
  - id: roll
    every: 1h
    steps:
      all: {executor: http, shards: each_worker, payload: {url: "http://x/"}}
      last: {executor: http, needs: [all], payload: {url: "http://x/", json: "${needs.all.status}"}}
"""


def test_members_for_each_worker_are_read_and_written_back(tmp_path: Path, catalogue: Any) -> None:
    clear, roll = read(tmp_path, EACH_WORKER, catalogue)
    assert clear.workflow is not None
    assert roll.workflow is not None
    assert (clear.workflow.shards, clear.workflow.max_parallel) == ("each_worker", 1)
    assert [step.shards for step in roll.workflow.steps] == ["each_worker", None]
    intake = CatalogueIntake(defaults=TaskSettings(), catalogue=catalogue)
    for config in (clear, roll):
        entry = intake.entry(config)
        assert intake.config(config.id, entry).workflow == config.workflow
    assert intake.entry(clear)["shards"] == "each_worker"
