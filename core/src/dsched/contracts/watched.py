"""What pods that do not lead see and report."""

import attrs

from dsched.contracts.queries import StoreTime


@attrs.frozen
class MissedInstant:
    """A config that was due at ``due_ms`` (wall) and has not been fired."""

    config_id: str
    due_ms: int


@attrs.frozen(kw_only=True)
class Watched:
    """What a pod that does not lead sees: ``looked`` configs are overdue, ``missed`` are new.

    ``fence`` is that of the current leader, None if nobody leads.
    """

    time: StoreTime
    fence: str | None
    looked: int
    missed: tuple[MissedInstant, ...] = ()
