"""How long it takes to declare many configs: by the command, by the HTTP client, in the store."""

import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import attrs
import rig
import stores
from plan import Plan
from systems import Stage

import dsched_client
from dsched.client import Client
from dsched.model import TaskConfig

TOKEN = "token-of-the-benchmark-0123456789"
START_S = 30.0
COMMAND_S = 300.0
IN_A_FILE = 1000
MAX_CONFIGS = 1_000_000


def declaring(stage: Stage, plan: Plan) -> dict[str, float]:
    """Seconds to make ``plan.declared`` cron configs, and to see that they are there already."""
    count = plan.declared
    shown = f"{count:,} configs"
    with _api(stage) as (pod, url):
        path = _folder(stage, count)
        before_s, own_before_s = rig.cpu_s([pod]), _cpu_of_commands_s()
        found = {f"{shown} by the command, s": _applied(stage, path, url)}
        found[f"{shown} by the command, CPU of the command, s"] = (
            _cpu_of_commands_s() - own_before_s
        )
        found[f"{shown} by the command, CPU of the pod, s"] = rig.cpu_s([pod]) - before_s
        found[f"{shown} by the command, unchanged, s"] = _applied(stage, path, url)
        before_s = rig.cpu_s([pod])
        found[f"{shown} by the HTTP client, s"] = _by_client(url, _configs("client", count))
        found[f"{shown} by the HTTP client, CPU of the pod, s"] = rig.cpu_s([pod]) - before_s
    found[f"{shown} in the store, s"] = asyncio.run(_in_store(stage, _configs("store", count)))
    return found


@contextmanager
def _api(stage: Stage) -> Iterator[tuple[int, str]]:
    """A pod that leads and serves the API: its process, and its address."""
    log = stage.folder / "pod-1.log"
    env = {"POD_NAME": "pod-1", "DSCHED_API__PORT": "0", "DSCHED_API__ADMIN_TOKEN": TOKEN}
    env["DSCHED_API__MAX_CONFIGS"] = str(MAX_CONFIGS)
    argv = [*stage.system.worker_argv(stage.folder), "--role", "scheduler,api"]
    with rig.process(argv, {**stage.env, **env}, log) as pod:
        end_s = time.monotonic() + START_S
        while (found := re.search(r"API: (http://[0-9.]+:[0-9]+)/", log.read_text())) is None:
            if time.monotonic() > end_s:
                raise rig.BenchError("the pod did not serve its API")
            time.sleep(rig.LOOK_S)
        yield pod, found[1]


def _configs(name: str, count: int) -> list[TaskConfig]:
    """Each with a cron expression of its own."""
    return [
        TaskConfig(
            id=f"{name}-{number:05}",
            executor="local",
            payload={"function": "noop"},
            cron_expr=f"{number % 60} {number % 24} * * *",
            timeout=timedelta(minutes=2),
        )
        for number in range(count)
    ]


def _folder(stage: Stage, count: int) -> str:
    """Task files as a program would write them: a file has at most 1 MiB."""
    folder = stage.folder / "tasks"
    folder.mkdir()
    configs = _configs("file", count)
    for start in range(0, count, IN_A_FILE):
        entries = [
            f"  - id: {one.id}\n    executor: local\n    cron_expr: {json.dumps(one.cron_expr)}\n"
            f"    timeout: 2m\n    payload: {json.dumps(one.payload)}\n"
            for one in configs[start : start + IN_A_FILE]
        ]
        (folder / f"part-{start:05}.yaml").write_text("tasks:\n" + "".join(entries))
    return str(folder)


def _applied(stage: Stage, path: str, url: str) -> float:
    """Seconds of the command's whole process."""
    env = {**os.environ, "DSCHED_URL": url, "DSCHED_TOKEN": TOKEN}
    argv = [sys.executable, "-m", "dsched_cli.main", "apply", "-f", path]
    started_s = time.perf_counter()
    done = subprocess.run(
        argv, env=env, cwd=stage.folder, capture_output=True, text=True, timeout=COMMAND_S
    )
    if done.returncode:
        raise rig.BenchError(f"apply ended with {done.returncode}: {done.stderr[:150]}")
    return time.perf_counter() - started_s


def _cpu_of_commands_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _by_client(url: str, configs: list[TaskConfig]) -> float:
    with dsched_client.Client(url, token=TOKEN) as client:
        started_s = time.perf_counter()
        outcomes = client.put_configs(configs)
        took_s = time.perf_counter() - started_s
    _all_made([one.outcome for one in outcomes], len(configs))
    return took_s


async def _in_store(stage: Stage, configs: list[TaskConfig]) -> float:
    async with stores.opened(stage) as store:
        started_s = time.perf_counter()
        outcomes = await Client(store).put_configs(
            [attrs.evolve(one, origin="code:bench") for one in configs]
        )
        took_s = time.perf_counter() - started_s
    _all_made([one.outcome for one in outcomes], len(configs))
    return took_s


def _all_made(outcomes: list[str], count: int) -> None:
    if outcomes != ["created"] * count:
        raise rig.BenchError(f"not all configs were made: {sorted(set(outcomes))}")
