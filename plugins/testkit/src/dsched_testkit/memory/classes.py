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
from dsched_testkit.memory.state import ShutRow, State, Step, TaskRow


def check_has_classes(state: State) -> None:
    """Refuse classes in a store whose format has none."""
    if state.format < CLASSES_FROM:
        raise ValueError(f"the format of the store, {state.format}, has no classes: migrate it")


def shut_classes(state: State, step: Step, shuts: Sequence[Shut]) -> None:
    """Shut classes, and put what belongs to shut ones under them."""
    for one in shuts:
        known = state.shut.get(one.text)
        if known is None or known.blocked is not one.blocked:
            state.shut[one.text] = ShutRow(one.blocked, step.wall_ms)
    if not shuts:
        return
    for task_id in state.ready.page(0, min(SWEPT, state.open_count())):
        task = state.tasks[task_id]
        demanded = task.demanded
        if demanded in state.shut:
            _wait(state, task, demanded)


def let_out(state: State, lets: Sequence[Let]) -> tuple[str, ...]:
    """Let tasks out; the classes that are shut no more."""
    for one in lets:
        named = set(one.classes)
        found = [key for key in _waiting(state) if _goes(state.tasks[key], named, one.above)]
        for task_id in found[: one.limit]:
            _wait(state, state.tasks[task_id], None)
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
    return sum(state.shut[row.under or ""].blocked is Blocked.NOBODY for row in rows)


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


def _wait(state: State, task: TaskRow, under: str | None) -> None:
    task.under = under
    state.ready.add(task.id, task.ready_key)


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
