"""What the API says of single attempts of a task."""

import attrs

from dsched.model import Attempt, Task, rfc3339_ms
from dsched_api_http.wire import TIME, optional_time


@attrs.frozen(kw_only=True)
class AttemptView:
    """One attempt. ``how``: ``running``, ``success``, ``failed``, ``cancelled``, ``crashed`` or
    ``released``; ``error`` is the end of the text of a failure."""

    number: int
    worker_id: str
    start_time: str = attrs.field(metadata=TIME)
    end_time: str | None = attrs.field(metadata=TIME)
    how: str
    code: str
    error: str


def attempts_of(task: Task) -> tuple[AttemptView, ...]:
    """The latest attempts of a task that was read in full, oldest first."""
    return tuple(map(_attempt, task.attempts))


def _attempt(attempt: Attempt) -> AttemptView:
    return AttemptView(
        number=attempt.number,
        worker_id=attempt.worker_id,
        start_time=rfc3339_ms(attempt.start_ms),
        end_time=optional_time(attempt.end_ms),
        how=attempt.how,
        code=attempt.code,
        error=attempt.error,
    )
