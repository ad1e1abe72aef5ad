"""The options of the metrics: where the page is served, and what bounds the labels."""

import attrs

DEFAULT_PORT = 9464


@attrs.frozen(kw_only=True)
class MetricsOptions:
    """The section ``metrics`` of the configuration, for the observer and the page alike.

    ``port``: None is the default port, which may be taken; 0 is any free one. ``max_configs``: how
    many configs get a label of their own. ``stale_after_s``: a leader's picture of the cluster
    that is older than this is no longer shown.
    """

    bind: str = attrs.field(default="127.0.0.1")
    port: int | None = attrs.field(default=None)
    max_configs: int = attrs.field(default=500)
    stale_after_s: float = attrs.field(default=60.0)

    @bind.validator
    def _check_bind(self, _: object, value: str) -> None:
        if not value.strip():
            raise ValueError('bind is empty; give an address, such as "127.0.0.1" or "0.0.0.0"')

    @port.validator
    def _check_port(self, _: object, value: int | None) -> None:
        if value is not None and not 0 <= value <= 65535:
            raise ValueError(f"port is {value}, and must be from 0 (any free one) to 65535")

    @max_configs.validator
    def _check_max_configs(self, _: object, value: int) -> None:
        if not 0 <= value <= 100_000:
            raise ValueError(f"max_configs is {value}, and must be from 0 to 100000")

    @stale_after_s.validator
    def _check_stale_after_s(self, _: object, value: float) -> None:
        if not 1.0 <= value <= 86_400.0:
            raise ValueError(f"stale_after_s is {value}, and must be from 1 to 86400 seconds")
