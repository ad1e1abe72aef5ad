"""What the core tells every store: how long it keeps each kind of record, and how many."""

from collections.abc import Mapping

import attrs

from dsched.contracts.store.tasklogs import LogCaps
from dsched.model import TaskStatus


@attrs.frozen(kw_only=True)
class Kept:
    """How long after its end a task is kept (None: the default), and how many (None: all)."""

    age_ms: int | None = None
    count: int | None = None


_DEFAULT = Kept()


@attrs.frozen(kw_only=True)
class StoreSettings:
    """What the core tells every store, whatever its own options.

    Ended tasks, their results and lines are kept for ``result_ttl_ms`` from the end, unless
    ``retention`` says otherwise for their outcome; decisions for ``result_ttl_ms``, no more than
    the latest ``max_decisions`` of each config; statistics for ``stats_ttl_ms``. The log keeps at
    most ``max_events`` entries; those the collector has not read are kept as long as they are fewer
    than that. ``log_caps`` bounds the lines of each task. ``leader_trust_ms``, where it is given,
    is how long a leader trusts its lock after a renewal: no call may take that long.
    """

    result_ttl_ms: int = 7 * 24 * 3600 * 1000
    retention: Mapping[TaskStatus, Kept] = attrs.field(factory=dict)
    max_events: int = 100_000
    max_decisions: int = 1000
    stats_ttl_ms: int = 30 * 24 * 3600 * 1000
    log_caps: LogCaps = attrs.field(factory=LogCaps)
    leader_trust_ms: int | None = None

    def kept_ms(self, status: TaskStatus) -> int:
        """For how long after its end a task of this outcome is kept."""
        age_ms = self.retention.get(status, _DEFAULT).age_ms
        return self.result_ttl_ms if age_ms is None else age_ms

    def kept_count(self, status: TaskStatus) -> int | None:
        """How many tasks of this outcome are kept; None: as many as there are."""
        return self.retention.get(status, _DEFAULT).count
