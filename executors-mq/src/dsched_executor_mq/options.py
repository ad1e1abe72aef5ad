"""What the operator sets under ``executors.mq``: brokers by name, and what tasks may use."""

import re
from collections.abc import Mapping
from datetime import timedelta

import attrs

from dsched.contracts.executor.callback import callback_url_problem
from dsched.contracts.executor.egress import EgressPolicy
from dsched.contracts.executor.secrets import (
    Secrets,
    check_env_patterns,
    mentions_secret,
    reference_problem,
)
from dsched_executor_mq.address import Address, Kind, parse_address

SECTION = "executors.mq"
ALLOW_KEY = f"{SECTION}.allow"
MEBIBYTE = 1024 * 1024
MAX_BROKERS = 100
MAX_TARGETS = 1000
BROKER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62})", re.ASCII)


@attrs.frozen(kw_only=True)
class TlsOptions:
    """TLS to a broker; the files are those of ``executors.mq.tls_dir``."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""

    def __attrs_post_init__(self) -> None:
        """Refuse half of a certificate."""
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("key_file and cert_file belong together; give both or neither")


@attrs.frozen(kw_only=True)
class BrokerOptions:
    """One broker. ``username`` and ``password`` may be ``secret://`` references.

    ``targets``: patterns (``*`` and ``?``) of what tasks may publish to; empty: anything, except
    of a Redis, where that would be any key. ``connect_timeout`` bounds a connection,
    ``confirm_timeout`` the wait for the broker's word that it has a message. ``max_in_flight``
    bounds the attempts at once, those that wait for an answer included. ``reply_topic``: where
    answers come to, which Kafka needs for ``reply: true``.
    """

    kind: Kind
    url: str
    username: str = ""
    password: str = attrs.field(default="", repr=False)
    sasl_mechanism: str = "PLAIN"
    tls: TlsOptions | None = None
    targets: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    reply_topic: str = ""
    connect_timeout: timedelta = timedelta(seconds=10)
    confirm_timeout: timedelta = timedelta(seconds=30)
    max_in_flight: int = 1000

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant, before anything is opened."""
        _check_address(self)
        _check_access(self)
        if len(self.targets) > MAX_TARGETS or not all(self.targets):
            raise ValueError(f"targets must be at most {MAX_TARGETS} patterns, none of them empty")
        if self.kind is Kind.REDIS and not self.targets:
            raise ValueError(
                "targets must name the streams that tasks may add to, such as ['jobs:*']: without "
                "them a task could write to any key of this Redis"
            )
        if self.reply_topic and self.kind is not Kind.KAFKA:
            raise ValueError("reply_topic is for Kafka only; the other brokers need none")
        _check_time("connect_timeout", self.connect_timeout)
        _check_time("confirm_timeout", self.confirm_timeout)
        _check_range("max_in_flight", self.max_in_flight, 1, 10_000)

    @property
    def address(self) -> Address:
        """Where the broker is."""
        return parse_address(self.kind, self.url)


@attrs.frozen(kw_only=True)
class MqOptions:
    """Options of the executor; none can be set by a task. A bad one is a ValueError naming it.

    ``brokers`` by the names that payloads use. ``allow``: host names, ``*.suffixes``, addresses
    and networks that may be connected to although they are not public, or without TLS.
    ``secret_env``, ``secret_dir`` and ``tls_dir`` as for the HTTP executor: all refuse when empty.
    ``callback_url``: where consumers reach the HTTP API, for payloads with ``callback``.
    ``max_message_bytes`` bounds a message and an answer, ``max_result_bytes`` what is kept of one.
    """

    brokers: Mapping[str, BrokerOptions] = attrs.field(factory=dict)
    allow: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    secret_env: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    secret_dir: str = ""
    tls_dir: str = ""
    callback_url: str = ""
    max_message_bytes: int = MEBIBYTE
    max_result_bytes: int = 256 * 1024

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant, before anything is opened."""
        EgressPolicy(self.allow, ALLOW_KEY)
        check_env_patterns(self.secret_env)
        problem = callback_url_problem(self.callback_url)
        if problem is not None:
            raise ValueError(f"callback_url {problem}")
        _check_range("max_message_bytes", self.max_message_bytes, 1024, 64 * MEBIBYTE)
        _check_range("max_result_bytes", self.max_result_bytes, 1024, 768 * 1024)
        if len(self.brokers) > MAX_BROKERS:
            raise ValueError(f"brokers must be at most {MAX_BROKERS}, got {len(self.brokers)}")
        for name in self.brokers:
            if not BROKER_NAME.fullmatch(name):
                raise ValueError(
                    f"brokers: {name!r} is not a name; write 1 to 63 of a-z 0-9 _ -, a letter or "
                    "digit first"
                )

    @property
    def policy(self) -> EgressPolicy:
        """The egress policy of these options."""
        return EgressPolicy(self.allow, ALLOW_KEY)

    @property
    def secrets(self) -> Secrets:
        """The secrets that payloads and brokers may refer to."""
        return Secrets(section=SECTION, env_patterns=self.secret_env, directory=self.secret_dir)


def _check_address(options: BrokerOptions) -> None:
    try:
        address = options.address
    except ValueError as error:
        raise ValueError(f"url {error}") from None
    if options.tls is not None and not address.secure:
        raise ValueError("tls means nothing without TLS; change the scheme of url, or remove it")


def _check_access(options: BrokerOptions) -> None:
    mechanisms = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
    if options.sasl_mechanism not in mechanisms:
        raise ValueError(f"sasl_mechanism must be one of {', '.join(mechanisms)}")
    if options.password and not options.username and options.kind is not Kind.REDIS:
        raise ValueError("username is missing; a password belongs to one")
    for key in ("username", "password"):
        text = getattr(options, key)
        if mentions_secret(text) and reference_problem(text) is not None:
            raise ValueError(f"{key} {reference_problem(text)}")


def _check_time(key: str, value: timedelta) -> None:
    if not timedelta(milliseconds=100) <= value <= timedelta(minutes=10):
        raise ValueError(f"{key} must be 100ms to 10m, got {value}")


def _check_range(key: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{key} must be {least} to {most}, got {value!r}")
