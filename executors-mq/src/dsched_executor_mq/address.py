"""Reads the address of a broker: its hosts, whether TLS is spoken, and the path behind them."""

import re
from enum import StrEnum
from urllib.parse import unquote

import attrs

from dsched.contracts.executor.egress import is_host_name, is_numeric_host, literal_address

MAX_HOSTS = 32

_URL = re.compile(r"(?P<scheme>[a-z+]{1,16})://(?P<hosts>[^/?#]*)(?:/(?P<path>[^?#]*))?")
_HOST = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")


class Kind(StrEnum):
    """What a broker speaks."""

    AMQP = "amqp"
    NATS = "nats"
    KAFKA = "kafka"
    REDIS = "redis"


# The scheme in plain text, the one with TLS, and the port of each.
_SCHEMES = {
    Kind.AMQP: {"amqp": 5672, "amqps": 5671},
    Kind.NATS: {"nats": 4222, "tls": 4222},
    Kind.KAFKA: {"kafka": 9092, "kafka+tls": 9093},
    Kind.REDIS: {"redis": 6379, "rediss": 6379},
}
_MANY_HOSTS = {Kind.NATS, Kind.KAFKA}


@attrs.frozen
class Address:
    """Where a broker is: ``path`` is the virtual host of AMQP or the number of a Redis database."""

    hosts: tuple[tuple[str, int], ...]
    secure: bool
    path: str


def parse_address(kind: Kind, url: str) -> Address:
    """Read the URL of a broker. Raises ValueError saying what is wrong; never repeats a
    password."""
    plain, secure = _SCHEMES[kind]
    example = f"such as {plain}://mq.example.com or {secure}://mq.example.com:5000"
    found = _URL.fullmatch(url)
    if found is None or found["scheme"] not in _SCHEMES[kind]:
        raise ValueError(f"must be {plain}://HOST:PORT, or {secure}:// for TLS, {example}")
    if "@" in found["hosts"]:
        raise ValueError(
            "carries a user name or password; write them as username and password beside it"
        )
    port = _SCHEMES[kind][found["scheme"]]
    hosts = tuple(_host(text, port) for text in found["hosts"].split(","))
    if len(hosts) > (MAX_HOSTS if kind in _MANY_HOSTS else 1):
        raise ValueError("names too many hosts; only nats and kafka take more than one, at most 32")
    return Address(hosts, found["scheme"] == secure, _path(kind, found["path"] or ""))


def _host(text: str, default_port: int) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    if found is None:
        raise ValueError(f"has {text!r}, which is no host with a port")
    host = found["host"].strip("[]").lower()
    port = int(found["port"] or default_port)
    named = is_host_name(host) and not is_numeric_host(host)
    if not named and literal_address(host) is None:
        raise ValueError(f"has {text!r}, which is neither a host name nor an address")
    if not 1 <= port <= 65535:
        raise ValueError(f"has the port {port}; ports are 1 to 65535")
    return host, port


def _path(kind: Kind, path: str) -> str:
    if kind is Kind.AMQP:
        return unquote(path) or "/"
    if kind is Kind.REDIS:
        if path and not re.fullmatch(r"[0-9]{1,5}", path):
            raise ValueError("must end in the number of a database, such as redis://host:6379/0")
        return path or "0"
    if path:
        raise ValueError(f"has the path {path!r}, which means nothing to {kind}; remove it")
    return ""
