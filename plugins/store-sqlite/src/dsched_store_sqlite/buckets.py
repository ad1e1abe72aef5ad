"""The tokens of limits with a rate: what one step takes, and gives back."""

import sqlite3

from dsched.model import Limit, limit_of
from dsched.model.rates import Pace

RECORD = (
    "SELECT max_running, rate, burst FROM limit_record LEFT JOIN limit_rate USING (id) WHERE id = ?"
)
FULL = "SELECT full_us FROM limit_bucket WHERE name = ?"
PUT_FULL = "INSERT OR REPLACE INTO limit_bucket VALUES (?, ?)"
DROP_FULL = "DELETE FROM limit_bucket WHERE name = ?"
# What has no record of its own goes by a limit's; a name with a colon is an instance of it.
FULL_OF = (
    "SELECT name FROM limit_bucket WHERE name = ? "
    "UNION ALL SELECT name FROM limit_bucket WHERE name >= ? AND name < ?"
)
ALL_FULL = "SELECT name FROM limit_bucket WHERE full_us <= ? ORDER BY full_us, name LIMIT ?"
# What `max_running` of a record is that has a rate alone.
NO_MOST = -1


def read_limit(limit_id: str, most: int, rate: str | None, burst: int | None) -> Limit:
    """A limit of its columns."""
    most_or_none = None if most == NO_MOST else most
    return Limit(id=limit_id, max_running=most_or_none, rate=rate, burst=burst)


class Buckets:
    """Records and buckets as a step sees them. `flush` writes what changed."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.now_us = 0
        self._records: dict[str, Limit | None] = {}
        self._full: dict[str, int] = {}
        self._changed: set[str] = set()

    def record(self, limit_id: str) -> Limit | None:
        """A limit."""
        if limit_id not in self._records:
            found = self._db.execute(RECORD, (limit_id,)).fetchone()
            self._records[limit_id] = None if found is None else read_limit(limit_id, *found)
        return self._records[limit_id]

    def in_force(self, name: str) -> Limit | None:
        """The limit by which a name goes."""
        return self.record(name) or self.record(limit_of(name))

    def pace(self, name: str) -> Pace | None:
        """How its tokens come; None: it needs none."""
        found = self.in_force(name)
        return None if found is None else found.pace

    def full_us(self, name: str) -> int:
        """When its bucket is full; 0: it is."""
        if name not in self._full:
            found = self._db.execute(FULL, (name,)).fetchone()
            self._full[name] = 0 if found is None else found[0]
        return self._full[name]

    def lacks(self, name: str) -> bool:
        """Whether there is a bucket to remember."""
        return self.full_us(name) > 0

    def _set(self, name: str, full_us: int) -> None:
        self._full[name] = full_us if full_us > self.now_us else 0
        self._changed.add(name)

    def left(self, name: str) -> int | None:
        """How many tokens there are; None: any number."""
        pace = self.pace(name)
        return None if pace is None else pace.left(self.full_us(name), self.now_us)

    def next_ms(self, name: str) -> int | None:
        """When there is one more; None: there are all, or none is needed."""
        pace = self.pace(name)
        next_us = None if pace is None else pace.next_us(self.full_us(name), self.now_us)
        return None if next_us is None else -(-next_us // 1000)

    def take(self, name: str) -> bool:
        """Take a token; whether any is needed."""
        pace = self.pace(name)
        if pace is None:
            return False
        self._set(name, pace.taken(self.full_us(name), self.now_us))
        return True

    def give(self, name: str) -> None:
        """Put a token back, if it fits."""
        pace = self.pace(name)
        if pace is not None and self.lacks(name):
            self._set(name, pace.given(self.full_us(name)))

    def paces_of(self, limit_id: str) -> dict[str, Pace | None]:
        """The paces of those of a limit and its instances that lack tokens."""
        within = (limit_id, f"{limit_id}:", f"{limit_id};")
        return {name: self.pace(name) for (name,) in self._db.execute(FULL_OF, within).fetchall()}

    def repace(self, before: dict[str, Pace | None]) -> None:
        """Records have changed: buckets lack what they did, and go by the new paces."""
        self._records.clear()
        for name, was in before.items():
            pace, full_us = self.pace(name), self.full_us(name)
            if pace == was:
                continue
            if pace is None or was is None or full_us <= self.now_us:
                self._set(name, 0)
            else:
                self._set(name, pace.instead_of(was, full_us, self.now_us))

    def forget_full(self, most: int) -> list[str]:
        """Forget buckets that are full, at most so many. All changes are flushed before."""
        found = self._db.execute(ALL_FULL, (self.now_us, most)).fetchall()
        names = [name for (name,) in found]
        for name in names:
            self._set(name, 0)
        return names

    def flush(self) -> None:
        """Write what changed."""
        for name in self._changed:
            if self._full[name]:
                self._db.execute(PUT_FULL, (name, self._full[name]))
            else:
                self._db.execute(DROP_FULL, (name,))
        self._changed.clear()
