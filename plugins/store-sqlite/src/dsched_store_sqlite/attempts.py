"""Attempts that ended without the end of their task."""

from dsched.model import Attempt, Home, with_attempt, write_attempt
from dsched_store_sqlite.rows import TaskRow
from dsched_store_sqlite.step import Step

PAST = "SELECT lines FROM past WHERE task = ?"
PUT_PAST = "INSERT OR REPLACE INTO past VALUES (?, ?)"


def past_of(step: Step, row: TaskRow) -> str:
    """The lines of a task's attempts, "" if it has none. Of most tasks that is known."""
    waits = row.home not in (Home.LEASE, None) or row.worker_id is None
    if not row.attempt or (row.attempt == 1 and not waits):
        return ""
    found = step.db.execute(PAST, (row.seq,)).fetchone()
    return "" if found is None else str(found[0])


def remember_attempt(
    step: Step, row: TaskRow, *, how: str, code: str = "", error: str = ""
) -> None:
    """Keep a line of the attempt that ends in this step, and not the task."""
    attempt = Attempt(
        number=row.attempt,
        worker_id=row.worker_id or "",
        start_ms=step.wall_ms if row.start_ms is None else row.start_ms,
        end_ms=step.wall_ms,
        how=how,
        code=code,
        error=error,
    )
    found = step.db.execute(PAST, (row.seq,)).fetchone()
    before = "" if found is None else str(found[0])
    step.db.execute(PUT_PAST, (row.seq, with_attempt(before, write_attempt(attempt))))
