"""`AlertOptions`: the section ``alerts`` of the configuration."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

import attrs

from dsched.contracts.executor.egress import (
    EgressPolicy,
    EgressRefusedError,
    is_numeric_host,
    literal_address,
)
from dsched.contracts.executor.secrets import mentions_secret, reference_problem
from dsched.model import JsonValue
from dsched.wording import did_you_mean
from dsched_alerts.alert import Kind
from dsched_alerts.silences import read_silence
from dsched_alerts.templates import problems

ALLOW_KEY = "alerts.allow"
MIN_SECRET = 16
KINDS = tuple(kind.value for kind in Kind)
MAX_QUEUE = 100_000

_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,1024}")
_DEFAULT_KINDS = (
    "failed",
    "paused",
    "missed",
    "leaderless",
    "worker_lost",
    "backlog",
    "unrunnable",
    "full",
    "store_read_only",
    "history",
    "defect",
)
_SPANS = {
    "late_after": (timedelta(milliseconds=1), timedelta(days=30)),
    "failed_within": (timedelta(seconds=1), timedelta(days=30)),
    "backlog_after": (timedelta(seconds=1), timedelta(days=30)),
    "unrunnable_after": (timedelta(0), timedelta(days=30)),
    "full_after": (timedelta(seconds=1), timedelta(days=30)),
    "repeat_after": (timedelta(0), timedelta(days=30)),
    "timeout": (timedelta(milliseconds=10), timedelta(minutes=5)),
}
_NUMBERS = {
    "failed_count": (1, 10_000),
    "backlog_size": (0, 100_000_000),
    "attempts": (1, 100),
    "queue": (1, MAX_QUEUE),
}


@attrs.frozen(kw_only=True)
class AlertOptions:
    """Where alerts go, about what, and when not. Without ``url`` nothing is posted.

    ``secret`` (or ``secret_file``, or ``secret://env/NAME``) signs each post. ``allow``: host
    names, addresses and networks that may be called although not public. ``kinds``: see `Kind`.
    ``configs``: patterns of config ids (``shop.*``), empty for all. ``template``: the body, with
    ``${name}`` for facts; null posts all facts.
    """

    url: str = attrs.field(default="", repr=False)  # many services' addresses are secrets
    secret: str = attrs.field(default="", repr=False)
    allow: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    template: JsonValue = None
    kinds: tuple[str, ...] = attrs.field(default=_DEFAULT_KINDS, converter=tuple)
    configs: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    silences: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    failed_count: int = 1
    failed_within: timedelta = timedelta(minutes=10)
    late_after: timedelta = timedelta(minutes=1)
    backlog_after: timedelta = timedelta(minutes=5)
    backlog_size: int = 0
    unrunnable_after: timedelta = timedelta(minutes=1)
    full_after: timedelta = timedelta(minutes=30)
    repeat_after: timedelta = timedelta(minutes=10)
    timeout: timedelta = timedelta(seconds=10)
    attempts: int = 6
    queue: int = 1000

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant, naming the key."""
        EgressPolicy(self.allow, ALLOW_KEY)
        _check_kinds(self.kinds)
        for line in self.silences:
            read_silence(line)
        for reason in problems(self.template):
            raise ValueError(reason)
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"headers: {name!r} is no header of printable ASCII")
        for key, (least, most) in _SPANS.items():
            if not least <= getattr(self, key) <= most:
                raise ValueError(f"{key} must be {least} to {most}, got {getattr(self, key)}")
        for key, (low, high) in _NUMBERS.items():
            if not low <= getattr(self, key) <= high:
                raise ValueError(f"{key} must be {low} to {high}, got {getattr(self, key)}")
        if self.url:
            _check_url(self.url, self.policy)
            _check_secret(self.secret)

    @property
    def policy(self) -> EgressPolicy:
        """Which addresses may be called."""
        return EgressPolicy(self.allow, ALLOW_KEY)


def _check_kinds(kinds: tuple[str, ...]) -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"kinds: {kind!r} is no kind of alert; {did_you_mean(kind, KINDS)}")


def _check_url(url: str, policy: EgressPolicy) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii():
        raise ValueError("url must be like https://hooks.example.com/dsched")
    if is_numeric_host(parts.hostname) and literal_address(parts.hostname) is None:
        raise ValueError("url: write its address as four decimal numbers, or as a name")
    if parts.username or parts.password:
        raise ValueError("url must not hold a user or a password; use headers")
    if literal_address(parts.hostname) is not None:
        try:
            policy.check_address(parts.hostname, parts.hostname)
        except EgressRefusedError as error:
            raise ValueError(f"url: {error}") from error


def _check_secret(secret: str) -> None:
    if not secret:
        raise ValueError("secret is missing: posts are signed; set secret_file, or secret")
    if mentions_secret(secret):
        if reference_problem(secret) is not None or not secret.startswith("secret://env/"):
            raise ValueError("secret may refer to secret://env/NAME; for a file set secret_file")
        if not os.environ.get(secret.removeprefix("secret://env/")):
            raise ValueError(f"secret: {secret} is not set in this environment")
    elif len(secret) < MIN_SECRET:
        raise ValueError(f"secret must have at least {MIN_SECRET} characters")
