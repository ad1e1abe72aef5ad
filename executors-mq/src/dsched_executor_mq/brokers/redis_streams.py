"""Redis Streams by redis-py: an entry's id is the confirm; answers come to a stream of its own."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from redis import exceptions as rd
from redis.asyncio import BlockingConnectionPool, Connection, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from dsched.contracts import TaskFailed
from dsched.model import JsonValue
from dsched_executor_mq.brokers import Login, Message
from dsched_executor_mq.failures import (
    bad_login,
    bad_tls,
    forbidden,
    no_connection,
    rejected,
    unconfirmed,
)
from dsched_executor_mq.headers import BODY, CONTENT_TYPE, CORRELATION_ID, REPLY_TO
from dsched_executor_mq.reach import Place, certificate_problem, reason_of
from dsched_executor_mq.waiting import Answer, ConnectionLostError, Lost, Replies, end

MAX_CONNECTIONS = 16
MAX_ANSWERS_AT_ONCE = 100
# The entries that a reader leaves behind when it dies are gone after this long.
REPLY_STREAM_TTL_S = 120
READ_S = 20


class CheckedConnection(Connection):
    """Connects to addresses that were checked, anew each time; one of them after the other."""

    def __init__(self, *, login: Login, **more: Any) -> None:
        self._login = login
        self._place: Place | None = None
        super().__init__(**more)

    async def _connect(self) -> None:
        failure: Exception | None = None
        for place in await self._login.reach.places(self._login.options.address.hosts):
            self._place = place
            try:
                await super()._connect()  # type: ignore[no-untyped-call]
            except (OSError, TimeoutError) as error:
                failure = error
            else:
                return
        raise failure or OSError("no address")

    def _connection_arguments(self) -> Mapping[str, Any]:
        if self._place is None:
            raise RuntimeError("connect sets the place first")
        return {
            "host": self._place.ip,
            "port": self._place.port,
            "ssl": self._login.reach.tls,
        }


async def open_broker(login: Login) -> "RedisBroker":
    """Connect and log in."""
    ((host, port),) = login.options.address.hosts
    pool = BlockingConnectionPool(
        connection_class=CheckedConnection,
        max_connections=MAX_CONNECTIONS,
        timeout=None,
        login=login,
        host=host,
        port=port,
        db=int(login.options.address.path),
        username=login.username or None,
        password=login.password or None,
        client_name="dsched-executor-mq",
        protocol=2,
        socket_connect_timeout=login.options.connect_timeout.total_seconds(),
        # Longer than a wait for answers, which is no sign of a dead server.
        socket_timeout=max(login.options.confirm_timeout.total_seconds(), 2 * READ_S),
        socket_keepalive=True,
        # A retry of the client would add the message a second time, and nobody would know.
        retry=Retry(NoBackoff(), 0),
    )
    broker = RedisBroker(Redis(connection_pool=pool))
    try:
        await broker.greet()
    except BaseException:
        await broker.close()
        raise
    return broker


class RedisBroker:
    """A pool of connections, and one of them for answers once somebody waits for one."""

    def __init__(self, client: "Redis") -> None:
        self.replies = Replies()
        self._client = client
        self._closed = Lost()
        self._listening = asyncio.Lock()
        self._stream = f"dsched:mq:replies:{uuid4().hex}"
        self._reader: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may be used; the pool makes connections anew by itself."""
        return not self._closed

    async def greet(self) -> None:
        """See whether the server answers. Raises `TaskFailed`."""
        try:
            await self._command("PING")
        except rd.RedisError as error:
            raise _no_greeting(error) from None

    async def publish(self, message: Message) -> JsonValue:
        """Add an entry; its id is the server's word that it has it."""
        shown = message.target.shown
        try:
            given: bytes = await self._closed.unless(
                self._add(message.target.name, _fields(message))
            )
        except (rd.AuthenticationError, rd.NoPermissionError) as error:
            raise forbidden(f"{shown}: Redis says {error}") from None
        except (rd.ConnectionError, rd.TimeoutError, ConnectionLostError, OSError) as error:
            failure = _of_the_way(error)
            if failure is not None:
                raise failure from None
            raise unconfirmed(
                f"{shown}: the connection went before Redis confirmed ({reason_of(error)})"
            ) from None
        except rd.RedisError as error:
            raise _refusal(error, shown) from None
        return {"stream": message.target.name, "id": given.decode()}

    async def reply_address(self, correlation_id: str) -> str:  # noqa: ARG002 - one for all
        """A stream of this executor alone, which is gone soon after it."""
        async with self._listening:
            if self._reader is None or self._reader.done():
                try:
                    await self._make_stream()
                except (rd.RedisError, OSError) as error:
                    raise no_connection(
                        f"no stream for answers could be made: {reason_of(error)}"
                    ) from None
                self._reader = asyncio.create_task(self._read(), name="answers of Redis")
        return self._stream

    async def close(self) -> None:
        """Remove the stream for answers and close the pool."""
        self._closed.set("the executor is closing")
        self.replies.lose("the executor is closing")
        reader, self._reader = self._reader, None
        with suppress(rd.RedisError, OSError, TimeoutError):
            async with asyncio.timeout(2):
                if reader is not None:
                    await end(reader)
                    await self._command("DEL", self._stream)
        await self._client.aclose()
        await self._client.connection_pool.disconnect()

    async def _command(self, *words: str | bytes | int) -> Any:
        return await self._client.execute_command(*words)  # type: ignore[no-untyped-call]

    async def _add(self, stream: str, fields: list[bytes]) -> bytes:
        given: bytes = await self._command("XADD", stream, "*", *fields)
        return given

    async def _make_stream(self) -> None:
        """Answers are added with NOMKSTREAM: without its reader the stream never comes back."""
        await self._command("XADD", self._stream, "*", BODY, "")
        await self._command("EXPIRE", self._stream, REPLY_STREAM_TTL_S)

    async def _read(self) -> None:
        last: bytes | str = b"0"
        why = "the stream for answers is not read any more"
        try:
            while True:
                found: Any = await self._client.xread(
                    {self._stream: last}, count=MAX_ANSWERS_AT_ONCE, block=READ_S * 1000
                )
                for _, entries in found or ():
                    for entry, fields in entries:
                        last = entry
                        self._deliver(fields)
                await self._command("XTRIM", self._stream, "MINID", last)
                if not await self._command("EXPIRE", self._stream, REPLY_STREAM_TTL_S):
                    await self._make_stream()
        except (rd.RedisError, OSError) as error:
            why = f"the stream for answers cannot be read ({reason_of(error)})"
        finally:
            self.replies.lose(why)

    def _deliver(self, pairs: Mapping[bytes, bytes]) -> None:
        named = {
            name.decode(errors="replace").lower(): value.decode(errors="replace")
            for name, value in pairs.items()
            if name != BODY.encode()
        }
        answer = Answer(named, pairs.get(BODY.encode(), b""))
        self.replies.deliver(named.get(CORRELATION_ID.lower(), ""), answer)


def _fields(message: Message) -> list[bytes]:
    headers = dict(message.headers)
    if message.content_type:
        headers.setdefault(CONTENT_TYPE, message.content_type)
    if message.reply_to:
        headers |= {REPLY_TO: message.reply_to, CORRELATION_ID: message.correlation_id}
    flat = [text.encode() for pair in headers.items() for text in pair]
    return [*flat, BODY.encode(), message.body]


def _no_greeting(error: rd.RedisError) -> TaskFailed:
    failure = _of_the_way(error)
    if failure is not None:
        return failure
    if isinstance(error, rd.AuthenticationError) or str(error).startswith(("WRONGPASS", "NOAUTH")):
        return bad_login("Redis refuses the user name or password")
    if isinstance(error, rd.NoPermissionError):
        return bad_login(f"Redis does not let this user in: {error}")
    return no_connection(f"no connection: {reason_of(error)}")


def _of_the_way(error: BaseException) -> TaskFailed | None:
    """A refused address or a bad certificate, which the client has wrapped into its own error."""
    problem = certificate_problem(error)
    if problem is not None:
        return bad_tls(f"the server's certificate is not accepted: {problem}")
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, TaskFailed):
            return inner
        inner = inner.__cause__ or inner.__context__
    return None


def _refusal(error: rd.RedisError, shown: str) -> TaskFailed:
    text = str(error)
    if text.startswith("WRONGTYPE"):
        return forbidden(f"{shown}: this key of Redis is no stream")
    return rejected(f"{shown}: Redis says {text}")
