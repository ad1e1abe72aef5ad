"""`-p NAME=VALUE` of trigger and backfill, typed as the config declares it."""

from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow

ENTRY = {
    "template": True,
    "params": {
        "name": {"type": "string", "default": "nobody"},
        "times": {"type": "integer", "default": 1},
    },
    "payload": {"function": "hello", "args": {"name": "${params.name}"}},
}


@pytest.fixture(scope="module")
def greet(pod: Any) -> str:
    pod.put("greet", **ENTRY)
    return "greet"


def test_a_trigger_takes_params_and_the_task_shows_them(pod: Any, greet: str) -> None:
    args = ("-p", "name=2026", "-p", "times=3", "--wait", "-o", "json")
    made = pod.ok("trigger", greet, *args).data
    assert made["status"] == "success"
    shown = pod.ok("task", "get", made["id"], "-o", "json").data
    assert shown["params"] == {"name": "2026", "times": 3}
    assert "2026" in str(shown["result"])
    table = pod.ok("task", "get", made["id"]).out
    assert ["params:", "name=2026,times=3"] in [line.split() for line in table.splitlines()]
    again = pod.ok("task", "retry", made["id"], "--wait", "-o", "json").data
    assert pod.ok("task", "get", again["id"], "-o", "json").data["params"] == shown["params"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("naem=x", "did you mean 'name'?"),
        ("times=many", "must be an integer, written as JSON has it; got 'many'"),
        ("times=1.5", "must be an integer, got 1.5"),
        ("name", "write it as -p NAME=VALUE"),
    ],
)
def test_a_param_that_is_none_is_refused_before_anything_is_asked(
    pod: Any, greet: str, text: str, told: str
) -> None:
    span = ("--from", "2026-01-01", "--to", "2026-01-02", "--reason", "x", "--yes")
    for command in (("trigger", greet), ("config", "backfill", greet, *span)):
        done = pod.run(*command, "-p", text)
        assert done.code == 2
        assert told in done.err


def test_a_param_that_is_given_twice_is_refused(pod: Any, greet: str) -> None:
    done = pod.run("trigger", greet, "-p", "name=a", "-p", "name=b")
    assert (done.code, "given twice" in done.err) == (2, True)


def test_a_file_names_line_and_key_of_what_is_wrong(pod: Any) -> None:
    path = pod.folder / "bad.yaml"
    path.write_text(
        """tasks:
  - id: a
    every: 1h
    executor: local
    template: true
    params:
      day: {type: string}
      n: {type: integer, default: x}
    payload: {function: hello, args: {name: "${params.dya}"}}
"""
    )
    done = pod.run("apply", "--dry-run", "-f", str(path))
    assert done.code == 2
    assert "bad.yaml:8: params.n.default" in done.err.replace("tasks[0].", ""), done.err


def test_params_are_applied_diffed_and_exported_as_they_were_written(pod: Any) -> None:
    path = pod.folder / "kept.yaml"
    text = """tasks:
  - id: kept
    every: 1h
    executor: local
    template: true
    params:
      name: {type: string, default: "${fire.date}"}
    payload: {function: hello, args: {name: "${params.name}"}}
"""
    path.write_text(text)
    pod.ok("apply", "-f", str(path))
    assert pod.run("diff", "-f", str(path)).code == 0
    exported = yaml.safe_load(pod.ok("export").out)["tasks"]
    kept = next(one for one in exported if one["id"] == "kept")
    assert (kept["template"], kept["params"]) == (
        True,
        {"name": {"type": "string", "default": "${fire.date}"}},
    )
    path.write_text(text.replace('"${fire.date}"', "nobody"))
    changed = pod.run("diff", "-f", str(path))
    assert (changed.code, "nobody" in changed.out) == (6, True)
    told = pod.ok("simulate", "-f", str(path), "--days", "1", "--from", "2026-06-01", "-o", "json")
    assert told.data["configs"][0]["fires"] == 24
