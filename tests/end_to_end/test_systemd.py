"""A pod under systemd: what the unit promises, and what its process really says on the socket."""

import os
import shutil
import socket
import subprocess
from configparser import ConfigParser

import pytest
from pods import DSCHED_RUN, PodProcess, clean_environment, until
from workspace import ROOT

from dsched.config import parse_duration, read_settings
from dsched.launcher.notifying import Notifier
from dsched.launcher.run import BAD_CONFIG, BAD_PLUGIN
from dsched.loading import load_catalogue

UNIT = ROOT / "deploy/systemd/dsched@.service"


def unit():
    parsed = ConfigParser(interpolation=None, strict=False)
    parsed.optionxform = str
    parsed.read_string(UNIT.read_text(encoding="utf-8"))
    return parsed["Service"]


class Manager:
    """The end of the socket that systemd has."""

    def __init__(self, folder, *, abstract=False) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        name = f"dsched-test-{os.getpid()}-{folder.name}"
        self.address = f"@{name}" if abstract else str(folder / "notify")
        self.socket.bind(f"\0{name}" if abstract else self.address)
        self._told: list[str] = []

    def told(self):
        """Every line so far."""
        while True:
            try:
                self._told += self.socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self._told


@pytest.fixture(params=[False, True], ids=["path", "abstract"])
def manager(tmp_path, request):
    made = Manager(tmp_path, abstract=request.param)
    yield made
    made.socket.close()


def pod(folder, manager, **more):
    (folder / "dsched.yaml").write_text("api: {port: 0}\nmetrics: {port: 0}\n")
    env = clean_environment(NOTIFY_SOCKET=manager.address, **more)
    return PodProcess("a", ["--config", "dsched.yaml"], folder, env)


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_pod_says_when_it_is_ready_that_it_lives_and_that_it_stops(tmp_path, manager):
    a = pod(tmp_path, manager, WATCHDOG_USEC="600000")
    try:
        await until(lambda: "READY=1" in manager.told(), "it is ready", 40, [a])
        assert manager.told()[0] == "STATUS=starting: waiting for the store"
        await until(lambda: "STATUS=leads" in manager.told(), "it leads", 40, [a])
        signs = manager.told().count("WATCHDOG=1")
        await until(
            lambda: manager.told().count("WATCHDOG=1") > signs + 3, "signs of life", 20, [a]
        )
        a.terminate()
        await until(lambda: "STOPPING=1" in manager.told(), "it stops", 20, [a])
        assert await a.ended() == 0
        assert manager.told().count("READY=1") == 1
    finally:
        a.end()


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_pod_that_waits_for_its_store_is_not_ready(tmp_path, manager):
    (tmp_path / "dsched.yaml").write_text(
        "store: redis\nredis: {addr: '127.0.0.1:1'}\napi: {port: 0}\nmetrics: {port: 0}\n"
    )
    env = clean_environment(NOTIFY_SOCKET=manager.address)
    a = PodProcess("a", ["--config", "dsched.yaml"], tmp_path, env)
    try:
        await until(lambda: a.said("does not answer") or a.said("refused"), "it waits", 40, [a])
        assert "STATUS=starting: waiting for the store" in manager.told()
        assert "READY=1" not in manager.told()
    finally:
        a.end()


def test_children_are_not_the_pod_and_a_foreign_watchdog_is_not_fed():
    environ = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1", "A": "b"}
    found = Notifier.of(environ)
    assert (found.address, found.watchdog_s) == ("/run/x", None)
    assert environ == {"A": "b"}
    assert Notifier.of({}) == Notifier()  # which tells nobody
    own = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}
    assert Notifier.of(own).watchdog_s == 1.0


def test_a_manager_that_is_gone_is_told_of_in_the_log_and_stops_nothing(tmp_path, caplog):
    Notifier(str(tmp_path / "gone")).waiting()
    assert "systemd was not told STATUS=starting" in caplog.text


def test_the_unit_gives_a_pod_time_to_drain_and_starts_no_broken_one_again():
    told = unit()
    drain = read_settings(None, {}, {}, load_catalogue()).settings.worker.drain_timeout
    assert parse_duration(told["TimeoutStopSec"]) > drain + parse_duration("10s")
    assert set(told["RestartPreventExitStatus"].split()) == {str(BAD_CONFIG), str(BAD_PLUGIN)}
    assert told["Type"] == "notify"
    assert parse_duration(told["WatchdogSec"]) >= parse_duration("10s")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.slow
def test_systemd_accepts_the_unit_and_finds_it_hardened(tmp_path):
    unit_file = tmp_path / "dsched@main.service"
    text = UNIT.read_text(encoding="utf-8")
    unit_file.write_text(text.replace("/opt/dsched/bin/dsched-run", DSCHED_RUN))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit_file)], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "dsched" in line]
    assert ours == [], done.stderr
    assert done.returncode == 0, done.stderr
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=30", str(unit_file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert rated.returncode == 0, rated.stdout + rated.stderr
