"""Runs of the reference store that take over members of earlier ones, which stay for as long."""

from collections.abc import Container, Iterable, Mapping

import attrs

from dsched.model import TaskSpec
from dsched_testkit.memory.rows import TaskRow


@attrs.define
class Sources:
    """Of runs the earlier runs that they take over from; those of these whose own time is over."""

    of_run: dict[str, tuple[str, ...]] = attrs.field(factory=dict)
    aside: set[str] = attrs.field(factory=set)

    def has(self, run_id: str) -> bool:
        """Whether a later run takes over from this one."""
        return any(run_id in sources for sources in self.of_run.values())

    def bring_back(self, there: Container[str]) -> int:
        """Put those back on the list of what has ended that are sources of nothing that is there
        any more; how many."""
        for run_id in [one for one in self.of_run if one not in there]:
            del self.of_run[run_id]
        freed = {run_id for run_id in self.aside if not self.has(run_id)}
        self.aside -= freed
        return len(freed)


def sources_of(spec: TaskSpec) -> tuple[str, ...]:
    """The runs from which one with this snapshot takes over."""
    return () if spec.resumes is None else spec.resumes.sources


def are_there(tasks: Mapping[str, TaskRow], sources: Iterable[str]) -> bool:
    """Whether all of these are runs that have ended."""
    rows = [tasks.get(source) for source in sources]
    return all(
        row is not None and row.spec.workflow is not None and row.status.terminal for row in rows
    )
