"""`dsched-run` as a user meets it: exit codes, and reports that name every problem at once."""

import json
import signal
import subprocess
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from pods import DSCHED_RUN, PodProcess, clean_environment, until

from dsched_testkit.servers import RedisServer

pytestmark = [pytest.mark.slow]

HTTP = 'executor: http, payload: {url: "http://example.com/"}'


def run(folder: Path, *argv: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """The command, to its end, in this folder."""
    return subprocess.run(
        [DSCHED_RUN, *argv],
        cwd=folder,
        env=clean_environment(**env),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return str(path)


def assert_reported(done: "subprocess.CompletedProcess[str]", code: int, *parts: str) -> None:
    """This exit code, nothing on stdout, no traceback, and each of these in the report."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    missing = [part for part in parts if part not in done.stderr]
    assert missing == [], done.stderr


def install(folder: Path, name: str, body: str, version: str = "1.2.3") -> None:
    """A distribution with a plugin of this body, in a folder for PYTHONPATH."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(textwrap.dedent(body))
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[dsched]\nmain = {module}\n")


def test_one_report_lists_every_problem_of_a_config_and_nothing_is_opened(tmp_path):
    config = """
        store: sqlite
        sqlite: {path: x.db, sync: full}
        schedule: {leader_lock_ttl: 3s, leader_renew_interval: 2s, balancr: x}
        worker: {max_concurrent_tasks: lots, heartbeat_timeout: 5}
        executors: {http: {allow: ["not a host"]}}
        nonsense: true
    """
    path = write(tmp_path, "dsched.yaml", config)
    assert_reported(
        run(tmp_path, "--config", path),
        2,
        f"{path}:3: sqlite.sync: is not a known key",
        f"{path}:4: schedule.balancr: is not a known key; did you mean 'balancer'?",
        f"{path}:4: schedule.leader_renew_interval: must be at most a third of leader_lock_ttl",
        f"{path}:5: worker.max_concurrent_tasks: must be a whole number",
        f"{path}:5: worker.heartbeat_timeout: 5 has no unit",
        f"{path}:6: executors.http: executors.http.allow: 'not a host' is not a host name",
        f"{path}:7: nonsense: is neither a section of dsched nor of an installed plugin",
    )
    assert sorted(tmp_path.iterdir()) == [tmp_path / "dsched.yaml"]


def test_one_report_lists_every_problem_of_a_task_file_and_no_task_of_it_is_put(tmp_path):
    big = "x" * (300 * 1024)
    tasks = f"""
        tasks:
          - {{id: good, every: 1m, {HTTP}}}
          - {{id: good, every: 2m, {HTTP}}}
          - {{id: "a{{b}}", every: 1m, {HTTP}}}
          - {{id: "a b", every: 1m, {HTTP}}}
          - {{id: "a\\eb", every: 1m, {HTTP}}}
          - {{id: {"y" * 300}, every: 1m, {HTTP}}}
          - {{id: typo, evry: 1m, {HTTP}}}
          - {{id: who, every: 1m, executor: htttp}}
          - {{id: where, cron_expr: "0 9 * * *", timezone: Europe/Berln, {HTTP}}}
          - {{id: when, cron_expr: "0 0 30 2 *", {HTTP}}}
          - {{id: long, every: 5 minutes, {HTTP}}}
          - {{id: kind, every: 1m, priority: high, {HTTP}}}
          - {{id: later, every: 1m, parents: [good], {HTTP}}}
          - {{id: big, every: 1m, executor: http, payload: {{url: "http://a.b/", body: {big}}}}}
    """
    path = write(tmp_path, "tasks.yaml", tasks)
    other = write(tmp_path, "other.yaml", f"tasks: [{{id: odd, every: 0s, {HTTP}}}]")
    done = run(tmp_path, "--tasks", path, "--tasks", other)
    assert_reported(
        done,
        2,
        f"{path}:4: tasks[1].id: is the id of tasks[0] too",
        f"{path}:5: tasks[2].id: 'a{{b}}' is not valid",
        f"{path}:6: tasks[3].id: 'a b' is not valid",
        f"{path}:7: tasks[4].id: 'a\\x1bb' is not valid",
        f"{path}:8: tasks[5].id: ",
        f"{path}:9: tasks[6].evry: is not a known key; did you mean 'every'?",
        f"{path}:10: tasks[7].executor: no installed executor is called 'htttp'",
        f"{path}:11: tasks[8].timezone: ",
        f"{path}:12: tasks[9].cron_expr: no date ever matches",
        f"{path}:13: tasks[10].every: ",
        f"{path}:14: tasks[11].priority: must be a whole number",
        f"{path}:15: tasks[12].parents: is reserved for a later version",
        f"{path}:16: tasks[13].payload: ",
        f"{other}:1: tasks[0].every: ",
    )
    assert big[:100] not in done.stderr, "a report quotes no payload"
    assert {path.name for path in tmp_path.iterdir()} == {"tasks.yaml", "other.yaml"}


def test_a_yaml_bomb_and_a_file_that_is_no_yaml_are_refused_at_once(tmp_path):
    rows = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    for last, name in zip("abcdefgh", "bcdefghi", strict=True):
        rows.append(f"{name}: &{name} [{','.join([f'*{last}'] * 10)}]")
    bomb = write(tmp_path, "bomb.yaml", "\n".join([*rows, "tasks: *i"]))
    started_s = time.monotonic()
    assert_reported(run(tmp_path, "--tasks", bomb), 2, "bomb.yaml", "once aliases are followed")
    assert time.monotonic() - started_s < 10
    unsafe = write(tmp_path, "unsafe.yaml", "tasks: !!python/object/apply:os.getcwd []")
    assert_reported(run(tmp_path, "--tasks", unsafe), 2, "unsafe.yaml:1")
    broken = write(tmp_path, "broken.yaml", "tasks: [{id: a")
    assert_reported(run(tmp_path, "--config", broken), 2, "broken.yaml")


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["--for", "5"], "5 has no unit"),
        (["--role", "schedular"], "--role: schedular: unknown; there are "),
        (["--role", ","], "name at least one role"),
        (["--store", "nope"], "--store: no installed store is called 'nope'"),
        (["--balancer", "nope"], "--balancer: no installed balancer is called 'nope'"),
        (["--app", "no_such_module"], "--app: no_such_module: cannot be imported"),
        (["--config", "no-such.yaml"], "no-such.yaml: cannot be read"),
        (["--tasks", "no-such.yaml"], "no-such.yaml: cannot be read"),
    ],
)
def test_bad_usage_ends_with_2_and_says_what_is_wrong(tmp_path, argv, part):
    assert_reported(run(tmp_path, *argv), 2, part)
    assert list(tmp_path.iterdir()) == []


def test_broken_plugins_end_with_3_all_named_by_distribution_and_version(tmp_path):
    site, work = tmp_path / "site", tmp_path / "work"
    site.mkdir()
    work.mkdir()
    install(site, "acme-broken", "import no_such_client\n")
    install(
        site,
        "acme-typo",
        """
        from dsched.contracts import hookimpl

        @hookimpl
        def dsched_executorz():
            return []
        """,
        version="0.9",
    )
    done = run(work, PYTHONPATH=str(site), PYTHONDONTWRITEBYTECODE="1")
    assert_reported(done, 3, "acme-broken 1.2.3", "no_such_client", "acme-typo 0.9", "executorz")
    assert list(work.iterdir()) == []
    off = json.dumps({"plugins": {"disabled": ["acme-broken", "acme-typo"]}})
    config = write(work, "dsched.yaml", off)
    done = run(work, "--config", config, "--check", PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr


def test_two_plugins_with_one_name_end_with_3_and_both_are_named(tmp_path):
    site, work = tmp_path / "site", tmp_path / "work"
    site.mkdir()
    work.mkdir()
    body = """
        from contextlib import asynccontextmanager

        import attrs

        from dsched.contracts import ExecutorProvider, hookimpl

        @attrs.frozen
        class Options:
            pass

        @asynccontextmanager
        async def opened(options):
            yield None

        @hookimpl
        def dsched_executors():
            return [ExecutorProvider(name="http", protocol="http", open=opened, options=Options)]
    """
    install(site, "acme-http", body)
    done = run(work, PYTHONPATH=str(site), PYTHONDONTWRITEBYTECODE="1")
    assert_reported(done, 3, "http", "acme-http 1.2.3", "dsched-executor-http")


def test_an_open_that_is_no_context_manager_is_named_by_check_and_by_a_start(tmp_path):
    site, work = tmp_path / "site", tmp_path / "work"
    site.mkdir()
    work.mkdir()
    body = """
        from dsched.contracts import ExecutorProvider, hookimpl

        def opens(options):
            return object()

        @hookimpl
        def dsched_executors():
            return [ExecutorProvider(name="plain", protocol="plain", open=opens)]
    """
    install(site, "acme-plain", body)
    told = ("acme-plain 1.2.3", "'plain'", "no async context manager", "@asynccontextmanager")
    for more in (["--check"], ["--for", "5s"]):
        done = run(work, *more, PYTHONPATH=str(site), PYTHONDONTWRITEBYTECODE="1")
        assert done.returncode == 3, (more, done.stderr)
        assert [part for part in told if part not in done.stderr] == []


def test_a_store_that_refuses_or_with_no_wait_does_not_answer_ends_with_4(tmp_path):
    elsewhere = tmp_path / "nowhere" / "x.db"
    done = run(tmp_path, DSCHED_SQLITE__PATH=str(elsewhere))
    assert done.returncode == 4
    assert f"the folder {elsewhere.parent}" in done.stderr
    (tmp_path / "x.db").write_text("this is no database " * 100)
    done = run(tmp_path, "--check", DSCHED_SQLITE__PATH="x.db")
    assert_reported(done, 4, "x.db")
    with RedisServer("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru") as evicting:
        done = run(tmp_path, "--store", "redis", "--check", DSCHED_REDIS__ADDR=evicting.addr)
    assert_reported(done, 4, "allkeys-lru", "noeviction")


def test_check_says_what_it_found_and_changes_nothing(tmp_path):
    tasks = write(tmp_path, "tasks.yaml", f"tasks: [{{id: good, every: 1m, {HTTP}}}]")
    done = run(tmp_path, "--tasks", tasks, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    for part in ("config: ", "executor: http (dsched-executor-http", "tasks: 1 ok: good"):
        assert part in done.stdout
    assert "store: sqlite: dsched.db does not exist yet; a start creates it" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"tasks.yaml"}
    assert run(tmp_path, "--tasks", tasks, "--for", "2s").returncode == 0
    found = run(tmp_path, "--check")
    assert "store: sqlite: ok, 1 configs" in found.stdout


def test_print_config_says_where_each_value_is_from_and_no_secret(tmp_path):
    config = write(tmp_path, "dsched.yaml", "redis: {password: from-the-file, db: 3}")
    done = run(
        tmp_path, "--config", config, "--print-config", "--store", "redis", DSCHED_REDIS__DB="4"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "from-the-file" not in done.stdout
    rows = {row.partition(":")[0].strip(): row for row in done.stdout.splitlines()}
    assert "DSCHED_REDIS__DB" in next(row for row in done.stdout.splitlines() if "db" in row)
    assert rows


APP = """
    import asyncio

    import dsched


    @dsched.task("hello")
    def hello(name: str) -> str:
        return f"hello {name}"


    @dsched.task("long")
    async def long() -> None:
        await asyncio.sleep(600)


    @dsched.task("deaf")
    async def deaf() -> None:
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass
"""


def start(folder: Path, function: str, args: Any, *argv: str) -> PodProcess:
    """A pod on the embedded store that runs one function every second, never two at once."""
    settings: dict[str, Any] = {"metrics": {"port": 0}, "worker": {"drain_timeout": "60s"}}
    config = write(folder, "dsched.yaml", json.dumps(settings))
    payload = {"function": function, "args": args}
    task = {"id": function, "every": "1s", "executor": "local", "payload": payload}
    tasks = write(folder, "tasks.yaml", json.dumps({"tasks": [task]}))
    write(folder, "the_app.py", APP)
    argv = ("--config", config, "--tasks", tasks, "--app", "the_app", "--log-format", "json", *argv)
    return PodProcess("pod", argv, folder, clean_environment(POD_NAME="pod"))


async def test_a_run_of_five_seconds_logs_every_fire_and_outcome_and_ends_with_0(tmp_path):
    pod = start(tmp_path, "hello", {"name": "Ada"}, "--for", "5s", "--role", "scheduler,worker")
    try:
        assert await pod.ended(20) == 0
        lines = pod.lines()
    finally:
        pod.end()
    assert [line for line in lines if "level" not in line] == [], "all of it is JSON"
    fires = [line for line in lines if line["message"].startswith("hello fired for ")]
    about = [line for line in lines if "task_id" in line]
    ended = [line for line in about if line["message"] == "ended: ok"]
    assert len(fires) == len(ended) == len({line["task_id"] for line in ended}) >= 3
    for line in about:
        assert line["attempt"] == 1
        assert line["worker_id"].startswith("pod-")


async def test_the_first_signal_waits_and_the_second_gives_back_what_runs(tmp_path):
    pod = start(tmp_path, "long", None)
    try:
        await until(lambda: _about("starts", pod), "the task runs", 20, [pod])
        pod.send(signal.SIGINT)
        said = "waiting up to 60 s for running ones (again to stop them now)"
        await until(lambda: pod.said(said), "it says what it waits for", 10, [pod])
        await until(lambda: pod.said("leads no more"), "it has resigned", 10, [pod])
        assert pod.code is None
        pod.send(signal.SIGINT)
        assert await pod.ended(10) == 0
        assert _about("given back", pod)
        assert pod.said("has stopped")
    finally:
        pod.end()


async def test_the_third_signal_leaves_at_once_whatever_will_not_stop(tmp_path):
    pod = start(tmp_path, "deaf", None)
    try:
        await until(lambda: _about("starts", pod), "the task runs", 20, [pod])
        for said in ("waiting up to 60 s", "stopping what runs", "leaving at once"):
            pod.send(signal.SIGTERM)
            await until(lambda said=said: pod.said(said), said, 10, [pod])
        assert await pod.ended(2) == 1
    finally:
        pod.end()


def _about(text: str, pod: PodProcess) -> bool:
    return any("task_id" in line for line in pod.said(text))


async def test_sigterm_before_the_start_is_complete_ends_with_0(tmp_path):
    # A Redis that accepts and never answers: the start takes for ever.
    with RedisServer() as silent:
        silent.send_signal(signal.SIGSTOP)
        settings = {"store": "redis", "redis": {"addr": silent.addr}}
        config = write(tmp_path, "dsched.yaml", json.dumps(settings))
        argv = ("--config", config, "--log-format", "json")
        pod = PodProcess("pod", argv, tmp_path, clean_environment(POD_NAME="pod"))
        try:
            await until(lambda: pod.heeds_sigterm, "it heeds signals", 20, [pod])
            pod.terminate()
            assert await pod.ended(10) == 0
            assert pod.said("stopping before the start is complete")
        finally:
            pod.end()
            silent.send_signal(signal.SIGCONT)


def test_check_warns_of_what_a_task_file_says_and_hardly_means(tmp_path):
    path = write(
        tmp_path,
        "odd.yaml",
        f"""
        tasks:
          - {{id: odd, cron_expr: "0 0 9 * * 2-6", {HTTP}}}
          - {{id: late, every: 1m, jitter: 5m, start_deadline: 2m, {HTTP}}}
          - {{id: fine, every: 1m, {HTTP}}}
        """,
    )
    done = run(tmp_path, "--tasks", path, "--check")
    assert done.returncode == 0, done.stderr
    warned = [line for line in done.stdout.splitlines() if line.startswith("warning: task ")]
    assert [line.split(": ")[:3] for line in warned] == [
        ["warning", "task odd", "cron_expr"],
        ["warning", "task late", "start_deadline"],
        ["warning", "task late", "jitter"],
    ]
