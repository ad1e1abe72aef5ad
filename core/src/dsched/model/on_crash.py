"""What becomes of a task whose worker died."""

from enum import StrEnum


class OnCrash(StrEnum):
    """What becomes of a task whose worker died, or gave it back, while it ran."""

    RETRY = "retry"
    FAIL = "fail"
