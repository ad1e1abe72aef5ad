"""What a user may set in the `redis` section, and the checks that need no server."""

from datetime import timedelta
from enum import StrEnum

import attrs

# For a file that `<name>_file` names the plugin gets the content and the path, to read it anew.
_READ_AGAIN = {"read_again": True}


class Durability(StrEnum):
    """How much loss of acknowledged writes is accepted when a server or a network dies."""

    DEV = "dev"
    STANDALONE = "standalone"
    HA = "ha"
    STRICT = "strict"


@attrs.frozen(kw_only=True)
class SentinelOptions:
    """Sentinels that name the primary; ``nodes`` as ``host:port``; ``password`` is theirs.

    ``password_file`` is where ``password`` was read from; it is read again for new connections.
    """

    master: str
    nodes: tuple[str, ...]
    username: str = ""
    password: str = attrs.field(default="", repr=False)
    password_file: str = attrs.field(default="", metadata=_READ_AGAIN)


@attrs.frozen(kw_only=True)
class ClusterOptions:
    """Some nodes of a cluster, as ``host:port``; the others are learned from redirections."""

    nodes: tuple[str, ...]


@attrs.frozen(kw_only=True)
class TlsOptions:
    """TLS to the servers (not to sentinels unless enabled, then to them too)."""

    enabled: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    check_hostname: bool = True

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.key_file and not self.cert_file:
            raise ValueError("key_file is given without cert_file: name the certificate too")

    def files(self) -> dict[str, str]:
        """The files that are named, by the name of their setting."""
        return {
            name: value
            for name in ("ca_file", "cert_file", "key_file")
            if (value := getattr(self, name))
        }


@attrs.frozen(kw_only=True)
class RedisOptions:
    """The `redis` section. ``url`` (redis:// or rediss://) replaces addr, db and credentials.

    ``password_file`` and ``url_file`` are where those two were read from; they are read again for
    new connections, of an URL the credentials only.

    ``timeout`` bounds connecting and every call, but no wait for a wake-up; ``pool_size`` is the
    number of connections a handle opens for steps, besides one for each waiter. ``replicas``: how
    many must have a step before it counts under ``strict``; nothing is lost only if it is all of
    them.
    """

    addr: str = "localhost:6379"
    username: str = ""
    password: str = attrs.field(default="", repr=False)
    password_file: str = attrs.field(default="", metadata=_READ_AGAIN)
    db: int = 0
    url: str = attrs.field(default="", repr=False)
    url_file: str = attrs.field(default="", metadata=_READ_AGAIN)
    pool_size: int = 10
    key_prefix: str = ""
    durability: Durability = Durability.STANDALONE
    replicas: int = 1
    timeout: timedelta = timedelta(seconds=5)
    sentinel: SentinelOptions | None = None
    cluster: ClusterOptions | None = None
    tls: TlsOptions = attrs.field(factory=TlsOptions)

    @property
    def encrypted(self) -> bool:
        """Whether connections use TLS."""
        return self.tls.enabled or self.url.lower().startswith("rediss://")

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant."""
        self._check_numbers()
        self._check_nodes()
        unused = next(iter(self.tls.files()), None)
        if unused is not None and not self.encrypted:
            raise ValueError(
                f"tls.{unused} is given and TLS is off: set tls.enabled: true, or use a "
                "rediss:// url"
            )

    def _check_numbers(self) -> None:
        if not 1 <= self.pool_size <= 1000:
            raise ValueError(f"pool_size must be 1 to 1000, got {self.pool_size}")
        if not 1 <= self.replicas <= 100:
            raise ValueError(f"replicas must be 1 to 100, got {self.replicas}")
        if not 0 <= self.db <= 65535:
            raise ValueError(f"db must be 0 to 65535, got {self.db}")
        if not timedelta(milliseconds=100) <= self.timeout <= timedelta(minutes=1):
            raise ValueError(f"timeout must be 100ms to 1m, got {self.timeout}")
        if any(char.isspace() or not char.isprintable() for char in self.key_prefix):
            raise ValueError("key_prefix must not hold spaces or control characters")
        if len(self.key_prefix) > 128:
            raise ValueError("key_prefix must have at most 128 characters")

    def _check_nodes(self) -> None:
        if sum((bool(self.url), self.sentinel is not None, self.cluster is not None)) > 1:
            raise ValueError("give only one of url, sentinel and cluster")
        if self.sentinel is not None and self.durability is Durability.DEV:
            raise ValueError(
                "durability dev is for one server to try things out on; with sentinel set "
                "choose ha or strict (or standalone, which bounds no loss at a failover)"
            )
        if self.cluster is not None and self.db:
            raise ValueError(f"db must be 0 on a cluster, got {self.db}: a cluster has no others")
        for name, nodes in (
            ("sentinel", self.sentinel.nodes if self.sentinel else None),
            ("cluster", self.cluster.nodes if self.cluster else None),
        ):
            if nodes is not None and not nodes:
                raise ValueError(f"{name}.nodes: name at least one host:port")
        for node in (self.addr, *(self.sentinel.nodes if self.sentinel else ())):
            host_and_port(node)
        for node in self.cluster.nodes if self.cluster else ():
            host_and_port(node)


def host_and_port(addr: str) -> tuple[str, int]:
    """``host:port``, ``host`` or ``[v6]:port`` taken apart; the port is 6379 where none is
    given."""
    if "://" in addr:
        # Not quoted: a URL may hold a password. Taken as a name, its scheme would say nothing of
        # TLS.
        raise ValueError("an address is host:port, not a URL; give a URL as redis.url")
    host, colon, port = addr.rpartition(":")
    if not colon or (addr.endswith("]") and addr.startswith("[")):
        host, port = addr, "6379"
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{addr!r} is not host:port")
    return host.strip("[]"), int(port)


def hash_tag(prefix: str) -> str:
    """What Redis Cluster hashes of a key with this prefix, or "" if that is the whole key."""
    _, brace, rest = prefix.partition("{")
    tag, closing, _ = rest.partition("}")
    return tag if brace and closing else ""
