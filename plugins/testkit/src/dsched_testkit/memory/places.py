"""Limits of the reference store: who holds their places and tokens, and who waits under them."""

import math
from collections import Counter
from collections.abc import Iterable

from dsched.contracts.store.limits import LimitUse, in_force, pace_in_force
from dsched.model import Home, Limit
from dsched.model.rates import Pace
from dsched_testkit.memory.rows import TaskRow

HOLDING = (Home.QUEUE, Home.LEASE)
# What a task that waits under a limit says of it; the text of a class begins with a brace.
UNDER = "limit "


class Places:
    """``open``: names under which something waits, and from when (store time) they may have room.
    ``full``: when the buckets are full that are not. ``touched``: what this step has charged, or
    put something under."""

    def __init__(self) -> None:
        self.limits: dict[str, Limit] = {}
        self.held: Counter[str] = Counter()
        self.waiting: Counter[str] = Counter()
        self.open: dict[str, int] = {}
        self.full: dict[str, int] = {}
        self.touched: set[str] = set()
        self.now_ms = 0

    @property
    def now_us(self) -> int:
        """The time of this step."""
        return self.now_ms * 1000

    def pace(self, name: str) -> Pace | None:
        """How tokens of a name come."""
        return pace_in_force(name, self.limits)

    def places_left(self, name: str) -> float:
        """How many more may hold a place."""
        most = in_force(name, self.limits)
        return math.inf if most is None else most - self.held[name]

    def tokens_left(self, name: str) -> float:
        """How many may begin by its rate."""
        pace = self.pace(name)
        return math.inf if pace is None else pace.left(self.full.get(name, 0), self.now_us)

    def room(self, name: str) -> float:
        """How many more may begin."""
        return min(self.places_left(name), self.tokens_left(name))

    def next_token_ms(self, name: str) -> int | None:
        """When there is one token more; None: there are all, or none is needed."""
        pace = self.pace(name)
        next_us = None if pace is None else pace.next_us(self.full.get(name, 0), self.now_us)
        return None if next_us is None else -(-next_us // 1000)

    def use(self, name: str, oldest_ms: int | None) -> LimitUse:
        """What is in use of a name, of which the oldest task that waits is this one."""
        at_ms = self.next_token_ms(name)
        return LimitUse(
            name=name,
            held=self.held[name],
            waiting=self.waiting[name],
            oldest_ms=oldest_ms,
            tokens=None if self.pace(name) is None else int(self.tokens_left(name)),
            next_token_in_ms=None if at_ms is None else at_ms - self.now_ms,
        )

    def put_under(self, row: TaskRow, under: str | None) -> None:
        """Say under what a task waits, None: under nothing."""
        for text, count in ((row.under, -1), (under, 1)):
            if text is not None and text.startswith(UNDER):
                _add(self.waiting, text.removeprefix(UNDER), count)
        row.under = under
        for name in self.open.keys() - self.waiting.keys():
            del self.open[name]

    def shut_for(self, row: TaskRow, passing: str | None = None) -> str | None:
        """The first limit of a task under which something waits, but ``passing``, as `under`."""
        for name in row.spec.limits:
            if name != passing and self.waiting[name]:
                return f"{UNDER}{name}"
        return None

    def first_full(self, row: TaskRow) -> str | None:
        """The first limit of a task that has no room."""
        return next((name for name in row.spec.limits if self.room(name) <= 0), None)

    def moved(self, row: TaskRow, home: Home | None, under: str | None) -> bool:
        """A task came from ``home``, where it waited ``under`` something; whether it made room."""
        if not row.spec.limits:
            return False
        held, holds = home in HOLDING, row.home in HOLDING
        for name in row.spec.limits:
            _add(self.held, name, holds - held)
            if row.home is Home.QUEUE:
                self._take_token(name)
            elif home is Home.QUEUE and not holds:
                self._give_token(name)
        freed = held or (home is Home.READY and under is None)
        return freed and not holds and self.may_open(row.spec.limits)

    def _take_token(self, name: str) -> None:
        pace = self.pace(name)
        if pace is not None:
            self.full[name] = pace.taken(self.full.get(name, 0), self.now_us)
            self.touched.add(name)

    def _give_token(self, name: str) -> None:
        pace = self.pace(name)
        if pace is not None and name in self.full:
            self.full[name] = pace.given(self.full[name])
            if self.full[name] <= self.now_us:
                del self.full[name]

    def repace(self, name: str, before: Pace | None) -> None:
        """The record of a name has changed: its bucket lacks what it did, and goes by the new
        pace."""
        pace = self.pace(name)
        if pace == before or name not in self.full:
            return
        full_us = self.full.pop(name)
        if pace is not None and before is not None and full_us > self.now_us:
            self.full[name] = pace.instead_of(before, full_us, self.now_us)

    def forget_full(self, most: int) -> bool:
        """Forget buckets that are full, at most so many; whether there may be more."""
        found = sorted((at, name) for name, at in self.full.items() if at <= self.now_us)[:most]
        for _, name in found:
            del self.full[name]
        return len(found) == most

    def may_open(self, names: Iterable[str]) -> bool:
        """These may have room again: whether something waits for that."""
        found = {name for name in names if self.waiting[name]}
        for name in found:
            self.open[name] = min(self.open.get(name, self.now_ms), self.now_ms)
        return bool(found)

    def expect(self, name: str) -> None:
        """If only a token is what a name has no room for, it may have some when the next one
        comes."""
        if self.pace(name) is None or not self.waiting[name] or self.places_left(name) <= 0:
            return
        if self.open.get(name, math.inf) > self.now_ms:
            next_ms = self.next_token_ms(name) or self.now_ms
            self.open[name] = self.now_ms if self.tokens_left(name) > 0 else next_ms

    def opening(self) -> list[str]:
        """What may have room now, by since when and name."""
        found = sorted((at, name) for name, at in self.open.items() if at <= self.now_ms)
        return [name for _, name in found]

    def opens_in_ms(self) -> int | None:
        """When the first one may have room; None: not by time."""
        return max(0, min(self.open.values()) - self.now_ms) if self.open else None


def _add(counter: Counter[str], name: str, count: int) -> None:
    counter[name] += count
    if not counter[name]:
        del counter[name]
