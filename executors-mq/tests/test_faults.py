"""Brokers that die, restart, refuse or are not there: each is a failure that says what to do."""

import asyncio
import socket
from contextlib import suppress
from datetime import timedelta
from typing import Self

import pytest
from mq_brokers import MAX_AMQP_BYTES, KafkaMock, NatsServer
from mq_consumers import CONSUMERS, KINDS

from dsched.contracts import TaskFailed
from dsched_executor_mq import brokers as brokers_module
from dsched_executor_mq.address import Kind
from dsched_executor_mq.options import BrokerOptions
from dsched_testkit.servers import RedisServer, free_port

# Kafka tells its own address in its metadata, past any relay.
BUT_KAFKA = [one for one in KINDS if one.values[0] is not Kind.KAFKA]


class Relay:
    """Stands between executor and broker; can hold back what the broker says, and cut off."""

    def __init__(self, addr: str) -> None:
        self.host, _, port = addr.partition(":")
        self.target = int(port)
        self.silent = False
        self.sent = 0  # bytes that went to the broker while it was silent
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Break every connection, as the death of a broker does."""
        for writer in self._writers:
            with suppress(OSError):
                writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader, writer) -> None:
        there, back = await asyncio.open_connection(self.host, self.target)
        self._writers |= {writer, back}
        for pump in (self._pump(reader, back, True), self._pump(there, writer, False)):
            task = asyncio.create_task(pump)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, reader, writer, forth: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if self.silent and forth:
                    self.sent += len(data)
                while self.silent and not forth:
                    await asyncio.sleep(0.005)
                writer.write(data)
                await writer.drain()
        writer.close()


def through(consumer, relay, **more):
    """The consumer's broker, reached by the relay."""
    options = consumer.options(**more)
    return BrokerOptions(
        kind=options.kind,
        url=f"{options.kind}://127.0.0.1:{relay.port}",
        targets=options.targets,
        **more,
    )


@pytest.mark.parametrize("kind", BUT_KAFKA)
async def test_a_broker_that_goes_between_message_and_confirm_leaves_it_open_which(
    kind, consume, open_mq, run, until
):
    consumer = await consume(kind)
    async with Relay(consumer.addr) as relay:
        executor = await open_mq(through(consumer, relay))
        await run(executor, consumer.payload(json="before"), "before@1")
        await consumer.take()
        relay.silent = True
        attempt = asyncio.create_task(run(executor, consumer.payload(json="lost")))
        taken = await consumer.take()
        assert not attempt.done()
        relay.cut()
        with pytest.raises(TaskFailed, match="whether the broker has it is not known") as caught:
            await attempt
        relay.silent = False
        again = await run(executor, consumer.payload(json="lost"), attempt=2)

    assert (caught.value.code, caught.value.retryable) == ("unconfirmed", True)
    assert "same Idempotency-Key" in caught.value.message
    assert taken.headers["idempotency-key"] == "report@1700000000123"
    if kind is Kind.NATS:
        assert again.data["duplicate"] is True
    else:
        repeat = await consumer.take()
        assert repeat.headers["idempotency-key"] == taken.headers["idempotency-key"]


@pytest.mark.parametrize("kind", BUT_KAFKA)
async def test_a_broker_that_never_confirms_is_not_waited_for_without_end(
    kind, consume, open_mq, run
):
    consumer = await consume(kind)
    async with Relay(consumer.addr) as relay:
        executor = await open_mq(
            through(consumer, relay, confirm_timeout=timedelta(milliseconds=300))
        )
        await run(executor, consumer.payload(json=1), "before@1")
        relay.silent = True
        with pytest.raises(TaskFailed, match="no confirm within confirm_timeout") as caught:
            await run(executor, consumer.payload(json=2))
        relay.silent = False

    assert (caught.value.code, caught.value.retryable) == ("unconfirmed", True)


@pytest.mark.parametrize("kind", BUT_KAFKA)
async def test_an_attempt_whose_connection_for_answers_goes_is_told_so_at_once(
    kind, consume, open_mq, run
):
    consumer = await consume(kind)
    async with Relay(consumer.addr) as relay:
        executor = await open_mq(through(consumer, relay))
        attempt = asyncio.create_task(run(executor, consumer.payload(reply=True)))
        await consumer.take()
        await asyncio.wait([attempt], timeout=0.2)
        relay.cut()
        with pytest.raises(TaskFailed, match="it may still be worked on") as caught:
            await asyncio.wait_for(attempt, 10)
        again = asyncio.create_task(run(executor, consumer.payload(reply=True), attempt=2))
        await consumer.answer(await consumer.take(), b'"again"')

        assert (caught.value.code, caught.value.retryable) == ("no_reply", True)
        assert (await again).data["body"] == "again"


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_broker_that_is_not_there_is_a_clear_error_worth_a_retry(kind, open_mq, run):
    port = free_port()
    consumer = CONSUMERS[kind](f"127.0.0.1:{port}")
    executor = await open_mq(consumer.options())

    with pytest.raises(TaskFailed, match=rf"{kind} broker 'mine': no connection") as caught:
        await run(executor, consumer.payload(json=1))

    assert (caught.value.code, caught.value.retryable) == ("connect", True)


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_name_that_cannot_be_resolved_is_a_clear_error(kind, open_mq, run):
    consumer = CONSUMERS[kind]("nobody.invalid:5000")
    executor = await open_mq(consumer.options())

    with pytest.raises(TaskFailed, match=r"nobody\.invalid' cannot be resolved") as caught:
        await run(executor, consumer.payload(json=1))

    assert (caught.value.code, caught.value.retryable) == ("connect", True)


@pytest.mark.parametrize("kind", list(Kind))
async def test_what_answers_but_speaks_something_else_ends_within_the_connect_timeout(
    kind, open_mq, run
):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        consumer = CONSUMERS[kind](f"127.0.0.1:{mute.getsockname()[1]}")
        options = consumer.options(connect_timeout=timedelta(milliseconds=300))
        with pytest.raises(TaskFailed, match="no connection") as caught:
            await run(await open_mq(options), consumer.payload(json=1))

    assert (caught.value.code, caught.value.retryable) == ("connect", True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Kind.NATS, Kind.REDIS, Kind.AMQP])
@pytest.mark.timeout(120)
async def test_a_broker_that_was_killed_and_comes_back_is_used_again(
    kind, consume, processes, open_mq, run
):
    server = processes(kind)
    consumer = await consume(kind)
    executor = await open_mq(consumer.options())
    await run(executor, consumer.payload(json=1), "before@1")
    server.kill()
    try:
        with pytest.raises(TaskFailed) as caught:
            await run(executor, consumer.payload(json=2), "while@1")
    finally:
        await asyncio.to_thread(server.start)
    fresh = await consume(kind)
    result = await run(executor, fresh.payload(json=3), "after@1")

    assert caught.value.code in {"connect", "unconfirmed"}
    assert caught.value.retryable
    assert result.code == "published"


async def test_a_kafka_that_was_killed_leaves_it_open_whether_it_has_the_message(
    servers, consume, open_mq, run
):
    servers(Kind.KAFKA)
    with KafkaMock() as server:
        consumer = await consume(Kind.KAFKA, server.addr)
        options = consumer.options(confirm_timeout=timedelta(seconds=1))
        executor = await open_mq(options)
        await run(executor, consumer.payload(json=1), "before@1")
        server.kill()
        with pytest.raises(TaskFailed, match="whether the broker has it is not known") as caught:
            await run(executor, consumer.payload(json=2))

    assert (caught.value.code, caught.value.retryable) == ("unconfirmed", True)


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        pytest.param(
            Kind.AMQP,
            {"exchange": "no-such", "routing_key": "a"},
            "no exchange 'no-such'",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            Kind.AMQP,
            {"routing_key": "no-such-queue"},
            "no queue is bound that would get the message",
            marks=pytest.mark.slow,
        ),
        (Kind.NATS, {"subject": "no-such.subject"}, "no stream of JetStream takes it"),
    ],
)
async def test_a_message_that_nobody_would_get_is_told_so(
    kind, payload, said, consume, open_mq, run
):
    consumer = await consume(kind)
    executor = await open_mq(consumer.options())
    good = asyncio.create_task(run(executor, consumer.payload(json=1), "good@1"))

    with pytest.raises(TaskFailed, match=said) as caught:
        await run(executor, {"broker": "mine", "json": 1, **payload})

    assert (caught.value.code, caught.value.retryable) == ("unroutable", True)
    assert (await good).code == "published"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_larger_than_the_settings_allow_is_not_sent(kind, consume, open_mq, run):
    consumer = await consume(kind)
    executor = await open_mq(consumer.options(), max_message_bytes=1024)

    with pytest.raises(TaskFailed, match="max_message_bytes allows 1024") as caught:
        await run(executor, consumer.payload(body="x" * 1025))
    await run(executor, consumer.payload(body="y" * 1024), "fits@1")

    assert (caught.value.code, caught.value.retryable) == ("too_large", False)
    assert (await consumer.take()).body == b"y" * 1024


async def _nats_that_takes_little(closing):
    return closing.enter_context(NatsServer("max_payload: 4096")).addr


@pytest.mark.parametrize(
    ("kind", "start", "size"),
    [
        pytest.param(Kind.AMQP, None, MAX_AMQP_BYTES + 1, marks=pytest.mark.slow),
        (Kind.NATS, _nats_that_takes_little, 5000),
    ],
)
async def test_a_message_larger_than_the_broker_takes_is_refused_for_good(
    kind, start, size, consume, open_mq, run, closing, monkeypatch
):
    addr = await start(closing) if start else ""
    monkeypatch.setenv("BIG", "x" * size)
    consumer = await consume(kind, addr)
    executor = await open_mq(
        consumer.options(), max_message_bytes=2 * 1024 * 1024, secret_env=["BIG"]
    )

    with pytest.raises(TaskFailed) as caught:
        await run(executor, consumer.payload(body="secret://env/BIG"))

    assert (caught.value.code, caught.value.retryable) == ("too_large", False)
    assert (await run(executor, consumer.payload(json=1), "small@1")).code == "published"


async def test_a_stream_of_jetstream_that_is_full_has_not_taken_the_message(consume, open_mq, run):
    consumer = await consume(Kind.NATS)
    await consumer.jetstream.update_stream(
        name=consumer.name, subjects=[f"{consumer.name}.>"], max_msgs=1, discard="new"
    )
    executor = await open_mq(consumer.options())
    await run(executor, consumer.payload(json=1), "first@1")

    with pytest.raises(TaskFailed, match="maximum messages exceeded") as caught:
        await run(executor, consumer.payload(json=2), "second@1")

    assert (caught.value.code, caught.value.retryable) == ("rejected", True)


async def test_a_redis_without_memory_has_not_taken_the_message(consume, open_mq, run, closing):
    server = closing.enter_context(RedisServer())
    consumer = await consume(Kind.REDIS, server.addr)
    executor = await open_mq(consumer.options())
    await run(executor, consumer.payload(json=1))
    server.command("CONFIG", "SET", "maxmemory", "1")

    with pytest.raises(TaskFailed, match="used memory > 'maxmemory'") as caught:
        await run(executor, consumer.payload(json=2))

    assert (caught.value.code, caught.value.retryable) == ("rejected", True)


async def test_a_key_that_is_no_stream_is_left_alone(consume, open_mq, run):
    consumer = await consume(Kind.REDIS)
    await consumer.client.set(consumer.name, "mine")

    with pytest.raises(TaskFailed, match="this key of Redis is no stream") as caught:
        await run(await open_mq(consumer.options()), consumer.payload(json=1))

    assert caught.value.code == "forbidden"
    assert await consumer.client.get(consumer.name) == b"mine"


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        pytest.param(Kind.AMQP, (), marks=pytest.mark.slow),
        (Kind.NATS, ("authorization { user: dsched, password: right }",)),
        (Kind.REDIS, ("right",)),
    ],
)
async def test_wrong_credentials_are_refused_for_good_and_not_repeated(
    kind, lines, servers, open_mq, run, closing
):
    if kind is Kind.NATS:
        addr = closing.enter_context(NatsServer(*lines)).addr
    elif kind is Kind.REDIS:
        addr = closing.enter_context(RedisServer(password=lines[0])).addr
    else:
        addr = servers(kind)
    consumer = CONSUMERS[kind](addr)
    options = consumer.options(username="dsched", password="hunter2")

    with pytest.raises(TaskFailed, match="refuses the user name or password") as caught:
        await run(await open_mq(options), consumer.payload(json=1))

    assert (caught.value.code, caught.value.retryable) == ("auth", False)
    assert "hunter2" not in caught.value.message


@pytest.mark.slow
async def test_a_virtual_host_that_is_not_there_is_told_so(servers, open_mq, run):
    addr = servers(Kind.AMQP)
    options = BrokerOptions(kind=Kind.AMQP, url=f"amqp://{addr}/nowhere")

    with pytest.raises(TaskFailed, match="no virtual host 'nowhere'") as caught:
        await run(await open_mq(options), {"broker": "mine", "routing_key": "a"})

    assert caught.value.code == "auth"


async def test_a_broker_of_another_kind_or_name_is_told_so(open_mq, run):
    executor = await open_mq(BrokerOptions(kind=Kind.NATS, url="nats://127.0.0.1"))

    with pytest.raises(TaskFailed, match="did you mean 'mine'") as unknown:
        await run(executor, {"broker": "mime", "subject": "a"})
    with pytest.raises(TaskFailed, match="speaks nats, which knows no topic 'a'") as other:
        await run(executor, {"broker": "mine", "topic": "a"})

    assert {unknown.value.code, other.value.code} == {"payload"}


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_client_that_is_not_installed_is_named_with_the_line_that_installs_it(
    kind, open_mq, run, monkeypatch
):
    consumer = CONSUMERS[kind]("127.0.0.1:1")
    executor = await open_mq(consumer.options())
    module, library = brokers_module._MODULES[kind]

    def missing(name):
        assert name.endswith(f".{module}")
        raise ModuleNotFoundError(f"No module named {library!r}", name=library)

    monkeypatch.setattr(brokers_module.importlib, "import_module", missing)
    with pytest.raises(TaskFailed) as caught:
        await run(executor, consumer.payload(json=1))

    assert (caught.value.code, caught.value.retryable) == ("client", False)
    assert f'pip install "dsched-executor-mq[{kind}]"' in caught.value.message
