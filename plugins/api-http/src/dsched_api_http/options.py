"""What the section ``api`` of the configuration may say."""

import ipaddress
import re
from typing import Literal

import attrs

DEFAULT_PORT = 8700
MIN_TOKEN_LENGTH = 32

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]{1,64}){1,8}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,256}")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@attrs.frozen(kw_only=True)
class ApiOptions:
    """Where the API listens, who may use it, and how much."""

    bind: str = attrs.field(default="127.0.0.1")
    port: int | None = attrs.field(default=None)
    auth: Literal["token", "none"] = "token"
    admin_token: str = attrs.field(default="", repr=False)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    rate_per_s: float = attrs.field(default=200.0)
    max_streams: int = attrs.field(default=100)
    max_streams_by_token: int = attrs.field(default=25)
    max_events_behind: int = attrs.field(default=20_000)
    max_waits: int = attrs.field(default=400)
    max_waits_by_token: int = attrs.field(default=200)
    max_configs: int = attrs.field(default=10_000)
    max_waiting: int = attrs.field(default=1_000_000)
    max_waiting_by_token: int = attrs.field(default=100_000)
    max_waiting_bytes: int = attrs.field(default=1024**3)
    max_waiting_bytes_by_token: int = attrs.field(default=256 * 1024**2)
    max_connections: int = attrs.field(default=500)
    max_connections_by_address: int = attrs.field(default=250)
    prefix: str = attrs.field(default="")

    @bind.validator
    def _check_bind(self, _: object, value: str) -> None:
        if not value.strip():
            raise ValueError('bind is empty; give an address, such as "127.0.0.1" or "0.0.0.0"')

    @port.validator
    def _check_port(self, _: object, value: int | None) -> None:
        if value is not None and not 0 <= value <= 65535:
            raise ValueError(f"port is {value}, and must be from 0 (any free one) to 65535")

    @admin_token.validator
    def _check_admin_token(self, _: object, value: str) -> None:
        if value and not _TOKEN.fullmatch(value):
            raise ValueError(
                f"admin_token must be {MIN_TOKEN_LENGTH} to 256 characters of A-Z a-z 0-9 _ -, "
                'such as python -c "import secrets; print(secrets.token_urlsafe(32))" makes'
            )

    @rate_per_s.validator
    def _check_rate(self, _: object, value: float) -> None:
        if not 1.0 <= value <= 100_000.0:
            raise ValueError(f"rate_per_s is {value:g}, and must be from 1 to 100000")

    @max_streams.validator
    @max_streams_by_token.validator
    @max_waits.validator
    @max_waits_by_token.validator
    def _check_open(self, field: "attrs.Attribute[int]", value: int) -> None:
        if not 0 <= value <= 10_000:
            raise ValueError(f"{field.name} is {value}, and must be from 0 to 10000")

    @max_events_behind.validator
    def _check_behind(self, _: object, value: int) -> None:
        if not 100 <= value <= 10_000_000:
            raise ValueError(f"max_events_behind is {value}, and must be from 100 to 10000000")

    @max_waiting.validator
    @max_waiting_by_token.validator
    @max_waiting_bytes.validator
    @max_waiting_bytes_by_token.validator
    def _check_waiting(self, field: "attrs.Attribute[int]", value: int) -> None:
        if not 0 <= value <= 1024**5:
            raise ValueError(f"{field.name} is {value}, and must be from 0 to {1024**5}")

    @max_connections.validator
    @max_connections_by_address.validator
    def _check_connections(self, field: "attrs.Attribute[int]", value: int) -> None:
        if not 1 <= value <= 100_000:
            raise ValueError(f"{field.name} is {value}, and must be from 1 to 100000")

    @max_configs.validator
    def _check_max_configs(self, _: object, value: int) -> None:
        if not 0 <= value <= 1_000_000:
            raise ValueError(f"max_configs is {value}, and must be from 0 to 1000000")

    @prefix.validator
    def _check_prefix(self, _: object, value: str) -> None:
        if value and not _PREFIX.fullmatch(value):
            raise ValueError(
                f"prefix is {value!r}, and must be empty or a path such as /dsched, without a "
                "slash at its end"
            )

    def __attrs_post_init__(self) -> None:
        """Refuse what would let strangers in."""
        if self.auth == "none" and not is_loopback(self.bind):
            raise ValueError(
                f"auth: none would let everybody who reaches {self.bind} run tasks; use "
                "auth: token (the default), or bind to 127.0.0.1"
            )
