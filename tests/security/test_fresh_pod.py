"""A pod as installed schedules nothing that nobody asked for, and calls nobody (S36, S38)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pods import DSCHED_RUN, clean_environment

from dsched.contracts.store.settings import StoreSettings
from dsched_store_sqlite.options import SqliteOptions
from dsched_store_sqlite.store import open_sqlite

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# Runs in the pod before anything else: every address that it would speak to goes into a file. On
# the loop of asyncio, since uvloop connects without a word to the audit.
WATCH = """
import os, sys
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen"):
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {args[1:] if event == 'socket.connect' else args}\\n")
sys.addaudithook(watch)
"""
LOOP = {"DSCHED_POD__EVENT_LOOP": "asyncio"}


def _run(folder: Path, *argv: str) -> str:
    (folder / "sitecustomize.py").write_text(WATCH)
    watched = folder / "watched"
    watched.touch()
    env = clean_environment(PYTHONPATH=str(folder), WATCHED=str(watched), POD_NAME="fresh", **LOOP)
    done = subprocess.run(
        [DSCHED_RUN, *argv],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return watched.read_text()


async def test_a_fresh_pod_has_no_schedules_and_runs_nothing(tmp_path):
    _run(tmp_path, "--for", "4s")
    options = SqliteOptions(path=str(tmp_path / "dsched.db"))
    async with open_sqlite(options, StoreSettings()) as store:
        counts = await store.counts()
        assert (counts.configs, sum(counts.by_status.values())) == (0, 0)
        kinds = {event.kind for event in (await store.events(None, 100)).events}
        assert kinds <= {"leader", "worker"}


def test_a_fresh_pod_calls_nobody(tmp_path):
    assert _run(tmp_path, "--for", "4s") == ""


def test_the_watch_sees_a_pod_that_does_call(tmp_path):
    config = {"store": "redis", "redis": {"addr": "127.0.0.1:9"}}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    watched = tmp_path / "watched"
    watched.touch()
    env = clean_environment(PYTHONPATH=str(tmp_path), WATCHED=str(watched), **LOOP)
    done = subprocess.run(
        [DSCHED_RUN, "--config", "config.yaml", "--no-wait"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, sys.flags.safe_path) == (4, False)
    assert "127.0.0.1" in watched.read_text()
