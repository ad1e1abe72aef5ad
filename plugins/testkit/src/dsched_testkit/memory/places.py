"""Limits of the reference store: who holds their places, and who waits under them."""

import math
from collections import Counter
from collections.abc import Iterable

from dsched.contracts.store.limits import in_force
from dsched.model import Home, Limit
from dsched_testkit.memory.rows import TaskRow

HOLDING = (Home.QUEUE, Home.LEASE)
# What a task that waits under a limit says of it; the text of a class begins with a brace.
UNDER = "limit "


class Places:
    """``open``: names under which something waits, and which may have room."""

    def __init__(self) -> None:
        self.limits: dict[str, Limit] = {}
        self.held: Counter[str] = Counter()
        self.waiting: Counter[str] = Counter()
        self.open: set[str] = set()

    def room(self, name: str) -> float:
        """How many more may hold a place."""
        most = in_force(name, self.limits)
        return math.inf if most is None else most - self.held[name]

    def put_under(self, row: TaskRow, under: str | None) -> None:
        """Say under what a task waits, None: under nothing."""
        for text, count in ((row.under, -1), (under, 1)):
            if text is not None and text.startswith(UNDER):
                _add(self.waiting, text.removeprefix(UNDER), count)
        row.under = under
        self.open &= self.waiting.keys()

    def shut_for(self, row: TaskRow, passing: str | None = None) -> str | None:
        """The first limit of a task under which something waits, but ``passing``, as `under`."""
        for name in row.spec.limits:
            if name != passing and self.waiting[name]:
                return f"{UNDER}{name}"
        return None

    def first_full(self, row: TaskRow) -> str | None:
        """The first limit of a task that has no place left."""
        return next((name for name in row.spec.limits if self.room(name) <= 0), None)

    def moved(self, row: TaskRow, home: Home | None, under: str | None) -> bool:
        """A task came from ``home``, where it waited ``under`` something; whether it made room."""
        if not row.spec.limits:
            return False
        held, holds = home in HOLDING, row.home in HOLDING
        for name in row.spec.limits:
            _add(self.held, name, holds - held)
        freed = held or (home is Home.READY and under is None)
        return freed and not holds and self.may_open(row.spec.limits)

    def may_open(self, names: Iterable[str]) -> bool:
        """These may have room again: whether something waits for that."""
        found = {name for name in names if self.waiting[name]}
        self.open |= found
        return bool(found)


def _add(counter: Counter[str], name: str, count: int) -> None:
    counter[name] += count
    if not counter[name]:
        del counter[name]
