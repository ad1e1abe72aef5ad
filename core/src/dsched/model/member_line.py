"""`MemberLine`: what the log of a run says of one member, or of a step."""

from enum import StrEnum

import attrs

from dsched.model.status import TaskStatus


class MemberStep(StrEnum):
    """What a line tells."""

    BORN = "b"
    ENDED = "e"
    SKIPPED = "s"
    WORKERS = "w"


@attrs.frozen(kw_only=True, slots=False)  # one is made for each member
class MemberLine:
    """A line, of the member ``name`` (`member_name`), at an instant (wall).

    ENDED: with the member's ``status``, the ``code`` of its result, and its ``attempts``. SKIPPED:
    of the step ``name``; ``reason`` says why. It counts for those after it as what ``status``
    says: failed, or success where only its `when` did not apply. Or of the member ``name``, which
    is let off, as its worker has left before it began. WORKERS: the step ``name`` has a member for
    each of ``workers``, by its index there.
    """

    what: MemberStep
    name: str
    at_ms: int
    status: TaskStatus | None = None
    code: str = ""
    attempts: int = 0
    reason: str = ""
    workers: tuple[str, ...] = ()
