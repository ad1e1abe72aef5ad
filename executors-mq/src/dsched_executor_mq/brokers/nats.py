"""NATS by nats-py: JetStream's word that it has a message is awaited; answers come to an inbox."""

import asyncio
import json
import re
from contextlib import suppress
from itertools import count
from typing import Any

from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from dsched.contracts import TaskFailed
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
from dsched_executor_mq.headers import CONTENT_TYPE, CORRELATION_ID, REPLY_TO
from dsched_executor_mq.reach import Place, certificate_problem, reason_of
from dsched_executor_mq.waiting import Answer, ConnectionLostError, Lost, Replies

PING_INTERVAL_S = 10
CLOSE_S = 1
MAX_OUTSTANDING_PINGS = 2
# The description of an error of JetStream names the stream at fault, and says why.
_TOO_LARGE = 10054
_NO_RESPONDERS = "503"
_DENIED = re.compile(r'permissions violation for publish to "(?P<subject>[^"]*)"', re.IGNORECASE)
MAX_DENIED = 1000


class CheckedClient(Client):
    """Refuses to log in over plain text where TLS was asked for, whatever the server says, and
    hears on after a flush that was cancelled."""

    wants_tls = False

    def _connect_command(self) -> bytes:
        if self.wants_tls and not self._server_info.get("tls_required"):
            raise errors.SecureConnRequiredError
        command: bytes = super()._connect_command()
        return command

    async def _process_pong(self) -> None:
        # The client would end its reading by an error where nobody waits for the pong any more.
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()


async def open_broker(login: Login) -> "NatsBroker":
    """Connect to the first address that listens."""
    trouble: Exception | None = None
    for place in await login.reach.places(login.options.address.hosts):
        broker = NatsBroker()
        try:
            await broker.connect(place, login)
        except (errors.Error, OSError) as error:
            await broker.close()
            failure = _final(error)
            if failure is not None:
                raise failure from None
            trouble = broker.trouble or error
        except BaseException:
            await broker.close()
            raise
        else:
            return broker
    problem = certificate_problem(trouble)
    if problem is not None:
        raise bad_tls(f"the server's certificate is not accepted: {problem}")
    raise no_connection(f"no connection: {reason_of(trouble or OSError())}")


def _final(error: Exception) -> TaskFailed | None:
    """The failure, if no other address of the server would do better."""
    if isinstance(error, errors.SecureConnRequiredError):
        return bad_tls("the server speaks no TLS, but url asks for it; nothing was sent to it")
    if "authorization" in str(error).lower():
        return bad_login("the server refuses the user name or password")
    return None


class NatsBroker:
    """One connection with one inbox, for both confirms and answers.

    It never connects again by itself: the client would go to addresses that other servers have
    told it. When the connection is lost, the broker is opened anew, and all addresses are checked.
    """

    def __init__(self) -> None:
        self.replies = Replies()
        self._confirms = Replies()
        self._client = CheckedClient()
        self._inbox = ""
        self._lost = Lost()
        self.trouble: Exception | None = None
        # When the server last refused a message to a subject, by numbers that only grow.
        self._denied: dict[str, int] = {}
        self._numbers = count(1)

    @property
    def is_open(self) -> bool:
        """Whether the connection stands."""
        return self._client.is_connected

    async def connect(self, place: Place, login: Login) -> None:
        """Log in, and listen at an inbox."""
        self._client.wants_tls = login.reach.tls is not None
        await self._client.connect(
            f"{'tls' if self._client.wants_tls else 'nats'}://{place.netloc}",
            name=f"dsched {login.name}",
            user=login.username or None,
            password=login.password or None,
            tls=login.reach.tls,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=max(1, int(login.options.connect_timeout.total_seconds())),
            ping_interval=PING_INTERVAL_S,
            max_outstanding_pings=MAX_OUTSTANDING_PINGS,
            error_cb=self._on_error,
            closed_cb=self._on_close,
        )
        self._inbox = self._client.new_inbox()
        await self._client.subscribe(f"{self._inbox}.*.*", cb=self._on_message)

    async def publish(self, message: Message) -> JsonValue:
        """Publish to JetStream and wait for its confirm; without JetStream, to whoever answers."""
        target, headers = message.target, dict(message.headers)
        if message.content_type:
            headers.setdefault(CONTENT_TYPE, message.content_type)
        if message.reply_to:
            headers |= {REPLY_TO: message.reply_to, CORRELATION_ID: message.correlation_id}
        if not target.jetstream:
            await self._send(message, headers, message.reply_to)
            return {}
        token = self._client.new_inbox().rpartition(".")[2]
        headers["Nats-Msg-Id"] = message.message_id
        with self._confirms.expect(token) as confirm:
            await self._send(message, headers, f"{self._inbox}.confirm.{token}")
            try:
                answer = await confirm
            except ConnectionLostError as error:
                raise unconfirmed(
                    f"{target.shown}: the connection went before JetStream confirmed ({error})"
                ) from None
        return _receipt(answer, target.shown)

    async def reply_address(self, correlation_id: str) -> str:
        """A subject below the inbox of this connection."""
        return f"{self._inbox}.answer.{correlation_id}"

    async def close(self) -> None:
        """Close the connection."""
        self._lose("the executor is closing")
        # The client leaves the socket open on which TLS failed, and waits for it to be closed.
        transport = getattr(self._client, "_transport", None)
        writer = getattr(transport, "_bare_io_writer", None)
        if writer is not None and not self._client.is_connected:
            writer.transport.abort()
        with suppress(errors.Error, OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._client.close()

    async def _send(self, message: Message, headers: dict[str, str], reply: str) -> None:
        subject, shown = message.target.name, message.target.shown
        before = self._denied.get(subject, 0)
        try:
            await self._client.publish(subject, message.body, reply, headers)
            await self._lost.unless(self._client.flush(PING_INTERVAL_S))
        except errors.MaxPayloadError:
            raise too_large(
                f"{shown}: the message is larger than the server takes "
                f"({self._client.max_payload} bytes)"
            ) from None
        except (ConnectionLostError, errors.Error, OSError) as error:
            raise unconfirmed(
                f"{shown}: the connection went while it was sent ({reason_of(error)})"
            ) from None
        if self._denied.get(subject, 0) > before:
            raise forbidden(f"{shown}: the server does not let this user publish to it")

    async def _on_message(self, message: Msg) -> None:
        kind, _, token = message.subject.removeprefix(f"{self._inbox}.").partition(".")
        headers = {name.lower(): value for name, value in (message.headers or {}).items()}
        if kind == "confirm":
            self._confirms.deliver(token, Answer(headers, message.data))
        elif headers.get("status") == _NO_RESPONDERS:
            self.replies.fail(token, unroutable("nobody listens to this subject now"))
        else:
            self.replies.deliver(token, Answer(headers, message.data))

    async def _on_error(self, error: Exception) -> None:
        self.trouble = error
        # The server says so before it answers the sender's flush.
        found = _DENIED.search(str(error))
        if found is not None:
            if len(self._denied) >= MAX_DENIED:
                self._denied.clear()
            self._denied[found["subject"]] = next(self._numbers)

    async def _on_close(self) -> None:
        self._lose(reason_of(self._client.last_error or OSError("closed")))

    def _lose(self, why: str) -> None:
        self._lost.set(why)
        self._confirms.lose(why)
        self.replies.lose(why)


def _receipt(answer: Answer, shown: str) -> JsonValue:
    """What JetStream says of a message. Raises `TaskFailed` if it did not keep it."""
    if answer.headers.get("status") == _NO_RESPONDERS:
        raise unroutable(f"{shown}: no stream of JetStream takes it; add one, or mend the subject")
    try:
        said: Any = json.loads(answer.body)
        error = said.get("error")
        if error is None:
            duplicate = bool(said.get("duplicate", False))
            return {"stream": said["stream"], "seq": said["seq"], "duplicate": duplicate}
    except (ValueError, KeyError, AttributeError):
        raise _no_receipt(shown) from None
    what = f"{shown}: JetStream says {error.get('description', error)}"
    raise too_large(what) if error.get("err_code") == _TOO_LARGE else rejected(what)


def _no_receipt(shown: str) -> TaskFailed:
    return unconfirmed(f"{shown}: what came back is no word of JetStream; something else answered")
