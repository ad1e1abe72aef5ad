"""What the pages tell people to run is run: the quickstart, three pods, the programs, the
commands."""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from docs_processes import Running, started
from pages import ROOT, blocks_of

from dsched_testkit.servers import RedisServer, wait_until

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
QUICKSTART = ROOT / "docs/examples/quickstart"
THREE_PODS = ROOT / "docs/examples/three-pods"
CONFIG = "store: sqlite\nsqlite: {path: programs.db}\nmetrics: {port: 0}\n"


def quickstart(tmp_path: Path, *arguments: str) -> contextlib.AbstractContextManager[Running]:
    command = [sys.executable, str(QUICKSTART / "run.py"), *arguments]
    told = {"DSCHED_SQLITE__PATH": str(tmp_path / "quickstart.db"), "DSCHED_METRICS__PORT": "0"}
    return started(command, tmp_path / "log", **told)


def test_the_quickstart_runs_every_task_and_ends_by_itself(tmp_path):
    with quickstart(tmp_path, "--for", "11s") as run:
        assert run.ends() == 0, run.said()
    said = run.said()
    for config in ("http-echo", "http-flaky", "grpc-health", "local-async", "local-thread"):
        assert re.search(rf"{config} fired for ", said), config
        assert re.search(rf"ended: \w+.* \(task={config}@", said), config
    assert re.search(r"ended: ok.* \(task=local-process@", said)
    assert re.search(
        r"failed: 503: .* \(again in [\d.]+ s, retry 1 of \d+\) \(task=http-flaky@", said
    )
    assert re.search(r"ended: 200.* \(task=http-flaky@\d+ attempt=2 ", said)
    assert "Traceback" not in said


def takes(taken: socket.socket, port: int) -> bool:
    """Whether the port is now ours."""
    try:
        taken.bind(("127.0.0.1", port))
        taken.listen()
    except OSError:
        return False
    return True


def test_the_quickstart_takes_other_ports_when_its_own_are_taken(tmp_path):
    with contextlib.ExitStack() as stack:
        for port in (8765, 8766):
            taken = stack.enter_context(socket.socket())
            # Connections of a run before linger; and another test may have the port a while longer.
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            wait_until(lambda taken=taken, port=port: takes(taken, port), "a port", timeout_s=30)
        run = stack.enter_context(quickstart(tmp_path, "--for", "20s"))
        run.says(r"a usual port is taken")
        run.says(r"ended: 200.* \(task=http-echo@")
        run.says(r"ended: OK.* \(task=grpc-health@")
        run.process.send_signal(signal.SIGINT)
        assert run.ends() == 0, run.said()


def test_the_quickstart_stops_cleanly_on_ctrl_c_and_leaves_no_process(tmp_path):
    with quickstart(tmp_path) as run:
        run.says(r"ended: ok")
        children = Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children")
        ours = children.read_text().split()
        assert ours  # the targets, at least
        run.process.send_signal(signal.SIGINT)
        assert run.ends() == 0, run.said()
    assert all(not Path(f"/proc/{child}").exists() for child in ours)
    assert "has stopped" in run.said()
    assert "Traceback" not in run.said()


def test_the_quickstart_hands_on_what_it_is_told_and_its_exit_code(tmp_path):
    with quickstart(tmp_path, "--role", "juggler") as run:
        assert run.ends() == 2
    assert "juggler" in run.said()


def readme_commands() -> tuple[list[str], list[str]]:
    """The server and the pod of the README's set-up, as argument lists."""
    texts = [block.text for block in blocks_of(ROOT / "README.md") if block.language == "sh"]
    server = next(text for text in texts if text.startswith("redis-server"))
    folder, pod = next(text for text in texts if "POD_NAME" in text).splitlines()
    assert (ROOT / folder.removeprefix("cd ")).resolve() == THREE_PODS
    told, program, *arguments = shlex.split(pod)
    assert told == "POD_NAME=a"
    assert Path(program).name == "dsched-run"
    wanted = [word for word in shlex.split(server)[1:] if "mktemp" not in word and word != "--dir"]
    return wanted, arguments


def who_leads(server_addr: str) -> str:
    """The pod that the README's question about the leader names."""
    texts = [block.text for block in blocks_of(ROOT / "README.md") if block.language == "sh"]
    told, program, *arguments = shlex.split(next(text for text in texts if "--local" in text))
    name, _, value = told.partition("=")
    assert Path(program).name == "dsched"
    done = subprocess.run(
        [str(BIN / "dsched"), *arguments],
        cwd=THREE_PODS,
        env={**os.environ, name: value, "DSCHED_REDIS__ADDR": server_addr},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("leader:")]
    return line.split()[1]


def test_three_pods_on_redis_elect_a_leader_survive_its_death_and_all_run_tasks(tmp_path):
    server_arguments, arguments = readme_commands()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(RedisServer(*server_arguments))
        pods = {}
        for name in "abc":
            command = [str(BIN / "dsched-run"), *arguments]
            told = {"POD_NAME": name, "DSCHED_REDIS__ADDR": server.addr}
            log = tmp_path / name
            pods[name] = stack.enter_context(started(command, log, cwd=THREE_PODS, **told))
        for pod in pods.values():
            pod.says(r"ended: ok.* \(task=greet-\w+@")
        leaders = [name for name, pod in pods.items() if "leads from now on" in pod.said()]
        assert len(leaders) == 1
        assert who_leads(server.addr) == leaders[0]
        pods.pop(leaders[0]).process.kill()
        wait_until(
            lambda: any("leads from now on" in pod.said() for pod in pods.values()),
            "another leader within the lock's time",
            timeout_s=12,
        )
        for pod in pods.values():
            pod.process.terminate()
        assert {pod.ends() for pod in pods.values()} == {0}


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder in which the pages' commands and commands find what they name."""
    (tmp_path / "dsched.yaml").write_text(CONFIG)
    (tmp_path / "tasks.yaml").write_text((THREE_PODS / "tasks.yaml").read_text())
    (tmp_path / "app.py").write_text((THREE_PODS / "app.py").read_text())
    return tmp_path


def programs() -> list[str]:
    """The Python blocks of the usage page that are programs, in their order."""
    found = [block.text for block in blocks_of(ROOT / "docs/usage.md")]
    return [text for text in found if "asyncio.run(main())" in text]


# The pages' programs leave no config behind; a leader lists what has ended.
WHAT_IS_LEFT = """
import asyncio
import dsched
from dsched.contracts.store.reading import TaskQuery
from dsched.model import TaskStatus

async def main():
    async with dsched.pod({"store": "sqlite"}) as pod:
        print((await pod.client.list_configs()).configs)
        for query in (TaskQuery(status=TaskStatus.CANCELLED), TaskQuery(config_id="double")):
            while not (ended := (await pod.client.list(query)).tasks):
                await asyncio.sleep(0.05)
            print(*[task.id for task in ended])

asyncio.run(main())
"""


def test_the_programs_of_the_usage_page_do_what_they_say(tmp_path):
    """In an empty folder: they need no file that the page does not show."""
    why, logs, embedding, client = programs()
    answers = []
    for text in (embedding, client, WHAT_IS_LEFT, why, logs):
        done = subprocess.run(
            [sys.executable, "-c", text],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout.split())
    assert answers[0] == ["42"]
    assert answers[1][:4] == ["order-4711", "pending", "['order-4711']", "OK"]
    assert answers[1][5::2] == ["None"] * 4
    assert answers[1][8::2] == ["[]"] * 2  # none lives, none is queued
    configs, ordered, doubled = answers[2]
    assert (configs, ordered) == ("()", "order-4711")
    assert doubled.startswith("double@manual-")
    assert [word for word in answers[3] if word in ("pending", "not_due")] == ["pending", "not_due"]
    assert answers[3][-3:] == ["0", "0", "None"]
    assert answers[4][:10] == ["1", "1", "info", "row", "0", "2", "1", "info", "row", "1"]


def commands() -> list[str]:
    """Every `dsched-run` line of the usage page and the core's README."""
    found = [*blocks_of(ROOT / "docs/usage.md"), *blocks_of(ROOT / "core/README.md")]
    lines = [line for block in found if block.language == "sh" for line in block.text.splitlines()]
    return [line for line in lines if "dsched-run" in line]


@pytest.mark.parametrize("line", commands())
def test_every_dsched_run_line_runs(workplace, line):
    """Lines that would run for ever are checked; the core's README's task calls the public net."""
    words = shlex.split(line)[1:]
    if not {"--help", "--check", "--print-config", "--for"} & set(words):
        words += ["--check"]
    with contextlib.ExitStack() as stack:
        told = {"DSCHED_METRICS__PORT": "0"}
        if "redis" in words:
            told["DSCHED_REDIS__ADDR"] = stack.enter_context(RedisServer()).addr
        done = subprocess.run(
            [str(BIN / "dsched-run"), *words],
            cwd=workplace,
            env=os.environ | told,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    assert done.returncode == 0, done.stderr


def test_every_json_line_about_a_task_carries_its_facts(workplace):
    command = "dsched-run --config dsched.yaml --tasks tasks.yaml --app app --log-format json"
    words = shlex.split(command)[1:]
    with started([str(BIN / "dsched-run"), *words], workplace / "log", cwd=workplace) as run:
        run.says(r"ended: ok")
        run.process.terminate()
        assert run.ends() == 0
    lines = [json.loads(line) for line in run.said().splitlines()]
    about = [line for line in lines if line["message"].startswith(("starts", "ended"))]
    assert about
    for line in about:
        assert line["task_id"].startswith("greet-")
        assert line["attempt"] == 1
        assert line["worker_id"]


def test_a_task_that_nobody_matches_says_so(workplace):
    program = """
import asyncio
import dsched

async def main():
    async with dsched.pod("dsched.yaml") as pod:
        url = {"url": "http://127.0.0.1:9/"}
        spec = dsched.TaskSpec(executor="http", payload=url, required_labels={"zone": "eu"})
        task_id = await pod.client.submit(spec)
        # At first it may only say that no worker has registered yet.
        while "zone" not in (task := await pod.client.get(task_id)).reason:
            await asyncio.sleep(0.05)
        print(task.status, task.reason)
        await pod.client.cancel(task_id)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=workplace,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.stdout.strip() == "pending deferred: no worker has zone=eu", done.stderr
