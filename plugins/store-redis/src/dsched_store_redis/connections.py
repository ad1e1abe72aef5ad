"""Single connections to a server: opened, spoken over one exchange at a time, closed."""

import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Any

import attrs
from redis.asyncio.connection import Connection, SSLConnection, parse_url
from redis.exceptions import RedisError, ResponseError

from dsched_store_redis.endpoints import Address
from dsched_store_redis.errors import is_reply
from dsched_store_redis.options import RedisOptions, host_and_port

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


@attrs.frozen(kw_only=True)
class Credentials:
    """How to present oneself on a new connection."""

    username: str = ""
    password: str = attrs.field(default="", repr=False)
    db: int = 0


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
        except BaseException:
            await self.close_now()
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

    async def close_now(self) -> None:
        """Close without waiting for the other side."""
        await self._connection.disconnect(nowait=True)

    async def close(self) -> None:
        """Close and wait until it is closed."""
        await self._connection.disconnect()


class Dialler:
    """Opens connections by the options."""

    def __init__(self, options: RedisOptions) -> None:
        self.timeout_s = options.timeout.total_seconds()
        self._tls = _tls(options)
        self.credentials = Credentials(
            username=options.username, password=options.password, db=options.db
        )
        self.address = host_and_port(options.addr)
        if options.url:
            self._read_url(options.url)

    @property
    def encrypted(self) -> bool:
        """Whether connections use TLS."""
        return self._tls is not None

    def _read_url(self, url: str) -> None:
        parsed = parse_url(url)
        if "path" in parsed:
            raise ValueError("redis.url: unix sockets are not supported; give redis://host:port")
        if parsed.get("connection_class") is SSLConnection and self._tls is None:
            self._tls = {}
        self.address = (parsed.get("host", "localhost"), int(parsed.get("port", 6379)))
        self.credentials = Credentials(
            username=parsed.get("username", self.credentials.username),
            password=parsed.get("password", self.credentials.password),
            db=int(parsed.get("db", self.credentials.db)),
        )

    async def dial(self, address: Address, credentials: Credentials | None = None) -> Line:
        """Connect and present oneself; at most the timeout. Errors are redis-py's own."""
        who = credentials or self.credentials
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
        connection: Any
        if self._tls is None:
            connection = Connection(**settings)
        else:
            connection = SSLConnection(**settings, **self._tls)
        try:
            async with asyncio.timeout(self.timeout_s):
                await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return Line(connection, address)

    async def ask_sentinel(
        self, address: Address, master: str, credentials: Credentials
    ) -> Address | None:
        """Where one sentinel sees the primary; None if it does not answer or knows none."""
        try:
            line = await self.dial(address, credentials)
        except FAULTS:
            return None
        try:
            reply = await line.command(
                b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", master.encode(), timeout_s=self.timeout_s
            )
        except FAULTS:
            return None
        finally:
            await line.close_now()
        return (reply[0].decode(), int(reply[1])) if reply else None


def _tls(options: RedisOptions) -> dict[str, Any] | None:
    tls = options.tls
    if not tls.enabled:
        return None
    files = {
        "ssl_ca_certs": tls.ca_file,
        "ssl_certfile": tls.cert_file,
        "ssl_keyfile": tls.key_file,
    }
    given = {name: value for name, value in files.items() if value}
    return {"ssl_check_hostname": tls.check_hostname, **given}


async def close_all(lines: Sequence[Line]) -> None:
    """Close connections, whatever each of them says."""
    for line in lines:
        try:
            await line.close()
        except FAULTS:
            await line.close_now()
