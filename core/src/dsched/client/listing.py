"""What a list of tasks was asked for: one index of the store, or tasks of the configs meant."""

from collections.abc import Mapping
from datetime import datetime

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
    window = Window(from_ms=_ms("since", since), before_ms=_ms("until", until))
    of_configs = [one for one in (config_id, live_of) if one is not None]
    sought = bool(labels) or owner is not None or any("*" in one for one in of_configs)
    waits = status is not None and not TaskStatus(status).terminal
    if home is not None or worker_id is not None:
        if sought:
            raise ValueError("home and worker_id list tasks of all configs; leave out the others")
    elif status == TaskStatus.RUNNING and not (sought or of_configs or until):
        return TaskQuery(home=Home.LEASE)
    elif waits and not (sought or of_configs or until):
        raise ValueError(
            f"{status} tasks are in several homes; give one, or the configs: config_id='*'"
        )
    elif sought or waits or (of_configs and status is not None) or len(of_configs) > 1:
        return select_tasks(
            config=config_id,
            live_of=live_of,
            labels=labels,
            owner=owner,
            status=status,
            from_ms=window.from_ms,
            before_ms=window.before_ms,
        )
    return TaskQuery(
        home=home,
        worker_id=worker_id,
        config_id=config_id,
        status=status,
        live_of=live_of,
        from_ms=window.from_ms,
        before_ms=window.before_ms,
    )


async def page_of(
    store: Store, wanted: TaskQuery | TaskSelection, cursor: str | None, limit: int
) -> TaskPage:
    """A page of what was asked for."""
    if isinstance(wanted, TaskQuery):
        return await store.list_tasks(wanted, cursor, limit)
    return await TaskWalk(store, wanted, cursor).page(limit)


def _ms(name: str, at: datetime | None) -> int | None:
    if at is None:
        return None
    if at.tzinfo is None:
        raise ValueError(f"{name} needs a UTC offset, such as 2026-01-31T09:00:00Z; got {at}")
    return to_ms(whole_ms(at))
