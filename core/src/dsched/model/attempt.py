"""`Attempt`: one try of a task, as it is remembered."""

from collections.abc import Sequence
from typing import Any

import attrs

from dsched.model.json import dumps, loads

KEPT_ATTEMPTS = 20  # of one task, the latest
MAX_ATTEMPT_ERROR_CHARS = 500  # of what is remembered; the task has the whole of the last one


@attrs.frozen(kw_only=True)
class Attempt:
    """One attempt. ``how``: ``running``; ``success``, ``failed`` or ``cancelled``; ``crashed`` (its
    lease ran out) or ``released`` (given back). ``code`` is the result's, ``error`` the end of the
    text of a failure. ``end_ms`` is None while it runs."""

    number: int
    worker_id: str
    start_ms: int
    end_ms: int | None = None
    how: str
    code: str = ""
    error: str = ""


def error_to_keep(error: str) -> str:
    """The end of a long error, where a traceback says what it was."""
    if len(error) <= MAX_ATTEMPT_ERROR_CHARS:
        return error
    return "…" + error[1 - MAX_ATTEMPT_ERROR_CHARS :]


def write_attempt(attempt: Attempt) -> str:
    """An ended attempt as a line of JSON."""
    error = error_to_keep(attempt.error)
    fields = [attempt.number, attempt.worker_id, attempt.start_ms, attempt.end_ms]
    return dumps([*fields, attempt.how, attempt.code, error])


def read_attempt(line: str) -> Attempt:
    """An attempt from its line; what a later version adds at the end is passed over."""
    fields: Sequence[Any] = loads(line)
    number, worker_id, start_ms, end_ms, how, code, error, *_ = fields
    return Attempt(
        number=number,
        worker_id=worker_id,
        start_ms=start_ms,
        end_ms=end_ms,
        how=how,
        code=code,
        error=error,
    )


def with_attempt(lines: str, line: str) -> str:
    """The lines with one more, without those that are too many: the current one needs a place."""
    kept = [*_each(lines), line][1 - KEPT_ATTEMPTS :]
    return "\n".join(kept)


def read_attempts(lines: str) -> tuple[Attempt, ...]:
    """The attempts of these lines."""
    return tuple(map(read_attempt, _each(lines)))


def _each(lines: str) -> list[str]:
    return lines.split("\n") if lines else []
