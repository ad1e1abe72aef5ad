"""The commands that read, as processes against a real pod."""

import csv
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from conftest import Served

pytestmark = pytest.mark.slow


def test_an_empty_list_is_an_empty_array_in_json(pod: "Served"):
    assert pod.ok("task", "list", "--home", "held", "-o", "json").data == []


def test_every_format_carries_the_same_config(pod: "Served"):
    pod.put("formats", cron_expr="0 5 * * *", every=None, name="Five")
    record = pod.ok("config", "get", "formats", "-o", "json").data
    assert record == pod.call("GET", "/configs/formats")
    assert yaml.safe_load(pod.ok("config", "get", "formats", "-o", "yaml").out) == record
    listed = pod.ok("config", "list", "--all", "-o", "jsonl").out.splitlines()
    assert record in [json.loads(line) for line in listed]
    rows = list(csv.DictReader(io.StringIO(pod.ok("config", "list", "-o", "csv").out)))
    assert [row["name"] for row in rows if row["id"] == "formats"] == ["Five"]
    assert "formats" in pod.ok("config", "list", "-o", "name").out.split()
    assert "0 5 * * *" in pod.ok("config", "list").out


def test_a_table_has_no_colour_off_a_terminal(pod: "Served"):
    pod.put("colourless")
    done = pod.ok("config", "list")
    assert "\x1b" not in done.out
    assert done.out.splitlines()[0].split()[:3] == ["ID", "STATE", "WHEN"]


def test_times_are_shown_in_the_zone_asked_for_with_their_offset(pod: "Served"):
    pod.put("zoned", cron_expr="30 12 1 1 *", every=None)
    done = pod.ok("config", "list", "--tz", "Asia/Tokyo")
    (line,) = [one for one in done.out.splitlines() if one.startswith("zoned ")]
    assert "-01-01 21:30:00+09:00" in line


def test_a_unique_prefix_is_enough_and_an_ambiguous_one_names_the_candidates(pod: "Served"):
    pod.put("prefix-apple")
    pod.put("prefix-pear")
    assert pod.ok("config", "get", "prefix-a", "-o", "name").out == "prefix-apple\n"
    done = pod.run("config", "get", "prefix-")
    assert done.code == 3
    assert "prefix-apple, prefix-pear" in done.err


def test_a_wrong_name_is_answered_in_three_lines_with_the_one_that_was_meant(pod: "Served"):
    pod.put("quarterly")
    done = pod.run("config", "get", "quartelry")
    assert (done.code, done.out) == (3, "")
    what, why, todo = done.err.splitlines()
    assert what == "dsched: there is no config 'quartelry'"
    assert why.startswith("because: ")
    assert todo.startswith("try: did you mean 'quarterly'?")


def test_a_limit_says_that_there_is_more(pod: "Served"):
    pod.put("limit-1")
    pod.put("limit-2")
    done = pod.ok("config", "list", "--limit", "1", "-o", "name")
    assert len(done.out.split()) == 1
    assert "only the first 1 are shown" in done.err


def test_a_token_that_opens_nothing_is_not_allowed(pod: "Served"):
    done = pod.run("config", "list", env={"DSCHED_TOKEN": "dsk_aaaaaaaa_" + "a" * 40})
    assert (done.code, done.out) == (4, "")
    assert "DSCHED_TOKEN" in done.err


def test_who_has_no_token_is_told_where_there_is_one(pod: "Served"):
    done = pod.run("status", env={"DSCHED_TOKEN": ""})
    assert done.code == 4
    for way in ("DSCHED_TOKEN_FILE", "first pod prints", "--local token create"):
        assert way in done.err


def test_a_server_that_is_not_there_is_unreachable(pod: "Served"):
    done = pod.run("config", "list", "--url", "http://127.0.0.1:1")
    assert done.code == 7
    assert "--local" in done.err


def test_lists_import_no_heavy_client(pod: "Served"):
    code = (
        "import sys\n"
        "from dsched_cli.main import main\n"
        "code = main(['config', 'list', '-o', 'table'])\n"
        "heavy = {'aiohttp', 'redis', 'grpc', 'rich', 'yaml', 'asyncio'} & set(sys.modules)\n"
        # Of the core only the errors that all clients share, as test_tree.py has it.
        "core = {name for name in sys.modules if name.startswith('dsched.')} - {'dsched.errors'}\n"
        "print(code, sorted(heavy | core))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**pod.env, "PATH": "", "XDG_CONFIG_HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "0 []"


def test_status_answers_health_load_and_what_comes_next(pod: "Served", eventually: Any):
    pod.put("soon", every="5m")
    eventually(lambda: pod.run("status").code == 0)
    done = pod.ok("status")
    assert done.out.splitlines()[0] == "healthy"
    assert "next:" in done.out
    record = pod.ok("status", "-o", "json").data
    assert record["problems"] == []
    assert record["cluster"]["leader"]["pod"]


def test_status_of_a_cluster_without_worker_says_so_and_fails(own_pod: "Served", eventually: Any):
    eventually(lambda: own_pod.call("GET", "/cluster")["leader"])
    done = own_pod.run("status")
    assert done.code == 1
    assert "there is no worker" in done.out


def test_workers_are_listed_and_shown(pod: "Served", eventually: Any):
    (worker,) = eventually(lambda: pod.ok("worker", "list", "-o", "json").data)
    assert pod.ok("worker", "get", worker["id"][:-4], "-o", "json").data["id"] == worker["id"]


def test_the_cluster_is_shown_as_the_api_has_it(pod: "Served"):
    assert pod.ok("cluster", "get", "-o", "json").data["version"]


def test_upcoming_instants_of_a_config_mark_clock_changes(pod: "Served"):
    pod.needs("/upcoming")
    pod.put("spring", cron_expr="30 2 * * *", every=None, timezone="Europe/Berlin")
    args = ("next", "spring", "-n", "2", "--from", "2030-03-30T12:00:00Z")
    done = pod.ok(*args)
    assert "moved by the gap of" in done.out
    first = pod.ok(*args, "-o", "json").data[0]
    assert first["time"] == "2030-03-31T01:00:00.000Z"
    explained = pod.ok(*args, "--explain")
    assert "hour          2" in explained.out


def test_top_off_a_terminal_draws_once(pod: "Served"):
    assert "leader" in pod.ok("top").out


def test_doctor_finds_a_healthy_cluster_in_order(pod: "Served", eventually: Any):
    eventually(lambda: pod.run("status").code == 0)
    findings = {one["check"]: one for one in pod.ok("doctor", "-o", "json").data}
    assert findings["leader"]["state"] == "ok"
    assert findings["version"]["state"] == "ok"
    assert findings["clock"]["state"] == "ok"
    assert findings["workers"]["state"] == "ok"


def test_doctor_fails_when_the_server_is_not_there(pod: "Served"):
    done = pod.run("doctor", "--url", "http://127.0.0.1:1", "-o", "json")
    assert done.code == 1
    assert [one["check"] for one in done.data if one["state"] == "error"] == ["server"]


def test_plugins_of_the_server_are_listed(pod: "Served"):
    names = {one["name"] for one in pod.ok("plugin", "list", "--server", "-o", "json").data}
    assert {"local", "sqlite"} <= names


def test_completion_offers_ids_of_the_server(pod: "Served"):
    pod.put("complete-me")
    words = {"COMP_WORDS": "dsched config get complete-", "COMP_CWORD": "3"}
    done = pod.run(env={"_DSCHED_COMPLETE": "bash_complete", **words})
    assert "plain,complete-me" in done.out.splitlines()
