"""Limits of a task file in real pods: put by the start, held by what runs, kept by a restart."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

APP = """
import os, time
from pathlib import Path
import dsched

@dsched.task
def work() -> None:
    here = Path(os.environ["LEDGER"])
    with (here / "ledger").open("a") as ledger:
        ledger.write(f"begin {time.monotonic()}\\n")
    time.sleep(0.3)
    with (here / "ledger").open("a") as ledger:
        ledger.write(f"end {time.monotonic()}\\n")
"""
FILE = """
limits:
  crm: {max_running: %d}
tasks:
"""
TASK = """  - id: t%d
    every: 1s
    executor: local
    payload: {function: work}
    overlap: allow
    limits: [crm]
"""


def dsched(folder, *words, program="dsched.launcher.run"):
    command = [sys.executable, "-m", program, *words]
    env = os.environ | {"LEDGER": str(folder), "PYTHONPATH": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=90, check=False
    )


def most_at_once(folder):
    lines = [line.split() for line in (folder / "ledger").read_text().splitlines()]
    now = most = 0
    for word, _ in sorted(lines, key=lambda line: (float(line[1]), line[0])):
        now += 1 if word == "begin" else -1
        most = max(most, now)
    return most


def limits(folder):
    listed = dsched(folder, "--local", "limit", "list", "-o", "json", program="dsched_cli.main")
    assert listed.returncode == 0, listed.stderr
    return {one["id"]: (one["max_running"], one["origin"]) for one in json.loads(listed.stdout)}


def test_pods_put_the_limits_of_their_file_first_and_hold_what_runs_to_them(tmp_path):
    (tmp_path / "limited_app.py").write_text(APP)
    tasks = "".join(TASK % number for number in range(6))
    file = tmp_path / "tasks.yaml"
    file.write_text(FILE % 2 + tasks)
    start = ("--tasks", "tasks.yaml", "--app", "limited_app", "--for")
    done = dsched(tmp_path, *start, "5s")
    assert done.returncode == 0, done.stderr
    assert "limit crm is new, as file:tasks declares it" in done.stderr
    assert most_at_once(tmp_path) == 2
    assert limits(tmp_path) == {"crm": (2, "file:tasks")}

    file.write_text(FILE % 3 + tasks)
    assert dsched(tmp_path, *start[:-1], "--check").returncode == 0
    done = dsched(tmp_path, *start, "5s")
    assert "limit crm is changed, as file:tasks declares it" in done.stderr
    assert most_at_once(tmp_path) == 3
    assert limits(tmp_path) == {"crm": (3, "file:tasks")}


def test_a_pod_whose_task_names_a_limit_that_is_not_there_says_so_and_runs_the_others(tmp_path):
    (tmp_path / "limited_app.py").write_text(APP)
    text = (FILE % 2 + TASK % 1 + TASK % 2).replace("[crm]", "[crn]", 1)
    (tmp_path / "tasks.yaml").write_text(text)
    start = ("--tasks", "tasks.yaml", "--app", "limited_app")
    checked = dsched(tmp_path, *start, "--check")
    assert checked.returncode == 2
    assert "tasks.yaml:10: tasks[0].limits[0]: there is no limit 'crn'; did you mean 'crm'?" in (
        checked.stderr
    )
    done = dsched(tmp_path, *start, "--for", "4s")
    assert done.returncode == 0, done.stderr
    assert "config t1 of file:tasks is not put: limits: there is no limit 'crn'" in done.stderr
    assert (tmp_path / "ledger").read_text().startswith("begin")
