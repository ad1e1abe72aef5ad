"""Runs that take over members of earlier ones: these stay for as long as the later ones do."""

from collections.abc import Iterable, Sequence

from dsched.model import TaskSpec, TaskStatus
from dsched_store_sqlite.step import Step

PUT = "INSERT OR IGNORE INTO run_source VALUES (?, ?)"
IS_SOURCE = "SELECT 1 FROM run_source WHERE source = ? LIMIT 1"
OF = "SELECT source FROM run_source WHERE run = ?"
FORGET = "DELETE FROM run_source WHERE run = ?"
BRING_BACK = "DELETE FROM run_aside WHERE run = ?"
STATUS = "SELECT status FROM task WHERE id = ?"


def sources_of(spec: TaskSpec) -> tuple[str, ...]:
    """The runs from which one with this snapshot takes over."""
    return () if spec.resumes is None else spec.resumes.sources


def are_there(step: Step, sources: Iterable[str]) -> bool:
    """Whether all of these are runs that have ended."""
    rows = [step.task(source) for source in sources]
    return all(row is not None and row.is_run and row.status.terminal for row in rows)


def put_sources(step: Step, run_id: str, sources: Iterable[str]) -> None:
    """A run takes over from these, which stay from now on."""
    step.db.executemany(PUT, [(run_id, source) for source in sources])


def is_source(step: Step, run_id: str) -> bool:
    """Whether a later run takes over from this one."""
    return step.db.execute(IS_SOURCE, (run_id,)).fetchone() is not None


def put_aside(step: Step, run_id: str) -> None:
    """The time of a source is over: it is on no list of what has ended any more."""
    step.db.execute("INSERT OR IGNORE INTO run_aside VALUES (?)", (run_id,))


def bring_back(step: Step, removed: Sequence[str]) -> int:
    """Put those back on the list that are sources of nothing any more, now that these runs have
    been removed; how many."""
    sources = {one for run_id in removed for (one,) in step.db.execute(OF, (run_id,)).fetchall()}
    step.db.executemany(FORGET, [(run_id,) for run_id in removed])
    count = 0
    for source in sorted(sources):
        if is_source(step, source) or not step.db.execute(BRING_BACK, (source,)).rowcount:
            continue
        (status,) = step.db.execute(STATUS, (source,)).fetchone()
        step.meta.count_kept(TaskStatus(status), 1)
        count += 1
    return count
