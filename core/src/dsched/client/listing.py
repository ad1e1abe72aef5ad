"""What a list of tasks was asked for: one index of the store, or tasks of the configs meant."""

from collections.abc import Mapping
from datetime import datetime

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.reading import TaskPage, TaskQuery
from dsched.model import Home, TaskStatus, to_ms, whole_ms
from dsched.selecting import TaskSelection, TaskWalk, Window, select_tasks


def asked(
    *,
    home: Home | str | None = None,
    worker_id: str | None = None,
    config_id: str | None = None,
    status: TaskStatus | str | None = None,
    live_of: str | None = None,
    labels: Mapping[str, str] | None = None,
    owner: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> TaskQuery | TaskSelection:
    """The index that serves it, else a selection. `ValueError` for what cannot be meant."""
    bounds = attrs.asdict(
        Window(from_ms=instant_ms("since", since), before_ms=instant_ms("until", until))
    )
    patterns = [one for one in (config_id, live_of) if one is not None]
    sought = bool(labels) or owner is not None or any("*" in one for one in patterns)
    wanted = None if status is None else TaskStatus(status)
    waits = wanted is not None and not wanted.terminal
    if home is not None or worker_id is not None:
        if sought:
            raise ValueError("home and worker_id list tasks of all configs; leave out the others")
    elif sought or len(patterns) > 1 or (wanted is not None and patterns) or (waits and until):
        return select_tasks(
            config=config_id, live_of=live_of, labels=labels, owner=owner, status=wanted, **bounds
        )
    elif wanted is not None and waits:
        return _of_waiting(wanted)
    return TaskQuery(
        home=home,
        worker_id=worker_id,
        config_id=config_id,
        status=wanted,
        live_of=live_of,
        **bounds,
    )


def _of_waiting(status: TaskStatus) -> TaskQuery:
    """What waits or runs, of all configs."""
    if status is TaskStatus.RUNNING:
        return TaskQuery(home=Home.LEASE)
    raise ValueError(
        f"{status} tasks are in several homes; give one, or the configs: config_id='*'"
    )


async def page_of(
    store: Store, wanted: TaskQuery | TaskSelection, cursor: str | None, limit: int
) -> TaskPage:
    """A page of what was asked for."""
    if isinstance(wanted, TaskQuery):
        return await store.list_tasks(wanted, cursor, limit)
    return await TaskWalk(store, wanted, cursor).page(limit)


def instant_ms(name: str, at: datetime | None) -> int | None:
    """An instant in wall ms; `ValueError` for one without a UTC offset."""
    if at is None:
        return None
    if at.tzinfo is None:
        raise ValueError(f"{name} needs a UTC offset, such as 2026-01-31T09:00:00Z; got {at}")
    return to_ms(whole_ms(at))
