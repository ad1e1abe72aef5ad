"""What a task that is ready is told about the limits that it names."""

from collections.abc import Sequence

import attrs

from dsched.contracts.store.limits import MAX_PLACE
from dsched.explaining.words import plural
from dsched.model import rfc3339_ms
from dsched.model.limits import owner_of


@attrs.frozen(kw_only=True)
class LimitFacts:
    """A name that a task gives: how many tasks may hold its places (None: any number), how many
    hold one, and how many wait for one; the task's ``place`` among these, 1 is next. ``rate``, how
    many ``tokens`` of it there are, and when there is one more (wall)."""

    name: str
    most: int | None
    held: int
    waiting: int
    place: int | None = None
    rate: str | None = None
    tokens: int | None = None
    next_token_ms: int | None = None

    @property
    def owner(self) -> str | None:
        """The config of which it is the `max_running`, if it is one's."""
        return owner_of(self.name)

    @property
    def has_no_place(self) -> bool:
        """Whether as many tasks hold a place as may."""
        return self.most is not None and self.held >= self.most

    @property
    def full(self) -> bool:
        """Whether it lets no further task begin."""
        return self.has_no_place or self.tokens == 0


def full_of(limits: Sequence[LimitFacts]) -> tuple[LimitFacts, ...]:
    """Those that are full."""
    return tuple(one for one in limits if one.full)


def summary_of(task_id: str, limit: LimitFacts) -> str:
    """Under what a task waits, in a sentence."""
    if limit.owner is not None:
        return f"Task {task_id} waits until a run of {limit.owner} ends."
    return f"Task {task_id} waits under limit {limit.name}."


def told_of_limits(limits: Sequence[LimitFacts]) -> list[str]:
    """A sentence each of limits that are full."""
    return [_told(one) for one in limits]


def _told(limit: LimitFacts) -> str:
    line = f"{plural(limit.waiting, 'task')} wait{'s' * (limit.waiting == 1)} under it"
    order, are = "", "is" if limit.held == limit.most == 1 else "are"
    if limit.waiting > 1:
        itself = "" if limit.place is None else f", this one as number {_number(limit.place)}"
        order = f"{itself}: higher priorities and earlier tasks go first"
    if limit.owner is not None:
        running = f"{limit.held} of {plural(limit.most or 0, 'run')} of {limit.owner}"
        waits = line.replace("under it", "for one to end")
        return f"{running} {are} running, and {waits}{order}."
    if limit.most == 0:
        held = "It lets nothing begin (max_running is 0)"
    elif limit.has_no_place:
        held = f"{limit.held} of {plural(limit.most or 0, 'place')} {are} held"
    else:
        held = _told_of_tokens(limit)
    return f"Limit {limit.name}: {held}, and {line}{order}."


def _number(place: int) -> str:
    return str(place) if place < MAX_PLACE else f"{MAX_PLACE} or later"


def _told_of_tokens(limit: LimitFacts) -> str:
    if limit.next_token_ms is None:
        return f"It has no token at {limit.rate}"
    coming = rfc3339_ms(limit.next_token_ms)
    return f"It has no token at {limit.rate}, the next one comes at {coming}"
