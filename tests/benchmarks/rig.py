"""Processes of a benchmark: started, watched through the kernel's books, always ended again."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import tally

from dsched_testkit.servers import RedisServer

HERE = Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
LOOK_S = 0.02
STAT = re.compile(r"^cmdstat_([^:]+):calls=(\d+),usec=(\d+)", re.MULTILINE)


class BenchError(RuntimeError):
    """A measurement that gave no figure; the message says which and why."""


def environment(**more: str) -> dict[str, str]:
    """Ours without any setting of dsched, plus ``more``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DSCHED_")}
    return {**kept, "PYTHONPATH": str(HERE), "PYTHONUNBUFFERED": "1", **more}


@contextlib.contextmanager
def process(argv: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[int]:
    """A process in a session of its own, output to a file; killed with its children at the end."""
    with log.open("ab") as output:
        started = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=HERE,
            env=dict(env),
            start_new_session=True,
        )
    try:
        yield started.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait(timeout=20)


def answer(argv: Sequence[str], env: Mapping[str, str], timeout_s: float = 300) -> dict[str, float]:
    """Run a client to its end; the JSON object of its last line."""
    done = subprocess.run(
        argv, env=dict(env), cwd=HERE, capture_output=True, text=True, timeout=timeout_s
    )
    if done.returncode:
        print(done.stderr[-1500:], file=sys.stderr)
        last = (done.stderr.strip() or "no word").splitlines()[-1]
        raise BenchError(f"the client ended with {done.returncode}: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                found += family(int(child))
    return found


def cpu_s(pids: Sequence[int]) -> float:
    """CPU time of these processes and their children until now."""
    total = 0
    for pid in (member for parent in pids for member in family(parent)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


def resident_mb(pid: int) -> float:
    """Resident memory of a process and its children, in MB of a million bytes."""
    kib = 0
    for member in family(pid):
        rows = Path(f"/proc/{member}/status").read_text().splitlines()
        kib += sum(int(row.split()[1]) for row in rows if row.startswith("VmRSS:"))
    return kib * 1024 / 1e6


def redis_info(server: RedisServer, section: str, field: str) -> int:
    """A number of INFO."""
    text = str(server.command("INFO", section))
    return int(next(row for row in text.splitlines() if row.startswith(f"{field}:")).split(":")[1])


def commands(server: RedisServer) -> tuple[int, int]:
    """Commands called since the last reset: all, and the scripts among them."""
    calls = {
        name: int(n) for name, n, _ in STAT.findall(str(server.command("INFO", "commandstats")))
    }
    scripts = sum(n for name, n in calls.items() if name.startswith(("eval", "fcall")))
    return sum(calls.values()) - calls.get("info", 0), scripts


@attrs.frozen
class Sample:
    """What had happened by an instant."""

    at_s: float
    count: int
    workers_cpu_s: float
    server_cpu_s: float
    commands: int
    scripts: int
    reads: int


def sample(folder: str, workers: Sequence[int], server: RedisServer | None) -> Sample:
    """Take one; cheap enough for many a second."""
    count = tally.read(folder)[0]
    at_s = time.time()
    every, scripts = commands(server) if server else (0, 0)
    return Sample(
        at_s,
        count,
        cpu_s(workers),
        cpu_s([server.pid]) if server else 0.0,
        every,
        scripts,
        redis_info(server, "stats", "total_reads_processed") if server else 0,
    )


def until_ran(folder: str, count: int, timeout_s: float, log: Path) -> None:
    """Wait until this many tasks have run."""
    end_s = time.monotonic() + timeout_s
    while (ran := tally.read(folder)[0]) < count:
        if time.monotonic() > end_s:
            tail = log.read_text(errors="replace")[-1500:] if log.exists() else ""
            print(tail, file=sys.stderr)
            raise BenchError(f"{ran} of {count} tasks ran within {timeout_s:g} s")
        time.sleep(LOOK_S)
