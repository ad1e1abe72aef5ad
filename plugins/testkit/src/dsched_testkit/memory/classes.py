"""Classes of the reference store: shut, and let out of."""

from collections.abc import Sequence

from dsched.contracts.store.classes import (
    CLASSES_FROM,
    MAX_EXPIRED,
    SWEPT,
    Blocked,
    ClassPage,
    Let,
    Shut,
    ShutClass,
)
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched_testkit.memory.limits import put_under, wait_under_limit
from dsched_testkit.memory.places import UNDER
from dsched_testkit.memory.state import ShutRow, State, Step, TaskRow


def check_has_classes(state: State) -> None:
    """Refuse classes in a store whose format has none."""
    if state.format < CLASSES_FROM:
        raise ValueError(f"the format of the store, {state.format}, has no classes: migrate it")


def shut_classes(state: State, step: Step, shuts: Sequence[Shut], *, limited: bool = False) -> None:
    """Shut classes, and put what belongs to shut ones under them."""
    for one in shuts:
        known = state.shut.get(one.text)
        if known is None or known.blocked is not one.blocked:
            state.shut[one.text] = ShutRow(one.blocked, step.wall_ms)
    if shuts or limited:
        _sweep(state)


def _sweep(state: State) -> None:
    """Of the first open tasks those that belong to what is shut wait under it from now on."""
    for task_id in state.ready.page(0, min(SWEPT, state.open_count())):
        task = state.tasks[task_id]
        under = state.places.shut_for(task)
        if under is not None:
            wait_under_limit(state, task, under.removeprefix(UNDER))
        elif task.demanded in state.shut:
            put_under(state, task, task.demanded)


def let_out(state: State, lets: Sequence[Let]) -> tuple[str, ...]:
    """Let tasks out; the classes that are shut no more."""
    for one in lets:
        named = set(one.classes)
        found = [key for key in _waiting(state) if _goes(state.tasks[key], named, one.above)]
        for task_id in found[: one.limit]:
            task = state.tasks[task_id]
            put_under(state, task, state.places.shut_for(task))
            state.wakeups.wake(LEADER_WAKEUP)
    opened: dict[str, None] = {}
    for text in (text for one in lets for text in one.classes):
        if text in state.shut and not any(
            state.tasks[key].under == text for key in _waiting(state)
        ):
            del state.shut[text]
            opened[text] = None
    return tuple(opened)


def page_of_classes(state: State, cursor: str | None, limit: int) -> ClassPage:
    """The classes that are shut, by text."""
    texts = sorted(text for text in state.shut if cursor is None or text > cursor)
    page = texts[:limit]
    return ClassPage(
        classes=tuple(_view(state, text) for text in page),
        cursor=page[-1] if len(texts) > limit else None,
    )


def that_nobody_can_run(state: State) -> int:
    """How many tasks wait under a class that is shut as ``nobody``."""
    rows = (state.tasks[key] for key in _waiting(state))
    known = (state.shut.get(row.under or "") for row in rows)
    return sum(one is not None and one.blocked is Blocked.NOBODY for one in known)


def expire_waiting(state: State, step: Step, fence: str) -> None:
    """End what waits under a class and is past its start deadline."""
    late = [state.tasks[key] for key in _waiting(state)]
    late = [task for task in late if task.expired(step.wall_ms)]
    for task in sorted(late, key=_latest_start)[:MAX_EXPIRED]:
        step.cancel(task, fence, "expired")


def _goes(task: TaskRow, named: set[str], above: int) -> bool:
    return task.under in named and task.spec.priority > above


def _latest_start(task: TaskRow) -> tuple[float, str]:
    deadline = task.spec.start_deadline
    assert deadline is not None
    return task.scheduled_ms + deadline.total_seconds() * 1000, task.id


def _waiting(state: State) -> list[str]:
    return state.ready.page(state.open_count(), len(state.ready))


def _view(state: State, text: str) -> ShutClass:
    row = state.shut[text]
    waiting = [state.tasks[key] for key in _waiting(state) if state.tasks[key].under == text]
    return ShutClass(
        text=text,
        blocked=row.blocked,
        since_ms=row.since_ms,
        waiting=len(waiting),
        oldest_ms=min((task.scheduled_ms for task in waiting), default=None),
    )
