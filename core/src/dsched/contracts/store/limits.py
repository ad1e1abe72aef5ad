"""Limits: stored resources that bound how many tasks workers have at once, and how many may begin
in a span of time.

A task *holds a place* of each limit that it names while it is in a worker's queue or has a lease.
Places are taken by `Dispatching.dispatch`, of all limits or of none, and given back by whatever
takes the task from there. An instance with a record of its own goes by that, all others by the
record of their limit; a name of which neither is stored bounds nothing.

What dispatch refuses with ``LIMITED`` waits under the limit that refused it: it is ready, and in no
page. So does each task of this limit that becomes ready as long as something waits there. When
there is room again the next `poll` or `dispatch` lets as many go as there is room for.

A limit with a *rate* has a bucket of tokens for each of its names (`dsched.model.rates`), full at
first and by the store's time. `Dispatching.dispatch` takes a token of each with the places.
Whatever takes a task from a worker's queue before an attempt of it began (recall, drain,
displacement, cancel) puts them back, as far as they fit; an attempt that began has used them, and
the next one needs others. A record that is changed changes the pace at once: a bucket lacks as many
tokens as before, at most all of them. Room is what places and tokens leave, whichever is less. A
bucket that is full is forgotten.

A config with ``max_running`` has a limit of its own (`dsched.model.limits.own_limit`).
`Configs.put` and `Configs.delete` store, change and remove its record in the step in which they do
so with the config, as `Limiting.put_limit` and a forced `Limiting.drop_limit` would. It is read
like any other, but neither listed nor counted.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import attrs

from dsched.contracts.store.outcomes import Outcome
from dsched.model.limits import Limit, limit_of
from dsched.model.rates import Pace

# How many limits may be stored; how many tasks, of how many limits, one step lets go.
MAX_LIMITS = 10_000
MAX_FREED = 100
MAX_OPEN = 20
# The last place in a line that is told apart.
MAX_PLACE = 10_000
# How many buckets that are full one step forgets.
MAX_FORGOTTEN = 500


@attrs.frozen(kw_only=True)
class LimitUse:
    """Of a limit, or of one instance: how many tasks hold a place, and how many wait under it.

    ``oldest_ms``: the scheduled wall ms of the oldest task that waits under it (None: none does).
    ``tokens``: how many of its rate there are, ``next_token_in_ms``: when there is one more (None:
    it has all). Both are None where no rate bounds the name.
    """

    name: str
    held: int
    waiting: int
    oldest_ms: int | None = None
    tokens: int | None = None
    next_token_in_ms: int | None = None


@attrs.frozen(kw_only=True)
class LimitPage:
    """Limits by id; ``cursor`` continues, None at the end."""

    limits: tuple[Limit, ...]
    cursor: str | None


@attrs.frozen(kw_only=True)
class LimitUsePage:
    """What is in use, by name; ``cursor`` continues, None at the end."""

    uses: tuple[LimitUse, ...]
    cursor: str | None


def record_in_force(name: str, stored: Mapping[str, Limit]) -> Limit | None:
    """The limit by which a name goes; None: nothing bounds it."""
    return stored.get(name) or stored.get(limit_of(name))


def in_force(name: str, stored: Mapping[str, Limit]) -> int | None:
    """How many tasks of a name may hold a place; None: any number."""
    found = record_in_force(name, stored)
    return None if found is None else found.max_running


def pace_in_force(name: str, stored: Mapping[str, Limit]) -> Pace | None:
    """How the tokens of a name come; None: it needs none."""
    found = record_in_force(name, stored)
    return None if found is None else found.pace


class Limiting(ABC):
    """Limits, and what holds their places."""

    @abstractmethod
    async def put_limit(self, limit: Limit) -> Outcome:
        """Store a limit. It holds at once: what runs goes on, and what waits may go if there is
        room now.

        ``DUP`` if it is stored so; ``FULL`` if there are `MAX_LIMITS`, those of configs not
        counted; ``OLDER`` where the format of the store has none; else ``OK``.
        """

    @abstractmethod
    async def drop_limit(self, limit_id: str, *, force: bool) -> Outcome:
        """Remove a limit: ``UNKNOWN``; ``TAKEN`` while tasks hold places of it or of instances of
        it, or wait for them, unless with ``force``; else ``OK``. What waits under it may go."""

    @abstractmethod
    async def get_limits(self, limit_ids: Sequence[str]) -> tuple[Limit | None, ...]:
        """Limits by id, at most `MAX_BATCH`; None where there is none."""

    @abstractmethod
    async def list_limits(self, cursor: str | None, limit: int) -> LimitPage:
        """Limits by id, at most ``limit``, without those of configs."""

    @abstractmethod
    async def limit_uses(
        self, cursor: str | None, limit: int, *, of: str | None = None
    ) -> LimitUsePage:
        """What holds places, is waited for or lacks tokens, by name; with ``of`` that limit and its
        instances."""

    @abstractmethod
    async def place_in_line(self, name: str, task_id: str) -> int | None:
        """How many tasks go before this one under a limit that they wait for, and itself: the
        first is at 1. They go by priority, scheduled time and id.

        At most `MAX_PLACE`, for that place and all behind it; None if the task does not wait there.
        """
