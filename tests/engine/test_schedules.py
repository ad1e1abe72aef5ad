"""Schedules in code, with real pods on a real file: put, fired, orphaned when they vanish."""

import subprocess
import sys

import pytest
from docs_processes import started

import dsched
from dsched.functions.registry import REGISTRY
from dsched.model import ORPHAN

REAL_TIME = True
pytestmark = pytest.mark.slow

CONFIG = """\
store: sqlite
pod: {name: test}
plugins: {disabled: [dsched-store-redis, dsched-metrics-prometheus]}
"""
APP = """\
import dsched

@dsched.schedule(every="1s", id="beat", args=["tick"])
@dsched.task("say")
def say(word):
    return word

@dsched.task("nightly")
@dsched.schedule("30 2 * * *", timezone="Europe/Berlin")
async def nightly():
    return "slept"
"""
WITHOUT_NIGHTLY = APP.partition('@dsched.task("nightly")')[0]
EMBEDDED = """\
import asyncio, dsched

@dsched.schedule(every="1s")
@dsched.task("beat")
def beat():
    return "beaten"

async def main():
    async with dsched.pod("dsched.yaml") as pod:
        stored = await pod.client.get_config("beat")
        print(stored.config.origin)
        while not (await pod.client.decisions("beat")).decisions:
            await asyncio.sleep(0.05)
        print("fired")

asyncio.run(asyncio.wait_for(main(), 20))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "dsched.yaml").write_text(CONFIG)
    (tmp_path / "shop_app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_pod(folder, *arguments, until=()):
    """What a pod said until it had said all of this, was stopped and ended well."""
    command = [sys.executable, "-m", "dsched.launcher.run", "--config", "dsched.yaml"]
    with started([*command, *arguments], folder / "log", cwd=folder) as run:
        for phrase in until:
            run.says(phrase)
        if until:
            run.process.terminate()
        assert run.ends() == 0, run.said()
    return run.said()


async def test_pods_put_the_schedules_of_their_app_and_orphan_those_that_vanished(folder):
    placed = ("config beat is in place", "config nightly is in place")
    run_pod(folder, "--app", "shop_app", until=(*placed, r"ended: ok.*task=beat@"))
    async with dsched.connect("dsched.yaml") as client:
        beat = await client.get_config("beat")
        assert (beat.config.origin, beat.config.payload) == (
            "code:shop_app",
            {"function": "say", "args": ["tick"]},
        )
    (folder / "shop_app.py").write_text(WITHOUT_NIGHTLY)
    orphaned = "config nightly is paused: code:shop_app no longer declares it"
    run_pod(folder, "--app", "shop_app", until=[orphaned])
    async with dsched.connect("dsched.yaml") as client:
        assert (await client.get_config("nightly")).paused.who == ORPHAN
        assert (await client.get_config("beat")).paused is None
    (folder / "shop_app.py").write_text(APP)
    run_pod(folder, "--app", "shop_app", until=placed)
    async with dsched.connect("dsched.yaml") as client:
        assert (await client.get_config("nightly")).paused is None


async def test_a_check_lists_what_another_origin_declares_already(folder, monkeypatch):
    monkeypatch.setattr(REGISTRY, "_functions", {})  # else a client refuses what they do not name
    async with dsched.connect("dsched.yaml") as client:
        payload = {"function": "elsewhere"}
        spec = dsched.TaskConfig(id="beat", executor="local", cron_expr="@daily", payload=payload)
        await client.put_config(spec)
    shown = run_pod(folder, "--app", "shop_app", "--check")
    assert "warning: config beat is declared by api, not by code:shop_app" in shown
    assert "nightly is declared" not in shown
    run_pod(folder, "--app", "shop_app", until=["config beat is not put"])
    run_pod(folder, "--app", "shop_app", "--adopt", until=["config beat is in place"])
    async with dsched.connect("dsched.yaml") as client:
        assert (await client.get_config("beat")).config.origin == "code:shop_app"


def test_a_pod_without_the_app_orphans_nothing(folder):
    run_pod(folder, "--app", "shop_app", until=["config nightly is in place"])
    assert "is paused" not in run_pod(folder, until=["leads from now on"])


def test_a_bad_schedule_is_refused_before_the_pod_starts(folder):
    (folder / "shop_app.py").write_text(APP.replace("Europe/Berlin", "Europe/Atlantis"))
    done = subprocess.run(
        [sys.executable, "-m", "dsched.launcher.run", "--app", "shop_app", "--check"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.returncode == 2
    assert "nightly at" in done.stderr
    assert "shop_app.py:" in done.stderr
    assert "Atlantis" in done.stderr


def test_an_embedded_pod_puts_what_its_program_declares(folder):
    (folder / "embedded_shop.py").write_text(EMBEDDED)
    done = subprocess.run(
        [sys.executable, "embedded_shop.py"], cwd=folder, capture_output=True, text=True, timeout=40
    )
    assert (done.returncode, done.stdout.split()) == (0, ["code:embedded_shop", "fired"]), (
        done.stderr
    )
