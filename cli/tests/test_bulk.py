"""Many tasks at a time: counted, agreed to, followed, left, looked at and stopped."""

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Served

pytestmark = pytest.mark.slow

WHY = ("--reason", "the database is back", "--yes")


def failed(pod: "Served", until: Any, config_id: str, count: int) -> set[str]:
    """So many failed tasks of a config, that its list has."""
    pod.put(config_id, payload={"function": "boom"}, retry={"max_retries": 0})
    ids = set()
    for _ in range(count):
        ids.add(pod.call("POST", f"/configs/{config_id}/trigger", {})["id"])
    path = f"/tasks?config={config_id}&limit=500"
    until(lambda: ids <= {one["id"] for one in pod.call("GET", path)["items"]})
    return ids


def test_a_dry_run_says_how_many_of_which_configs_and_makes_nothing(pod: "Served", until: Any):
    ids = failed(pod, until, "dry-a", 2) | failed(pod, until, "dry-b", 1)
    done = pod.ok("task", "retry", "--of", "dry-*", "--since", "2h", "--dry-run")
    assert "3 tasks to retry: dry-a 2, dry-b 1" in done.err
    assert all(one in done.out for one in ids)
    told = pod.ok("task", "retry", "--of", "dry-*", "--dry-run", "-o", "json").data
    assert (told["found"], told["operation"]) == (3, None)
    assert not [one for one in bulk_list(pod) if one["config"] == "dry-*"]


def bulk_list(pod: "Served") -> Any:
    return pod.ok("bulk", "list", "--all", "-o", "json").data


def test_what_failed_is_retried_followed_and_listed(pod: "Served", until: Any):
    failed(pod, until, "etl-a", 3)
    args = ("task", "retry", "--of", "etl-*", "--status", "failed", "--since", "2h")
    unsure = pod.run(*args, "--reason", "why")
    assert unsure.code == 2
    assert "this needs a confirmation" in unsure.err
    done = pod.ok(*args, *WHY, "--rate", "50/s", "-o", "json").data
    assert (done["state"], done["done"], done["skipped"]) == ("done", 3, 0)
    assert (done["rate"], done["reason"]) == ("50/1s", WHY[1])
    shown = pod.ok("bulk", "get", done["id"])
    assert "done" in shown.out
    assert done["id"] in [one["id"] for one in bulk_list(pod)]
    assert pod.run("bulk", "stop", done["id"], "--reason", "late").code == 5
    audit = pod.ok("audit", "list", "-o", "json").data
    assert [one["object"] for one in audit if one["action"] == "bulk.make"].count(done["id"]) == 1
    path = "/tasks?config=etl-a&limit=500"
    until(lambda: len(pod.call("GET", path)["items"]) == 6)
    again = pod.ok(*args, *WHY)
    assert "3 skipped: was run once more already" in again.err
    assert "LEFT ALONE BECAUSE IT" in again.out


def test_an_operation_that_nobody_follows_goes_on_and_can_be_stopped(pod: "Served", until: Any):
    failed(pod, until, "slow-a", 5)
    made = pod.ok(
        *("task", "retry", "--of", "slow-*", *WHY, "--rate", "1/1m", "--no-wait", "-o", "json")
    )
    operation_id = made.data["id"]
    assert f"`dsched bulk get {operation_id}`" in made.err
    until(lambda: pod.ok("bulk", "get", operation_id, "-o", "json").data["begun"])
    stopped = pod.ok("bulk", "stop", operation_id, "--reason", "enough")
    assert "stops after what is in hand" in stopped.err
    ended = pod.run("bulk", "get", operation_id, "--wait", "-o", "json")
    assert (ended.code, ended.data["state"]) in ((8, "stopped"), (0, "stopped"))
    assert ended.data["stop_reason"] == "enough"


def test_ctrl_c_leaves_it_going_and_says_how_to_look_again(pod: "Served", until: Any):
    failed(pod, until, "left-a", 6)
    args = [sys.executable, "-m", "dsched_cli.main", "task", "retry", "--of", "left-*", *WHY]
    process = subprocess.Popen(
        [*args, "--rate", "1/1s"],
        env={**os.environ, **pod.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def mine() -> Any:
        return next((one for one in bulk_list(pod) if one["config"] == "left-*"), None)

    until(lambda: (mine() or {}).get("begun"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    operation_id = mine()["id"]
    assert f"bulk operation {operation_id} goes on without this command" in err
    assert f"`dsched bulk get {operation_id}` shows how far it is" in err
    done = pod.ok("bulk", "get", operation_id, "--wait", "-o", "json").data
    assert (done["state"], done["done"]) == ("done", 6)


def test_what_runs_is_cancelled(pod: "Served", until: Any):
    hangs = {"payload": {"function": "hang"}, "every": "1s", "overlap": "allow"}
    pod.put("hang-a", **hangs)
    until(lambda: len(pod.call("GET", "/tasks?live_of=hang-a")["items"]) >= 2)
    pod.ok("config", "pause", "hang-a", "--reason", "enough")
    live = pod.call("GET", "/tasks?live_of=hang-a")["items"]
    done = pod.ok("task", "cancel", "--of", "hang-*", *WHY, "-o", "json").data
    assert done["done"] == len(live)
    for one in live:
        until(lambda: pod.call("GET", f"/tasks/{one['id']}")["status"] == "cancelled")  # noqa: B023


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("task", "retry", "--reason", "x"), "nothing says what to retry"),
        (("task", "cancel", "--reason", "x"), "nothing says what to cancel"),
        (("task", "retry", "--status", "failed", "--reason", "x"), "nothing says what to retry"),
        (("task", "retry", "one", "--of", "etl-*"), "an ID and --of cannot be combined"),
        (("task", "cancel", "one", "--dry-run", "--reason", "x"), "an ID and --dry-run cannot"),
        (("task", "retry", "--of", "x*", "--failed", "--reason", "x"), "--failed is about one"),
        (("task", "retry", "--of", "x*", "--wait", "--reason", "x"), "--wait is about one"),
        (("task", "retry", "--of", "x*"), "--reason is missing"),
        (("task", "retry", "--of", "none-*", "--dry-run"), "no config is meant"),
        (("task", "retry", "--of", "bad", "--rate", "fast", "--dry-run"), "is no rate"),
        (("task", "retry", "--of", "bad", "--since", "+1h", "--dry-run"), "has not come"),
        (("task", "retry", "--of", "bad", "--status", "running", "--dry-run"), "'running' is not"),
        (("bulk", "get", "nothing"), "no bulk operation nothing"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(pod: "Served", args: Any, words: str):
    pod.put("bad")
    done = pod.run(*args)
    assert done.code in (2, 3), done
    assert words in done.err
