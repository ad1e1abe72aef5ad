"""Kafka by aiokafka: all in-sync replicas confirm; answers come to a topic of the settings."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import attrs
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka import errors as kafka
from aiokafka.conn import create_conn

from dsched.contracts import TaskFailed
from dsched.model import JsonValue
from dsched_executor_mq.brokers import Login, Message
from dsched_executor_mq.failures import (
    bad_login,
    bad_tls,
    forbidden,
    no_connection,
    no_replies,
    rejected,
    too_large,
    unconfirmed,
    unroutable,
)
from dsched_executor_mq.headers import CONTENT_TYPE, CORRELATION_ID, REPLY_TO
from dsched_executor_mq.reach import Place, Reach, certificate_problem, reason_of
from dsched_executor_mq.waiting import Answer, Replies, end

CLOSE_S = 2
# Errors about one message, after which the broker does not have it.
_UNROUTABLE = (kafka.UnknownTopicOrPartitionError, kafka.InvalidTopicError)
_FORBIDDEN = (kafka.TopicAuthorizationFailedError, kafka.ClusterAuthorizationFailedError)
_TOO_LARGE = (kafka.MessageSizeTooLargeError, kafka.RecordListTooLargeError)
_REJECTED = (kafka.NotEnoughReplicasError, kafka.PolicyViolationError)
_LOGIN = (kafka.AuthenticationFailedError, kafka.SaslAuthenticationFailed)


async def open_broker(login: Login) -> "KafkaBroker":
    """Log in at the first host that listens, then start a producer of the whole cluster."""
    places = await login.reach.places(login.options.address.hosts)
    access = _access(login)
    place = await _first_that_listens(places, access)
    timeout_ms = int(login.options.confirm_timeout.total_seconds() * 1000)
    producer = AIOKafkaProducer(
        bootstrap_servers=place.netloc,
        acks="all",
        enable_idempotence=True,
        max_request_size=login.max_message_bytes + 64 * 1024,
        request_timeout_ms=timeout_ms,
        **access,
    )
    _guard(producer.client, login.reach)
    try:
        # Learn which brokers the cluster names before anything else waits for a connection to them.
        await producer.client.bootstrap()
        for known in producer.client.cluster.brokers():
            await login.reach.places([(known.host, known.port)])
        await producer.start()
    except (kafka.KafkaError, OSError) as error:
        await _stop(producer)
        raise no_connection(f"the cluster does not answer: {reason_of(error)}") from None
    except BaseException:
        await _stop(producer)
        raise
    return KafkaBroker(producer, login, access, place)


class KafkaBroker:
    """A producer, and a consumer of the topic for answers once somebody waits for one."""

    def __init__(
        self, producer: AIOKafkaProducer, login: Login, access: dict[str, Any], place: Place
    ) -> None:
        self.replies = Replies()
        self._producer = producer
        self._login = login
        self._access = access
        self._place = place
        self._closed = False
        self._listening = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the producer runs; it reconnects by itself to brokers that come back."""
        return not self._closed

    async def publish(self, message: Message) -> JsonValue:
        """Send, and wait until all in-sync replicas have it."""
        target = message.target
        try:
            sent = await self._producer.send(
                target.name,
                message.body,
                key=None if target.key is None else target.key.encode(),
                headers=_headers(message),
            )
            told = await asyncio.shield(sent)
        except kafka.KafkaError as error:
            raise _failure(error, target.shown) from None
        return {"topic": told.topic, "partition": told.partition, "offset": told.offset}

    async def reply_address(self, correlation_id: str) -> str:  # noqa: ARG002 - one for all
        """The topic for answers, which is read from now on."""
        topic = self._login.options.reply_topic
        if not topic:
            raise no_replies(
                "reply: this Kafka has no topic for answers; set executors.mq.brokers."
                f"{self._login.name}.reply_topic, or leave `reply` out"
            )
        async with self._listening:
            if self._reader is None or self._reader.done():
                await self._stop_listening()
                try:
                    self._consumer = await self._listen(topic)
                except (kafka.KafkaError, OSError) as error:
                    raise no_connection(
                        f"the topic {topic!r} for answers cannot be read: {reason_of(error)}"
                    ) from None
                self._reader = asyncio.create_task(
                    self._read(self._consumer), name=f"answers of {self._login.name}"
                )
        return topic

    async def close(self) -> None:
        """Stop both; what was not confirmed yet is given up."""
        self._closed = True
        self.replies.lose("the executor is closing")
        await self._stop_listening()
        await _stop(self._producer)

    async def _listen(self, topic: str) -> AIOKafkaConsumer:
        """A consumer of all partitions from their ends on, without a group, so that it reads
        all."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._place.netloc,
            auto_offset_reset="latest",
            enable_auto_commit=False,
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=self._login.max_message_bytes + 64 * 1024,
            **self._access,
        )
        client = consumer._client  # noqa: SLF001 - the only way to it, and it must be guarded
        _guard(client, self._login.reach)
        try:
            await consumer.start()
            partitions = await client.fetch_all_metadata()
            found = partitions.partitions_for_topic(topic)
            if not found:
                await client.add_topic(topic)
                found = client.cluster.partitions_for_topic(topic)
            if not found:
                raise kafka.UnknownTopicOrPartitionError
            consumer.assign([TopicPartition(topic, number) for number in found])
            await consumer.seek_to_end()
            for number in found:
                await consumer.position(TopicPartition(topic, number))
        except BaseException:
            await _finish(consumer.stop())
            raise
        return consumer

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        try:
            async for record in consumer:
                headers = {
                    name.lower(): value.decode(errors="replace") for name, value in record.headers
                }
                correlation_id = headers.get(CORRELATION_ID.lower(), "")
                self.replies.deliver(correlation_id, Answer(headers, record.value or b""))
        finally:
            self.replies.lose("the topic for answers is not read any more")

    async def _stop_listening(self) -> None:
        reader, self._reader = self._reader, None
        consumer, self._consumer = self._consumer, None
        if reader is not None:
            await end(reader)
        if consumer is not None:
            await _finish(consumer.stop())


async def _stop(producer: AIOKafkaProducer) -> None:
    """Stop a producer. It waits for its cluster, which may be gone, so wait only a moment."""
    if not await _finish(producer.stop()):
        await _finish(producer._sender.close())  # noqa: SLF001 - there is no other way to end it
        await _finish(producer.client.close())


async def _finish(step: Coroutine[Any, Any, None]) -> bool:
    """Whether a step of an ending was done in a moment.

    In a task of its own: the client raises its own cancels when it is stopped without its cluster.
    """
    task = asyncio.create_task(step, name="stops a client of Kafka")
    await asyncio.wait((task,), timeout=CLOSE_S)
    done = task.done() and not task.cancelled() and task.exception() is None
    await end(task)
    return done


def _access(login: Login) -> dict[str, Any]:
    """How to speak to each host of the cluster."""
    secure, named = login.reach.tls is not None, bool(login.username)
    protocol = ("SASL_" if named else "") + ("SSL" if secure else "PLAINTEXT")
    access: dict[str, Any] = {"security_protocol": protocol, "ssl_context": login.reach.tls}
    if named:
        access |= {
            "sasl_mechanism": login.options.sasl_mechanism,
            "sasl_plain_username": login.username,
            "sasl_plain_password": login.password,
        }
    return access


async def _first_that_listens(places: list[Place], access: dict[str, Any]) -> Place:
    """Log in once and leave: the producer itself would not say why it cannot start."""
    failure: Exception | None = None
    for place in places:
        try:
            connection = await create_conn(place.ip, place.port, **access)
        except _LOGIN as error:
            raise bad_login(f"the cluster refuses the credentials: {reason_of(error)}") from None
        except kafka.UnsupportedSaslMechanismError as error:
            raise bad_login(f"the cluster refuses sasl_mechanism: {reason_of(error)}") from None
        except (kafka.KafkaError, OSError) as error:
            failure = error
        else:
            connection.close()
            return place
    problem = certificate_problem(failure)
    if problem is not None:
        raise bad_tls(f"the cluster's certificate is not accepted: {problem}")
    raise no_connection(f"no connection: {reason_of(failure or OSError())}")


def _guard(client: Any, reach: Reach) -> None:
    """Let a client connect only to checked addresses, those that brokers advertise included.

    A broker names the others of its cluster, and the client would go wherever they say.
    """
    plain: Callable[..., Any] = client._get_conn  # noqa: SLF001 - where every connection is made
    known: Callable[[Any], Any] = client.cluster.broker_metadata
    checked: dict[Any, Any] = {}

    async def checked_connection(node_id: Any, **more: Any) -> Any:
        broker = known(node_id)
        if broker is not None:
            try:
                place, *_ = await reach.places([(broker.host, broker.port)])
            except TaskFailed:
                client.force_metadata_update()
                return None
            checked[node_id] = attrs.evolve(place, host=broker.host)
        return await plain(node_id, **more)

    def checked_metadata(node_id: Any) -> Any:
        broker, place = known(node_id), checked.get(node_id)
        if broker is None or place is None or place.host != broker.host:
            return broker
        return broker._replace(host=place.ip)

    client._get_conn = checked_connection  # noqa: SLF001
    client.cluster.broker_metadata = checked_metadata


def _headers(message: Message) -> list[tuple[str, bytes]]:
    headers = dict(message.headers)
    if message.content_type:
        headers.setdefault(CONTENT_TYPE, message.content_type)
    if message.reply_to:
        headers |= {REPLY_TO: message.reply_to, CORRELATION_ID: message.correlation_id}
    return [(name, value.encode()) for name, value in headers.items()]


def _failure(error: kafka.KafkaError, shown: str) -> TaskFailed:
    what = f"{shown}: the cluster says {reason_of(error)}"
    for kinds, made in (
        (_UNROUTABLE, unroutable),
        (_FORBIDDEN, forbidden),
        (_TOO_LARGE, too_large),
        (_REJECTED, rejected),
    ):
        if isinstance(error, kinds):
            return made(what)
    return unconfirmed(f"{shown}: no confirm from the cluster ({reason_of(error)})")
