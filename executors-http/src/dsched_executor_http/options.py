"""`HttpOptions`: what the operator sets under ``executors.http``."""

from collections.abc import Sequence
from datetime import timedelta

import attrs

from dsched.contracts.executor.callback import callback_url_problem
from dsched.contracts.executor.egress import EgressPolicy
from dsched.contracts.executor.secrets import Secrets, check_env_patterns

SECTION = "executors.http"
ALLOW_KEY = f"{SECTION}.allow"

MAX_RESPONSE_BYTES = 64 * 1024 * 1024
MAX_RESULT_BYTES = 768 * 1024  # below the store's bound for a whole result, with room around it


@attrs.frozen(kw_only=True)
class HttpOptions:
    """Options of the executor. Construction raises ValueError naming the key that is wrong.

    ``allow``: host names, ``*.suffixes``, addresses and networks that may be called although not
    public. ``ports``: the only ports that may be called; empty means any. ``max_response_bytes``:
    how much of a body is read, before and after decompression. ``max_result_bytes``: how much of
    it is kept in the result. ``secret_env``: environment variables that payloads may refer to
    (``NAME`` or ``PREFIX_*``); ``secret_dir``: the directory of ``secret://file/NAME``;
    ``tls_dir``: the directory of the files named under ``tls``. All three refuse when empty.
    ``callback_url``: where targets reach the HTTP API, for payloads with ``callback``.
    """

    allow: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    ports: tuple[int, ...] = attrs.field(default=(), converter=tuple)
    max_response_bytes: int = 1024 * 1024
    max_result_bytes: int = 256 * 1024
    max_connections: int = 100
    connect_timeout: timedelta = timedelta(seconds=10)
    secret_env: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    secret_dir: str = ""
    tls_dir: str = ""
    callback_url: str = ""

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant, before anything is opened."""
        EgressPolicy(self.allow, ALLOW_KEY)
        _check_range("ports", self.ports, 1, 65535)
        _check_range("max_response_bytes", [self.max_response_bytes], 1, MAX_RESPONSE_BYTES)
        _check_range("max_result_bytes", [self.max_result_bytes], 1024, MAX_RESULT_BYTES)
        _check_range("max_connections", [self.max_connections], 1, 10_000)
        if not timedelta(milliseconds=10) <= self.connect_timeout <= timedelta(minutes=10):
            raise ValueError(f"connect_timeout must be 10ms to 10m, got {self.connect_timeout}")
        check_env_patterns(self.secret_env)
        problem = callback_url_problem(self.callback_url)
        if problem is not None:
            raise ValueError(f"callback_url {problem}")

    @property
    def policy(self) -> EgressPolicy:
        """The egress policy of these options."""
        return EgressPolicy(self.allow, ALLOW_KEY)

    @property
    def secrets(self) -> Secrets:
        """The secrets that payloads may refer to."""
        return Secrets(section=SECTION, env_patterns=self.secret_env, directory=self.secret_dir)


def _check_range(key: str, values: Sequence[int], least: int, most: int) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"{key} must be {least} to {most}, got {value!r}")
