"""Runs of many tasks in the terminal: the graph, the grid, and the lines of all members."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow

STEPS = {
    "greet": {"executor": "local", "payload": {"function": "hello", "args": {"name": "first"}}},
    "parts": {
        "needs": ["greet"],
        "shards": 3,
        "executor": "local",
        "payload": {"function": "hello", "args": {"name": "${shard.index}"}},
    },
    "undo": {
        "needs": ["parts"],
        "when": "failure",
        "executor": "local",
        "payload": {"function": "hello"},
    },
}


@pytest.fixture(scope="module")
def etl(pod: Any) -> str:
    pod.put("etl", every="1h", steps=STEPS)
    return "etl"


@pytest.fixture(scope="module")
def run_id(pod: Any, etl: str) -> str:
    made = pod.ok("trigger", etl, "--key", "one", "--wait", "-o", "json").data
    assert made["status"] == "success"
    return str(made["id"])


def test_a_run_is_drawn_by_levels_with_a_grid_of_its_members(pod: Any, run_id: str) -> None:
    shown = pod.ok("task", "get", run_id).out
    graph = shown[shown.index("level 0") :].splitlines()
    assert [line.split()[:2] for line in graph] == [
        ["level", "0"],
        ["greet", "success"],
        ["level", "1"],
        ["parts", "success"],
        ["+++"],
        ["level", "2"],
        ["undo", "skipped"],
        ["+", "success,"],
    ]
    assert "3 of 3 ended  <- greet" in graph[3]
    assert "<- parts (failure)  [nothing failed]" in graph[6]
    assert " took " in graph[1]
    data = pod.ok("task", "get", run_id, "-o", "json").data
    assert [step["id"] for step in data["steps"]] == ["greet", "parts", "undo"]
    assert data["steps"][1]["members"][2]["id"] == f"{run_id}~parts~2"


def test_a_task_that_is_no_run_is_shown_as_before(pod: Any, run_id: str) -> None:
    member = pod.ok("task", "get", f"{run_id}~greet")
    assert "level 0" not in member.out
    assert "steps" not in pod.ok("task", "get", f"{run_id}~greet", "-o", "json").data


def test_the_lines_of_a_run_are_those_of_its_members_each_with_its_step(
    pod: Any, run_id: str
) -> None:
    wanted = {("greet", "hello first")} | {(f"parts~{at}", f"hello {at}") for at in range(3)}
    records = pod.ok("logs", run_id, "-o", "json").data
    assert {(one["member"], one["line"]) for one in records} == wanted
    assert records[0]["member"] == "greet"
    assert [one["at"] for one in records] == sorted(one["at"] for one in records)
    assert "INFO     parts~1  hello 1" in pod.ok("logs", run_id).out.replace("info   ", "INFO   ")
    followed = pod.ok("logs", run_id, "--follow").out
    assert all(f"{name}  {line}" in followed for name, line in wanted)
    assert "member" not in pod.ok("logs", f"{run_id}~greet", "-o", "json").data[0]


def test_lines_are_followed_until_a_run_that_goes_on_has_ended(pod: Any, etl: str) -> None:
    made = pod.ok("trigger", etl, "--key", "two", "-o", "json").data
    followed = pod.ok("logs", made["id"], "--follow", "-o", "jsonl").out
    assert followed.count('"member":') == 4


def test_top_shows_runs_apart(pod: Any) -> None:
    slow = {"a": {"executor": "local", "payload": {"function": "hang"}}}
    pod.put("long", every="1h", steps=slow)
    run = pod.ok("trigger", "long", "--key", "one", "-o", "json").data["id"]
    try:
        shown = pod.ok("top", "--once").out
        assert f"  {run}  " in shown[shown.index("runs of many tasks:") :]
        assert run in [one["id"] for one in pod.ok("top", "--once", "-o", "json").data["runs"]]
    finally:
        pod.ok("task", "cancel", run, "--reason", "over")


FILE = """
tasks:
  - id: etl-file
    cron_expr: "0 2 * * *"
    timezone: Europe/Berlin
    run_timeout: 3h
    overlap: skip
    steps:
      extract: {executor: local, payload: {function: hello, args: {name: "${fire.date}"}}}
      parts:
        needs: [extract]
        shards: 3
        max_parallel: 2
        executor: local
        payload: {function: hello, args: {name: "${shard.index}"}}
      undo: {needs: [parts], when: failure, executor: local, payload: {function: hello}}
"""


def test_a_workflow_is_applied_diffed_and_exported_as_it_was_written(
    pod: Any, tmp_path: Any
) -> None:
    file = tmp_path / "tasks.yaml"
    file.write_text(FILE)
    assert "etl-file" in pod.run("diff", "-f", str(file)).out
    pod.ok("apply", "-f", str(file))
    assert pod.run("diff", "-f", str(file)).code == 0
    exported = tmp_path / "exported.yaml"
    exported.write_text(pod.ok("export").out)
    kept = next(
        one for one in yaml.safe_load(exported.read_text())["tasks"] if one["id"] == "etl-file"
    )
    assert list(kept["steps"]) == ["extract", "parts", "undo"]
    assert (kept["run_timeout"], kept["steps"]["parts"]["max_parallel"]) == ("3h", 2)
    file.write_text(FILE.replace("shards: 3", "shards: 4"))
    changed = pod.run("diff", "-f", str(file))
    assert changed.code == 6
    assert "    steps.parts.shards: 3 -> 4\n" in changed.out
    assert "steps.extract" not in changed.out
    file.write_text(FILE.replace("      undo:", "      back:"))
    changed = pod.run("diff", "-f", str(file))
    assert "    steps.undo: {" in changed.out
    assert "    steps.back: nothing -> {" in changed.out


def test_a_run_is_simulated_as_one_start_a_fire(pod: Any, tmp_path: Any) -> None:
    file = tmp_path / "tasks.yaml"
    file.write_text(FILE)
    told = pod.ok("simulate", "-f", str(file), "--days", "2", "--from", "2026-06-01", "-o", "json")
    (found,) = told.data["configs"]
    assert (found["id"], found["fires"], found["runs"], found["at_once"]) == ("etl-file", 2, 2, 1)


LISTED = """
tasks:
  - id: each-file
    cron_expr: "0 2 * * *"
    steps:
      tables:
        for_each: "${params.tables}"
        max_parallel: 2
        executor: local
        payload: {function: hello, args: {name: "${item}"}}
      done: {needs: [tables], executor: local, payload: {function: hello}}
    params:
      tables: {type: list, default: [a, b]}
"""


def test_a_step_with_a_list_is_applied_simulated_triggered_and_drawn(
    pod: Any, tmp_path: Any
) -> None:
    file = tmp_path / "tasks.yaml"
    file.write_text(LISTED)
    pod.ok("apply", "-f", str(file))
    assert pod.run("diff", "-f", str(file)).code == 0
    assert "each-file" in pod.ok("simulate", "-f", str(file), "--days", "2").out
    exported = yaml.safe_load(pod.ok("export").out)["tasks"]
    kept = next(one for one in exported if one["id"] == "each-file")
    assert kept["steps"]["tables"]["for_each"] == "${params.tables}"
    file.write_text(LISTED.replace('"${params.tables}"', "[x, {y: 1}]"))
    assert "steps.tables.for_each: " in pod.run("diff", "-f", str(file)).out
    given = 'tables=["x", "y", "z"]'
    made = pod.ok("trigger", "each-file", "-p", given, "--wait", "-o", "json").data
    shown = pod.ok("task", "get", made["id"]).out
    graph = shown[shown.index("level 0") :].splitlines()
    assert "3 of 3 ended" in graph[1]
    assert graph[2].split() == ["+++"]
    records = pod.ok("logs", made["id"], "-o", "json").data
    assert {one["line"] for one in records if one["member"] != "done"} == {
        f"hello {name}" for name in "xyz"
    }
    told = pod.ok("why", made["id"]).out
    assert "Step tables succeeded, 3 of 3 items well." in told
    empty = pod.ok("trigger", "each-file", "-p", "tables=[]", "--wait", "-o", "json").data
    assert empty["status"] == "success"
    shown = pod.ok("task", "get", empty["id"]).out
    assert "[no items]" in shown
    assert "Step tables succeeded: no items." in pod.ok("why", empty["id"]).out


@contextmanager
def working(folder: Path, name: str, **settings: str) -> Iterator[Any]:
    """One more worker on the store of a pod, of a process of its own."""
    command = [sys.executable, "-m", "dsched.launcher.run", "--app", "jobs_of_the_tests"]
    env = {one: value for one, value in os.environ.items() if not one.startswith("DSCHED_")}
    env |= {"DSCHED_WORKER__ID": name, "POD_NAME": name, **settings}
    with (folder / f"{name}.log").open("wb") as log:
        worker = subprocess.Popen(
            [*command, "--role", "worker", "--for", "10m"],
            cwd=folder, env=env, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait(20)


def test_a_run_on_each_worker_is_drawn_with_whose_part_ended_how(
    own_pod: Any, until: Callable[..., Any]
) -> None:
    pod, folder = own_pod, own_pod.folder
    pod.put("all", shards="each_worker")
    hang = {"executor": "local", "payload": {"function": "hang"}}
    pod.put("holds", **hang, required_labels={"only": "b"})
    one_slot = {"DSCHED_WORKER__MAX_CONCURRENT_TASKS": "1"}
    labels = {"DSCHED_WORKER__LABELS": '{"only": "b"}', "DSCHED_WORKER__HEARTBEAT_TIMEOUT": "3s"}
    beats = {"DSCHED_WORKER__HEARTBEAT_INTERVAL": "1s"}
    with working(folder, "w-a"), working(folder, "w-b", **one_slot, **labels, **beats) as b:
        until(lambda: len(pod.ok("worker", "list", "-o", "json").data) == 2, 60)
        pod.ok("trigger", "holds", "--key", "one")
        until(lambda: pod.ok("task", "list", "--of", "holds", "-o", "json").data[0]["attempt"] == 1)
        run_id = str(pod.ok("trigger", "all", "--key", "one", "-o", "json").data["id"])
        until(lambda: "o w-b" in pod.ok("task", "get", run_id).out)
        until(
            lambda: pod.ok("task", "get", f"{run_id}~0", "-o", "json").data["status"] == "success"
        )
        waits = pod.ok("why", f"{run_id}~1").out
        assert "w-b" in waits
        b.kill()
        shown = until(lambda: "~ w-b" in (out := pod.ok("task", "get", run_id).out) and out, 40)
        rows = [line.strip() for line in shown[shown.index("level 0") :].splitlines()]
        assert rows[2:4] == ["+ w-a", "~ w-b"]
        assert rows[4].endswith(". not yet, ~ let off, as its worker left or drained")
        told = pod.ok("why", run_id).out
        assert "1 of 2 workers well; let off, as they left or drained: w-b." in told
