"""What a task that is ready is told about the limits that it names."""

from collections.abc import Sequence

import attrs

from dsched.explaining.words import plural


@attrs.frozen(kw_only=True)
class LimitFacts:
    """A name that a task gives: how many tasks may hold its places (None: any number), how many
    hold one, and how many wait for one."""

    name: str
    most: int | None
    held: int
    waiting: int

    @property
    def full(self) -> bool:
        """Whether it lets no further task begin."""
        return self.most is not None and self.held >= self.most


def full_of(limits: Sequence[LimitFacts]) -> tuple[LimitFacts, ...]:
    """Those that are full."""
    return tuple(one for one in limits if one.full)


def told_of_limits(limits: Sequence[LimitFacts]) -> list[str]:
    """A sentence each of limits that are full."""
    return [_told(one) for one in limits]


def _told(limit: LimitFacts) -> str:
    if limit.most == 0:
        held = "It lets nothing begin (max_running is 0)"
    else:
        held = f"{limit.held} of {plural(limit.most or 0, 'place')} are held"
    line = f"{plural(limit.waiting, 'task')} wait{'s' * (limit.waiting == 1)} under it"
    order = ", higher priorities and earlier tasks first" if limit.waiting > 1 else ""
    return f"Limit {limit.name}: {held}, and {line}{order}."
