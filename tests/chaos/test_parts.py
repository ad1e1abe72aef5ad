"""The parts of the chaos suite, each on its own: the line, the plan, the exporter, the losses."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from chaos.clocks import ClockOffset, shifted
from chaos.exporter import ConfigCalls, Cut, Exporter, Loss
from chaos.line import Line
from chaos.plan import LASTS_S, MENUS, QUIET_S, Planned, draw
from chaos.stages.cluster import PREFIX, ClusterStage
from chaos.stages.opening import open_stage
from chaos.testimony import live_tasks, lost_unseen
from cluster import cluster_on
from pods import PodProcess, clean_environment, until

from dsched.contracts.store.events import Event, EventKind
from dsched.model import TaskSpec
from dsched_testkit.evidence import Recorder
from dsched_testkit.servers import RedisServer


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that answers with what it gets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Ends]:
    reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 5)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def asked(ends: Ends, text: bytes) -> bytes:
    """Send, and wait for as much."""
    ends[1].write(text)
    return await asyncio.wait_for(ends[0].readexactly(len(text)), 10)


BROKEN = (ConnectionError, asyncio.IncompleteReadError)


async def test_a_line_passes_everything_on_in_order():
    async with echo() as port, Line(port) as line, connected(line.port) as ends:
        sent = bytes(range(256)) * 2000
        assert await asked(ends, sent) == sent


async def test_a_silent_line_holds_back_and_delivers_late():
    async with echo() as port, Line(port) as line, connected(line.port) as ends:
        line.silence()
        answer = asyncio.create_task(asked(ends, b"late"))
        done, _ = await asyncio.wait({answer}, timeout=0.2)
        assert not done
        line.heal()
        assert await answer == b"late"


async def test_a_cut_line_breaks_what_is_open_and_refuses_what_is_new_until_it_is_healed():
    async with echo() as port, Line(port) as line:
        async with connected(line.port) as ends:
            await asked(ends, b"x")
            line.cut()
            with pytest.raises(BROKEN):
                await asyncio.wait_for(ends[0].readexactly(1), 5)
        async with connected(line.port) as ends:
            with pytest.raises(BROKEN):
                await asked(ends, b"y")
        line.heal()
        async with connected(line.port) as ends:
            assert await asked(ends, b"z") == b"z"


async def test_a_slow_line_takes_at_least_its_delay_each_way():
    async with echo() as port, Line(port) as line, connected(line.port) as ends:
        line.delay_s = 0.1
        began_s = time.monotonic()
        await asked(ends, b"x")
        assert time.monotonic() - began_s >= 0.2


@pytest.mark.parametrize("backend", sorted(MENUS))
def test_ten_minutes_plan_every_kind_and_many_more_than_three_hundred_faults(backend: str):
    plan = draw(1, backend, 600)
    assert len(plan) >= 400
    assert {planned.kind for planned in plan} == set(MENUS[backend])
    for planned in plan:
        low_s, high_s = LASTS_S.get(planned.kind, (0.0, 0.0))
        assert low_s <= planned.lasts_s <= high_s


def test_the_same_seed_plans_the_same_faults_and_another_seed_others():
    assert draw(7, "redis", 60) == draw(7, "redis", 60)
    assert draw(7, "redis", 60) != draw(8, "redis", 60)
    assert {one.kind for one in draw(7, "redis", 60, only=frozenset({"stop"}))} == {"stop"}


def test_now_and_then_one_kill_is_followed_by_quiet():
    plan = draw(1, "redis", 600)
    followed = list(pairwise(plan))
    quiet = [(one, after) for one, after in followed if one.quiet]
    assert len(quiet) >= 4
    assert all(one.kind == "kill" and after.at_s - one.at_s >= QUIET_S for one, after in quiet)


def test_clocks_are_stepped_both_ways_by_seconds_to_minutes_and_only_where_a_clock_is_ones_own():
    steps = [one for one in draw(1, "cluster", 600) if one.kind == "clock_step"]
    assert {one.step_s > 0 for one in steps} == {True, False}
    assert min(abs(one.step_s) for one in steps) < 10 < 60 < max(abs(one.step_s) for one in steps)
    assert all(one.step_s == 0 for one in draw(1, "cluster", 600) if one.kind != "clock_step")
    assert "clock_step" not in MENUS["sqlite"]  # the processes of one host have one clock


def test_a_clock_that_is_set_is_seen_at_once_in_another_process_and_its_monotonic_one_stays(
    tmp_path: Path,
):
    offset, program = (
        ClockOffset(tmp_path / "clock"),
        (
            "import sys, time; from pathlib import Path; from chaos.clocks import "
            "ClockOffset, shifted\nwith shifted(ClockOffset(Path(sys.argv[1]))):\n"
            "    for _ in sys.stdin:\n"
            "        print(time.time(), time.time_ns(), time.monotonic(), flush=True)"
        ),
    )
    env = clean_environment(PYTHONPATH=str(Path(__file__).parents[1] / "support"))
    argv = [sys.executable, "-c", program, str(offset.path)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=env
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for step_ms in (0, 90_000, -45_500, 0):
            offset.ms = step_ms
            child.stdin.write("now\n")
            wall_s, wall_ns, here_s = map(float, child.stdout.readline().split())
            assert wall_s - time.time() == pytest.approx(step_ms / 1000, abs=5)
            assert wall_ns / 1e9 == pytest.approx(wall_s, abs=5)
            assert here_s == pytest.approx(time.monotonic(), abs=5)
        child.stdin.close()


def test_the_own_clock_is_right_again_after_a_run(tmp_path: Path):
    offset, before = ClockOffset(tmp_path / "clock"), (time.time, time.time_ns)
    offset.ms = 3_600_000
    true_s = time.time()
    with shifted(offset):
        assert 3599 < time.time() - true_s < 3700
    assert (time.time, time.time_ns) == before


@pytest.mark.redis
@pytest.mark.slow
async def test_a_pod_under_a_stepped_clock_writes_its_log_by_it_and_leads_on(tmp_path: Path):
    with RedisServer() as server:
        config = tmp_path / "pod.yaml"
        config.write_text(json.dumps({"store": "redis", "redis": {"addr": server.addr}}))
        offset = ClockOffset(tmp_path / "pod.clock")
        env = clean_environment(
            POD_NAME="pod", PYTHONPATH=str(Path(__file__).parents[1] / "support")
        )
        argv = ["--config", str(config), "--log-format", "json", "--role", "scheduler"]
        program = [sys.executable, "-m", "chaos.clocks", str(offset.path)]
        pod = PodProcess("pod", argv, tmp_path, env, program)

        def left_ms() -> int:
            return int(server.command("PTTL", "schedule:leader"))

        try:
            await until(lambda: server.command("EXISTS", "schedule:leader") == 1, "it leads")
            fence = server.command("GET", "schedule:leader")
            offset.ms = 86_400_000
            await until(lambda: left_ms() < 9_000, "the lock ages")
            await until(lambda: left_ms() > 9_000, "it renews")
            assert server.command("GET", "schedule:leader") == fence
            pod.terminate()
            assert await pod.ended() == 0
            times = [datetime.fromisoformat(line["time"]) for line in pod.lines()]
            assert times[-1] - times[0] > timedelta(days=1)
        finally:
            pod.end()


@pytest.mark.redis
@pytest.mark.slow
async def test_a_cluster_survives_each_of_its_faults_and_only_an_election_may_lose_anything(
    tmp_path: Path,
):
    async with open_stage("cluster", tmp_path, []) as stage:
        assert isinstance(stage, ClusterStage)
        await stage.heal()
        whole = await stage.whole()
        assert whole is not None
        first = whole.owner
        for number in range(250):
            first.master.command("SET", f"{PREFIX}{number}", str(number))

        async def act(kind: str, lasts_s: float) -> None:
            fault = Planned(at_s=0, kind=kind, target=0.5, on_leader=False, lasts_s=lasts_s)
            assert await stage.acts()[kind](fault) is None
            await stage.heal()

        await act("slot_move", 0.3)
        await act("failover", 0.0)
        assert [cut.what for cut in stage.cuts] == ["demoted"] * len(stage.cuts)
        await act("primary_kill", 3.0)
        assert "primary_kill" in [cut.what for cut in stage.cuts]
        whole = await stage.whole()
        assert whole is not None
        assert whole.owner.nodes == first.nodes
        assert whole.owner.master.command("DBSIZE") == 250


@pytest.mark.redis
@pytest.mark.slow
async def test_the_exporter_tells_exactly_what_a_redis_forgot(tmp_path: Path):
    with RedisServer() as server:
        settings = {"store": "redis", "redis": {"addr": server.addr, "timeout": "1s"}}
        async with cluster_on(settings, tmp_path) as cluster:
            with Recorder(tmp_path / "store.jsonl") as recorder:
                exporter = Exporter(recorder, ConfigCalls())
                spec = TaskSpec(executor="local", payload={"function": "nap"})
                await cluster.client.submit(spec, task_id="kept")
                server.command("SAVE")
                await cluster.client.submit(spec, task_id="seen")
                await exporter.catch_up(cluster.store)
                server.kill()
                server.start()
                await cluster.client.submit(spec, task_id="after")
                await exporter.catch_up(cluster.store)
    lines = [json.loads(line) for line in (tmp_path / "store.jsonl").read_text().splitlines()]
    told = [
        "lost" if line["line"] == "lost" else line["items"][0]["task"]
        for line in lines
        if line["line"] == "lost" or line["kind"] == "submitted"
    ]
    assert told == ["kept", "seen", "lost", "after"]
    (loss,) = exporter.losses
    assert loss.count == 1
    assert exporter.unexplained([], 2.0)
    cut = Cut(what="kill", from_s=loss.upto_s, upto_s=loss.upto_s + 0.1)
    assert exporter.unexplained([cut], 2.0) == []
    elsewhere = Cut(what="kill", from_s=loss.upto_s + 60, upto_s=loss.upto_s + 61)
    assert exporter.unexplained([elsewhere], 2.0)


def test_only_what_a_cut_may_have_lost_is_allowed_to_be_missing():
    cut = Cut(what="kill", from_s=100.0, upto_s=101.0)
    loss = Loss(count=1, first="1", from_s=99.5, upto_s=99.8)
    acknowledged_s = {"there": 99.9, "lost": 99.0, "later": 100.9, "long before": 50.0}
    assert lost_unseen(acknowledged_s, {"there"}, [loss], [cut], 2.0) == [(99.0, 100.9)]
    assert lost_unseen(acknowledged_s, set(acknowledged_s), [loss], [cut], 2.0) == []
    assert lost_unseen(acknowledged_s, {"there"}, [], [], 2.0) == []


def test_the_bounds_of_a_change_reach_back_over_calls_that_nobody_knows_the_end_of():
    calls = ConfigCalls(asked={("c", "put"): [[100, "ok"], [200, "info"], [300, "ok"]]})
    assert calls.since_ms("c", "put", 350) == 200
    assert calls.since_ms("c", "put", 150) == 100
    assert calls.since_ms("c", "paused", 150) <= 150


def test_a_task_lives_until_the_log_tells_its_end():
    def event(number: int, kind: EventKind, **item: str) -> Event:
        return Event(cursor=str(number), kind=kind, at_ms=number, by="x", items=(item,))

    log = [
        event(1, EventKind.SUBMITTED, task="a"),
        event(2, EventKind.SUBMITTED, task="b"),
        event(3, EventKind.COMPLETED, task="a", status="retrying"),
        event(4, EventKind.COMPLETED, task="b", status="failed"),
    ]
    assert live_tasks(log) == {"a"}
