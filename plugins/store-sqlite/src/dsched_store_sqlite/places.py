"""Limits as one step sees them: who holds their places, and how many wait under them."""

import math
import sqlite3
from collections.abc import Iterable, Sequence

import attrs

from dsched.model import Home
from dsched_store_sqlite.buckets import Buckets

# A task that waits under a limit has the limit's number, negative, as its place; so far up, the
# numbers of classes do not come.
FIRST_NUMBER = 1 << 40
HOLDING = (Home.QUEUE, Home.LEASE)

USE = "SELECT n, name, held, waiting, open FROM limit_use WHERE name = ?"
USE_NUMBERED = "SELECT n, name, held, waiting, open FROM limit_use WHERE n = ?"
ADD = "INSERT INTO limit_use (name) VALUES (?)"
PUT = "UPDATE limit_use SET held = ?, waiting = ?, open = ? WHERE n = ?"
DROP = "DELETE FROM limit_use WHERE n = ?"


@attrs.define
class Use:
    """A row of `limit_use`; ``open``: something waits, and from when there may be room; or 0."""

    row: int
    name: str
    held: int = 0
    waiting: int = 0
    open: int = 0

    @property
    def number(self) -> int:
        """By which tasks say that they wait under it."""
        return FIRST_NUMBER + self.row


class Places:
    """The places of limits, and their tokens. `flush` writes what changed. ``touched``: what this
    step has charged, or put something under."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.now_ms = 0
        self.buckets = Buckets(db)
        self.touched: set[str] = set()
        self._uses: dict[str, Use | None] = {}
        self._numbered: dict[int, Use] = {}
        self._changed: dict[str, Use] = {}

    def begin(self, now_ms: int) -> None:
        """The time of the step."""
        self.now_ms, self.buckets.now_us = now_ms, now_ms * 1000

    def use(self, name: str) -> Use | None:
        """What holds or waits for places of a name; None: nothing."""
        if name not in self._uses:
            self._uses[name] = self._read(USE, name)
        return self._uses[name]

    def numbered(self, number: int) -> Use:
        """The use of a number."""
        row = number - FIRST_NUMBER
        use = self._numbered.get(row) or self._read(USE_NUMBERED, row)
        if use is None:
            raise RuntimeError(f"a task waits under limit number {row}, which does not exist")
        return use

    def _read(self, statement: str, key: str | int) -> Use | None:
        columns = self._db.execute(statement, (key,)).fetchone()
        return None if columns is None else self._keep(Use(*columns))

    def _keep(self, use: Use) -> Use:
        self._uses[use.name] = self._numbered[use.row] = use
        return use

    def _used(self, name: str) -> Use:
        use = self.use(name)
        if use is None:
            use = self._keep(Use(self._db.execute(ADD, (name,)).lastrowid or 0, name))
        self._changed[name] = use
        return use

    def places_left(self, name: str) -> float:
        """How many more may hold a place."""
        record = self.buckets.in_force(name)
        if record is None or record.max_running is None:
            return math.inf
        use = self.use(name)
        return record.max_running - (0 if use is None else use.held)

    def room(self, name: str) -> float:
        """How many more may begin."""
        tokens = self.buckets.left(name)
        return min(self.places_left(name), math.inf if tokens is None else tokens)

    def waits(self, name: str) -> bool:
        """Whether something waits under a name."""
        use = self.use(name)
        return use is not None and use.waiting > 0

    def shut_for(self, names: Iterable[str], passing: str | None = None) -> int:
        """The number of the first of these under which something waits, but ``passing``; or 0."""
        for name in names:
            use = self.use(name)
            if use is not None and use.waiting > 0 and name != passing:
                return use.number
        return 0

    def first_full(self, names: Iterable[str]) -> str | None:
        """The first of these that has no room."""
        return next((name for name in names if self.room(name) <= 0), None)

    def hold(self, names: Iterable[str], count: int) -> None:
        """So many more tasks hold a place of each of these."""
        for name in names:
            self._used(name).held += count

    def moved(self, names: Iterable[str], was: Home | None, home: Home | None) -> None:
        """A task of these came from one home to another: it takes places and tokens, or gives them
        back. A token is used up by the attempt that begins."""
        by = (home in HOLDING) - (was in HOLDING)
        if by:
            self.hold(names, by)
        if home is Home.QUEUE:
            self.touched.update(name for name in names if self.buckets.take(name))
        elif was is Home.QUEUE and by:
            for name in names:
                self.buckets.give(name)

    def wait(self, number: int, count: int) -> None:
        """So many more tasks wait under a number."""
        use = self.numbered(number)
        use.waiting += count
        self._changed[use.name] = use

    def wait_under(self, name: str) -> int:
        """One more task waits under a name; its number."""
        use = self._used(name)
        use.waiting += 1
        return use.number

    def may_open(self, names: Iterable[str]) -> bool:
        """These may have room again: whether something waits for that."""
        found = [name for name in names if self.waits(name)]
        for name in found:
            use = self._used(name)
            use.open = min(use.open or self.now_ms, self.now_ms)
        return bool(found)

    def expect(self, name: str) -> None:
        """If only a token is what a name has no room for, it may have some when the next one
        comes."""
        tokens, use = self.buckets.left(name), self.use(name)
        if tokens is None or use is None or not use.waiting or self.places_left(name) <= 0:
            return
        if not 0 < use.open <= self.now_ms:
            next_ms = self.buckets.next_ms(name) or self.now_ms
            self._used(name).open = self.now_ms if tokens > 0 else next_ms

    def close(self, name: str) -> None:
        """This has no room, or nothing waits."""
        if self.use(name) is not None:
            self._used(name).open = 0

    def note_used(self, names: Iterable[str]) -> None:
        """Whether these are in use may have changed."""
        for name in names:
            if self.use(name) is not None:
                self._used(name)

    def forget_full(self, most: int) -> bool:
        """Forget buckets that are full, at most so many; whether there may be more."""
        names = self.buckets.forget_full(most)
        self.note_used(names)
        return len(names) == most

    def flush(self) -> None:
        """Write what changed; what is not used any more is forgotten."""
        for name, use in self._changed.items():
            if use.held > 0 or use.waiting > 0 or self.buckets.lacks(name):
                row = (use.held, use.waiting, use.open if use.waiting else 0, use.row)
                self._db.execute(PUT, row)
            else:
                self._db.execute(DROP, (use.row,))
                self._uses[name] = None
                del self._numbered[use.row]
        self._changed.clear()
        self.buckets.flush()


def names_in(rows: Sequence[tuple[str]]) -> list[str]:
    """The names in a column."""
    return [name for (name,) in rows]
