"""`reply: true`: which answer is whose, what it makes of the attempt, and how the wait ends."""

import asyncio
import json

import attrs
import pytest
from mq_consumers import KINDS

from dsched.contracts import TaskFailed
from dsched_executor_mq.address import Kind
from dsched_executor_mq.options import BrokerOptions


@pytest.fixture
async def waiting(consume, open_mq, run, closing):
    """An attempt whose message a consumer has taken, and which waits for the answer."""

    async def started(kind, task_id="report@1700000000123", **more):
        consumer = await consume(kind)
        executor = await open_mq(consumer.options())
        payload = consumer.payload(json=1, reply=True)
        attempt = asyncio.create_task(run(executor, payload, task_id, **more))
        closing.callback(attempt.cancel)
        return consumer, executor, attempt, await consumer.take()

    return started


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_is_the_result(kind, waiting):
    consumer, _, attempt, taken = await waiting(kind)

    await consumer.answer(taken, b'{"rows": [1, 2]}')
    result = await attempt

    assert (result.code, result.data) == (
        "replied",
        {"body": {"rows": [1, 2]}, "truncated": False},
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_answers_in_another_order_reach_those_who_asked(kind, consume, open_mq, run):
    consumer = await consume(kind)
    executor = await open_mq(consumer.options())
    attempts = [
        asyncio.create_task(run(executor, consumer.payload(json=n, reply=True), f"many@{n}"))
        for n in range(1, 21)
    ]
    taken = [await consumer.take() for _ in attempts]

    for one in reversed(taken):
        await consumer.answer(one, json.dumps({"of": json.loads(one.body)}).encode())
    results = await asyncio.gather(*attempts)

    assert [result.data["body"] for result in results] == [{"of": n} for n in range(1, 21)]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_that_says_it_failed_fails_the_attempt(kind, waiting):
    consumer, _, attempt, taken = await waiting(kind)

    said = {"X-Dsched-Error": "no such shop", "X-Dsched-Retryable": "false"}
    await consumer.answer(taken, b'{"shop": 7}', said)
    with pytest.raises(TaskFailed, match="the consumer says: no such shop") as caught:
        await attempt

    assert (caught.value.code, caught.value.retryable) == ("answered", False)
    assert caught.value.data == {"body": {"shop": 7}, "truncated": False}


@pytest.mark.parametrize("kind", KINDS)
async def test_without_an_answer_the_attempt_ends_at_its_deadline_and_may_be_repeated(
    kind, waiting, run
):
    consumer, executor, attempt, late = await waiting(kind, timeout_s=1.0)

    with pytest.raises(TaskFailed, match="confirmed, but not answered") as caught:
        await attempt
    again = asyncio.create_task(
        run(executor, consumer.payload(json=1, reply=True), "report@1700000000123", attempt=2)
    )
    taken = await consumer.take()
    await consumer.answer(late, b'"of the first attempt"')
    await consumer.answer(taken, b'"of the second"')
    result = await again

    assert (caught.value.code, caught.value.retryable) == ("no_reply", True)
    assert "same Idempotency-Key" in caught.value.message
    assert taken.headers["idempotency-key"] == late.headers["idempotency-key"]
    assert result.data["body"] == "of the second"


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_with_another_correlation_id_is_nobodys(kind, waiting):
    consumer, _, attempt, taken = await waiting(kind)

    forged = attrs.evolve(
        taken,
        correlation_id="0" * 32,
        reply_to=taken.reply_to.replace(taken.correlation_id, "0" * 32)
        if kind is Kind.NATS
        else taken.reply_to,
    )
    await consumer.answer(forged, b'"forged"')
    await consumer.answer(taken, b'"right"')
    result = await attempt
    await consumer.answer(taken, b'"repeated"')

    assert result.data["body"] == "right"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancel_ends_the_wait_at_once_and_later_attempts_are_answered(kind, waiting, run):
    consumer, executor, attempt, taken = await waiting(kind)

    attempt.cancel()
    await asyncio.wait([attempt], timeout=1)
    (opened,) = executor._connections._open.values()

    assert attempt.cancelled()
    assert len(opened.broker.replies) == 0
    await consumer.answer(taken, b'"late"')
    later = asyncio.create_task(run(executor, consumer.payload(json=2, reply=True), "later@1"))
    await consumer.answer(await consumer.take(), b'"in time"')
    assert (await later).data["body"] == "in time"


async def test_a_cancel_at_any_moment_leaves_the_connection_to_nats_as_it_was(
    consume, open_mq, run, caplog
):
    consumer = await consume(Kind.NATS)
    executor = await open_mq(consumer.options())
    payload = consumer.payload(json=1)
    await run(executor, payload, "first@1")
    for turns in range(60):
        attempt = asyncio.create_task(run(executor, payload, f"cancelled@{turns}"))
        for _ in range(turns):
            await asyncio.sleep(0)
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)
    assert (await run(executor, payload, "last@1")).code == "published"
    assert "encountered error" not in caplog.text


async def test_nats_without_jetstream_asks_whoever_listens(consume, open_mq, run):
    consumer = await consume(Kind.NATS)
    executor = await open_mq(consumer.options())
    subject = f"service-{consumer.name}"

    async def serve(message):
        await message.respond(b'"hello " + ' + message.data)

    await consumer.client.subscribe(subject, cb=serve)
    await consumer.client.flush()
    payload = {"broker": "mine", "subject": subject, "json": 1, "jetstream": False, "reply": True}
    result = await run(executor, payload)

    assert result.data["body"] == '"hello " + 1'


async def test_nats_without_jetstream_says_at_once_that_nobody_listens(consume, open_mq, run):
    consumer = await consume(Kind.NATS)
    executor = await open_mq(consumer.options())

    payload = {"broker": "mine", "subject": "nobody.here", "jetstream": False, "reply": True}
    with pytest.raises(TaskFailed, match="nobody listens") as caught:
        await run(executor, payload)

    assert (caught.value.code, caught.value.retryable) == ("unroutable", True)


async def test_kafka_without_a_topic_for_answers_refuses_and_sends_nothing(consume, open_mq, run):
    consumer = await consume(Kind.KAFKA)
    executor = await open_mq(consumer.options(reply_topic=""))

    with pytest.raises(
        TaskFailed, match=r"set executors\.mq\.brokers\.mine\.reply_topic"
    ) as caught:
        await run(executor, consumer.payload(json="never sent", reply=True))
    await run(executor, consumer.payload(json="sent"), "other@1")

    assert (caught.value.code, caught.value.retryable) == ("payload", False)
    assert (await consumer.take()).body == b'"sent"'


async def test_what_is_no_json_is_kept_as_text_and_a_long_one_is_cut(consume, open_mq, run):
    consumer = await consume(Kind.REDIS)
    executor = await open_mq(consumer.options(), max_result_bytes=1024)
    results = []
    for body in (b"plain \xff text", b'"' + b"x" * 2000 + b'"'):
        attempt = asyncio.create_task(run(executor, consumer.payload(reply=True)))
        await consumer.answer(await consumer.take(), body)
        results.append((await attempt).data)

    assert results[0] == {"body": "plain \ufffd text", "truncated": False}
    assert (len(results[1]["body"]), results[1]["truncated"]) == (1024, True)


async def test_an_answer_that_is_too_large_fails_the_attempt(consume, open_mq, run):
    consumer = await consume(Kind.REDIS)
    executor = await open_mq(consumer.options(), max_message_bytes=1024)
    attempt = asyncio.create_task(run(executor, consumer.payload(reply=True)))

    await consumer.answer(await consumer.take(), b"x" * 1025)
    with pytest.raises(TaskFailed, match="the answer has 1025 bytes") as caught:
        await attempt

    assert (caught.value.code, caught.value.retryable) == ("too_large", False)


async def test_the_stream_for_answers_ends_with_the_executor_and_no_late_answer_makes_it_anew(
    consume, open_mq, run
):
    consumer = await consume(Kind.REDIS)
    executor = await open_mq(consumer.options())
    attempt = asyncio.create_task(run(executor, consumer.payload(reply=True)))
    taken = await consumer.take()
    ttl = await consumer.client.ttl(taken.reply_to)

    await executor.close()
    with pytest.raises(TaskFailed, match="closing") as caught:
        await attempt
    await consumer.answer(taken, b"late")

    assert caught.value.code == "no_reply"
    assert 0 < ttl <= 120
    assert not await consumer.client.exists(taken.reply_to)


async def test_answers_that_were_read_are_trimmed(consume, open_mq, run, until):
    consumer = await consume(Kind.REDIS)
    executor = await open_mq(consumer.options())
    for n in range(1, 6):
        attempt = asyncio.create_task(run(executor, consumer.payload(reply=True), f"many@{n}"))
        taken = await consumer.take()
        await consumer.answer(taken, b"1")
        await attempt

    async with asyncio.timeout(5):
        while await consumer.client.xlen(taken.reply_to) > 1:
            await asyncio.sleep(0.01)


def test_only_kafka_has_a_topic_for_answers():
    with pytest.raises(ValueError, match="reply_topic is for Kafka only"):
        BrokerOptions(kind=Kind.NATS, url="nats://mq.example.com", reply_topic="answers")
