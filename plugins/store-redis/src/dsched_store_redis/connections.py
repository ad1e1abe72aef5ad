"""Single connections to a server: opened, spoken over one exchange at a time, closed."""

import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Any

from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import RedisError, ResponseError

from dsched_store_redis.credentials import Credentials, ServerCredentials, target_of
from dsched_store_redis.endpoints import Address
from dsched_store_redis.errors import code_of, is_reply
from dsched_store_redis.options import RedisOptions
from dsched_store_redis.resolving import resolve
from dsched_store_redis.tls import tls_settings

_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}

# What a server or a network can do to an exchange; anything else is a defect of this package.
FAULTS = (RedisError, OSError, EOFError)

Reply = Any  # bytes, int, None, a list of these, or a ResponseError


def pack(*args: bytes) -> bytes:
    """One command in the protocol's form."""
    return b"*%d\r\n%b" % (len(args), pack_arguments(args))


def pack_arguments(args: Sequence[bytes]) -> bytes:
    """Some arguments of a command, without its head."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args])


class Line:
    """One connection. After anything but an orderly exchange it is closed and never used again.

    That, and nothing else, is what makes cancelling a call safe: a reply that nobody read can
    never become the answer to another call.
    """

    def __init__(self, connection: Any, address: Address) -> None:
        self._connection = connection
        self.address = address
        self.used_at = asyncio.get_running_loop().time()
        self.sent = False
        self._left = False

    @property
    def usable(self) -> bool:
        """Whether the connection is open as far as this side knows."""
        connection = self._connection
        if not connection.is_connected:
            return False
        reader = connection._reader  # noqa: SLF001 - redis-py shows no end of stream otherwise
        return reader is not None and not reader.at_eof() and reader.exception() is None

    async def exchange(self, data: bytes, replies: int, timeout_s: float) -> list[Reply]:
        """Send packed commands and read as many replies; an error reply is a value among them."""
        self.sent = False
        try:
            async with asyncio.timeout(timeout_s):
                self.sent = True
                await self._connection.send_packed_command(data, check_health=False)
                found = [await self._read() for _ in range(replies)]
        except BaseException as error:
            await self.close_now()
            if self._left and isinstance(error, Exception) and not isinstance(error, FAULTS):
                # redis-py expects nobody to close a connection that is read from.
                raise ConnectionError("the connection was closed from this side") from error
            raise
        self.used_at = asyncio.get_running_loop().time()
        return found

    async def _read(self) -> Reply:
        try:
            return await self._connection.read_response(disconnect_on_error=False)
        except ResponseError as error:
            if is_reply(error):
                return error
            raise

    async def command(self, *args: bytes, timeout_s: float) -> Reply:
        """One command; an error reply is raised."""
        (reply,) = await self.exchange(pack(*args), 1, timeout_s)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def leave(self) -> None:
        """Close it under whatever is under way on it, which then is without an answer."""
        self._left = True
        await self.close_now()

    async def close_now(self) -> None:
        """Close without waiting for the other side."""
        await self._connection.disconnect(nowait=True)

    async def close(self) -> None:
        """Close and wait until it is closed."""
        await self._connection.disconnect()


class _Plain(Connection):
    """A connection to an address that has been looked up."""

    peer = ""

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "host": self.peer}


class _Encrypted(SSLConnection):
    """The same with TLS: the certificate is checked for the name, not for the address."""

    peer = ""

    def _connection_arguments(self) -> dict[str, Any]:
        found = super()._connection_arguments()
        return {**found, "host": self.peer, "server_hostname": self.host}


class Dialler:
    """Opens connections by the options. `ValueError` for options that cannot work."""

    def __init__(self, options: RedisOptions) -> None:
        self.timeout_s = options.timeout.total_seconds()
        self._tls = tls_settings(options)
        self._credentials = ServerCredentials(options)
        target = target_of(options)
        self.address = target.address

    @property
    def encrypted(self) -> bool:
        """Whether connections use TLS."""
        return self._tls is not None

    def credentials(self) -> Credentials:
        """What a connection to a server presents now."""
        return self._credentials.now()

    async def dial(self, address: Address, credentials: Credentials | None = None) -> Line:
        """Connect and present oneself; at most the timeout. Errors are redis-py's own."""
        who = credentials or self.credentials()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self.timeout_s
        peers = await resolve(address[0], self.timeout_s)
        for at, peer in enumerate(peers):
            connection = self._connection(address, peer, who)
            # None of several addresses may use up the time of those after it.
            share_s = max(0.0, until_s - loop.time()) / (len(peers) - at)
            try:
                async with asyncio.timeout(share_s):
                    await connection.connect()
            except BaseException as error:
                await connection.disconnect(nowait=True)
                if at + 1 < len(peers) and _elsewhere(error):
                    continue
                raise
            return Line(connection, address)
        raise OSError(f"the name {address[0]} has no address")

    def _connection(self, address: Address, peer: str, who: Credentials) -> Any:
        settings: dict[str, Any] = {
            "host": address[0],
            "port": address[1],
            "db": who.db,
            "username": who.username or None,
            "password": who.password or None,
            "protocol": 2,
            "socket_timeout": None,
            "socket_connect_timeout": self.timeout_s,
            "socket_keepalive": True,
            "socket_keepalive_options": _KEEPALIVE,
            "client_name": f"dsched-{os.getpid()}",
        }
        tls = self._tls
        connection: Any = _Plain(**settings) if tls is None else _Encrypted(**settings, **tls)
        connection.peer = peer
        return connection


def _elsewhere(error: BaseException) -> bool:
    """Whether another address of the same name may do better."""
    return isinstance(error, OSError | RedisError) and not is_reply(error) and not code_of(error)


async def close_all(lines: Sequence[Line]) -> None:
    """Close connections, whatever each of them says."""
    for line in lines:
        try:
            await line.close()
        except FAULTS:
            await line.close_now()
