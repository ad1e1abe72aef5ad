"""AMQP 0-9-1 by aio-pika: confirms are awaited, and a message that no queue takes comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aiormq import exceptions as amqp

from dsched.model import JsonValue
from dsched_executor_mq.brokers import Login, Message
from dsched_executor_mq.failures import (
    bad_login,
    bad_tls,
    forbidden,
    no_connection,
    rejected,
    too_large,
    unconfirmed,
    unroutable,
)
from dsched_executor_mq.reach import certificate_problem, reason_of
from dsched_executor_mq.waiting import Answer, ConnectionLostError, Lost, Replies

MAX_CHANNELS = 32
HEARTBEAT_S = 10
# The client expects the virtual host to be opened and says what else came, but not its code.
_NOT_OPENED = "Connection.OpenOk"


async def open_broker(login: Login) -> "AmqpBroker":
    """Connect to the first address that listens."""
    address, reach = login.options.address, login.reach
    failure: Exception | None = None
    for place in await reach.places(address.hosts):
        try:
            connection = await aio_pika.connect(
                host=place.ip,
                port=place.port,
                login=login.username or "guest",
                password=login.password or "guest",
                virtualhost=address.path,
                ssl=address.secure,
                ssl_context=reach.tls,
                timeout=login.options.connect_timeout.total_seconds(),
                client_properties={"connection_name": f"dsched {login.name}"},
                heartbeat=HEARTBEAT_S,
            )
        except (amqp.AuthenticationError, amqp.ProbableAuthenticationError):
            raise bad_login("the broker refuses the user name or password") from None
        except (amqp.AMQPError, OSError) as error:
            if isinstance(error, amqp.ConnectionNotAllowed) or _NOT_OPENED in str(error):
                raise bad_login(
                    f"the broker has no virtual host {address.path!r}, or not for this user"
                ) from None
            failure = error
        else:
            return AmqpBroker(connection, login.max_message_bytes)
    problem = certificate_problem(failure)
    if problem is not None:
        raise bad_tls(f"the broker's certificate is not accepted: {problem}")
    raise no_connection(f"no connection: {reason_of(failure or OSError())}")


class AmqpBroker:
    """One connection with some channels.

    A channel serves one message at a time: a bad message closes its channel, and with it everything
    else on it.
    """

    def __init__(self, connection: AbstractConnection, max_message_bytes: int) -> None:
        self.replies = Replies()
        self._connection = connection
        self._max_message_bytes = max_message_bytes
        self._lost = Lost()
        self._idle: list[AbstractChannel] = []
        self._channels = asyncio.Semaphore(MAX_CHANNELS)
        self._listening = asyncio.Lock()
        self._reply_queue = ""
        connection.close_callbacks.add(self._on_close)

    @property
    def is_open(self) -> bool:
        """Whether the connection stands."""
        return not self._lost and not self._connection.is_closed

    async def publish(self, message: Message) -> JsonValue:
        """Publish, mandatory, and wait for the confirm."""
        try:
            async with self._channel() as channel:
                await self._lost.unless(_publish(channel, message))
        except amqp.PublishError:
            raise unroutable(
                f"{message.target.shown}: no queue is bound that would get the message; bind one, "
                "or mend the routing key"
            ) from None
        except amqp.DeliveryError:
            raise rejected(f"{message.target.shown}: the broker did not take the message") from None
        except amqp.ChannelNotFoundEntity as error:
            raise unroutable(f"{message.target.shown}: the broker says {error}") from None
        except amqp.ChannelAccessRefused as error:
            raise forbidden(f"{message.target.shown}: the broker says {error}") from None
        except amqp.ChannelPreconditionFailed as error:
            raise too_large(f"{message.target.shown}: the broker says {error}") from None
        except (ConnectionLostError, amqp.AMQPError, RuntimeError, OSError) as error:
            raise unconfirmed(
                f"{message.target.shown}: the connection went before the confirm "
                f"({reason_of(error)})"
            ) from None
        return {}

    async def reply_address(self, correlation_id: str) -> str:  # noqa: ARG002 - one for all
        """A queue of this connection alone, which the broker removes with it."""
        async with self._listening:
            if not self._reply_queue:
                try:
                    self._reply_queue = await self._lost.unless(self._listen())
                except (ConnectionLostError, amqp.AMQPError, RuntimeError, OSError) as error:
                    raise no_connection(
                        f"no queue for answers could be made: {reason_of(error)}"
                    ) from None
            return self._reply_queue

    async def close(self) -> None:
        """Close the connection."""
        self._lost.set("the executor is closing")
        self.replies.lose("the executor is closing")
        with suppress(amqp.AMQPError, RuntimeError, OSError):
            await self._connection.close()

    async def _listen(self) -> str:
        channel = await self._connection.channel(publisher_confirms=False)
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)
        await queue.consume(self._on_answer, no_ack=True)
        channel.close_callbacks.add(self._on_deaf)
        return queue.name

    async def _on_answer(self, message: AbstractIncomingMessage) -> None:
        headers = {name.lower(): _text(value) for name, value in message.headers.items()}
        headers.setdefault("content-type", message.content_type or "")
        self.replies.deliver(message.correlation_id or "", Answer(headers, message.body))

    def _on_deaf(self, _channel: Any, error: BaseException | None) -> None:
        self._reply_queue = ""
        self.replies.lose(f"the queue for answers has gone ({reason_of(error or OSError())})")

    def _on_close(self, _connection: Any, error: BaseException | None) -> None:
        why = reason_of(error) if error else "closed"
        self._lost.set(why)
        self.replies.lose(why)

    async def _open_channel(self) -> AbstractChannel:
        return await self._connection.channel(on_return_raises=True)

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[AbstractChannel]:
        """A channel for one message; only one that has confirmed it is used again."""
        async with self._channels:
            while self._idle and self._idle[-1].is_closed:
                self._idle.pop()
            channel = (
                self._idle.pop() if self._idle else await self._lost.unless(self._open_channel())
            )
            try:
                yield channel
            except amqp.DeliveryError:
                self._idle.append(channel)
                raise
            except BaseException:
                with suppress(amqp.AMQPError, RuntimeError, OSError, TimeoutError):
                    async with asyncio.timeout(1):
                        await channel.close()
                raise
            self._idle.append(channel)


async def _publish(channel: AbstractChannel, message: Message) -> None:
    exchange = await channel.get_exchange(message.target.name, ensure=False)
    persistent = message.target.persistent
    await exchange.publish(
        aio_pika.Message(
            message.body,
            headers=dict(message.headers),
            content_type=message.content_type or None,
            delivery_mode=aio_pika.DeliveryMode(2 if persistent else 1),
            message_id=message.message_id,
            correlation_id=message.correlation_id or None,
            reply_to=message.reply_to or None,
            app_id="dsched",
        ),
        message.target.routing_key,
        mandatory=True,
    )


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
