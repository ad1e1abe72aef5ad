"""`--local`: the same commands without a server, on the store of a configuration."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Done

pytestmark = pytest.mark.slow

TASKS = "tasks:\n  - {id: one, cron_expr: '0 5 * * *', executor: local, payload: {function: f}}\n"


def test_configs_are_put_and_listed_without_a_server(dsched: "Callable[..., Done]", tmp_path: Path):
    (tmp_path / "tasks.yaml").write_text(TASKS)
    (tmp_path / "dsched.yaml").write_text("sqlite: {path: mine.db}\n")
    local = ("--local", "--config", "dsched.yaml")
    done = dsched("config", "put", "one", "-f", "tasks.yaml", *local, cwd=tmp_path)
    assert done.code == 0, done.err
    listed = dsched("config", "list", "-o", "name", *local, cwd=tmp_path)
    assert listed.out == "one\n"
    assert (tmp_path / "mine.db").exists()


def test_next_of_a_paused_config_says_that_it_is_paused(
    dsched: "Callable[..., Done]", tmp_path: Path
):
    (tmp_path / "tasks.yaml").write_text(TASKS)
    assert dsched("--local", "config", "put", "one", "-f", "tasks.yaml", cwd=tmp_path).code == 0
    runs = dsched("--local", "next", "one", "-n", "1", cwd=tmp_path)
    assert (runs.code, "paused" in runs.err) == (0, False)
    assert dsched("--local", "config", "pause", "one", "--reason", "x", cwd=tmp_path).code == 0
    waits = dsched("--local", "next", "one", "-n", "1", cwd=tmp_path)
    assert "note: one is paused: until it is resumed none of these fires" in waits.err


@pytest.mark.parametrize(
    "command",
    [("status",), ("config", "list"), ("why", "one"), ("task", "cancel", "x", "--reason", "y")],
)
def test_a_question_never_makes_a_store(
    dsched: "Callable[..., Done]", tmp_path: Path, command: tuple[str, ...]
):
    (tmp_path / "mine.yaml").write_text("sqlite: {path: mine.db}\n")
    for config, file in (((), "dsched.db"), (("--config", "mine.yaml"), "mine.db")):
        done = dsched("--local", *config, *command, cwd=tmp_path)
        assert done.code == 3, done.err
        assert "there is no store here" in done.err
        assert f"{file} does not exist" in done.err
    assert [one.name for one in tmp_path.iterdir()] == ["mine.yaml"]


def test_what_puts_something_into_a_store_makes_one_and_says_so(
    dsched: "Callable[..., Done]", tmp_path: Path
):
    first = dsched("--local", "token", "create", "me", "--save", "me.token", cwd=tmp_path)
    assert first.code == 0, first.err
    assert "dsched.db does not exist yet; an empty store is made" in first.err
    second = dsched("--local", "config", "list", cwd=tmp_path)
    assert (second.code, second.err) == (0, "")
    elsewhere = {"DSCHED_SQLITE__PATH": str(tmp_path / "dsched.db")}
    assert dsched("--local", "config", "list", cwd=tmp_path / "..", env=elsewhere).code == 0


def test_a_configuration_that_cannot_be_used_is_told(dsched: "Callable[..., Done]", tmp_path: Path):
    (tmp_path / "bad.yaml").write_text("stor: sqlite\n")
    done = dsched("config", "list", "--local", "--config", "bad.yaml", cwd=tmp_path)
    assert done.code == 2  # as `dsched-run` ends with it
    assert "bad.yaml:1: stor:" in done.err
    without = dsched("config", "list", "--config", "bad.yaml", cwd=tmp_path)
    assert (without.code, "add --local" in without.err) == (2, True)


def test_doctor_looks_at_settings_and_store_without_a_server(
    dsched: "Callable[..., Done]", tmp_path: Path
):
    env = {"DSCHED_URL": "http://127.0.0.1:1", "DSCHED_TOKEN": "x"}
    done = dsched("doctor", "--local", "-o", "json", cwd=tmp_path, env=env)
    found = {one["check"]: one["state"] for one in done.data}
    assert (done.code, found["settings"], found["store"]) == (0, "ok", "ok")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "bad.yaml").write_text("store: nosuch\n")
    bad = dsched("doctor", "--local", "--config", "bad.yaml", "-o", "json", cwd=tmp_path)
    assert bad.code == 1
    assert [one["check"] for one in bad.data if one["state"] == "error"] == ["settings"]


def test_the_pod_ends_with_the_command_whatever_kills_it(
    dsched: "Callable[..., Done]", tmp_path: Path, eventually: Any
):
    (tmp_path / "tasks.yaml").write_text(TASKS)
    assert dsched("--local", "config", "put", "one", "-f", "tasks.yaml", cwd=tmp_path).code == 0
    command = [sys.executable, "-m", "dsched_cli.main", "--local", "config", "list", "--watch"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("DSCHED_")}
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline().startswith(b"ID")
        (pod,) = _children(watching.pid)
        watching.send_signal(signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pod}").exists() or _is_zombie(pod), timeout_s=30)


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
