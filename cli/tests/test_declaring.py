"""`diff`, `apply` and `export` as processes against a real pod with a store of their own."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from conftest import Served

pytestmark = pytest.mark.slow

DAILY = {"executor": "local", "payload": {"function": "hello"}, "cron_expr": "0 5 * * *"}


def write(served: "Served", name: str, *entries: dict[str, Any]) -> str:
    path = served.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"tasks": list(entries)}, sort_keys=False))
    return str(path)


def entry(config_id: str, **more: Any) -> dict[str, Any]:
    return {"id": config_id, **DAILY, **more}


def test_a_file_is_applied_once_and_then_changes_nothing(own_pod: "Served"):
    path = write(own_pod, "jobs.yaml", entry("one"), entry("two", cron_expr="H H * * *"))
    diff = own_pod.run("diff", "-f", path)
    assert diff.code == 6
    assert "+ one is new (30 added)" in diff.out
    assert own_pod.ok("config", "list", "-o", "json").data == []
    dry = own_pod.ok("apply", "-f", path, "--dry-run")
    assert "nothing was changed" in dry.err
    assert own_pod.ok("config", "list", "-o", "json").data == []
    own_pod.ok("apply", "-f", path)
    origins = {one["origin"] for one in own_pod.ok("config", "list", "-o", "json").data}
    assert origins == {"file:jobs"}
    same = own_pod.ok("diff", "-f", path)
    assert same.out.splitlines() == ["2 unchanged", "next 30d: no run removed or added"]
    before = own_pod.ok("config", "list", "-o", "json").data
    own_pod.ok("apply", "-f", path)
    assert own_pod.ok("config", "list", "-o", "json").data == before


def test_a_change_is_told_in_keys_and_in_fires(own_pod: "Served"):
    path = write(own_pod, "jobs.yaml", entry("one"))
    own_pod.ok("apply", "-f", path)
    write(own_pod, "jobs.yaml", entry("one", cron_expr="0 5,17 * * *", timeout="1m"))
    diff = own_pod.run("diff", "-f", path)
    assert diff.code == 6
    assert "~ one changes (30 added)" in diff.out
    assert '    cron_expr: "0 5 * * *" -> "0 5,17 * * *"' in diff.out
    record = own_pod.run("diff", "-f", path, "--horizon", "10d", "-o", "json").data
    (change,) = record["changes"]
    assert change["keys"] == ["cron_expr", "timeout"]
    assert change["fires"] == {"removed": 0, "added": 10}


def test_configs_that_fire_every_second_are_compared_too(own_pod: "Served"):
    often = {"cron_expr": None, "every": "1s"}
    path = write(own_pod, "jobs.yaml", entry("often", **often), entry("five"))
    assert own_pod.run("diff", "-f", path).code == 6
    own_pod.ok("apply", "-f", path)
    write(own_pod, "jobs.yaml", entry("often", **often, timeout="1m"), entry("five"))
    (change,) = own_pod.run("diff", "-f", path, "-o", "json").data["changes"]
    assert change["fires"] == {"removed": 0, "added": 0}
    write(own_pod, "jobs.yaml", entry("often", cron_expr=None, every="5s"), entry("five"))
    (change,) = own_pod.run("diff", "-f", path, "-o", "json").data["changes"]
    fires = change["fires"]
    assert (fires["removed"] // 1000, fires["added"]) == (2073, 0)  # four of five in 30 days
    write(own_pod, "jobs.yaml", entry("often", cron_expr=None, every="2s"), entry("five"))
    refused = own_pod.run("diff", "-f", path)
    assert (refused.code, "--horizon" in refused.err) == (2, True)
    assert own_pod.run("diff", "-f", path, "--horizon", "1d").code == 6


def test_what_vanished_from_its_file_is_paused_as_orphaned_and_resumed_when_it_returns(
    own_pod: "Served",
):
    path = write(own_pod, "jobs.yaml", entry("stays"), entry("goes"))
    own_pod.ok("apply", "-f", path)
    write(own_pod, "jobs.yaml", entry("stays"))
    applied = own_pod.ok("apply", "-f", path)
    assert "- goes is paused as orphaned (30 runs removed)" in applied.out
    orphan = own_pod.ok("config", "get", "goes", "-o", "json").data
    assert orphan["orphaned"]
    assert own_pod.ok("diff", "-f", path).out.startswith("1 unchanged")
    write(own_pod, "jobs.yaml", entry("stays"), entry("goes"))
    back = own_pod.ok("apply", "-f", path)
    assert "~ goes fires again (30 added)" in back.out
    assert own_pod.ok("config", "get", "goes", "-o", "json").data["paused"] is None


def test_pruning_says_how_many_and_which_and_needs_a_yes(own_pod: "Served"):
    path = write(own_pod, "jobs.yaml", entry("stays"), entry("goes"))
    own_pod.ok("apply", "-f", path)
    write(own_pod, "jobs.yaml", entry("stays"))
    asked = own_pod.run("apply", "-f", path, "--prune")
    assert asked.code == 2
    assert "Delete 1 configs: goes?" in asked.err
    own_pod.ok("apply", "-f", path, "--prune", "--yes")
    assert own_pod.ok("config", "list", "-o", "name").out == "stays\n"


def test_a_file_leaves_alone_what_others_declare_unless_it_adopts(own_pod: "Served"):
    own_pod.ok("apply", "-f", write(own_pod, "theirs.yaml", entry("shared")))
    path = write(own_pod, "ours.yaml", entry("shared", cron_expr="0 6 * * *"), entry("ours"))
    refused = own_pod.run("apply", "-f", path)
    assert refused.code == 5
    assert "shared (file:theirs)" in refused.err
    assert own_pod.ok("config", "list", "-o", "name").out == "shared\n"
    own_pod.ok("apply", "-f", path, "--adopt")
    assert own_pod.ok("config", "get", "shared", "-o", "json").data["origin"] == "file:ours"


def test_an_export_applies_back_without_a_change(own_pod: "Served"):
    rich = {
        "name": "Reich",
        "timezone": "Europe/Berlin",
        "dst_gap": "skip",
        "start_at": "2026-01-01T00:00:00+01:00",
        "jitter": "30s",
        "misfire": "fire_all",
        "misfire_cap": 5,
        "overlap": "queue_all",
        "retry": {"max_retries": 7, "retry_delay": "1500ms"},
        "labels": {"team": "a"},
        "required_labels": {"gpu": "yes"},
        "priority": 1,
        "owner": "ops",
        "enabled": False,
    }
    once = {"id": "once", **DAILY, "at": "2031-05-05T10:00:00Z"}
    del once["cron_expr"]
    path = write(own_pod, "jobs.yaml", entry("rich", **rich), once, entry("plain"))
    own_pod.ok("apply", "-f", path)
    before = own_pod.ok("config", "list", "-o", "json").data
    exported = own_pod.ok("export").out
    Path(path).write_text(exported)
    assert own_pod.ok("diff", "-f", path).out.startswith("3 unchanged")
    own_pod.ok("apply", "-f", path)
    assert own_pod.ok("config", "list", "-o", "json").data == before


def test_a_folder_is_applied_file_by_file(own_pod: "Served"):
    write(own_pod, "d/a.yaml", entry("from-a"))
    write(own_pod, "d/deep/b.yml", entry("from-b"))
    own_pod.ok("apply", "-f", str(own_pod.folder / "d"))
    found = {one["id"]: one["origin"] for one in own_pod.ok("config", "list", "-o", "json").data}
    assert found == {"from-a": "file:a", "from-b": "file:b"}
    write(own_pod, "d/a.yaml", entry("from-b"))
    twice = own_pod.run("diff", "-f", str(own_pod.folder / "d"))
    assert (twice.code, "declared in two files" in twice.err) == (2, True)


def test_what_the_server_refuses_is_told_with_file_and_line_and_nothing_is_changed(
    own_pod: "Served",
):
    path = own_pod.folder / "bad.yaml"
    path.write_text(
        "tasks:\n"
        "  - id: good\n"
        "    every: 1h\n"
        "    executor: local\n"
        "    payload: {function: hello}\n"
        "  - id: bad\n"
        "    every: 1h\n"
        "    executor: local\n"
        "    payload: {function: hello}\n"
        "    timeout: soon\n"
        "    retry: {max_retries: -1}\n"
    )
    done = own_pod.run("apply", "-f", str(path))
    assert done.code == 2
    assert f"{path}:10: tasks[1].timeout: " in done.err
    assert f"{path}:11: tasks[1].retry" in done.err
    assert own_pod.ok("config", "list", "-o", "json").data == []


def test_what_an_operator_paused_stays_paused_and_counts_no_fires(own_pod: "Served"):
    path = write(own_pod, "jobs.yaml", entry("one"))
    own_pod.ok("apply", "-f", path)
    own_pod.ok("config", "pause", "one", "--reason", "night")
    write(own_pod, "jobs.yaml", entry("one", cron_expr="0 5,6 * * *"))
    applied = own_pod.ok("apply", "-f", path)
    assert "~ one changes\n" in applied.out
    assert own_pod.ok("config", "get", "one", "-o", "json").data["paused"]["why"] == "night"


def test_an_export_of_json_is_a_task_file_too(own_pod: "Served"):
    own_pod.ok("apply", "-f", write(own_pod, "jobs.yaml", entry("one")))
    assert json.loads(own_pod.ok("export", "one", "-o", "json").out)["tasks"][0]["id"] == "one"


def test_apply_and_put_tell_what_a_file_says_and_hardly_means(own_pod: "Served"):
    path = write(own_pod, "odd.yaml", entry("odd", cron_expr="0 0 9 * * 2-6"))
    sentence = "cron_expr: day of week 2-6 is TUE-SAT here"
    for command in (("apply", "--dry-run"), ("apply",)):
        assert f"warning: odd: {sentence}" in own_pod.ok(*command, "-f", path).err
    assert f"warning: {sentence}" in own_pod.ok("config", "put", "odd", "-f", path, "--adopt").err
