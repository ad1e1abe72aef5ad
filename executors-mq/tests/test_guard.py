"""What a task must not reach: inner addresses, other targets, plain text, secrets of others."""

import asyncio
import gc
import json
import logging
import socket
import ssl
from contextlib import asynccontextmanager, suppress

import pytest
import trustme
from mq_brokers import NatsServer
from mq_consumers import CONSUMERS, KINDS

from dsched.contracts import TaskFailed
from dsched_executor_mq.address import Kind
from dsched_executor_mq.options import BrokerOptions, TlsOptions
from dsched_testkit.servers import RedisServer


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("127.0.0.1", "a loopback address"),
        ("10.0.0.1", "a private address"),
        ("169.254.169.254", "a cloud metadata address"),
        ("localhost", "a loopback address"),
    ],
)
async def test_a_broker_at_an_inner_address_is_refused_unless_it_is_allowed(
    kind, host, reason, open_mq, run
):
    consumer = CONSUMERS[kind](f"{host}:5000")
    executor = await open_mq(consumer.options(), allow=["192.0.2.1"])

    with pytest.raises(TaskFailed, match=reason) as caught:
        await run(executor, consumer.payload(json=1))

    assert (caught.value.code, caught.value.retryable) == ("refused", False)
    assert f'executors: {{mq: {{allow: ["192.0.2.1", "{host}"]}}}}' in caught.value.message


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_name_that_resolves_inwards_is_never_connected_to(kind, open_mq, run, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as inner:
        inner.setblocking(False)
        port = inner.getsockname()[1]

        async def rebound(host, port_, **more):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port_))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", rebound)
        consumer = CONSUMERS[kind](f"mq.example.com:{port}")
        with pytest.raises(TaskFailed, match="a loopback address") as caught:
            await run(await open_mq(consumer.options(), allow=[]), consumer.payload(json=1))
        with pytest.raises(BlockingIOError):
            inner.accept()

    assert caught.value.code == "refused"


async def test_an_address_that_a_kafka_cluster_names_for_a_broker_is_checked_too(
    servers, open_mq, run
):
    """The cluster is reached by a name that is allowed, and names 127.0.0.1, which is not."""
    port = servers(Kind.KAFKA).rpartition(":")[2]
    options = BrokerOptions(kind=Kind.KAFKA, url=f"kafka://localhost:{port}")

    with pytest.raises(TaskFailed, match=r"refused to connect to 127\.0\.0\.1") as caught:
        await run(await open_mq(options, allow=["localhost"]), {"broker": "mine", "topic": "a"})

    assert (caught.value.code, caught.value.retryable) == ("refused", False)


async def test_other_servers_that_a_nats_server_names_are_not_connected_to(open_mq, run, consume):
    with NatsServer() as server, socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        consumer = await consume(Kind.NATS, server.addr)
        executor = await open_mq(consumer.options())
        await run(executor, consumer.payload(json=1))
        (opened,) = executor._connections._open.values()
        client = opened.broker._client
        await client._process_info({"connect_urls": [f"127.0.0.1:{other.getsockname()[1]}"]})
        server.kill()
        with pytest.raises(TaskFailed):
            await run(executor, consumer.payload(json=2))
        with pytest.raises(BlockingIOError):
            other.accept()


async def test_plain_text_leaves_the_host_only_to_what_is_allowed(open_mq, run):
    options = BrokerOptions(kind=Kind.NATS, url="nats://93.184.215.14:4222")

    with pytest.raises(TaskFailed, match="without TLS, because it is not on this host") as caught:
        await run(await open_mq(options, allow=[]), {"broker": "mine", "subject": "a"})

    assert (caught.value.code, caught.value.retryable) == ("refused", False)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@asynccontextmanager
async def terminated(addr, authority, *names):
    """A TLS end in front of a broker that speaks plain text."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    host, _, port = addr.partition(":")
    pumps = set()

    async def pump(reader, writer):
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader, writer):
        there, back = await asyncio.open_connection(host, int(port))
        for one in (pump(reader, back), pump(there, writer)):
            pumps.add(asyncio.create_task(one))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in pumps:
            one.cancel()
        if pumps:
            await asyncio.wait(pumps)


@pytest.fixture
def nats_with_tls(authority, tmp_path):
    pair = authority.issue_cert("localhost")
    pair.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    pair.private_key_pem.write_to_path(tmp_path / "server.key")
    files = f"cert_file: '{tmp_path}/server.pem', key_file: '{tmp_path}/server.key'"
    with NatsServer(f"tls {{ {files} }}") as server:
        yield server


async def test_a_nats_server_with_tls_is_asked_for_its_name(
    nats_with_tls, authority, tmp_path, open_mq, run
):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    url = f"tls://localhost:{nats_with_tls.port}"
    codes = {}
    for name, tls in {
        "right": TlsOptions(ca_file="ca.pem"),
        "other name": TlsOptions(ca_file="ca.pem", server_name="other.example.com"),
        "unknown authority": TlsOptions(),
        "no such file": TlsOptions(ca_file="none.pem"),
    }.items():
        options = BrokerOptions(kind=Kind.NATS, url=url, tls=tls)
        executor = await open_mq(options, tls_dir=str(tmp_path))
        with pytest.raises(TaskFailed) as caught:
            await run(executor, {"broker": "mine", "subject": "nobody"})
        codes[name] = caught.value.code
    gc.collect()  # a socket that was left open would be warned about now

    assert codes == {
        "right": "unroutable",
        "other name": "tls",
        "unknown authority": "tls",
        "no such file": "tls",
    }


@pytest.mark.parametrize("kind", [one for one in KINDS if one.values[0] in (Kind.AMQP, Kind.REDIS)])
async def test_tls_is_for_the_name_in_the_settings(
    kind, authority, tmp_path, consume, open_mq, run
):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    consumer = await consume(kind)
    scheme = {Kind.AMQP: "amqps", Kind.REDIS: "rediss"}[kind]
    outcomes = []
    async with terminated(consumer.addr, authority, "localhost") as port:
        for name in ("localhost", "other.example.com"):
            options = BrokerOptions(
                kind=kind,
                url=f"{scheme}://localhost:{port}",
                tls=TlsOptions(ca_file="ca.pem", server_name=name),
                targets=["*"],
            )
            executor = await open_mq(options, tls_dir=str(tmp_path))
            try:
                outcomes.append((await run(executor, consumer.payload(json=1))).code)
            except TaskFailed as failure:
                outcomes.append(failure.code)
            await executor.close()

    assert outcomes == ["published", "tls"]


async def test_a_nats_server_that_hides_its_tls_is_told_no_password(open_mq, run):
    got = bytearray()

    async def strip(reader, writer):
        writer.write(b'INFO {"server_id": "x", "version": "2.10.0", "max_payload": 1048576}\r\n')
        with suppress(OSError):
            while data := await reader.read(4096):
                got.extend(data)
        writer.close()

    server = await asyncio.start_server(strip, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        options = BrokerOptions(
            kind=Kind.NATS, url=f"tls://127.0.0.1:{port}", username="a", password="hunter2"
        )
        with pytest.raises(TaskFailed, match="speaks no TLS") as caught:
            await run(await open_mq(options), {"broker": "mine", "subject": "a"})

    assert (caught.value.code, bytes(got)) == ("tls", b"")


@pytest.mark.parametrize("kind", KINDS)
async def test_only_listed_targets_are_published_to(kind, consume, open_mq, run):
    consumer = await consume(kind)
    executor = await open_mq(consumer.options(targets=["jobs-*", "jobs-*/report"]))
    other = {
        Kind.AMQP: {"routing_key": "amq.gen-of-somebody"},
        Kind.NATS: {"subject": "payments.run"},
        Kind.KAFKA: {"topic": "payments"},
        Kind.REDIS: {"stream": "dsched:{0}:events"},
    }[kind]

    with pytest.raises(TaskFailed, match=r"executors\.mq\.brokers\.mine\.targets") as caught:
        await run(executor, {"broker": "mine", **other})

    assert (caught.value.code, caught.value.retryable) == ("forbidden", False)
    assert (await run(executor, consumer.payload(json=1))).code == "published"


async def test_what_nats_does_not_let_the_user_publish_to_is_told_so(consume, open_mq, run):
    allowed = "permissions: { publish: { deny: 'secret.>' } }"
    lines = f"authorization {{ users: [{{ user: somebody, password: hunter2, {allowed} }}] }}"
    with NatsServer(lines) as server:
        options = BrokerOptions(
            kind=Kind.NATS, url=f"nats://{server.addr}", username="somebody", password="hunter2"
        )
        executor = await open_mq(options)
        for attempt in (1, 2):
            with pytest.raises(TaskFailed, match="does not let this user publish") as caught:
                await run(executor, {"broker": "mine", "subject": "secret.x"}, attempt=attempt)
            assert (caught.value.code, caught.value.retryable) == ("forbidden", False)


async def test_what_redis_does_not_let_the_user_add_to_is_told_so(open_mq, run):
    with RedisServer() as server:
        rights = ("+xadd", "+ping", "+client", "+select", "~jobs:*")
        server.command("ACL", "SETUSER", "a", "on", ">hunter2", *rights)
        options = BrokerOptions(
            kind=Kind.REDIS,
            url=f"redis://{server.addr}",
            username="a",
            password="hunter2",
            targets=["*"],
        )
        executor = await open_mq(options)
        with pytest.raises(TaskFailed) as caught:
            await run(executor, {"broker": "mine", "stream": "other"})
        good = await run(executor, {"broker": "mine", "stream": "jobs:1"})

    assert (caught.value.code, caught.value.retryable) == ("forbidden", False)
    assert good.code == "published"


async def test_secrets_are_filled_in_and_taken_out_of_all_that_comes_back(
    consume, open_mq, run, monkeypatch, tmp_path, caplog
):
    monkeypatch.setenv("MQ_TOKEN", "s3cr3t/env")
    (tmp_path / "token").write_text("s3cr3t-file\n")
    consumer = await consume(Kind.REDIS)
    executor = await open_mq(consumer.options(), secret_env=["MQ_TOKEN"], secret_dir=str(tmp_path))
    payload = consumer.payload(
        headers={"Authorization": "Bearer secret://env/MQ_TOKEN"},
        json={"token": "secret://file/token"},
        reply=True,
    )
    with caplog.at_level(logging.DEBUG):
        attempts = []
        for answer in ({}, {"X-Dsched-Error": "bad token s3cr3t/env"}):
            attempt = asyncio.create_task(run(executor, payload))
            taken = await consumer.take()
            await consumer.answer(taken, taken.body + b" s3cr3t/env", answer)
            attempts.append(attempt)
        result = await attempts[0]
        with pytest.raises(TaskFailed) as caught:
            await attempts[1]

    assert taken.headers["authorization"] == "Bearer s3cr3t/env"
    assert json.loads(taken.body) == {"token": "s3cr3t-file"}
    left = [repr(result), repr(caught.value), str(caught.value.data), caplog.text]
    assert "[redacted]" in left[0]
    assert not [text for text in left if "s3cr3t" in text]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "add 'MQ_TOKEN' to executors.mq.secret_env"),
        ("two\r\nNats-Rollup: all", "with its secret filled in it must be printable"),
    ],
)
async def test_a_secret_that_cannot_be_used_sends_nothing(
    value, said, consume, open_mq, run, monkeypatch
):
    monkeypatch.setenv("MQ_TOKEN", value or "x")
    consumer = await consume(Kind.REDIS)
    executor = await open_mq(consumer.options(), secret_env=["MQ_TOKEN"] if value else [])

    with pytest.raises(TaskFailed, match=said) as caught:
        await run(executor, consumer.payload(headers={"X-A": "secret://env/MQ_TOKEN"}))

    assert (caught.value.code, caught.value.retryable) == ("secret", False)
    assert await consumer.client.xlen(consumer.name) == 0


async def test_the_password_of_a_broker_may_be_a_secret(open_mq, run, monkeypatch):
    monkeypatch.setenv("MQ_PASSWORD", "right")
    with RedisServer(password="right") as server:
        options = BrokerOptions(
            kind=Kind.REDIS,
            url=f"redis://{server.addr}",
            password="secret://env/MQ_PASSWORD",
            targets=["jobs"],
        )
        payload = {"broker": "mine", "stream": "jobs"}
        allowed = await run(await open_mq(options, secret_env=["MQ_PASSWORD"]), payload)
        with pytest.raises(TaskFailed, match=r"brokers\.mine: secret://env/MQ_PASSWORD is not"):
            await run(await open_mq(options), payload)

    assert allowed.code == "published"
