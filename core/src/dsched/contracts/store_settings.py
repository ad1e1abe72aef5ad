"""What every store is told by the core, whatever its own options."""

import attrs

from dsched.contracts.tasklogs import LogCaps


@attrs.frozen(kw_only=True)
class StoreSettings:
    """What every store is told by the core, whatever its own options.

    Ended tasks, their results, lines and decisions are kept for ``result_ttl_ms`` from the end,
    decisions no more than the latest ``max_decisions`` of each config, statistics for
    ``stats_ttl_ms``.
    The log keeps at most ``max_events`` entries; those the collector has not read are kept as long
    as they are fewer than that. ``log_caps`` bounds the lines of each task.
    """

    result_ttl_ms: int = 7 * 24 * 3600 * 1000
    max_events: int = 100_000
    max_decisions: int = 1000
    stats_ttl_ms: int = 30 * 24 * 3600 * 1000
    log_caps: LogCaps = attrs.field(factory=LogCaps)
