"""The HTTP executor beside a bare aiohttp client, by turns, in one process and loop,
which is the loop that a pod runs on.

Both send the same body to the same server, which is another process, and both read the answer.
The executor is given what a worker gives it; no store and no leader take part.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import rig
from plan import Plan
from systems import Stage

from dsched.engine.runtime import Runtime
from dsched.engine.worker.attempts import Attempt
from dsched.engine.worker.context import AttemptContext
from dsched.launcher.event_loop import run_on
from dsched.model import Task, TaskSpec, TaskStatus
from dsched_executor_http.executor import open_http_executor
from dsched_executor_http.options import HttpOptions

AT_ONCE = 50
TURNS = 20
# Turns are short: connections that idle for longer than a few seconds are closed.
REQUESTS_A_TURN = 500
BODY = {"day": "yesterday", "of": "report"}
START_S = 20.0

Send = Callable[[int], Awaitable[object]]


def http_share(stage: Stage, plan: Plan) -> dict[str, float]:
    """Requests a second of both, and the share that the executor reaches."""
    log = stage.folder / "server.log"
    argv = [sys.executable, str(rig.HERE / "http_server.py")]
    with rig.process(argv, stage.env, log):
        end_s = time.monotonic() + START_S
        while not log.read_text().strip().isdigit():
            if time.monotonic() > end_s:
                raise rig.BenchError("the HTTP server did not start")
            time.sleep(rig.LOOK_S)
        url = f"http://127.0.0.1:{log.read_text().strip()}/"
        return run_on("auto", _compare(url, REQUESTS_A_TURN))


async def _compare(url: str, count: int) -> dict[str, float]:
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    options = HttpOptions(allow=("127.0.0.0/8",), max_connections=AT_ONCE)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        open_http_executor(options) as executor,
    ):

        async def bare(_: int) -> object:
            async with session.post(url, json=BODY) as response:
                return await response.read()

        async def ours(number: int) -> object:
            attempt = attempts[number]
            return await executor.execute(AttemptContext(attempt, runtime), attempt.task)

        runtime = Runtime()
        attempts = [_attempt(url, number) for number in range(count)]
        turns: dict[str, list[tuple[float, float]]] = {"bare": [], "ours": []}
        for turn in range(TURNS + 1):
            for name, send in (("bare", bare), ("ours", ours))[:: 1 if turn % 2 else -1]:
                turns[name].append(await _turn(send, count))
    # The first turn opens the connections.
    rates, cpu_us = (
        {name: statistics.median(turn[of] for turn in rows[1:]) for name, rows in turns.items()}
        for of in (0, 1)
    )
    return {
        "bare HTTP client, requests a second": rates["bare"],
        "HTTP executor, requests a second": rates["ours"],
        "bare HTTP client, CPU us a request": cpu_us["bare"],
        "HTTP executor, CPU us a request": cpu_us["ours"],
        "HTTP executor, % of a bare client": 100 * rates["ours"] / rates["bare"],
    }


async def _turn(send: Send, count: int) -> tuple[float, float]:
    """Requests a second with `AT_ONCE` under way, and this process's CPU us a request."""
    numbers = iter(range(count))

    async def lane() -> None:
        for number in numbers:
            await send(number)

    started_s, cpu_s = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(lane(), name=f"lane {number}")
    spent_s = time.process_time() - cpu_s
    return count / (time.perf_counter() - started_s), 1e6 * spent_s / count


def _attempt(url: str, number: int) -> Attempt:
    """What a worker makes of a claim."""
    now_s, now_ms = time.monotonic(), round(time.time() * 1000)
    spec = TaskSpec(executor="http", payload={"method": "POST", "url": url, "json": BODY})
    timeout_s = now_s + spec.timeout.total_seconds()
    task = Task(
        id=f"report@{now_ms + number}",
        status=TaskStatus.RUNNING,
        scheduled_ms=now_ms,
        start_ms=now_ms,
        attempt=1,
        spec=spec,
    )
    return Attempt(
        task=task,
        spec=spec,
        worker_id="bench",
        token="bench.1.0.1",
        epoch=1,
        started_s=now_s,
        timeout_s=timeout_s,
        deadline_s=timeout_s + 5,
    )
