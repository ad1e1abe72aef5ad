"""The page of operators about backups: its commands bring back a store, and what is lost is
told."""

import contextlib
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pages import ROOT, Block, blocks_below
from walk import Walk, free_port

from dsched_testkit.servers import RedisServer, command, redis_server, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PAGE = ROOT / "docs/operating.md"
EXAMPLE = ROOT / "docs/examples/first-schedule"
UNTIL = re.compile(r"\s+# until it says (\S+)$")
RUN = "dsched-run --app jobs --tasks tasks.yaml"


class Restoring(Walk):
    """A reader who also waits where the page says until when."""

    def section(self, heading: str) -> None:
        """Run the blocks below a heading."""
        for block in blocks_below(PAGE, heading):
            for line in block.text.splitlines():
                found = UNTIL.search(line)
                if found:
                    asked = UNTIL.sub("", line)
                    wait_until(lambda: found[1] in self.ask(asked), line)  # noqa: B023
                else:
                    self.take(Block(PAGE, block.number, "sh", line + "\n", None))

    def run(self, *lines: str) -> None:
        """Run lines that are not the page's."""
        self.take(Block(PAGE, 0, "sh", "\n".join(lines) + "\n", None))

    def fired(self) -> dict[str, str]:
        """When each instant of the heartbeat was fired, by the instant."""
        told = json.loads(self.ask("dsched config decisions heartbeat -o json --limit 100"))
        return {one["first"]: one["at"] for one in told if one["verdict"] == "fired"}

    def submit(self, task_id: str) -> None:
        """A task that is waited for."""
        payload = json.dumps({"function": "report", "args": {"day": task_id}})
        self.run(
            f"dsched task submit --executor local --payload {shlex.quote(payload)} --id {task_id} "
            "--wait"
        )


@contextlib.contextmanager
def a_reader(folder: Path) -> Iterator[Restoring]:
    for name in ("jobs.py", "tasks.yaml"):
        (folder / name).write_text((EXAMPLE / name).read_text())
    with contextlib.ExitStack() as stack:
        yield Restoring(folder, stack)


def restored(walk: Restoring, backup: Callable[[], None], restore: str) -> None:
    """Backup, more work, restore, start: what was before is not done again, what came since is
    told."""
    walk.run(
        "dsched --local token create root --scope admin --save root.token",
        "export DSCHED_TOKEN_FILE=root.token",
        RUN,
    )
    walk.submit("before")
    wait_until(lambda: len(walk.fired()) >= 2, "some instants have fired")
    before = walk.fired()
    backup()
    walk.submit("since")
    wait_until(lambda: len(walk.fired()) >= len(before) + 2, "more have")
    (pod,) = walk.pods
    walk.stop(pod)
    walk.section(restore)
    wait_until(lambda: max(walk.fired()) > max(before), "it goes on")
    after = walk.fired()
    assert {one: after.get(one) for one in before} == before  # decided once, and not again
    (pod,) = walk.pods
    assert "report of before" not in walk.pods[pod].said()
    task = json.loads(walk.ask("dsched task get before -o json"))
    assert (task["status"], task["attempt"]) == ("success", 1)
    unknown = walk._call("dsched why since")
    assert unknown.returncode != 0
    assert "history is broken" in unknown.stderr
    assert "the disk broke" in unknown.stderr
    the_break_is_in_the_log_once(walk)
    walk.stop(pod)


def the_break_is_in_the_log_once(walk: Restoring) -> None:
    audit = json.loads(walk.ask("dsched audit list -o json"))
    assert [one["action"] for one in audit].count("cluster.restored") == 1


@pytest.mark.long
def test_an_sqlite_file_is_backed_up_and_restored_as_the_page_says(tmp_path):
    with a_reader(tmp_path) as walk:
        restored(walk, lambda: walk.section("### Backup of SQLite"), "### Restore of SQLite")


@pytest.mark.long
@pytest.mark.redis
def test_a_redis_with_an_append_only_file_is_backed_up_and_restored_as_the_page_says(tmp_path):
    """Of the layout of version 7: a folder of append-only files, which win over the dump."""
    with a_reader(tmp_path) as walk, a_redis(walk) as port:
        restored(walk, lambda: walk.section("### Backup of Redis"), "### Restore of Redis")
        assert command(port, "CONFIG", "GET", "appendonly") == "appendonly\nyes"
        identity = command(port, "HGET", "meta", "identity")
        _end(port)
        walk.run("redis-server redis.conf")  # as the machine starts it: of the append-only file
        wait_until(lambda: _answers(port), "it is back")
        assert command(port, "HGET", "meta", "identity") == identity != ""


@pytest.mark.redis
def test_a_dump_that_is_just_put_in_place_gives_an_empty_store_as_the_page_warns(tmp_path):
    with a_reader(tmp_path) as walk, a_redis(walk) as port:
        command(port, "SET", "kept", "1")
        walk.section("### Backup of Redis")
        _end(port)
        walk.run("rm -r appendonlydir", "cp backup.rdb dump.rdb", "redis-server redis.conf")
        wait_until(lambda: _answers(port), "it is back")
        assert command(port, "DBSIZE") == 0


@pytest.mark.redis
def test_dsched_backs_up_restores_and_moves_a_store_as_the_page_says(tmp_path):
    backup, restore, move = blocks_below(PAGE, "### With dsched, for every store")
    with a_reader(tmp_path) as walk, RedisServer("--appendonly", "yes") as server:
        walk.run(
            "dsched --local token create root --scope admin --save root.token",
            "export DSCHED_TOKEN_FILE=root.token",
            RUN,
        )
        walk.submit("before")
        wait_until(lambda: len(walk.fired()) >= 2, "some instants have fired")
        walk.take(backup)
        before = walk.fired()
        wait_until(lambda: len(walk.fired()) >= len(before) + 2, "more have")
        lost = sorted(set(walk.fired()) - set(before))
        walk.stop(next(iter(walk.pods)))
        walk.take(restore)
        walk.run(RUN)
        wait_until(lambda: max(walk.fired()) > max(lost), "it goes on")
        assert not set(lost) & set(walk.fired())  # not a second time
        assert "restored: the disk broke" in walk.ask(f"dsched why heartbeat --at {lost[-1]}")
        walk.stop(next(iter(walk.pods)))
        config = {"store": "redis", "redis": {"addr": server.addr}}
        (tmp_path / "redis.yaml").write_text(json.dumps(config))
        fired = len_of(walk)
        walk.take(move)
        walk.run(f"{RUN} --config redis.yaml")
        wait_until(lambda: len(walk.fired()) > fired, "it goes on, on the other store")
        task = json.loads(walk.ask("dsched task get before -o json"))
        assert (task["status"], task["attempt"]) == ("success", 1)


def len_of(walk: Restoring) -> int:
    """How many fires the store in this folder tells of, without a pod."""
    told = walk.ask("dsched --local config decisions heartbeat -o json --limit 100")
    return sum(one["verdict"] == "fired" for one in json.loads(told))


@contextlib.contextmanager
def a_redis(walk: Restoring) -> Iterator[int]:
    """A server of the page, its programs on the path; it goes to the background by itself."""
    port, bin_ = free_port(), walk.folder / "bin"
    bin_.mkdir()
    (bin_ / "redis-server").symlink_to(redis_server(7))
    (bin_ / "redis-cli").write_text(CLI.format(python=sys.executable, port=port))
    (bin_ / "redis-cli").chmod(0o755)
    (walk.folder / "redis.conf").write_text(
        f'port {port}\nbind 127.0.0.1\ndaemonize yes\nappendonly yes\nsave ""\n'
        f"dir {walk.folder}\nlogfile {walk.folder}/redis.log\n"
    )
    walk.run(
        f"export PATH={bin_}:{walk._env['PATH']}",
        "export DSCHED_STORE=redis",
        f"export DSCHED_REDIS__ADDR=127.0.0.1:{port}",
        "redis-server redis.conf",
    )
    wait_until(lambda: _answers(port), "the server answers")
    try:
        yield port
    finally:
        _end(port)


# What the page needs of the client of Redis, which is not installed where tests run.
CLI = """#!{python}
import sys
from dsched_testkit.servers import command
try:
    print(command({port}, *sys.argv[1:]))
except OSError:
    if sys.argv[1] != "SHUTDOWN":
        raise
"""


def _answers(port: int) -> bool:
    try:
        return command(port, "PING") == "PONG"
    except (OSError, RuntimeError):
        return False


def _end(port: int) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        command(port, "SHUTDOWN", "NOSAVE")
    wait_until(lambda: not _answers(port), "the server ends")
