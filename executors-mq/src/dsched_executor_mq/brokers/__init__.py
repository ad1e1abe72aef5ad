"""How the executor sees every broker: one Protocol, and a module for each kind of broker.

A module imports its client when it is imported itself, so that nothing else needs one.
"""

import importlib
from collections.abc import Mapping
from typing import Protocol

import attrs

from dsched.model import JsonValue
from dsched_executor_mq.address import Kind
from dsched_executor_mq.failures import no_client
from dsched_executor_mq.options import BrokerOptions
from dsched_executor_mq.reach import Reach
from dsched_executor_mq.target import Target
from dsched_executor_mq.waiting import Replies

# By kind: the module here, and the library that it imports.
_MODULES = {
    Kind.AMQP: ("amqp", "aio_pika"),
    Kind.NATS: ("nats", "nats"),
    Kind.KAFKA: ("kafka", "aiokafka"),
    Kind.REDIS: ("redis_streams", "redis"),
}


@attrs.frozen(kw_only=True)
class Message:
    """One message, everything filled in. ``headers`` hold the facts about the attempt too.

    ``message_id`` is one for each message that a consumer should see once. ``reply_to`` and
    ``correlation_id`` are empty unless an answer is wanted.
    """

    target: Target
    headers: Mapping[str, str]
    body: bytes
    content_type: str
    message_id: str
    reply_to: str = ""
    correlation_id: str = ""


@attrs.frozen(kw_only=True)
class Login:
    """How to open a broker: its name and options, with the secrets of the latter filled in."""

    name: str
    options: BrokerOptions
    reach: Reach
    username: str
    password: str = attrs.field(repr=False)
    max_message_bytes: int


class Broker(Protocol):
    """One open connection, for the attempts of one loop. Every failure is a `TaskFailed`."""

    replies: Replies

    @property
    def is_open(self) -> bool:
        """Whether it can be used further; one that has lost its connection is opened anew."""

    async def publish(self, message: Message) -> JsonValue:
        """Hand a message over; what the broker says of it, once it says that it has it.

        ``unconfirmed`` if it was sent and the connection went before that; a failure of any other
        code means that the broker does not have it. The caller bounds the time; after a cancel or a
        timeout it is not known whether the broker has it.
        """

    async def reply_address(self, correlation_id: str) -> str:
        """The address for this answer, once somebody listens there; it then goes to ``replies``."""

    async def close(self) -> None:
        """Close the connection; waits for answers end."""


class OpenBroker(Protocol):
    """What each module has as ``open_broker``."""

    async def __call__(self, login: Login) -> Broker:
        """Connect and log in. The caller bounds the time."""


def opener_of(kind: Kind) -> OpenBroker:
    """How to open a broker of this kind; imports its client, so call it in a thread.

    Raises `TaskFailed`, code ``client``, with the line that installs what is missing.
    """
    module, library = _MODULES[kind]
    try:
        found: OpenBroker = importlib.import_module(f"{__name__}.{module}").open_broker
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != library:
            raise
        raise no_client(
            f"{kind} needs a client that this worker does not have; install it: "
            f'pip install "dsched-executor-mq[{kind}]"'
        ) from None
    return found
