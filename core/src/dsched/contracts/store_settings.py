"""What every store is told by the core, whatever its own options."""

import attrs

from dsched.contracts.tasklogs import LogCaps


@attrs.frozen(kw_only=True)
class StoreSettings:
    """What every store is told by the core, whatever its own options.

    Ended tasks, their results, lines and decisions are kept for ``result_ttl_ms`` from the end.
    The log keeps at most ``max_events`` entries; those the collector has not read are kept as long
    as they are fewer than that. ``log_caps`` bounds the lines of each task.
    """

    result_ttl_ms: int = 7 * 24 * 3600 * 1000
    max_events: int = 100_000
    log_caps: LogCaps = attrs.field(factory=LogCaps)
