"""`dsched-run`: arguments, exit codes, logs and signals, on the store ``memory``."""

import json
import logging
import os
import signal
import subprocess
import sys
import time

import pytest

from dsched.launcher.logs import JsonLines, PlainWords
from dsched.launcher.run import main

CONFIG = """\
store: memory
pod: {name: test}
worker: {drain_timeout: 20s}
plugins: {disabled: [dsched-store-redis, dsched-store-sqlite, dsched-metrics-prometheus]}
"""
APP = """\
import asyncio, dsched, time

@dsched.task("hello")
async def hello(ctx):
    ctx.logger.info("line one\\nline two \\x1b[31m")

@dsched.task("long")
async def long():
    await asyncio.sleep(60)

@dsched.task("blocks")
async def blocks():
    time.sleep(3)
"""
TASKS = "tasks: [{{id: job, every: 1s, executor: local, payload: {{function: {name}}}}}]\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "dsched.yaml").write_text(CONFIG)
    (tmp_path / "my_app.py").write_text(APP)
    for name in ("hello", "long", "blocks"):
        (tmp_path / f"{name}.yaml").write_text(TASKS.format(name=name))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # --app adds the folder for good
    return tmp_path


def _start(folder, *arguments):
    command = [sys.executable, "-m", "dsched.launcher.run", "--config", "dsched.yaml"]
    return subprocess.Popen(
        [*command, *arguments],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _read_until(process, word, timeout_s=20.0):
    lines, until_s = [], time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        line = process.stderr.readline()
        lines.append(line)
        if word in line:
            return lines
        if not line:
            break
    pytest.fail(f"{word!r} was not logged: {''.join(lines)}")


@pytest.mark.parametrize("arguments", [["--nope"], ["--for", "soon"], ["--role", ","]])
def test_bad_flags_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("schedul: {}\n", "schedul"),
        ("schedule: {leader_lock_ttl: 10s, leader_renew_interval: 9s}\n", "leader_renew_interval"),
        ("log: {level: loud}\n", "loud"),
        ("schedule: {balancer: nope}\n", "nope"),
    ],
)
def test_a_bad_config_exits_with_2_and_names_file_and_key(folder, capsys, text, word):
    (folder / "dsched.yaml").write_text(CONFIG + text)
    assert main(["--config", "dsched.yaml", "--check"]) == 2
    shown = capsys.readouterr().err
    assert word in shown
    assert "dsched.yaml" in shown


def test_a_module_that_cannot_be_imported_and_an_unknown_role_exit_with_2(folder, capsys):
    assert main(["--config", "dsched.yaml", "--app", "no_such_module", "--check"]) == 2
    assert "no_such_module" in capsys.readouterr().err
    assert main(["--config", "dsched.yaml", "--role", "boss", "--check"]) == 2
    assert "boss" in capsys.readouterr().err


def test_a_broken_plugin_exits_with_3_and_is_named(folder, capsys, monkeypatch):
    info = folder / "broken_plugin-9.8.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 9.8\n")
    (info / "entry_points.txt").write_text("[dsched]\nbroken = broken_plugin_module\n")
    (folder / "broken_plugin_module.py").write_text("raise RuntimeError('I am broken')\n")
    monkeypatch.syspath_prepend(str(folder))
    assert main(["--config", "dsched.yaml", "--check"]) == 3
    shown = capsys.readouterr().err
    assert "broken-plugin" in shown
    assert "9.8" in shown


def test_check_says_what_it_found_and_starts_nothing(folder, capsys):
    arguments = ["--config", "dsched.yaml", "--app", "my_app", "--tasks", "hello.yaml", "--check"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "store: memory: ok" in shown
    assert "tasks: 1 ok: job" in shown


def test_print_config_shows_values_and_where_they_came_from(folder, capsys):
    assert main(["--config", "dsched.yaml", "--balancer", "round-robin", "--print-config"]) == 0
    shown = capsys.readouterr().out
    assert "round-robin" in shown
    assert "dsched.yaml" in shown


def test_no_record_can_forge_a_line_or_a_colour():
    record = logging.LogRecord(
        "dsched.task", logging.INFO, "", 0, "a\nb \x1b[31m \x9b31m \u2028 \ud800 z", (), None
    )
    record.task_id = "t\nforged"
    for formatter in (PlainWords(), JsonLines()):
        line = formatter.format(record)
        assert line.isprintable(), repr(line)
        line.encode()
    assert json.loads(JsonLines().format(record))["message"] == record.getMessage()


@pytest.mark.slow
def test_a_pod_stops_by_itself_and_each_line_of_a_task_carries_its_facts(folder):
    process = _start(
        folder, "--app", "my_app", "--tasks", "hello.yaml", "--for", "3s", "--log-format", "json"
    )
    _, shown = process.communicate(timeout=30)
    assert process.returncode == 0, shown
    lines = [json.loads(line) for line in shown.splitlines()]
    of_tasks = [line for line in lines if line["logger"] in ("dsched.task", "dsched.worker")]
    attempts = [line for line in of_tasks if "task_id" in line]
    assert any(line["message"].startswith("line one") for line in attempts)
    assert all({"task_id", "attempt", "worker_id"} <= line.keys() for line in attempts)


@pytest.mark.slow
def test_the_first_signal_waits_and_the_second_does_not(folder):
    process = _start(folder, "--app", "my_app", "--tasks", "long.yaml")
    _read_until(process, "starts (task=job@")
    os.kill(process.pid, signal.SIGTERM)
    _read_until(process, "waiting up to 20 s")
    began_s = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    _, shown = process.communicate(timeout=20)
    assert process.returncode == 0, shown
    assert time.monotonic() - began_s < 5
    assert "given back" in shown


@pytest.mark.slow
def test_a_signal_to_an_idle_pod_ends_it_cleanly_at_once(folder):
    process = _start(folder)
    _read_until(process, "is ready for")
    began_s = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    _, shown = process.communicate(timeout=20)
    assert process.returncode == 0, shown
    assert time.monotonic() - began_s < 5
