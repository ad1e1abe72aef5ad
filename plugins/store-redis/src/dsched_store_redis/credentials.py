"""How to present oneself on a new connection; what files hold is read again for each one."""

import logging

import attrs
from redis.asyncio.connection import SSLConnection, parse_url

from dsched_store_redis.options import RedisOptions, SentinelOptions, host_and_port

log = logging.getLogger("dsched.store.redis")

_MAX_BYTES = 64 * 1024
_IN_URLS = frozenset({"host", "port", "username", "password", "db", "connection_class"})


@attrs.frozen(kw_only=True)
class Credentials:
    """How to present oneself on a new connection."""

    username: str = ""
    password: str = attrs.field(default="", repr=False)
    db: int = 0


@attrs.frozen(kw_only=True)
class Target:
    """What an URL says."""

    address: tuple[str, int]
    credentials: Credentials
    encrypted: bool


class ServerCredentials:
    """Those of the server that takes the steps."""

    def __init__(self, options: RedisOptions) -> None:
        self._options = options
        self._password = _Secret("redis.password_file", options.password_file, options.password)
        self._url = _Secret("redis.url_file", options.url_file, options.url)

    def now(self) -> Credentials:
        """What the files say now; what they said before, if one cannot be read."""
        options = self._options
        own = Credentials(username=options.username, password=self._password.now(), db=options.db)
        if not options.url:
            return own
        try:
            return read_url(self._url.now(), own).credentials
        except ValueError:  # a file that is being written may hold half of one
            return read_url(options.url, own).credentials


class SentinelCredentials:
    """Those of the sentinels."""

    def __init__(self, options: SentinelOptions) -> None:
        self._username = options.username
        name = "redis.sentinel.password_file"
        self._password = _Secret(name, options.password_file, options.password)

    def now(self) -> Credentials:
        """What the file says now; what it said before, if it cannot be read."""
        return Credentials(username=self._username, password=self._password.now())


def read_url(url: str, own: Credentials) -> Target:
    """The parts of a URL; what it does not say is taken from ``own``. `ValueError` if it is
    none."""
    try:
        parsed = parse_url(url)
    except ValueError as error:
        raise ValueError(f"redis.url: {error}") from None
    if "path" in parsed:
        raise ValueError("redis.url: unix sockets are not supported; give redis://host:port")
    unknown = sorted(parsed.keys() - _IN_URLS)
    if unknown:
        raise ValueError(
            f"redis.url: {', '.join(unknown)} cannot be set in the URL; use redis.timeout, "
            "redis.tls and the other settings of the redis section"
        )
    return Target(
        address=(parsed.get("host", "localhost"), int(parsed.get("port", 6379))),
        credentials=Credentials(
            username=parsed.get("username", own.username),
            password=parsed.get("password", own.password),
            db=int(parsed.get("db", own.db)),
        ),
        encrypted=parsed.get("connection_class") is SSLConnection,
    )


def target_of(options: RedisOptions) -> Target:
    """Where the server is that the options name, and how to present oneself there."""
    own = Credentials(username=options.username, password=options.password, db=options.db)
    if options.url:
        return read_url(options.url, own)
    return Target(address=host_and_port(options.addr), credentials=own, encrypted=options.encrypted)


class _Secret:
    """A text that a file may hold."""

    def __init__(self, name: str, path: str, text: str) -> None:
        self._name = name
        self._path = path
        self._text = text
        self._unreadable = False

    def now(self) -> str:
        if not self._path:
            return self._text
        try:
            with open(self._path, "rb") as stream:
                text = stream.read(_MAX_BYTES).decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            if not self._unreadable:
                log.warning(
                    "%s: %s cannot be read again: %s; what it held before is used",
                    self._name,
                    self._path,
                    error,
                )
            self._unreadable = True
            return self._text
        self._unreadable = False
        # A file that is being written is empty for a moment.
        self._text = text or self._text
        return self._text
