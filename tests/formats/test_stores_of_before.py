"""Stores that 0.1.0 has made: opened, worked on, migrated, killed in the middle of it."""

import asyncio
import contextlib
import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest
from pods import clean_environment

from dsched.contracts.store.codec import write_config, write_result, write_spec
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.operating import PodRecord
from dsched.contracts.store.outcomes import Outcome, StoreRefusedError
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.working import Completion
from dsched.model import Home, TaskResult, TaskStatus
from dsched_store_redis.options import Durability, RedisOptions
from dsched_store_redis.store import open_store
from dsched_store_sqlite.options import SqliteOptions
from dsched_store_sqlite.store import open_sqlite
from dsched_testkit.servers import RedisServer

HERE = Path(__file__).parent
MADE = HERE / "0.1.0"
CONTENT = json.loads((MADE / "content.json").read_text())
# Homes that came later: nothing of then lives there.
LATER_HOMES = {Home.OPEN}
# What the tests themselves make happen: migrations, and clocks that go back to the time of then.
NEWS = {EventKind.MIGRATED, EventKind.CLOCK_BACK}
CLOCK = """
local function wall_clock()
  return tonumber(redis.call('GET', string.sub(KEYS[1], 1, -5) .. 'test:clock'))
end
local function px(ms)
  return ms + 86400000
end
"""


@attrs.define
class OnSqlite:
    """The file, unpacked; its clock is the test's."""

    folder: Path
    ms: int = CONTENT["sqlite"]["now_ms"] + 2000
    read = CONTENT["sqlite"]

    def __attrs_post_init__(self):
        self.file.write_bytes(gzip.decompress((MADE / "store.db.gz").read_bytes()))
        self.file.chmod(0o600)

    @property
    def file(self):
        return self.folder / "store.db"

    def opened(self):
        return open_sqlite(
            SqliteOptions(path=str(self.file)), StoreSettings(), wall=lambda: self.ms
        )

    def settings(self):
        return {"store": "sqlite", "sqlite": {"path": str(self.file)}}

    def set_clock(self, ms):
        self.ms = ms

    def close(self):
        pass


class OnRedis:
    """A server with the keys; its clock is the test's while the scripts are told so."""

    read = CONTENT["redis"]

    def __init__(self, folder):
        self.server = RedisServer()
        self.server.__enter__()
        for line in (MADE / "redis.jsonl").read_text().splitlines():
            self.server.command(*json.loads(line))
        self.set_clock(self.read["now_ms"] + 2000)

    def set_clock(self, ms):
        self.ms = ms
        self.server.command("SET", "test:clock", str(ms))

    def opened(self):
        options = RedisOptions(addr=self.server.addr, durability=Durability.DEV)
        return open_store(options, StoreSettings(), time_source=CLOCK)

    def settings(self):
        return {"store": "redis", "redis": {"addr": self.server.addr, "durability": "dev"}}

    def close(self):
        self.server.__exit__()


@pytest.fixture(params=[OnSqlite, OnRedis])
def made(request, tmp_path):
    """A store of 0.1.0."""
    store = request.param(tmp_path)
    yield store
    store.close()


def pause_of_before(pause):
    """A pause as it was told when none ended by itself."""
    told = attrs.asdict(pause)
    assert told.pop("until_ms") is None
    return told


async def content(store, read):
    """The same that `make.py` has asked."""
    tasks = await store.get([one["id"] for one in read["tasks"]], full=True)
    configs = (await store.list_configs(None, 100)).configs
    counts = await store.counts()
    events = (await store.events(None, 1000)).events
    return {
        "now_ms": read["now_ms"],
        "tasks": [
            {
                "id": task.id,
                "status": task.status.value,
                "home": task.home and task.home.value,
                "worker_id": task.worker_id,
                "attempt": task.attempt,
                "reason": task.reason,
                "error": task.error,
                "spec": task.spec and write_spec(task.spec),
                "result": task.result and write_result(task.result),
            }
            for task in tasks
        ],
        "configs": [
            {
                "text": write_config(one.config),
                "revision": one.config.revision,
                "due_ms": one.due_ms,
                "last_fired_ms": one.last_fired_ms,
                "paused": one.paused and pause_of_before(one.paused),
                "skips": [attrs.asdict(skip) for skip in one.skips],
            }
            for one in configs
        ],
        "by_status": {status.value: count for status, count in counts.by_status.items()},
        "by_home": {
            home.value: count for home, count in counts.by_home.items() if home not in LATER_HOMES
        },
        "events": [
            [str(one.kind), one.by, [dict(item) for item in one.items]]
            for one in events
            if one.kind not in NEWS
        ],
    }


async def test_it_is_read_as_the_version_that_made_it_reads_it_before_and_after(made):
    async with made.opened() as store:
        assert (await store.store_format()).stored == 3
        assert await content(store, made.read) == made.read
        made.set_clock(made.ms + 30_000)
        assert await store.migrate(by="op") is Outcome.OK
        assert await content(store, made.read) == made.read
    async with made.opened() as store:
        assert (await store.store_format()).stored == 4
        assert await content(store, made.read) == made.read


async def test_the_pod_of_before_is_in_the_way_until_its_time_is_over(made):
    async with made.opened() as store:
        (older,) = (await store.store_format()).older_pods
        assert (older.id, older.name, older.version, older.store_format) == (
            *("p1", "pod", "0.1.0"),
            3,
        )
        assert await store.migrate(by="op") is Outcome.OLDER
        newer = PodRecord(
            id="p2", name="new", roles=(), version="0.2.0", started_ms=1, store_format=4
        )
        await store.pod_seen(newer, 60_000)
        made.set_clock(made.ms + 30_000)
        assert await store.migrate(by="op") is Outcome.OK


@pytest.mark.parametrize("migrated", [False, True])
async def test_its_tasks_go_on_and_end(made, migrated):
    made.set_clock(made.ms + 60_000)
    async with made.opened() as store:
        if migrated:
            assert await store.migrate(by="op") is Outcome.OK
        fence = (await store.acquire("new pod", "token", 60_000)).fence
        assert await store.heartbeat("w1", "1-a", []) is not None
        claimed = await store.claim("w1", "1-a", 0, 2, 10)
        assert [task.id for task in claimed.tasks] == ["queued"]
        (read,) = [one["spec"] for one in made.read["tasks"] if one["id"] == "queued"]
        assert write_spec(claimed.tasks[0].spec) == read
        done = Completion(
            task_id="queued", token=claimed.token, success=True, result=TaskResult(code="0")
        )
        assert await store.complete([done], by="w1") == (Outcome.OK,)
        (ended,) = await store.get(["queued"])
        assert ended.status is TaskStatus.SUCCESS
        page = await store.poll(fence, 100)
        assert {task.id for task in page.ready.tasks} >= {"ready", "later", "slow"}
        assert {one.config.id for one in page.due.configs} == {"held", "going", "cron"}


def run_pod(made, *argv, folder):
    """`dsched-run` on the store, as a process of its own."""
    config = folder / "pod.yaml"
    config.write_text(json.dumps(made.settings()))
    return subprocess.Popen(
        [sys.executable, "-m", "dsched.launcher.run", "--config", str(config), *argv],
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def without_the_clock(made):
    """The times of the fixture are long past for a process that goes by the real clock."""
    if isinstance(made, OnRedis):
        made.server.command("DEL", "test:clock")


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_it_is_migrated_by_a_command_that_may_be_killed_at_any_time(made, tmp_path):
    without_the_clock(made)
    began_s = time.monotonic()
    told = run_pod(made, "--migrate", "--dry-run", folder=tmp_path).communicate()[0]
    took_s = time.monotonic() - began_s
    assert "would be migrated from format 3 to 4" in told
    for part in range(1, 8):
        process = run_pod(made, "--migrate", folder=tmp_path)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(took_s * part / 7)
        process.kill()
        process.communicate()
        made.set_clock(made.read["now_ms"] + 2000)
        async with made.opened() as store:
            found = await store.store_format()
            assert found.stored in (3, 4)
            assert await content(store, made.read) == made.read
        without_the_clock(made)
    process = run_pod(made, "--migrate", folder=tmp_path)
    told = process.communicate()[0]
    assert process.returncode == 0, told
    assert "migrated from format 3 to 4" in told or "has format 4, the newest" in told
    assert "nothing to do" in run_pod(made, "--migrate", folder=tmp_path).communicate()[0]


@pytest.mark.slow
async def test_a_file_whose_migration_was_killed_before_its_commit_is_as_it_was(tmp_path):
    made = OnSqlite(tmp_path)
    child = subprocess.Popen(
        [sys.executable, str(HERE / "migrating_child.py"), str(made.file)],
        stdout=subprocess.PIPE,
        env=clean_environment(),
        text=True,
    )
    assert child.stdout.readline() == "in the middle\n"
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    made.set_clock(made.ms + 30_000)
    async with made.opened() as store:
        assert (await store.store_format()).stored == 3
        assert await content(store, made.read) == made.read
        assert await store.migrate(by="op") is Outcome.OK
        assert await content(store, made.read) == made.read


async def test_a_format_of_later_is_refused_with_what_to_do(made):
    if isinstance(made, OnRedis):
        made.server.command("HSET", "meta", "format", "9.3")
    else:
        give_format(made.file, 9)
    with pytest.raises(StoreRefusedError, match=r"format 9.*knows 3.* and 4.*or a newer one"):
        async with made.opened():
            pass


async def test_a_pod_under_which_the_store_gets_a_format_of_later_stops_with_a_sentence(made):
    async with made.opened() as store:
        await store.counts()
        if isinstance(made, OnRedis):
            made.server.command("HSET", "meta", "format", "9.3")
        else:
            give_format(made.file, 9)
        with pytest.raises(StoreRefusedError, match=r"newer"):
            await store.counts()


def give_format(file, number):
    """Write another number into a file."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA user_version = {number:d}")


async def test_two_that_migrate_at_once_are_told_of_one(made):
    made.set_clock(made.ms + 30_000)
    async with made.opened() as one, made.opened() as other:
        outcomes = await asyncio.gather(*(store.migrate(by="op") for store in (one, other)))
        assert sorted(outcomes) == [Outcome.ALREADY, Outcome.OK]


def ask(made, *argv, folder):
    """The command on the store itself, as a process of its own."""
    config = folder / "pod.yaml"
    config.write_text(json.dumps(made.settings()))
    return subprocess.run(
        [sys.executable, "-m", "dsched_cli.main", *argv, "--local", "--config", str(config)],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_the_command_says_who_is_in_the_way_and_migrates_when_nobody_is(tmp_path):
    made = OnSqlite(tmp_path)
    with contextlib.closing(sqlite3.connect(made.file)) as db, db:
        db.execute("UPDATE pod SET until_ms = 9000000000000")
    dry = ask(made, "store", "migrate", "--dry-run", folder=tmp_path)
    assert "would be refused" in dry.stderr
    assert "pod (0.1.0)" in dry.stderr
    refused = ask(made, "store", "migrate", "--yes", folder=tmp_path)
    assert refused.returncode == 5
    assert "pod (0.1.0)" in refused.stderr
    told = ask(made, "doctor", folder=tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr
    with contextlib.closing(sqlite3.connect(made.file)) as db, db:
        db.execute("UPDATE pod SET until_ms = 0")
    assert "would be migrated" in ask(made, "store", "migrate", "--dry-run", folder=tmp_path).stderr
    done = ask(made, "store", "migrate", "--yes", folder=tmp_path)
    assert (done.returncode, "migrated from format 3 to 4" in done.stderr) == (0, True)
