"""An alert as a value, and what may be said of it in a template."""

from collections.abc import Mapping
from enum import StrEnum

import attrs

from dsched.model import JsonValue, rfc3339_ms


class Kind(StrEnum):
    """What is alerted about."""

    FAILED = "failed"  # a task ended failed: after its last retry
    ATTEMPT_FAILED = "attempt_failed"  # an attempt failed, and the task is tried again
    PAUSED = "paused"  # a config has paused itself: its tasks failed one after another
    MISSED = "missed"  # an instant is overdue and unfired, or was dropped by the misfire policy
    LATE = "late"  # an instant fired later than `late_after`
    LEADERLESS = "leaderless"  # nobody led for a while
    WORKER_LOST = "worker_lost"  # a worker is not heard of any more
    BACKLOG = "backlog"  # ready tasks wait too long, or are too many
    UNRUNNABLE = "unrunnable"  # tasks wait for a worker that nobody is
    FULL = "full"  # tasks wait for workers that are full, while others have room
    STORE_READ_ONLY = "store_read_only"  # the store takes no writes: nothing fires or runs
    HISTORY = "history"  # the past that pods have seen is gone from the store
    DEFECT = "defect"  # dsched or a store broke a promise of its own


FIRING, RESOLVED = "firing", "resolved"


@attrs.frozen(kw_only=True)
class Alert:
    """One alert. ``id`` is the same when the same thing is told again; ``key`` is what repeats are
    counted by; ``at_ms`` the wall clock of what happened. ``state``: most alerts are just
    ``firing``; a lost worker, a backlog, tasks that nobody can run or whose workers are
    full, a store that takes no writes
    and a time without leader are ``resolved`` too."""

    id: str
    kind: Kind
    key: str
    at_ms: int
    summary: str
    state: str = FIRING
    config_id: str = ""
    task_id: str = ""
    worker_id: str = ""
    reason: str = ""
    value: float | None = None
    repeats: int = 0

    @property
    def facts(self) -> Mapping[str, JsonValue]:
        """What a template may name, and what is posted without one."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "state": self.state,
            "at": rfc3339_ms(self.at_ms),
            "summary": self.summary,
            "config_id": self.config_id,
            "task_id": self.task_id,
            "worker_id": self.worker_id,
            "reason": self.reason,
            "value": self.value,
            "repeats": self.repeats,
        }


FACTS = frozenset(Alert(id="", kind=Kind.LATE, key="", at_ms=0, summary="").facts)
