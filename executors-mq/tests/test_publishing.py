"""What a message holds, what a broker says of it, and how messages go side by side."""

import asyncio
import json

import pytest
from mq_consumers import KINDS

from dsched.contracts import TaskFailed
from dsched_executor_mq.address import Kind


@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_is_confirmed_and_carries_the_facts_about_its_attempt(
    kind, consume, open_mq, run
):
    consumer = await consume(kind)
    payload = consumer.payload(json={"day": "yesterday"}, headers={"X-Tenant": "blue"})

    result = await run(await open_mq(consumer.options()), payload, attempt=3)
    taken = await consumer.take()

    assert (result.code, result.data["broker"]) == ("published", "mine")
    assert json.loads(taken.body) == {"day": "yesterday"}
    said = {
        name: taken.headers.get(name)
        for name in (
            "x-tenant",
            "content-type",
            "idempotency-key",
            "x-dsched-task-id",
            "x-dsched-config-id",
            "x-dsched-attempt",
            "x-dsched-scheduled-time",
            "x-dsched-epoch",
        )
    }
    assert said == {
        "x-tenant": "blue",
        "content-type": "application/json",
        "idempotency-key": "report@1700000000123",
        "x-dsched-task-id": "report@1700000000123",
        "x-dsched-config-id": "report",
        "x-dsched-attempt": "3",
        "x-dsched-scheduled-time": "2023-11-14T22:13:20.123Z",
        "x-dsched-epoch": "17",
    }
    assert taken.headers["traceparent"].startswith("00-")
    assert (taken.reply_to if kind is not Kind.NATS else taken.correlation_id) == ""


@pytest.mark.parametrize("kind", KINDS)
async def test_text_and_an_empty_body_are_sent_as_they_are(kind, consume, open_mq, run):
    consumer = await consume(kind)
    executor = await open_mq(consumer.options())

    await run(executor, consumer.payload(body="grüße\n"), task_id="a@1")
    text = await consumer.take()
    await run(executor, consumer.payload(), task_id="b@1")
    empty = await consumer.take()

    assert (text.body.decode(), text.headers["content-type"]) == (
        "grüße\n",
        "text/plain; charset=utf-8",
    )
    assert empty.body == b""


@pytest.mark.parametrize("kind", KINDS)
async def test_many_messages_at_once_all_arrive_once(kind, consume, open_mq, run):
    consumer = await consume(kind)
    executor = await open_mq(consumer.options())

    await asyncio.gather(
        *(run(executor, consumer.payload(json=n), task_id=f"many@{n}") for n in range(1, 101))
    )
    taken = [await consumer.take() for _ in range(100)]

    assert sorted(json.loads(one.body) for one in taken) == list(range(1, 101))


async def test_jetstream_says_where_a_message_is_and_drops_a_repeat(consume, open_mq, run):
    consumer = await consume(Kind.NATS)
    executor = await open_mq(consumer.options())

    first = await run(executor, consumer.payload(json=1))
    repeat = await run(executor, consumer.payload(json=1), attempt=2)
    info = await consumer.jetstream.stream_info(consumer.name)

    assert first.data == {"broker": "mine", "stream": consumer.name, "seq": 1, "duplicate": False}
    assert repeat.data["duplicate"] is True
    assert info.state.messages == 1


async def test_kafka_says_where_a_message_is_and_keeps_its_key(consume, open_mq, run):
    consumer = await consume(Kind.KAFKA)

    result = await run(await open_mq(consumer.options()), consumer.payload(json=1))
    taken = await consumer.take()

    assert (taken.raw.key, taken.raw.offset) == (b"k", result.data["offset"])
    assert result.data["topic"] == consumer.name


async def test_redis_says_the_id_of_the_entry(consume, open_mq, run):
    consumer = await consume(Kind.REDIS)

    result = await run(await open_mq(consumer.options()), consumer.payload(json=1))
    ((entry, _),) = await consumer.client.xrange(consumer.name)

    assert result.data == {"broker": "mine", "stream": consumer.name, "id": entry.decode()}


@pytest.mark.slow
@pytest.mark.parametrize("persistent", [True, False])
async def test_rabbit_is_told_to_keep_a_message_unless_it_need_not(
    persistent, consume, open_mq, run
):
    consumer = await consume(Kind.AMQP)

    payload = consumer.payload(persistent=persistent)
    await run(await open_mq(consumer.options()), payload)
    taken = await consumer.take()

    assert (taken.raw.delivery_mode, taken.raw.message_id) == (
        2 if persistent else 1,
        "report@1700000000123",
    )


@pytest.mark.slow
async def test_the_default_exchange_of_amqp_reaches_a_queue_by_its_name(consume, open_mq, run):
    consumer = await consume(Kind.AMQP)

    payload = {"broker": "mine", "routing_key": consumer.name, "json": 1}
    await run(await open_mq(consumer.options()), payload)

    assert (await consumer.take()).body == b"1"


@pytest.mark.parametrize("kind", KINDS)
async def test_attempts_share_one_connection_and_closing_ends_it(kind, consume, open_mq, run):
    consumer = await consume(kind)
    executor = await open_mq(consumer.options())
    await asyncio.gather(
        *(run(executor, consumer.payload(json=n), task_id=f"many@{n}") for n in range(1, 9))
    )
    (opened,) = executor._connections._open.values()

    await executor.close()

    assert not opened.broker.is_open
    assert executor._connections._open == {}


async def test_no_more_attempts_run_than_the_broker_has_room_for(consume, open_mq, run, until):
    consumer = await consume(Kind.REDIS)
    executor = await open_mq(consumer.options(max_in_flight=1))
    waiting = asyncio.create_task(run(executor, consumer.payload(reply=True)))
    await consumer.take()

    with pytest.raises(TaskFailed, match="by the attempt's deadline") as caught:
        await run(executor, consumer.payload(json=2), task_id="other@1", timeout_s=0.2)

    assert (caught.value.code, caught.value.retryable) == ("connect", True)
    assert await consumer.client.xlen(consumer.name) == 1
    waiting.cancel()
    await asyncio.wait([waiting])
    assert (await run(executor, consumer.payload(json=3), task_id="third@1")).code == "published"
