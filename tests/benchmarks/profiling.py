"""Where a task's time goes: a pod drains realistic tasks under cProfile, summed by part.

The profiler slows plain Python calls more than it slows work inside C, so the shares are a guide to
where to look, not a measurement; the us a task of the other tables are. Other threads, of which the
heartbeat is one, are left out. Time in built-in functions counts for whoever called them.
"""

import marshal
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import rig
import tally
import wide
import works
from plan import Plan
from systems import Stage

TABLE = "Where a task's time goes"
WAITING = "waiting"
# Which part a file belongs to: the first that matches.
PARTS = (
    ("claim", r"engine/worker/(claiming|claims|wakeups)|contracts/store/working"),
    (
        "run: attempts and their context",
        r"engine/worker/(running|attempts|context|timeouts|log_|completion)",
    ),
    ("run: the local executor", r"dsched_executor_local|dsched/functions|/inspect"),
    ("the task itself", r"bench_tasks|tally"),
    ("complete: reporting", r"engine/worker/reporting"),
    (
        "leader: dispatch and balancer",
        r"engine/leader/(dispatching|assignment|leading|scheduling|term)|dsched_balancers",
    ),
    (
        "leader: collecting",
        (
            r"engine/(leader/(collecting|projecting|counting)|observers)|contracts/(store/(events|"
            r"collecting)|observer)"
        ),
    ),
    ("the pod's other loops", r"dsched/engine|dsched/launcher|dsched/assembly"),
    (
        "codec: records to values and back",
        (
            r"contracts/store/(codec|records|checks)|dsched/model|attrs generated|/attr/|cattrs|"
            r"/json/"
        ),
    ),
    ("store client: steps and rows", r"dsched_store_redis/(?!link|connections|wire)|contracts/"),
    (
        "store client: the wire",
        (
            r"dsched_store_redis/(link|connections|wire)|asyncio/(streams|selector|transports|"
            r"protocols)|selectors|socket|/redis/"
        ),
    ),
    ("asyncio: tasks and timers", r"asyncio/|contextlib|contextvars|_weakrefset"),
    ("metrics", r"prometheus|dsched_metrics"),
    ("log", r"/logging/|dsched/config/logging|launcher/log"),
)  # fmt: skip
MATCHERS = tuple((part, re.compile(pattern)) for part, pattern in PARTS)
BUILT_IN = "~"

Where: TypeAlias = tuple[str, int, str]
Stats: TypeAlias = Mapping[Where, tuple[int, int, float, float, Mapping[Where, Any]]]


def profile(stage: Stage, plan: Plan) -> dict[str, float]:
    """Shares and us a task by part, of the time in which the pod does something."""
    count = min(plan.tasks, 20_000)
    out = stage.folder / "pod.prof"
    stage.drive("enqueue", count, *works.CASES[works.REAL].sizes)
    before = [sys.executable, str(rig.HERE / "profiled.py"), str(out)]
    pid = stage.start_pod(name="pod-1", before=before)
    rig.until_ran(stage.tally, count, 120, stage.folder / "pod-1.log")
    time.sleep(1)
    os.kill(pid, signal.SIGTERM)
    end_s = time.monotonic() + 40
    while not (out.exists() and out.stat().st_size):
        if time.monotonic() > end_s:
            raise rig.BenchError("the profiled pod wrote no profile")
        time.sleep(rig.LOOK_S)
    time.sleep(rig.LOOK_S)
    return figures(read(out), tally.read(stage.tally)[0])


def read(path: Path) -> Stats:
    """A profile as cProfile writes it: marshalled statistics of this machine's own making."""
    with path.open("rb") as file:
        return marshal.load(file)


def part_of(filename: str, function: str) -> str:
    """The part to which a function belongs."""
    if filename == BUILT_IN:
        waits = "poll" in function or "acquire" in function or "select" in function
        return WAITING if waits else ""
    for part, matcher in MATCHERS:
        if matcher.search(filename):
            return part
    return "import and start" if "importlib" in filename else "everything else"


def by_part(stats: Stats) -> Counter[str]:
    """Seconds by part. A built-in's time is its callers', as cProfile splits it among them."""
    spent: Counter[str] = Counter()
    for (filename, _, function), (_, _, own_s, _, callers) in stats.items():
        part = part_of(filename, function)
        if part:
            spent[part] += own_s
            continue
        for (caller, _, name), (_, _, caller_s, _) in callers.items():
            spent[part_of(caller, name) or "everything else"] += caller_s
    return spent


def figures(stats: Stats, tasks: int) -> dict[str, float]:
    """One row a part, the largest first."""
    spent = by_part(stats)
    spent.pop(WAITING, None)
    spent.pop("import and start", None)
    total_s = sum(spent.values())
    found = {}
    for part, seconds in spent.most_common():
        found[wide.name(TABLE, part, "% of the pod's time")] = 100 * seconds / total_s
        found[wide.name(TABLE, part, "us a task, profiled")] = 1e6 * seconds / tasks
    return found
