"""Two clusters on one store are told apart by their names; SIGHUP ends a pod in order."""

import json
import signal

import pytest
from pods import PodProcess, clean_environment, until

from dsched.launcher.run import main
from dsched_testkit.servers import NoServerError, RedisServer

pytestmark = [pytest.mark.timeout(120)]


def _settings(folder, name, **more):
    path = folder / f"{name or 'none'}.yaml"
    path.write_text(json.dumps({"sqlite": {"path": str(folder / "s.db")}, "cluster": name, **more}))
    return str(path)


def _start(config, *more):
    return main(["--config", config, "--role", "scheduler", "--for", "1s", *more])


@pytest.mark.slow
def test_a_store_is_of_the_cluster_that_came_first(tmp_path, capsys):
    one, two, any_ = (_settings(tmp_path, name) for name in ("one", "two", ""))
    assert _start(one, "--new-cluster") == 0
    assert _start(one) == 0
    for more in ((), ("--check",)):
        capsys.readouterr()
        assert _start(two, *more) == 4
        assert "belongs to the cluster 'one', and this pod is of 'two'" in capsys.readouterr().err
    assert _start(any_) == 0


@pytest.mark.slow
def test_a_named_cluster_begins_with_an_empty_store_only_where_it_is_new(tmp_path, capsys):
    one = _settings(tmp_path, "one")
    for _ in range(2):
        assert _start(one) == 4
        assert "nothing was ever in it, and this pod expects the cluster 'one'" in (
            capsys.readouterr().err
        )
    assert _start(one, "--new-cluster") == 0
    assert _start(one) == 0
    assert _start(one, "--new-cluster") == 0  # a manifest that says so for ever does no harm


@pytest.mark.slow
def test_a_store_that_was_emptied_is_not_begun_anew(tmp_path, capsys):
    try:
        server = RedisServer()
    except NoServerError as error:
        pytest.skip(str(error))
    with server:
        path = tmp_path / "one.yaml"
        settings = {"store": "redis", "redis": {"addr": server.addr}, "cluster": "one"}
        path.write_text(json.dumps(settings))
        assert _start(str(path), "--new-cluster") == 0
        server.command("FLUSHALL")
        assert _start(str(path)) == 4
        assert "it was emptied, or is another one than before" in capsys.readouterr().err


@pytest.mark.slow
def test_a_check_gives_a_store_no_name(tmp_path):
    assert _start(_settings(tmp_path, "")) == 0
    assert _start(_settings(tmp_path, "two"), "--check") == 0
    assert _start(_settings(tmp_path, "one")) == 0


@pytest.mark.slow
async def test_sighup_stops_a_pod_in_order(tmp_path):
    env = clean_environment(DSCHED_SQLITE__PATH=str(tmp_path / "s.db"), POD_NAME="pod-a")
    pod = PodProcess("pod-a", ("--log-format", "json", "--role", "scheduler,worker"), tmp_path, env)
    try:
        await until(lambda: pod.said("is ready for"), "it works", 40, [pod])
        pod.send(signal.SIGHUP)
        assert await pod.ended() == 0
        assert pod.said("SIGHUP: no new tasks")
        assert pod.said("pod pod-a has stopped")
    finally:
        pod.end()


@pytest.mark.slow
async def test_under_nohup_a_pod_outlives_its_terminal(tmp_path):
    env = clean_environment(DSCHED_SQLITE__PATH=str(tmp_path / "s.db"), POD_NAME="pod-a")
    argv = ("dsched-run", "--log-format", "json", "--role", "scheduler,worker")
    program = str(__import__("pods").DSCHED_RUN)
    pod = PodProcess("pod-a", (program, *argv[1:]), tmp_path, env, program=("nohup",))
    try:
        await until(lambda: pod.said("is ready for"), "it works", 40, [pod])
        pod.send(signal.SIGHUP)
        pod.terminate()
        assert await pod.ended() == 0
        assert not pod.said("SIGHUP")
    finally:
        pod.end()
