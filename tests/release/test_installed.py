"""What `pip install` of our wheels gives, and what is said where something is missing or unfit."""

import json
import shutil
import subprocess

import pytest
from wheels import clean_env, run
from workspace import ROOT

import dsched
from dsched_testkit.servers import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
REMEDY = 'installed: none; pip install "dsched[standard]" installs those that ship with dsched'
ANY_PORT = {"DSCHED_API__PORT": "0", "DSCHED_METRICS__PORT": "0"}
LATE = """
from contextlib import asynccontextmanager
from dsched.contracts import PLUGIN_API, ExecutorProvider, hookimpl

@asynccontextmanager
async def opened(options):
    yield None

@hookimpl
def dsched_executors():
    return [ExecutorProvider(name="late", protocol="late", open=opened, api=PLUGIN_API + 1)]
"""
EMBEDDED = """
import asyncio, dsched

async def main():
    async with dsched.pod():
        pass

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def standard(environment):
    """A python with `dsched[standard]`."""
    return environment("dsched[standard]")


@pytest.fixture(scope="module")
def core(environment):
    """A python with the core alone."""
    return environment("dsched")


def test_an_empty_folder_is_enough_for_a_pod_that_says_what_to_do_next(standard, tmp_path):
    with (tmp_path / "log").open("wb") as log:
        pod = subprocess.Popen(
            [standard.with_name("dsched-run")],
            cwd=tmp_path, env=clean_env(**ANY_PORT), stdout=log, stderr=log,
        )  # fmt: skip
    said = lambda: (tmp_path / "log").read_text()  # noqa: E731
    try:
        wait_until(lambda: "nothing is scheduled here yet" in said(), "a hint", timeout_s=60)
        command = [standard.with_name("dsched"), "--local", "status", "-o", "json"]
        status = json.loads(run(command, tmp_path))
    except RuntimeError:
        pytest.fail(said())
    finally:
        pod.terminate()
        assert pod.wait(timeout=30) == 0, said()
    assert "api, metrics, scheduler, worker on sqlite" in said()
    assert "API: http://127.0.0.1:" in said()
    assert "leads from now on" in said()
    assert "dsched-run --tasks tasks.yaml" in said()
    assert status["cluster"]["configs"] == 0


@pytest.mark.long
def test_a_pod_with_tasks_gives_no_hint(standard, tmp_path):
    (tmp_path / "tasks.yaml").write_text(
        "tasks: [{id: a, every: 1h, executor: http, payload: {url: 'http://127.0.0.1:1'}}]"
    )
    done = subprocess.run(
        [standard.with_name("dsched-run"), "--tasks", "tasks.yaml", "--for", "1s"],
        cwd=tmp_path, env=clean_env(**ANY_PORT), capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert "has stopped" in done.stderr + done.stdout
    assert "nothing is scheduled" not in done.stderr + done.stdout


def test_the_bare_core_names_the_remedy_for_store_and_balancer(core, tmp_path):
    said = run([core.with_name("dsched-run")], tmp_path, code=2)
    assert f"store: no installed store is called 'sqlite'; {REMEDY}" in said
    assert f"balancer: no installed balancer is called 'least-tasks'; {REMEDY}" in said


def test_a_pod_in_a_program_with_the_bare_core_names_the_remedy_too(core, tmp_path):
    said = run([core, "-c", EMBEDDED], tmp_path, code=1)
    assert said.count(REMEDY) == 2
    assert "ConfigError" in said


@pytest.mark.long
@pytest.mark.parametrize("way", ["launcher", "program"])
def test_a_worker_without_any_executor_names_the_remedy(environment, tmp_path, way):
    python = environment("dsched", "dsched-store-sqlite", "dsched-balancers")
    command = [python.with_name("dsched-run")] if way == "launcher" else [python, "-c", EMBEDDED]
    said = run(command, tmp_path, code=2 if way == "launcher" else 1)
    assert f"the role worker needs an executor; {REMEDY}" in said
    scheduler = [python.with_name("dsched-run"), "--role", "scheduler", "--for", "1s"]
    run(scheduler, tmp_path)  # who runs no tasks needs no executor


def test_the_testkit_works_alone(environment, tmp_path):
    python = environment("dsched-testkit")
    folder = shutil.copytree(ROOT / "docs/examples/testing-a-night", tmp_path / "night")
    options = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    assert "2 passed" in run([python, "-m", "pytest", *options, "."], folder)
    listed = "from importlib.metadata import distributions as d; print(*{x.name for x in d()})"
    ours = {name for name in run([python, "-c", listed], tmp_path).split() if "dsched" in name}
    assert ours == {"dsched", "dsched-testkit"}


def test_a_wheel_beside_another_version_of_the_core_is_refused(environment, tmp_path):
    python = environment("dsched[standard]")
    (info,) = python.parents[1].glob("lib/python*/site-packages/dsched_alerts-*.dist-info")
    text = (info / "METADATA").read_text()
    (info / "METADATA").write_text(
        text.replace(f"\nVersion: {dsched.__version__}", "\nVersion: 9.9")
        .replace(f"dsched=={dsched.__version__}", "dsched==9.9")
    )  # fmt: skip
    said = run([python.with_name("dsched-run"), "--check"], tmp_path, code=3)
    assert (
        f"dsched-alerts 9.9: it was made for dsched 9.9, and this is dsched {dsched.__version__}; "
        in said
    )
    assert (
        f'pip install "dsched=={dsched.__version__}" "dsched-alerts=={dsched.__version__}"' in said
    )


def test_a_plugin_for_another_plugin_api_is_refused(environment, tmp_path):
    python = environment("dsched[standard]")
    (packages,) = python.parents[1].glob("lib/python*/site-packages")
    (packages / "late.py").write_text(LATE)
    info = packages / "late-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dsched]\nlate = late\n")
    said = run([python.with_name("dsched-run"), "--check"], tmp_path, code=3)
    assert "late 1.0: dsched_executors: provider 'late' is written for plugin API" in said
    assert "install a version of the plugin, or of dsched, that fits" in said
