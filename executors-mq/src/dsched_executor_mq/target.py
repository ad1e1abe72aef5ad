"""Where on a broker a message goes: one value for the exchange, subject, topic or stream."""

import re
from collections.abc import Mapping

import attrs

from dsched.model import JsonValue
from dsched_executor_mq.address import Kind

MAX_NAME_BYTES = 255
MAX_KEY_BYTES = 4096

# What names a target of each kind, and what belongs to it.
KEYS_OF: Mapping[Kind, tuple[str, ...]] = {
    Kind.AMQP: ("exchange", "routing_key", "persistent"),
    Kind.NATS: ("subject", "jetstream"),
    Kind.KAFKA: ("topic", "key"),
    Kind.REDIS: ("stream",),
}
_NAMED_BY = {"exchange": Kind.AMQP, "routing_key": Kind.AMQP} | {
    KEYS_OF[kind][0]: kind for kind in (Kind.NATS, Kind.KAFKA, Kind.REDIS)
}
_SUBJECT = re.compile(r"[!-)+-\-/-=?-~]+(?:\.[!-)+-\-/-=?-~]+)*")  # no space, no * and no >
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_STREAM = re.compile(r"[!-~]+")


@attrs.frozen(kw_only=True)
class Target:
    """``name`` is the exchange, subject, topic or stream; the rest is for one kind each."""

    kind: Kind
    name: str
    routing_key: str = ""
    persistent: bool = True
    jetstream: bool = True
    key: str | None = None

    @property
    def path(self) -> str:
        """What the patterns of ``targets`` are compared with."""
        return f"{self.name}/{self.routing_key}" if self.kind is Kind.AMQP else self.name

    @property
    def shown(self) -> str:
        """The target for people and logs."""
        if self.kind is Kind.AMQP:
            place = f"exchange {self.name!r}" if self.name else "the default exchange"
            return f"{place}, routing key {self.routing_key!r}"
        return f"{KEYS_OF[self.kind][0]} {self.name!r}"


def read_target(payload: Mapping[str, JsonValue], problems: list[str]) -> Target | None:
    """The target of a payload; None and a problem each, if there is none or more than one."""
    kinds = {kind for key, kind in _NAMED_BY.items() if payload.get(key) is not None}
    if len(kinds) != 1:
        problems.append(
            "payload: give exactly one target: exchange and routing_key (AMQP), subject (NATS), "
            "topic (Kafka) or stream (Redis)"
        )
        return None
    (kind,) = kinds
    for other in set(Kind) - kinds:
        problems.extend(
            f"{key}: means nothing for {KEYS_OF[kind][0]}; remove it"
            for key in KEYS_OF[other]
            if payload.get(key) is not None
        )
    found = _READERS[kind](payload, problems)
    return found if not problems else None


def _amqp(payload: Mapping[str, JsonValue], problems: list[str]) -> Target:
    names = {}
    for key in ("exchange", "routing_key"):
        value = payload.get(key) or ""
        names[key] = value if isinstance(value, str) else ""
        if not isinstance(value, str) or not value.isprintable() or _too_long(value):
            problems.append(f"{key}: must be printable text of at most {MAX_NAME_BYTES} bytes")
    if not names["exchange"] and not names["routing_key"]:
        problems.append("routing_key: must name a queue, since the default exchange is asked for")
    persistent = payload.get("persistent")
    if not isinstance(persistent, bool | None):
        problems.append("persistent: must be true or false")
    return Target(
        kind=Kind.AMQP,
        name=names["exchange"],
        routing_key=names["routing_key"],
        persistent=persistent is not False,
    )


def _nats(payload: Mapping[str, JsonValue], problems: list[str]) -> Target:
    name = payload["subject"]
    if not isinstance(name, str) or not _SUBJECT.fullmatch(name) or _too_long(name):
        problems.append(
            "subject: must be words joined by dots, such as jobs.report, without spaces or "
            f"wildcards, at most {MAX_NAME_BYTES} bytes"
        )
    elif name.startswith(("$", "_INBOX")):
        problems.append("subject: must not begin with $ or _INBOX: those are the server's own")
    jetstream = payload.get("jetstream")
    if not isinstance(jetstream, bool | None):
        problems.append("jetstream: must be true or false")
    return Target(kind=Kind.NATS, name=str(name), jetstream=jetstream is not False)


def _kafka(payload: Mapping[str, JsonValue], problems: list[str]) -> Target:
    name = payload["topic"]
    if not isinstance(name, str) or not _TOPIC.fullmatch(name) or name in (".", ".."):
        problems.append("topic: must be 1 to 249 of letters, digits and . _ -")
    elif name.startswith("__"):
        problems.append("topic: must not begin with __: those are the cluster's own")
    key = payload.get("key")
    if key is not None and (not isinstance(key, str) or _too_long(key, MAX_KEY_BYTES)):
        problems.append(f"key: must be text of at most {MAX_KEY_BYTES} bytes")
        key = None
    return Target(kind=Kind.KAFKA, name=str(name), key=key)


def _redis(payload: Mapping[str, JsonValue], problems: list[str]) -> Target:
    name = payload["stream"]
    if not isinstance(name, str) or not _STREAM.fullmatch(name) or _too_long(name):
        problems.append(
            f"stream: must be printable ASCII without spaces, at most {MAX_NAME_BYTES} bytes"
        )
    return Target(kind=Kind.REDIS, name=str(name))


_READERS = {Kind.AMQP: _amqp, Kind.NATS: _nats, Kind.KAFKA: _kafka, Kind.REDIS: _redis}


def _too_long(text: str, most: int = MAX_NAME_BYTES) -> bool:
    try:
        return len(text.encode()) > most
    except UnicodeEncodeError:
        return True
