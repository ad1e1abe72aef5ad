"""Classes of ready tasks: what waits under one has its number, negative, as its place."""

from collections.abc import Iterable, Sequence

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
from dsched_store_sqlite.needs import limits_of
from dsched_store_sqlite.places import FIRST_NUMBER
from dsched_store_sqlite.rows import TASK
from dsched_store_sqlite.step import Step

SHUT = (
    "INSERT INTO class (text, blocked, since_ms) VALUES (?, ?, ?) "
    "ON CONFLICT (text) DO UPDATE SET blocked = excluded.blocked, "
    "since_ms = iif(blocked = excluded.blocked, since_ms, excluded.since_ms)"
)
SHUT_COUNT = "SELECT shut FROM class_count WHERE one = 1"
FIRST_OPEN = (
    "SELECT seq, id, needs FROM task WHERE home = 'ready' AND (place < 0) = 0 "
    "ORDER BY rank, scheduled_ms, id LIMIT ?"
)
FIRST_WAITING = (
    "SELECT rank, scheduled_ms, id, seq, place, needs FROM task WHERE home = 'ready' AND place < 0 "
    "AND place = ? AND rank < ? ORDER BY rank, scheduled_ms, id LIMIT ?"
)
PUT_PLACE = "UPDATE task SET place = ? WHERE seq = ?"
WAITING = "SELECT n, waiting FROM class WHERE text = ?"
OPEN = "DELETE FROM class WHERE n = ?"
LIST = "SELECT n, text, blocked, since_ms, waiting FROM class WHERE text > ? ORDER BY text LIMIT ?"
OLDEST_WAITING = (
    "SELECT min(scheduled_ms) FROM task "
    "WHERE home = 'ready' AND place < 0 AND place = ? AND rank = ?"
)
LATE = (
    f"SELECT {TASK} FROM task WHERE home = 'ready' AND place < 0 AND attempt = 0 "  # noqa: S608
    "AND deadline_ms IS NOT NULL AND scheduled_ms + deadline_ms < ? "
    "ORDER BY scheduled_ms + deadline_ms, id LIMIT ?"
)


def check_has_classes(step: Step) -> None:
    """Refuse classes in a store whose format has none."""
    if step.format < CLASSES_FROM:
        raise ValueError(f"the format of the store, {step.format}, has no classes: migrate it")


def shut_count(step: Step) -> int | None:
    """How many classes are shut; None where the format of the store has none."""
    if step.format < CLASSES_FROM:
        return None
    (count,) = step.db.execute(SHUT_COUNT).fetchone()
    return int(count)


def shut_classes(step: Step, shuts: Sequence[Shut], *, limited: bool) -> None:
    """Shut classes, and put what belongs to what is shut under it; ``limited``: a limit refused
    something. All moves are flushed before."""
    if not (shuts or limited):
        return
    step.db.executemany(SHUT, [(one.text, one.blocked.value, step.wall_ms) for one in shuts])
    step.forget_classes()
    found = step.db.execute(FIRST_OPEN, (SWEPT,)).fetchall()
    moves = [(seq, task_id, needs, step.shut_for(needs)) for seq, task_id, needs in found]
    moves = [one for one in moves if one[-1]]
    move_places(step, [(seq, task_id, -number) for seq, task_id, _, number in moves])
    for _, _, needs, number in moves:
        step.add_waiting(number, 1)
        if number >= FIRST_NUMBER:
            step.places.touched.add(step.places.numbered(number).name)
        step.wake_if_open(
            name
            for name in limits_of(needs)
            if number != step.places.shut_for([name]) or step.places.room(name) > 0
        )
    step.flush()


def let_out(step: Step, lets: Sequence[Let]) -> tuple[str, ...]:
    """Let tasks out; the classes that are shut no more."""
    for one in lets:
        numbers = [number for number, _ in _shut_among(step, one.classes).values()]
        heads = [
            row
            for number in numbers
            for row in step.db.execute(
                FIRST_WAITING, (-number, 9 - one.above, one.limit)
            ).fetchall()
        ]
        chosen = sorted(heads)[: one.limit]
        moves = []
        for *_, task_id, seq, place, needs in chosen:
            number = step.places.shut_for(limits_of(needs))
            moves.append((seq, task_id, -number))
            step.add_waiting(-place, -1)
            if number:
                step.add_waiting(number, 1)
            step.to_wake.add(LEADER_WAKEUP)
        move_places(step, moves)
        step.flush()
    opened: dict[str, None] = {}
    for one in lets:
        for text, (number, waiting) in _shut_among(step, one.classes).items():
            if not waiting:
                step.db.execute(OPEN, (number,))
                opened[text] = None
    if opened:
        step.forget_classes()
    return tuple(opened)


def page_of_classes(step: Step, cursor: str | None, limit: int) -> ClassPage:
    """The classes that are shut, by text."""
    if step.format < CLASSES_FROM:
        return ClassPage(classes=(), cursor=None)
    found = step.db.execute(LIST, (cursor or "", limit + 1)).fetchall()
    page = tuple(
        ShutClass(
            text=text,
            blocked=Blocked(blocked),
            since_ms=since_ms,
            waiting=waiting,
            oldest_ms=oldest_ms(step, number) if waiting else None,
        )
        for number, text, blocked, since_ms, waiting in found[:limit]
    )
    return ClassPage(classes=page, cursor=page[-1].text if len(found) > limit else None)


def expire_waiting(step: Step, fence: str) -> None:
    """End what waits under a class and is past its start deadline."""
    late = step.db.execute(LATE, (step.wall_ms, MAX_EXPIRED)).fetchall()
    for columns in late:
        step.expire(step.adopt(columns), fence)
    if late:
        step.flush()


def _shut_among(step: Step, texts: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Number and count of those classes that are shut."""
    found = {}
    for text in texts:
        row = step.db.execute(WAITING, (text,)).fetchone()
        if row is not None:
            found[text] = row
    return found


def move_places(step: Step, places: Sequence[tuple[int, str, int]]) -> None:
    """Put tasks under what has these numbers, negative; 0: under nothing."""
    step.db.executemany(PUT_PLACE, [(place, seq) for seq, _, place in places])
    for _, task_id, place in places:
        step.placed(task_id, place)


def oldest_ms(step: Step, number: int) -> int | None:
    """The scheduled wall ms of the oldest task that waits under this number."""
    found = [step.db.execute(OLDEST_WAITING, (-number, rank)).fetchone()[0] for rank in range(10)]
    return min((at for at in found if at is not None), default=None)
