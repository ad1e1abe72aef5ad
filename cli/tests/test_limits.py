"""Limits in the terminal: set, listed, looked at with who waits, deleted."""

from typing import Any

import pytest

from dsched_cli.errors import ExitCode

pytestmark = pytest.mark.slow


def test_a_limit_is_set_changed_listed_and_deleted(pod: Any) -> None:
    made = pod.ok("limit", "set", "cli-crm", "--max-running", "3", "-o", "json")
    assert made.data == {
        "id": "cli-crm",
        "max_running": 3,
        "rate": None,
        "burst": None,
        "changed": True,
    }
    again = pod.ok("limit", "set", "cli-crm", "--max-running", "3")
    assert "cli-crm was so already" in again.err
    pod.ok("limit", "set", "cli-crm", "--max-running", "4")
    rows = [line.split() for line in pod.ok("limit", "list").out.splitlines()]
    assert ["cli-crm", "4", "-", "-", "0", "0"] in rows
    assert pod.ok("limit", "get", "cli-c", "-o", "json").data == {
        "id": "cli-crm",
        "max_running": 4,
        "rate": None,
        "burst": None,
        "origin": "api",
        "uses": [],
    }
    assert "cli-crm is deleted" in pod.ok("limit", "delete", "cli-crm").err
    gone = pod.run("limit", "get", "cli-crm")
    assert gone.code == ExitCode.NOT_FOUND
    assert "there is no limit" in gone.err


def test_who_holds_and_waits_is_shown_and_force_lets_it_go(pod: Any, until: Any) -> None:
    pod.ok("limit", "set", "cli-gate", "--max-running", "0")
    body = {"executor": "local", "payload": {"function": "hello"}, "limits": ["cli-gate:acme"]}
    task_id = pod.call("POST", "/tasks", {**body, "id": "limited"})["id"]

    def waits() -> bool:
        uses = pod.ok("limit", "get", "cli-gate", "-o", "json").data["uses"]
        return [(one["name"], one["held"], one["waiting"], one["max_running"]) for one in uses] == [
            ("cli-gate:acme", 0, 1, 0)
        ]

    until(waits)
    shown = pod.ok("limit", "get", "cli-gate").out.splitlines()
    assert shown[-2].split() == ["NAME", "HELD", "OF", "WAITING"]
    assert shown[-1].split() == ["cli-gate:acme", "0", "0", "1"]
    listed = [line.split() for line in pod.ok("limit", "list").out.splitlines()]
    assert ["cli-gate", "0", "-", "-", "0", "1"] in listed
    refused = pod.run("limit", "delete", "cli-gate")
    assert refused.code == ExitCode.CONFLICT
    assert "in use" in refused.err
    assert "--force" in refused.err
    pod.ok("limit", "delete", "cli-gate", "--force", "--reason", "the gate is open")
    acts = pod.call("GET", "/audit?limit=500")["items"]
    assert next(one["reason"] for one in acts if one["object"] == "cli-gate") == "the gate is open"
    until(lambda: pod.call("GET", f"/tasks/{task_id}")["status"] == "success")


def test_a_number_that_is_none_and_an_id_that_is_none_are_refused(pod: Any) -> None:
    for given in ("-1", "many", "1000001"):
        assert pod.run("limit", "set", "x", "--max-running", given).code == ExitCode.USAGE
    refused = pod.run("limit", "set", "a b", "--max-running", "1")
    assert refused.code == ExitCode.USAGE
    assert "1 to 64 of" in refused.err


def test_a_rate_is_set_and_its_tokens_are_shown(pod: Any, until: Any) -> None:
    made = pod.ok("limit", "set", "cli-slow", "--rate", "1/1h", "--burst", "2", "-o", "json")
    assert made.data == {
        "id": "cli-slow",
        "max_running": None,
        "rate": "1/1h",
        "burst": 2,
        "changed": True,
    }
    body = {"executor": "local", "payload": {"function": "hello"}, "limits": ["cli-slow"]}
    for number in range(3):
        pod.call("POST", "/tasks", {**body, "id": f"slow-{number}"})

    def waits() -> bool:
        (use,) = pod.ok("limit", "get", "cli-slow", "-o", "json").data["uses"] or [None]
        return use is not None and (use["held"], use["waiting"], use["tokens"]) == (0, 1, 0)

    until(waits)
    shown = pod.ok("limit", "get", "cli-slow").out
    assert "TOKENS" in shown
    assert "NEXT TOKEN IN" in shown
    pod.ok("limit", "set", "cli-slow", "--rate", "10000/1s")
    until(lambda: pod.call("GET", "/tasks/slow-2")["status"] == "success")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ((), "give --max-running, --rate"),
        (("--rate", "100"), "write it like 100/1m"),
        (("--rate", "1/1s", "--burst", "0"), "burst"),
        (("--max-running", "1", "--burst", "3"), "give a rate, too"),
    ],
)
def test_a_rate_that_is_none_is_refused(pod: Any, given: tuple[str, ...], why: str) -> None:
    refused = pod.run("limit", "set", "x", *given)
    assert refused.code == ExitCode.USAGE
    assert why in refused.err


def test_limits_are_set_without_a_server(dsched: Any, tmp_path: Any) -> None:
    made = dsched("--local", "limit", "set", "crm", "--max-running", "2", cwd=tmp_path)
    assert made.code == 0, made.err
    shown = dsched("--local", "limit", "get", "crm", "-o", "json", cwd=tmp_path)
    assert shown.data["max_running"] == 2
