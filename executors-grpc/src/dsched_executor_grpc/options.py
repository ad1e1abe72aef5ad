"""What the operator sets under ``executors.grpc``."""

import attrs

from dsched.contracts.executor.egress import EgressPolicy
from dsched.contracts.executor.secrets import Secrets, check_env_patterns

SECTION = "executors.grpc"
ALLOW_KEY = f"{SECTION}.allow"
MEBIBYTE = 1024 * 1024
# Answers of server reflection are bounded like any other and must fit.
MIN_MESSAGE_BYTES = 64 * 1024


@attrs.frozen(kw_only=True)
class GrpcOptions:
    """Options of the executor; none can be set by a task. A bad one is a ValueError naming it.

    ``allow``: host names, ``*.suffixes``, addresses and networks that may be called although they
    are not public, or (with ``plaintext: true`` in the payload) without TLS. ``descriptor_dir``,
    ``tls_dir``, ``secret_dir``: the only directories from which a task may name descriptor sets,
    TLS files and ``secret://file/NAME``; ``secret_env``: the environment variables that it may
    refer to (``NAME`` or ``PREFIX_*``). All four refuse when empty. ``max_message_bytes`` bounds
    a request and a response on the wire, ``max_channels`` the connections kept between calls.
    """

    allow: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    descriptor_dir: str = ""
    tls_dir: str = ""
    secret_dir: str = ""
    secret_env: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    max_message_bytes: int = 4 * MEBIBYTE
    max_channels: int = 64

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant, before anything is opened."""
        EgressPolicy(self.allow, ALLOW_KEY)
        _check_range("max_message_bytes", self.max_message_bytes, MIN_MESSAGE_BYTES, 64 * MEBIBYTE)
        _check_range("max_channels", self.max_channels, 1, 4096)
        check_env_patterns(self.secret_env)

    @property
    def policy(self) -> EgressPolicy:
        """The egress policy of these options."""
        return EgressPolicy(self.allow, ALLOW_KEY)

    @property
    def secrets(self) -> Secrets:
        """The secrets that payloads may refer to."""
        return Secrets(section=SECTION, env_patterns=self.secret_env, directory=self.secret_dir)


def _check_range(key: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{key} must be {least} to {most}, got {value!r}")
