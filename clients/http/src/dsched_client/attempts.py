"""Single attempts of a task."""

from datetime import datetime

import attrs


@attrs.frozen(kw_only=True)
class Attempt:
    """One attempt: ``how`` it ended, or ``running``; ``error`` is the end of a failure's text."""

    number: int
    worker_id: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    how: str = ""
    code: str = ""
    error: str = ""
