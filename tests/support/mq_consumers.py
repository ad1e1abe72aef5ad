"""Consumers of each kind of broker, by its own client: what gets the messages that tasks
publish."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

import aio_pika
import attrs
import nats
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from redis.asyncio import Redis

from dsched_executor_mq.address import Kind
from dsched_executor_mq.options import BrokerOptions
from dsched_executor_mq.waiting import end

WAIT_S = 15


@attrs.frozen(kw_only=True)
class Taken:
    """A message as a consumer has it; names of headers in lower case. ``reply_to``: or nothing."""

    headers: Mapping[str, str]
    body: bytes
    reply_to: str = ""
    correlation_id: str = ""
    raw: Any = None


class Consumer:
    """A target of its own on a running broker, and what reads it."""

    kind: Kind

    def __init__(self, addr: str) -> None:
        self.addr = addr
        self.name = f"jobs-{uuid4().hex[:8]}"

    def options(self, **more: Any) -> BrokerOptions:
        """How the executor is to reach the broker."""
        return BrokerOptions(kind=self.kind, url=f"{self.kind}://{self.addr}", **more)

    def payload(self, **more: Any) -> dict[str, Any]:
        """A payload for the target."""
        return {"broker": "mine", **self.target(), **more}

    def target(self) -> dict[str, Any]:
        """The keys that name the target."""
        raise NotImplementedError

    async def open(self) -> None:
        """Connect, and make the target."""
        raise NotImplementedError

    async def take(self) -> Taken:
        """The next message."""
        raise NotImplementedError

    async def answer(
        self, taken: Taken, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer a message."""
        raise NotImplementedError

    async def close(self) -> None:
        """Disconnect."""
        raise NotImplementedError


class AmqpConsumer(Consumer):
    kind = Kind.AMQP

    def target(self) -> dict[str, Any]:
        return {"exchange": self.name, "routing_key": "report"}

    async def open(self) -> None:
        self.connection = await aio_pika.connect(f"amqp://guest:guest@{self.addr}/")
        self.channel = await self.connection.channel()
        self.exchange = await self.channel.declare_exchange(self.name, "direct", durable=True)
        self.queue = await self.channel.declare_queue(self.name, durable=True)
        await self.queue.bind(self.exchange, "report")

    async def take(self) -> Taken:
        async with asyncio.timeout(WAIT_S):
            while (found := await self.queue.get(fail=False)) is None:
                await asyncio.sleep(0.01)
        await found.ack()
        headers = {name.lower(): str(value) for name, value in found.headers.items()}
        headers["content-type"] = found.content_type or ""
        return Taken(
            headers=headers,
            body=found.body,
            reply_to=found.reply_to or "",
            correlation_id=found.correlation_id or "",
            raw=found,
        )

    async def answer(
        self, taken: Taken, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        message = aio_pika.Message(
            body, correlation_id=taken.correlation_id, headers=dict(headers or {})
        )
        with suppress(aio_pika.exceptions.DeliveryError):
            await self.channel.default_exchange.publish(message, taken.reply_to)

    async def close(self) -> None:
        await self.connection.close()


class NatsConsumer(Consumer):
    kind = Kind.NATS

    def target(self) -> dict[str, Any]:
        return {"subject": f"{self.name}.report"}

    async def open(self) -> None:
        self.client = await nats.connect(f"nats://{self.addr}", error_cb=_quiet)
        self.jetstream = self.client.jetstream()
        await self.jetstream.add_stream(name=self.name, subjects=[f"{self.name}.>"])
        self.subscription = await self.client.subscribe(f"{self.name}.>")
        await self.client.flush()

    async def take(self) -> Taken:
        found = await self.subscription.next_msg(timeout=WAIT_S)
        headers = {name.lower(): value for name, value in (found.headers or {}).items()}
        return Taken(
            headers=headers,
            body=found.data,
            reply_to=headers.get("reply-to", found.reply),
            correlation_id=headers.get("correlation-id", ""),
            raw=found,
        )

    async def answer(
        self, taken: Taken, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        await self.client.publish(taken.reply_to, body, headers=dict(headers or {}) or None)
        await self.client.flush()

    async def close(self) -> None:
        await self.client.close()


class KafkaConsumer(Consumer):
    kind = Kind.KAFKA

    def __init__(self, addr: str) -> None:
        super().__init__(addr)
        self.replies = f"{self.name}-replies"

    def options(self, **more: Any) -> BrokerOptions:
        return super().options(**{"reply_topic": self.replies, **more})

    def target(self) -> dict[str, Any]:
        return {"topic": self.name, "key": "k"}

    async def open(self) -> None:
        self.producer = AIOKafkaProducer(bootstrap_servers=self.addr)
        await self.producer.start()
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=self.addr, auto_offset_reset="earliest", fetch_max_wait_ms=50
        )
        await self.consumer.start()
        for topic in (self.name, self.replies):
            await self.producer.send_and_wait(topic, b"makes the topic", partition=0)
        partitions = await self.producer.partitions_for(self.name)
        self.consumer.assign([TopicPartition(self.name, number) for number in partitions])
        await self.consumer.seek_to_beginning()

    async def take(self) -> Taken:
        async with asyncio.timeout(WAIT_S):
            while (found := await self.consumer.getone()).value == b"makes the topic":
                pass
        headers = {name.lower(): value.decode() for name, value in found.headers}
        return Taken(
            headers=headers,
            body=found.value or b"",
            reply_to=headers.get("reply-to", ""),
            correlation_id=headers.get("correlation-id", ""),
            raw=found,
        )

    async def answer(
        self, taken: Taken, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        told = [("Correlation-Id", taken.correlation_id.encode())]
        told += [(name, value.encode()) for name, value in (headers or {}).items()]
        await self.producer.send_and_wait(taken.reply_to, body, headers=told)

    async def close(self) -> None:
        for client in (self.consumer, self.producer):
            # In a task of its own: a client whose cluster was killed raises its own cancels.
            stopping = asyncio.create_task(client.stop())
            await asyncio.wait([stopping], timeout=2)
            await end(stopping)


class RedisConsumer(Consumer):
    kind = Kind.REDIS

    def options(self, **more: Any) -> BrokerOptions:
        return super().options(**{"targets": ["jobs-*"], **more})

    def target(self) -> dict[str, Any]:
        return {"stream": self.name}

    async def open(self) -> None:
        host, _, port = self.addr.partition(":")
        self.client = Redis(host=host, port=int(port), socket_timeout=2 * WAIT_S)
        self.last = b"0"

    async def take(self) -> Taken:
        found = await self.client.xread({self.name: self.last}, count=1, block=WAIT_S * 1000)
        ((_, ((self.last, fields),)),) = found
        headers = {name.decode().lower(): value.decode() for name, value in fields.items()}
        body = headers.pop("body").encode()
        return Taken(
            headers=headers,
            body=body,
            reply_to=headers.get("reply-to", ""),
            correlation_id=headers.get("correlation-id", ""),
            raw=fields,
        )

    async def answer(
        self, taken: Taken, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        await self.client.xadd(
            taken.reply_to,
            {"Correlation-Id": taken.correlation_id, "body": body, **(headers or {})},
            maxlen=1000,
            nomkstream=True,
        )

    async def close(self) -> None:
        await self.client.aclose()


# RabbitMQ takes some seconds to start.
KINDS = [pytest.param(kind, marks=[pytest.mark.slow] if kind is Kind.AMQP else []) for kind in Kind]
CONSUMERS = {one.kind: one for one in (AmqpConsumer, NatsConsumer, KafkaConsumer, RedisConsumer)}


async def _quiet(_error: Exception) -> None:
    """A server that is killed is no news to a test that kills it."""
