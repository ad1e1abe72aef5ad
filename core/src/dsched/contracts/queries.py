"""What readers ask of a store and are answered with; and its clock's reading."""

from collections.abc import Mapping

import attrs

from dsched.model import Decision, Home, Task, TaskStatus


@attrs.frozen(kw_only=True)
class StoreTime:
    """One reading of the store's clock. `clock_gen` counts the times it was seen stepping back.

    ``fraction_ms``: how far into the millisecond it was, where the store can tell. Nothing is
    decided by it; the leader wakes up so much earlier.
    """

    wall_ms: int
    now_ms: int
    clock_gen: int
    fraction_ms: float = 0.0


def _home(value: Home | str | None) -> Home | None:
    return None if value is None else Home(value)


def _status(value: TaskStatus | str | None) -> TaskStatus | None:
    return None if value is None else TaskStatus(value)


@attrs.frozen(kw_only=True)
class TaskQuery:
    """Exactly one of the four: what the indexes serve.

    ``home`` (with ``worker_id`` for `Home.QUEUE`): by the order of that home. ``config_id`` or
    ``status`` (terminal): ended tasks, newest end first. ``live_of``: the live tasks of a config.
    """

    home: Home | None = attrs.field(default=None, converter=_home)
    worker_id: str | None = None
    config_id: str | None = None
    status: TaskStatus | None = attrs.field(default=None, converter=_status)
    live_of: str | None = None


@attrs.frozen(kw_only=True)
class TaskPage:
    """Tasks without spec and result; ``cursor`` continues, None at the end."""

    tasks: tuple[Task, ...]
    cursor: str | None


@attrs.frozen(kw_only=True)
class DecisionPage:
    """Decisions of one config, newest instant first; ``cursor`` continues, None at the end.

    ``kept_from_ms``: decisions about earlier instants may be gone, by age (``result_ttl_ms`` before
    the wall) or by number (the earliest kept, where ``max_decisions`` are).
    """

    decisions: tuple[Decision, ...]
    cursor: str | None
    kept_from_ms: int = 0


@attrs.frozen(kw_only=True)
class Counts:
    """How many tasks there are. Ended ones count as long as the finished index keeps them."""

    by_status: Mapping[TaskStatus, int]
    by_home: Mapping[Home, int]
    oldest_ready_ms: int | None
    configs: int
    time: StoreTime
