"""`MemberLine`: what the log of a run says of one member, or of a step that has none."""

from enum import StrEnum

import attrs

from dsched.model.status import TaskStatus


class MemberStep(StrEnum):
    """What a line tells."""

    BORN = "b"
    ENDED = "e"
    SKIPPED = "s"


@attrs.frozen(kw_only=True, slots=False)  # one is made for each member
class MemberLine:
    """A line, of the member ``name`` (`member_name`), at an instant (wall).

    ENDED: with the member's ``status``, the ``code`` of its result, and its ``attempts``. SKIPPED:
    of the step ``name``; ``reason`` says why. It counts for those after it as what ``status``
    says: failed, or success where only its `when` did not apply.
    """

    what: MemberStep
    name: str
    at_ms: int
    status: TaskStatus | None = None
    code: str = ""
    attempts: int = 0
    reason: str = ""
