"""`Resumption`: which members of earlier runs a run takes over, instead of running them again."""

import attrs

from dsched.model.status import TaskStatus


@attrs.frozen(kw_only=True)
class Taken:
    """Members of a step that ended in the run ``run_id``, all with this ``status``: success, or
    failed where the step allows that. ``indexes``: which of its shards; None: the whole step."""

    run_id: str
    step: str
    status: TaskStatus = TaskStatus.SUCCESS
    indexes: tuple[int, ...] | None = None

    def has(self, index: int | None) -> bool:
        """Whether this member of the step is taken over."""
        return self.indexes is None or index in self.indexes


@attrs.frozen(kw_only=True)
class Resumption:
    """A run goes on from the run ``run_id``, for the same nominal instant. A member of the
    same name is in ``taken`` at most once, with the run in which it really ran."""

    run_id: str
    instant_ms: int
    taken: tuple[Taken, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """The runs that something is taken over from, each once."""
        return tuple(dict.fromkeys(one.run_id for one in self.taken))
