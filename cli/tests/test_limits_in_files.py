"""Limits in task files at the command line: compared, put before what names them, pruned, shown."""

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dsched_cli.errors import ExitCode

if TYPE_CHECKING:
    from conftest import Served

pytestmark = pytest.mark.slow

DAILY = {"executor": "local", "payload": {"function": "hello"}, "cron_expr": "0 5 * * *"}


def write(served: "Served", limits: Any, *names: str, name: str = "limited") -> str:
    path = served.folder / f"{name}.yaml"
    tasks = [{"id": f"{name}-{at}", **DAILY, "limits": [one]} for at, one in enumerate(names)]
    file = {**({"limits": limits} if limits is not None else {}), "tasks": tasks}
    path.write_text(yaml.safe_dump(file, sort_keys=False))
    return str(path)


def limits_of(served: "Served") -> dict[str, tuple[int, str]]:
    found = served.ok("limit", "list", "-o", "json").data
    return {one["id"]: (one["max_running"], one["origin"]) for one in found}


def test_limits_are_compared_applied_changed_and_exported(own_pod: "Served") -> None:
    path = write(own_pod, {"crm-api": {"max_running": 5}}, "crm-api", "crm-api:acme")
    diff = own_pod.run("diff", "-f", path)
    assert diff.code == ExitCode.DIFFERENT
    assert "+ limit crm-api is new (max_running: 5)" in diff.out
    assert limits_of(own_pod) == {}
    assert "3 changed, 0 unchanged" in own_pod.ok("apply", "-f", path).err
    assert limits_of(own_pod) == {"crm-api": (5, "file:limited")}
    same = own_pod.ok("diff", "-f", path)
    assert "1 limits unchanged" in same.out

    write(own_pod, {"crm-api": {"max_running": 7}, "new": {"max_running": 0}}, "crm-api", "new")
    diff = own_pod.run("diff", "-f", path, "-o", "json")
    assert diff.code == ExitCode.DIFFERENT
    changes = {one["id"]: one for one in diff.data["limits"]["changes"]}
    assert changes["crm-api"]["action"] == "change"
    assert changes["new"]["values"] == {"max_running": 0}
    shown = own_pod.run("diff", "-f", path).out.splitlines()
    assert shown[shown.index("~ limit crm-api changes") + 1] == "    max_running: 5 -> 7"
    own_pod.ok("apply", "-f", path)
    exported = own_pod.ok("export").out
    file = yaml.safe_load(exported)
    assert file["limits"] == {"crm-api": {"max_running": 7}, "new": {"max_running": 0}}
    back = own_pod.folder / "limited.yaml"
    back.write_text(exported)
    assert own_pod.run("diff", "-f", str(back)).code == ExitCode.OK
    one = yaml.safe_load(own_pod.ok("export", "limited-1").out)
    assert list(one["limits"]) == ["new"]


def test_an_unknown_limit_is_named_with_its_line_before_anything_is_sent(own_pod: "Served") -> None:
    path = write(own_pod, {"crm-api": {"max_running": 5}}, "crm-api", "crm-apy:acme")
    done = own_pod.run("apply", "-f", path)
    assert done.code == ExitCode.USAGE
    (line,) = [one for one in done.err.splitlines() if "crm-apy" in one]
    lines = (own_pod.folder / "limited.yaml").read_text().splitlines()
    number = next(at for at, text in enumerate(lines, 1) if "apy" in text)
    assert f"limited.yaml:{number}: tasks[1].limits[0]: there is no limit 'crm-apy'" in line
    assert "did you mean 'crm-api'?" in line
    assert limits_of(own_pod) == {}
    wrong = write(own_pod, {"crm-api": {"max_running": "many"}})
    assert "limits.crm-api.max_running" in own_pod.run("apply", "-f", wrong).err


def test_a_limit_that_vanished_stays_until_it_is_pruned_and_nothing_names_it(
    own_pod: "Served",
) -> None:
    both = {"old": {"max_running": 1}, "crm": {"max_running": 2}}
    path = write(own_pod, both, "old", "crm")
    own_pod.ok("apply", "-f", path)
    write(own_pod, {"crm": {"max_running": 2}}, "old", "crm")
    kept = own_pod.run("diff", "-f", path, "--prune")
    assert "= limit old stays: file:limited no longer has it; config limited-0 names it" in kept.out
    assert kept.code == ExitCode.OK
    write(own_pod, {"crm": {"max_running": 2}}, "crm")
    assert "it; --prune deletes it" in own_pod.run("diff", "-f", path).out
    own_pod.ok("apply", "-f", path)
    assert set(limits_of(own_pod)) == {"old", "crm"}
    assert "- limit old is deleted" in own_pod.run("diff", "-f", path, "--prune").out
    own_pod.ok("apply", "-f", path, "--prune", "--yes")
    assert set(limits_of(own_pod)) == {"crm"}


def test_a_limit_in_use_is_not_pruned_and_said(pod: Any, until: Any) -> None:
    path = write(pod, {"file-gate": {"max_running": 0}}, name="gates")
    pod.ok("apply", "-f", path)
    body = {"executor": "local", "payload": {"function": "hello"}, "limits": ["file-gate"]}
    pod.call("POST", "/tasks", {**body, "id": "waits-gated"})
    until(lambda: pod.ok("limit", "get", "file-gate", "-o", "json").data["uses"])
    write(pod, {}, name="gates")
    refused = pod.run("apply", "-f", path, "--prune", "--yes")
    assert refused.code == ExitCode.PARTLY
    assert "limit file-gate: " in refused.err
    assert "is in use" in refused.err
    assert set(limits_of(pod)) >= {"file-gate"}
    pod.ok("limit", "delete", "file-gate", "--force")


def test_what_another_file_or_a_person_declared_is_adopted_only_if_asked(own_pod: "Served") -> None:
    own_pod.ok("limit", "set", "crm", "--max-running", "3")
    path = write(own_pod, {"crm": {"max_running": 5}}, "crm")
    refused = own_pod.run("apply", "-f", path)
    assert refused.code == ExitCode.CONFLICT
    assert "1 limits are declared elsewhere" in refused.err
    assert "limit crm (api)" in refused.err
    own_pod.ok("apply", "-f", path, "--adopt")
    assert limits_of(own_pod) == {"crm": (5, "file:limited")}
    by_hand = own_pod.run("limit", "set", "crm", "--max-running", "9")
    assert by_hand.code == ExitCode.CONFLICT
    assert "declared by file:limited" in by_hand.err
    own_pod.ok("limit", "set", "crm", "--max-running", "9", "--adopt")
    assert limits_of(own_pod) == {"crm": (9, "api")}


def test_two_files_may_share_limits_and_one_of_them_has_each(own_pod: "Served") -> None:
    shared = write(own_pod, {"crm": {"max_running": 5}}, name="shared")
    user = write(own_pod, None, "crm:acme", name="user")
    own_pod.ok("apply", "-f", user, "-f", shared)
    assert limits_of(own_pod) == {"crm": (5, "file:shared")}
    write(own_pod, {"crm": {"max_running": 5}}, name="user")
    twice = own_pod.run("apply", "-f", user, "-f", shared)
    assert twice.code == ExitCode.USAGE
    assert "limit crm is declared in two files" in twice.err
