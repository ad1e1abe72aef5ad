"""What is refused and warned about before a single step is run."""

import contextlib
import logging
import signal
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from _pytest.logging import LogCaptureFixture

from dsched.contracts.store.outcomes import (
    Outcome,
    StoreEmptiedError,
    StoreRefusedError,
    StoreUnavailableError,
)
from dsched_store_redis.connections import Dialler
from dsched_store_redis.options import (
    ClusterOptions,
    Durability,
    RedisOptions,
    SentinelOptions,
    TlsOptions,
    hash_tag,
    host_and_port,
)
from dsched_store_redis.scripts import FORMATS
from dsched_store_redis.startup import warn_of_exposure
from dsched_testkit.servers import (
    NoServerError,
    RedisServer,
    free_port,
    sentinel_set,
    wait_until,
)


@pytest.mark.parametrize(
    "policy",
    ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-ttl"],
)
async def test_an_evicting_server_is_refused_with_what_to_do(policy: str, opener: Any) -> None:
    with RedisServer("--maxmemory-policy", policy) as server:
        with pytest.raises(StoreRefusedError, match=f"{policy}.*noeviction"):
            async with opener(server, durability=Durability.STANDALONE):
                pass
        async with opener(server, durability=Durability.DEV) as store:
            assert await store.leader() is None


async def test_a_server_without_append_only_file_is_warned_about(
    shared_server: RedisServer, opener: Any, caplog: LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "dsched.store.redis"):
        async with opener(shared_server, durability=Durability.STANDALONE):
            pass
    assert "append-only" in caplog.text


OLD = "needs Redis 7.0"


async def test_a_server_that_need_not_reach_a_replica_is_refused_for_ha(
    shared_server: RedisServer, opener: Any
) -> None:
    with pytest.raises(StoreRefusedError, match=f"min-replicas-to-write 0|{OLD}"):
        async with opener(shared_server, durability=Durability.HA):
            pass


@pytest.mark.parametrize("lag", ["0", "10"])
async def test_a_lag_that_loses_too_much_is_refused_for_ha(lag: str, opener: Any) -> None:
    with RedisServer("--min-replicas-to-write", "1", "--min-replicas-max-lag", lag) as server:
        opening = opener(server, durability=Durability.HA)
        with pytest.raises(StoreRefusedError, match=f"min-replicas-max-lag {lag}|{OLD}"):
            await opening.__aenter__()


@pytest.mark.slow
async def test_strict_waits_for_a_replica_and_says_so_when_there_is_none(opener: Any) -> None:
    limits = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "2")
    with (
        RedisServer(*limits) as server,
        RedisServer("--replicaof", "127.0.0.1", str(server.port)),
    ):
        wait_until(
            lambda: (
                "connected_slaves:1" in str(server.command("INFO", "replication"))
                and "state=online" in str(server.command("INFO", "replication"))
            ),
            "a replica follows",
        )
        async with opener(server, durability=Durability.STRICT) as store:
            assert (await store.acquire("pod", "one", 5000)).outcome is Outcome.OK
    # The checks of the server pass; what a step needs is not there. Servers before 7.0 run the
    # step and then miss the replica, later ones do not run it.
    with RedisServer(*limits) as server, pytest.raises(StoreUnavailableError):
        async with opener(server, durability=Durability.STRICT) as store:
            await store.acquire("pod", "one", 5000)


@pytest.mark.slow
async def test_strict_waits_for_as_many_replicas_as_it_is_told_and_warns_of_more(
    opener: Any, caplog: LogCaptureFixture
) -> None:
    limits = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "2")
    with (
        RedisServer(*limits) as server,
        RedisServer("--replicaof", "127.0.0.1", str(server.port)),
        RedisServer("--replicaof", "127.0.0.1", str(server.port)) as second,
    ):
        wait_until(
            lambda: str(server.command("INFO", "replication")).count("state=online") == 2,
            "both replicas follow",
        )
        async with opener(server, durability=Durability.STRICT, replicas=2) as store:
            assert (await store.acquire("pod", "one", 5000)).outcome is Outcome.OK
            assert "redis.replicas" not in caplog.text
            second.send_signal(signal.SIGSTOP)
            with pytest.raises(StoreUnavailableError, match=r"not 2 of the replicas.*answer: 1"):
                await store.acquire("pod", "two", 5000)
            second.send_signal(signal.SIGCONT)
        async with opener(server, durability=Durability.STRICT) as store:
            assert "2 replicas follow the server and redis.replicas is 1" in caplog.text
            assert (await store.now()).wall_ms > 0


@pytest.mark.slow
async def test_ha_warns_where_more_replicas_follow_than_a_write_needs(
    opener: Any, caplog: LogCaptureFixture
) -> None:
    limits = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "2")
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(RedisServer(*limits, least_major=7))
        except NoServerError as error:
            pytest.skip(str(error))
        for _ in range(2):
            follow = ("--replicaof", "127.0.0.1", str(server.port))
            stack.enter_context(RedisServer(*follow, least_major=7))
        wait_until(
            lambda: str(server.command("INFO", "replication")).count("state=online") == 2,
            "both replicas follow",
        )
        async with opener(server, durability=Durability.HA):
            assert "2 replicas follow the server and min-replicas-to-write" in caplog.text
        caplog.clear()
        server.command("CONFIG", "SET", "min-replicas-to-write", "2")
        async with opener(server, durability=Durability.HA):
            assert "replicas follow" not in caplog.text


@pytest.mark.slow
async def test_a_replica_that_the_sentinels_still_name_is_waited_for(opener: Any) -> None:
    """A pod that starts while a failover is under way."""
    with sentinel_set(1) as servers:
        primary, replica = servers.primary, servers.replica
        primary.command("REPLICAOF", "127.0.0.1", str(replica.port))
        sentinel = SentinelOptions(master=servers.master, nodes=servers.nodes)
        opening = opener(primary, sentinel=sentinel)
        with pytest.raises(StoreUnavailableError, match="a failover is under way"):
            await opening.__aenter__()


async def test_a_replica_is_refused(shared_server: RedisServer, opener: Any) -> None:
    with RedisServer("--replicaof", "127.0.0.1", str(shared_server.port)) as replica:
        opening = opener(replica)
        with pytest.raises(StoreRefusedError, match="replica"):
            await opening.__aenter__()


async def test_a_store_of_another_format_is_refused_with_both_numbers(
    shared_server: RedisServer, opener: Any
) -> None:
    shared_server.command("HSET", "alien:meta", "format", "77")
    with pytest.raises(
        StoreRefusedError, match=rf"format 77; this dsched knows {' and '.join(FORMATS)}:"
    ):
        async with opener(shared_server, key_prefix="alien:"):
            pass
    assert shared_server.command("HGET", "alien:meta", "format") == "77"


async def test_a_store_that_is_emptied_under_way_is_refused(opener: Any) -> None:
    """Nothing is written to it, no further handle makes it anew, and what is restored goes on."""
    with RedisServer() as server:
        async with opener(server, key_prefix="p:") as store:
            fence = (await store.acquire("pod", "one", 60_000)).fence
            server.command("RENAME", "p:meta", "elsewhere")
            for step in (store.now, store.leader, lambda: store.renew(fence, 1000)):
                with pytest.raises(StoreEmptiedError, match=r"emptied.*backup"):
                    await step()
            with pytest.raises(StoreEmptiedError, match="emptied"):
                async with opener(server, key_prefix="p:"):
                    pass
            assert server.command("EXISTS", "p:meta") == 0
            server.command("RENAME", "elsewhere", "p:meta")
            assert await store.leader() == fence
            server.command("FLUSHALL")
            with pytest.raises(StoreEmptiedError):
                await store.now()
            assert server.command("DBSIZE") == 0


async def test_the_password_is_wanted_and_used(opener: Any) -> None:
    with RedisServer(password="s3cret") as server:
        for password in ("", "wrong"):
            with pytest.raises(StoreRefusedError, match=r"redis\.password") as raised:
                async with opener(server, password=password):
                    pass
            assert "s3cret" not in str(raised.value)
        async with opener(server, password="s3cret") as store:
            assert await store.leader() is None
        url = f"redis://:s3cret@{server.addr}/0"
        async with opener(server, url=url) as store:
            assert await store.leader() is None


async def test_the_db_is_used(shared_server: RedisServer, opener: Any) -> None:
    async with opener(shared_server, db=3, key_prefix="only:") as store:
        await store.now()
    async with opener(shared_server, url=f"redis://{shared_server.addr}/4", key_prefix="url:"):
        pass
    shared = str(shared_server.command("INFO", "keyspace"))
    assert "db3:keys=1" in shared
    assert "db4:keys=1" in shared


@pytest.mark.parametrize("prefix", ["", "prod:", "{}:", "{}{prod}:", "prod}:{"])
async def test_a_prefix_without_hash_tag_is_refused_on_a_cluster_with_what_to_write(
    prefix: str, shared_cluster: list[RedisServer], opener: Any
) -> None:
    cluster = ClusterOptions(nodes=(shared_cluster[0].addr,))
    with pytest.raises(StoreRefusedError, match=r"key_prefix: '\{(prod|dsched)\}:'"):
        async with opener(shared_cluster[0], cluster=cluster, key_prefix=prefix):
            pass


async def test_a_cluster_is_found_by_any_node_even_when_the_first_is_down(
    shared_cluster: list[RedisServer], opener: Any
) -> None:
    nodes = (f"127.0.0.1:{free_port()}", shared_cluster[1].addr)
    for prefix in ("{a}:", "{b}:", "{c}:", "{d}:"):
        async with opener(
            shared_cluster[0], cluster=ClusterOptions(nodes=nodes), key_prefix=prefix
        ) as store:
            assert (await store.acquire("pod", "one", 5000)).outcome is Outcome.OK


async def test_an_address_without_server_is_unavailable_and_nothing_was_applied(
    opener: Any,
) -> None:
    nobody = SimpleNamespace(addr=f"127.0.0.1:{free_port()}")
    with pytest.raises(StoreUnavailableError) as raised:
        async with opener(nobody):
            pass
    assert not raised.value.maybe_applied


@pytest.mark.parametrize(
    ("prefix", "tag"),
    [("{prod}:", "prod"), ("a{b}c{d}", "b"), ("{}x{y}", ""), ("{open", ""), ("plain", "")],
)
def test_a_hash_tag_is_what_the_server_hashes(prefix: str, tag: str) -> None:
    assert hash_tag(prefix) == tag


@pytest.mark.parametrize(
    ("addr", "found"),
    [("h:1", ("h", 1)), ("h", ("h", 6379)), ("[::1]:7", ("::1", 7)), ("[::1]", ("::1", 6379))],
)
def test_addresses_are_taken_apart(addr: str, found: tuple[str, int]) -> None:
    assert host_and_port(addr) == found


@pytest.mark.parametrize(
    "options",
    [
        {"pool_size": 0},
        {"db": -1},
        {"addr": "h:port"},
        {"key_prefix": "a b"},
        {"url": "redis://h", "cluster": ClusterOptions(nodes=("h:1",))},
        {"cluster": ClusterOptions(nodes=()), "db": 0},
        {"cluster": ClusterOptions(nodes=("h:1",)), "db": 2},
        {"sentinel": SentinelOptions(master="m", nodes=("h:x",))},
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|host:port|only one|at least"):
        RedisOptions(**options)


def test_an_open_store_beyond_this_machine_is_warned_about_loudly(
    caplog: LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "dsched.store.redis"):
        quiet = RedisOptions(addr="127.0.0.1:6379")
        warn_of_exposure(quiet, Dialler(quiet))
        assert caplog.text == ""
        loud = RedisOptions(addr="redis.example:6379")
        warn_of_exposure(loud, Dialler(loud))
    assert "without a password" in caplog.text
    assert "without TLS" in caplog.text


def test_secrets_are_in_no_repr() -> None:
    options = RedisOptions(
        password="s3cret", sentinel=SentinelOptions(master="m", nodes=("h:1",), password="s3cret")
    )
    assert "s3cret" not in repr(options)
    assert "s3cret" not in repr(RedisOptions(url="redis://:s3cret@h"))


async def test_tls_is_spoken_and_the_certificate_checked(opener: Any, tls_front: Any) -> None:
    with RedisServer() as server:
        ca, other = trustme.CA(), trustme.CA()
        async with tls_front(server, ca) as port:
            with ca.cert_pem.tempfile() as good, other.cert_pem.tempfile() as bad:
                addr = f"localhost:{port}"
                tls = TlsOptions(enabled=True, ca_file=good)
                async with opener(server, addr=addr, tls=tls) as store:
                    assert await store.leader() is None
                tls = TlsOptions(enabled=True, ca_file=bad)
                with pytest.raises(StoreUnavailableError, match="certificate"):
                    async with opener(server, addr=addr, tls=tls):
                        pass
                tls = TlsOptions(enabled=True, ca_file=good)
                with pytest.raises(StoreUnavailableError, match="certificate"):
                    async with opener(server, addr=f"127.0.0.1:{port}", tls=tls):
                        pass
