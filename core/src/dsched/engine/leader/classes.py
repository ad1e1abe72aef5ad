"""Which classes of tasks are shut, and for whom there is room: what the leader knows of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.classes import (
    MAX_LET_CLASSES,
    Blocked,
    Classing,
    Let,
    Shut,
    class_text,
    labels_of,
    need_of_class,
)
from dsched.contracts.store.dispatching import ReadyTask
from dsched.engine.leader.abilities import Runs, runs_anything
from dsched.model import Worker
from dsched.model.pins import pin_of

NOTHING_GIVES_WAY = 10  # beyond every priority
HIGHEST = 9  # gives way to nothing: to ask for what is higher would be a step for nothing

# A worker's labels, sorted, and its ability; and its id, where a class is for it alone.
Profile = tuple[tuple[tuple[str, str], ...], str, str]


@attrs.frozen
class ClassPlan:
    """Classes that are shut for another reason now, and whom to let out."""

    shuts: tuple[Shut, ...] = ()
    lets: tuple[Let, ...] = ()


@attrs.define
class _Room:
    """How many more tasks the workers of a profile may take; silent ones count where all are."""

    one: Worker
    heard: int = 0
    silent: int = 0
    hears: bool = False
    lowest: int = NOTHING_GIVES_WAY

    def add(self, worker: Worker) -> None:
        room = 0 if worker.stalled else max(0, worker.limit - worker.load)
        if worker.lowest_queued is not None and not worker.stalled:
            self.lowest = min(self.lowest, worker.lowest_queued)
        if worker.silent:
            self.silent += room
        else:
            self.heard += room
            self.hears = True


class Classes:
    """The shut classes, in groups of which the same workers can run all.

    A copy of what the store has, and of nothing else: a leader that has none reads them.
    """

    def __init__(self, runs: Runs = runs_anything) -> None:
        self._runs = runs
        self._workers: dict[Profile, Worker] = {}
        self._known: dict[str, Blocked] = {}
        self._profiles: frozenset[Profile] = frozenset()
        # Insertion-ordered: what was let out last goes to the end, so that all have their turn.
        self._groups: dict[frozenset[Profile], dict[str, None]] = {}
        self._group_of: dict[str, frozenset[Profile]] = {}
        self._untold: dict[str, None] = {}  # shut for another reason than the store knows
        self._empty: dict[str, None] = {}  # under which nothing waited when somebody looked
        self._early: dict[str, None] = {}  # shut while there was no worker at all
        self._pins: dict[str, str] = {}  # those that are for one worker, with its id

    def __len__(self) -> int:
        return len(self._known)

    def shut(self, task: ReadyTask) -> bool:
        """Whether the class of a task is shut."""
        return class_text(task.required_labels, task.need) in self._known

    async def learn(self, store: Classing, count: int | None) -> None:
        """Read the shut classes, unless there are as many in the store, ``count``, as are known."""
        if (count or 0) == len(self._known):
            return
        self._known, self._groups, self._group_of, self._untold = {}, {}, {}, {}
        self._pins = {}
        cursor = None
        while count:
            page = await store.shut_classes(cursor, MAX_BATCH)
            for one in page.classes:
                self._add(one.text, one.blocked)
            cursor = page.cursor
            if cursor is None:
                break

    def told(self, shuts: Iterable[Shut], opened: Iterable[str], *, alone: bool) -> None:
        """The store has shut these, and then opened those; ``alone``: there was no worker."""
        for one in shuts:
            self._add(one.text, one.blocked)
            if alone:
                self._early[one.text] = None
        for text in opened:
            if self._known.pop(text, None) is not None:
                self._untold.pop(text, None)
                self._pins.pop(text, None)
                self._leave(text)

    def plan(self, workers: Sequence[Worker]) -> ClassPlan:
        """What to tell the store, where the workers are as they are, with what was chosen just
        now."""
        if not self._known:
            return ClassPlan()
        rooms = self._rooms_at(workers)
        untold = list(self._untold)[:MAX_BATCH]
        return ClassPlan(
            shuts=tuple(Shut(text, self._reason(text)) for text in untold),
            lets=(
                *self._open_empty(),
                *(self._say_anew() if rooms else ()),
                *self._lets(rooms, gives_way=True),
            )[:MAX_BATCH],
        )

    def with_room(self, workers: Sequence[Worker]) -> tuple[Let, ...]:
        """Whom to let out before any ready task is chosen: as many as there is room for."""
        if not self._known:
            return ()
        return tuple(self._lets(self._rooms_at(workers), gives_way=False))[:MAX_BATCH]

    def found_empty(self, texts: Iterable[str]) -> None:
        """Nothing waited under these: they are to be open, where that holds still."""
        self._empty = {text: None for text in texts if text in self._known}

    def _open_empty(self) -> tuple[Let, ...]:
        named = tuple(self._empty)[:MAX_LET_CLASSES]
        for text in named:
            del self._empty[text]
        return (Let(named, 1, NOTHING_GIVES_WAY),) if named else ()

    def _say_anew(self) -> tuple[Let, ...]:
        """The first of each class that was shut for want of any worker: now there are some, and why
        none of these can run it is to be told."""
        named = tuple(self._early)[: MAX_BATCH // 2]
        for text in named:
            del self._early[text]
        return tuple(Let((text,), 1) for text in named if not self._group_of.get(text, True))

    def _lets(self, rooms: Mapping[Profile, _Room], *, gives_way: bool) -> list[Let]:
        """Those with room before those whose workers' queues end in something that gives way."""
        first: list[Let] = []
        then: list[Let] = []
        for able, texts in self._groups.items():
            found = [rooms[profile] for profile in able]
            room = _room_at(found)
            if room > 0:
                first.append(Let(_in_turn(texts), min(room, MAX_BATCH)))
            elif gives_way:
                above = min((one.lowest for one in found), default=NOTHING_GIVES_WAY)
                if above < HIGHEST:
                    then.append(Let(_in_turn(texts), len(found), above))
        return [*first, *then]

    def _add(self, text: str, blocked: Blocked) -> None:
        self._known[text] = blocked
        pin = pin_of(labels_of(text))
        if pin is not None:
            self._pins[text] = pin
        if text not in self._group_of:
            self._enter(text)
        self._compare(text)

    def _rooms_at(self, workers: Sequence[Worker]) -> dict[Profile, _Room]:
        rooms = _rooms(workers, frozenset(self._pins.values()))
        if rooms.keys() != self._profiles:
            self._regroup(rooms)
        return rooms

    def _regroup(self, rooms: Mapping[Profile, _Room]) -> None:
        """Group all anew: a worker with other labels has come, or the last of its kind is gone."""
        self._profiles = frozenset(rooms)
        self._workers = {profile: room.one for profile, room in rooms.items()}
        self._groups, self._group_of = {}, {}
        for text in self._known:
            self._enter(text)
            self._compare(text)

    def _enter(self, text: str) -> None:
        labels, need = labels_of(text), need_of_class(text)
        pin = self._pins.get(text, "")
        able = frozenset(
            profile
            for profile, worker in self._workers.items()
            if profile[2] == pin and worker.matches(labels) and self._runs(worker, need)
        )
        self._group_of[text] = able
        self._groups.setdefault(able, {})[text] = None

    def _leave(self, text: str) -> None:
        able = self._group_of.pop(text)
        group = self._groups[able]
        del group[text]
        if not group:
            del self._groups[able]

    def _compare(self, text: str) -> None:
        if self._known[text] is self._reason(text):
            self._untold.pop(text, None)
        else:
            self._untold[text] = None

    def _reason(self, text: str) -> Blocked:
        return Blocked.FULL if self._group_of[text] else Blocked.NOBODY


def _in_turn(texts: dict[str, None]) -> tuple[str, ...]:
    """As many of these classes as a let may name; those are the last ones the next time."""
    named = tuple(texts)[:MAX_LET_CLASSES]
    if len(texts) > MAX_LET_CLASSES:
        for text in named:
            texts[text] = texts.pop(text)
    return named


def _rooms(workers: Sequence[Worker], pins: Collection[str]) -> dict[Profile, _Room]:
    """The room by profile, and once more that of each worker for which there are ``pins``."""
    rooms: dict[Profile, _Room] = {}
    for worker in workers:
        if worker.gone or worker.draining:
            continue
        labels = tuple(sorted(worker.labels.items()))
        for pin in ("", worker.id) if worker.id in pins else ("",):
            rooms.setdefault((labels, worker.ability, pin), _Room(worker)).add(worker)
    return rooms


def _room_at(rooms: Sequence[_Room]) -> int:
    if any(one.hears for one in rooms):
        return sum(one.heard for one in rooms)
    return sum(one.silent for one in rooms)
