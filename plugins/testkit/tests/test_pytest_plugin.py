"""The fixture `dsched_cluster`: the production code around a test's own tasks, in virtual time."""

import re
import shutil
import subprocess
import sys
import sysconfig
import time
from datetime import timedelta
from pathlib import Path

import pytest

from dsched import FunctionContext, Registry, TaskConfig, TaskFailed
from dsched.config import ConfigError
from dsched_testkit.cluster.idling import Idling

ROOT = Path(__file__).parents[3]
NIGHT = ROOT / "docs" / "examples" / "testing-a-night"
PYTEST = (sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
SETTINGS = (
    *("-c", "/dev/null", "--rootdir", ".", "-o", "asyncio_mode=auto"),
    *("-o", "asyncio_default_fixture_loop_scope=function"),
)


@pytest.fixture
def registry():
    functions = Registry()

    @functions.task("echo")
    def echo(ctx: FunctionContext, word: str = "none") -> str:
        return f"{word} {ctx.task_id} {ctx.attempt}"

    @functions.task("sleep")
    async def sleep(seconds: float) -> str:
        import asyncio

        await asyncio.sleep(seconds)
        return "slept"

    return functions


def every(config_id="tick", minutes=10, function="echo", args=None, **more):
    return TaskConfig(
        id=config_id,
        executor="local",
        every=timedelta(minutes=minutes),
        payload={"function": function, "args": args},
        **more,
    )


def run_pytest(folder, *options):
    return subprocess.run(
        [*PYTEST, *SETTINGS, *options], cwd=folder, capture_output=True, text=True, timeout=55
    )


def test_a_night_with_an_outage_costs_less_than_a_second(dsched_cluster, registry):
    def night():
        began_s = time.process_time()
        cluster = dsched_cluster([every(minutes=60)], registry=registry, pods=2)
        cluster.advance("4h")
        cluster.kill_leader()
        cluster.outage("20m")
        cluster.advance("6h")
        assert len(cluster.fires("tick")) == 10
        return time.process_time() - began_s

    assert min(night() for _ in range(3)) < 1


@pytest.mark.slow
def test_the_night_of_the_documentation_passes_in_a_users_own_pytest(tmp_path):
    folder = shutil.copytree(NIGHT, tmp_path / "night", ignore=shutil.ignore_patterns("__py*"))
    done = run_pytest(folder, "--durations=0", "-vv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_plugin_imports_nothing_of_dsched_until_its_fixture_is_used(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "import sys\n\n\n"
        "def test_mine():\n"
        "    found = [m for m in sys.modules if m.split('.')[0] in ('dsched', 'attrs', "
        "'pluggy_')]\n    assert not [m for m in found if m != 'attrs'], found\n"
        "    assert 'dsched_testkit.pytest_plugin' in sys.modules\n"
        "    assert 'dsched_testkit.cluster.cluster' not in sys.modules\n"
    )
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_config_fires_and_its_function_runs_in_virtual_time(dsched_cluster, registry):
    cluster = dsched_cluster([every(args={"word": "hi"})], registry=registry)
    before = cluster.now
    assert cluster.advance("1h").value - before == timedelta(hours=1)
    assert len(cluster.fires("tick")) == 6
    cluster.assert_succeeded("tick")
    assert {task.result.data for task in cluster.tasks("tick")} == {
        f"hi {task.id} 1" for task in cluster.tasks("tick")
    }


@pytest.mark.slow
def test_leaps_change_nothing_of_what_happens(dsched_cluster, registry, monkeypatch):
    configs = [
        every("often", 7, args={"word": "x"}),
        every("jittered", 13, jitter=timedelta(seconds=30)),
        TaskConfig(
            id="cron", executor="local", cron_expr="5,25 * * * *", payload={"function": "echo"}
        ),
    ]

    def hour():
        cluster = dsched_cluster(configs, registry=registry, pods=2)
        cluster.advance("30m")
        cluster.kill_leader()
        cluster.advance("30m")
        return {config.id: cluster.fires(config.id) for config in configs}

    leaping = hour()
    monkeypatch.setattr(Idling, "leap", lambda self, end_ms: False)
    assert hour() == leaping
    assert [len(found) for found in leaping.values()] == [8, 4, 2]


def test_an_outage_delays_what_is_due_and_loses_nothing(dsched_cluster, registry):
    late = every(misfire_grace=timedelta(minutes=30), overlap="allow")
    cluster = dsched_cluster([late], registry=registry)
    cluster.advance("9m")
    cluster.outage("12m")
    cluster.advance("10m")
    assert cluster.fires("tick") == []
    cluster.advance("6m")
    assert len(cluster.fires("tick")) == 2
    cluster.advance("1m")
    cluster.assert_succeeded("tick")
    assert cluster.skipped("tick") == []


def test_what_a_killed_worker_ran_runs_again_elsewhere(dsched_cluster, registry):
    cluster = dsched_cluster(registry=registry)
    task_id = cluster.submit("sleep", [120])
    cluster.advance("10s")
    killed = cluster.kill_worker(task_id)
    assert killed not in cluster.pods
    cluster.advance("5m")
    task = cluster.task(task_id)
    assert (task.status, task.attempt, task.crash_count) == ("success", 2, 1)


def test_a_worker_paused_for_longer_than_its_lease_loses_its_task(dsched_cluster, registry):
    cluster = dsched_cluster(registry=registry, pods=2)
    task_id = cluster.submit("sleep", [30])
    cluster.advance("5s")
    worker = cluster.task(task_id).worker_id.partition("-")[0]
    assert cluster.pause_worker("3m", worker) == worker
    cluster.advance("10m")
    task = cluster.task(task_id)
    assert (task.status, task.attempt) == ("success", 2)


def test_a_pod_can_be_stopped_and_started_again(dsched_cluster, registry):
    cluster = dsched_cluster([every(minutes=1)], registry=registry, pods=2)
    leader = cluster.leader
    cluster.stop(leader)
    cluster.advance("5s")
    assert cluster.leader not in (None, leader)
    cluster.start(leader)
    cluster.advance("10m")
    assert len(cluster.fires("tick")) == 10
    assert set(cluster.pods) == {"a", "b"}


def test_a_stand_in_plays_an_executor_that_needs_a_network(dsched_cluster):
    calls = []

    def flaky(context, task):
        calls.append(context.attempt)
        if context.attempt == 1:
            raise TaskFailed("503", "http_503")
        return {"status": 200}

    config = TaskConfig(
        id="ship",
        executor="http",
        every=timedelta(hours=1),
        payload={"method": "POST", "url": "https://ship.example.com"},
    )
    cluster = dsched_cluster([config], stand_ins={"http": flaky})
    cluster.advance("61m")
    assert calls == [1, 2]
    assert cluster.tasks("ship")[0].result.data == {"status": 200}
    assert [task.config_id for task in cluster.calls("http")] == ["ship", "ship"]


def test_assertions_say_what_happened_instead(dsched_cluster, registry):
    cluster = dsched_cluster([every(function="nobody")], registry=registry)
    cluster.advance("30m")
    with pytest.raises(AssertionError, match="no function named 'nobody'"):
        cluster.assert_succeeded("tick")
    with pytest.raises(AssertionError, match=r"fired   2027-01-15T08:10:00\+00:00"):
        cluster.assert_fired("tick", "2027-01-15T08:11:00+00:00")
    cluster.assert_fired(
        "tick",
        *(f"2027-01-15T08:{minute}:00+00:00" for minute in (10, 20, 30)),
    )
    with pytest.raises(AssertionError, match="no pod z runs"):
        cluster.kill("z")
    with pytest.raises(ValueError, match="has no zone"):
        cluster.assert_fired("tick", "2027-01-15T08:11:00")


def test_a_broken_promise_fails_the_test_at_its_end(dsched_cluster, registry):
    cluster = dsched_cluster([every()], registry=registry)
    cluster.advance("11m")
    log = cluster._state.log
    fired = next(event for event in log if event.kind == "fired")
    log.append(fired)
    with pytest.raises(AssertionError, match="I1: tick@"):
        cluster.check()
    log.pop()


def test_a_task_file_is_judged_as_dsched_run_judges_it(dsched_cluster, tmp_path):
    (tmp_path / "tasks.yaml").write_text("tasks:\n  - {id: x, executor: local, evry: 1h}\n")
    with pytest.raises(ConfigError, match="evry"):
        dsched_cluster(tmp_path / "tasks.yaml")


def test_settings_that_a_real_pod_obeys_are_obeyed_here(dsched_cluster, registry, tmp_path):
    @registry.task("says")
    def says(ctx: FunctionContext) -> None:
        ctx.logger.info("a line")

    def lines(settings):
        (tmp_path / "dsched.yaml").write_text(settings)
        config = tmp_path / "dsched.yaml"
        cluster = dsched_cluster([], config=config, registry=registry, pods=1)
        task_id = cluster.submit("says")
        cluster.advance("5s")
        assert cluster.task(task_id).status == "success"
        return cluster.ask(lambda client: client.task_lines(task_id)).value.lines

    assert [line.text for line in lines("pod: {}")] == ["a line"]
    assert lines("task: {logs: {enabled: false}}") == ()


async def test_an_async_test_uses_the_same_calls(dsched_cluster, registry):
    cluster = dsched_cluster([every()], registry=registry)
    now = await cluster.advance("25m")
    assert now == cluster.now
    assert len(cluster.fires("tick")) == 2
    assert await cluster.ask(lambda client: client.get_config("tick"))


def test_equal_seeds_give_equal_runs(dsched_cluster, registry):
    def log(seed):
        cluster = dsched_cluster([every(minutes=1)], registry=registry, seed=seed)
        cluster.advance("10m")
        return [(event.kind, event.at_ms, event.by, event.items) for event in cluster._state.log]

    assert log(1) == log(1)
    assert log(1) != log(2)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (lambda cluster: cluster.fires("tikc"), "no config 'tikc'; did you mean 'tick'?"),
        (lambda cluster: cluster.skipped("tikc"), "no config 'tikc'; did you mean 'tick'?"),
        (lambda cluster: cluster.tasks("tikc"), "no config 'tikc'; did you mean 'tick'?"),
        (lambda cluster: cluster.outcomes("tikc"), "no config 'tikc'; did you mean 'tick'?"),
        (lambda cluster: cluster.assert_fired("tikc"), "no config 'tikc'"),
        (lambda cluster: cluster.assert_succeeded("tikc"), "no config 'tikc'"),
        (
            lambda cluster: cluster.calls("htp"),
            "no executor 'htp' is installed; did you mean 'http'",
        ),
        (lambda cluster: cluster.task("none"), "there is no task 'none'"),
    ],
)
def test_a_name_that_is_not_there_fails_instead_of_being_empty(
    dsched_cluster, registry, said, message
):
    cluster = dsched_cluster([every()], pods=1, registry=registry)
    with pytest.raises(AssertionError, match=re.escape(message)):
        said(cluster)


def test_a_config_that_was_deleted_is_no_misspelt_one(dsched_cluster, registry):
    cluster = dsched_cluster(pods=1, registry=registry)
    cluster.ask(lambda client: client.put_config(every("gone")))
    cluster.advance("15m")
    cluster.ask(lambda client: client.delete_config("gone"))
    assert len(cluster.fires("gone")) == 1


FAILING = """\
def test_it(dsched_cluster):
    cluster = dsched_cluster(pods=1)
    cluster.assert_succeeded("misspelt")
"""


@pytest.mark.slow
def test_a_failure_is_shown_at_the_line_of_the_users_test(tmp_path):
    (tmp_path / "test_it.py").write_text(FAILING)
    shown = subprocess.run(
        [*PYTEST, *SETTINGS], cwd=tmp_path, capture_output=True, text=True, timeout=60
    ).stdout
    assert "AssertionError: there is no config 'misspelt'" in shown
    assert "test_it.py:3: AssertionError" in shown
    assert "cluster.py" not in shown


ALONE = """\
import dsched

@dsched.task
def double(number: int) -> int:
    return 2 * number

def test_it(dsched_cluster):
    cluster = dsched_cluster("tasks.yaml", pods=1)
    cluster.advance("2h")
    cluster.assert_succeeded("doubles")
"""
BROUGHT = ("dsched", "dsched_testkit")


@pytest.mark.slow
def test_it_works_where_nothing_else_of_dsched_is_installed(tmp_path):
    """An environment with what `pip install dsched-testkit` brings, linked from this one's."""
    alone, here = tmp_path / "site", Path(sysconfig.get_path("purelib"))
    alone.mkdir()
    for entry in here.iterdir():
        name = entry.name.removeprefix("_editable_impl_").partition("-")[0].partition(".")[0]
        if not name.startswith("dsched") or name in BROUGHT:
            (alone / entry.name).symlink_to(entry)
    (tmp_path / "test_it.py").write_text(ALONE)
    (tmp_path / "tasks.yaml").write_text(
        "tasks: [{id: doubles, every: 1h, executor: local, payload: {function: double, args: [2]}}]"
    )
    code = (
        f"import site, sys; site.addsitedir({str(alone)!r}); import pytest;"
        f"sys.exit(pytest.main({[*PYTEST[3:], *SETTINGS, 'test_it.py']!r}))"
    )
    python = [sys._base_executable, "-I", "-S", "-c", code]
    done = subprocess.run(python, cwd=tmp_path, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
