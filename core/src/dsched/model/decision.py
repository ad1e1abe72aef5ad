"""`Decision`: the durable record of what happened to a fire, or to a range of them."""

from enum import StrEnum

import attrs


class Verdict(StrEnum):
    """What was decided."""

    FIRED = "fired"
    SKIPPED = "skipped"


class SkipReason(StrEnum):
    """Why instants were not fired."""

    MISFIRE = "misfire"  # missed by more than the grace, and the policy drops them
    OVERLAP = "overlap"  # an earlier task of the config was still live
    EDITED = "edited"  # due when the config was changed
    PAUSED = "paused"  # due while, or when, the config was paused
    DELETED = "deleted"  # due when the config was deleted
    DISABLED = "disabled"  # due when its author switched the config off
    OPERATOR = "operator"  # an operator asked for it beforehand


@attrs.frozen(kw_only=True)
class SkippedRange:
    """Instants that were owed and will not be fired: first, last (ms, inclusive), how many, why."""

    first_ms: int
    last_ms: int
    count: int
    reason: SkipReason


@attrs.frozen(kw_only=True)
class Decision:
    """One fire (``count`` 1, ``first_ms == last_ms``) or one skipped range of a config.

    ``late_ms`` is how long after the nominal instant the decision was made; ``term`` the epoch of
    the leader that made it (0 when no leader did); ``detail`` adds to the verdict, such as
    ``held: an earlier run is live``.
    """

    config_id: str
    verdict: Verdict
    first_ms: int
    last_ms: int
    count: int = 1
    reason: str = ""
    detail: str = ""
    late_ms: int = 0
    at_ms: int = 0
    term: int = 0
    task_id: str | None = None
