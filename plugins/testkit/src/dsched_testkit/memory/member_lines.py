"""What the reference store says of a member in the log of its run."""

from dsched.contracts.store.codec import read_result
from dsched.model import MemberLine, MemberStep, name_in_run
from dsched_testkit.memory.rows import TaskRow


def end_line(row: TaskRow, wall_ms: int) -> MemberLine:
    """The line of a member that has ended."""
    return MemberLine(
        what=MemberStep.ENDED,
        name=name_in_run(row.id),
        at_ms=wall_ms,
        status=row.status,
        code="" if row.result is None else read_result(row.result).code,
        attempts=row.attempt,
    )
