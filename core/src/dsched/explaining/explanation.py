"""`Explanation`: the answer to a why, in words and with the facts it rests on."""

from enum import StrEnum

import attrs

from dsched.model import Decision, Task


class Answer(StrEnum):
    """The one word of an explanation: of an instant of a config, or of a task."""

    FIRED = "fired"
    LATE = "late"  # fired, more than a second after its instant, or after it was reported missed
    SKIPPED = "skipped"
    MISSED = "missed"  # overdue, and nobody has decided about it
    PENDING = "pending"  # of a config: still to come; of a task: waiting for its turn
    NOT_DUE = "not_due"
    UNKNOWN = "unknown"  # nothing that is kept says
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


@attrs.frozen(kw_only=True)
class Explanation:
    """Why: one sentence, and those it follows from.

    ``subject`` is the id of the config or task, ``at_ms`` the instant asked about. ``decision`` and
    ``task`` are the records behind it, where there are any. ``before_ms`` and ``after_ms`` are the
    instants of the config next to the one asked about, as far as they are known.
    """

    subject: str
    at_ms: int
    verdict: Answer
    summary: str
    because: tuple[str, ...] = ()
    decision: Decision | None = None
    task: Task | None = None
    before_ms: int | None = None
    after_ms: int | None = None
