"""What a store holds, in values that any store can give and take: to back it up, and to move it.

Not part of `Store`: a plugin that can do it says so by `StoreProvider.mover`. What belongs to
running processes is not moved: workers, pods, locks, claims. A task on a worker's queue is moved as
ready. One that runs is moved with a lease that is over and a token that nobody has, so that its
`on_crash` decides.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

import attrs

from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.events import Event
from dsched.contracts.store.history import History
from dsched.contracts.store.operating import Term
from dsched.contracts.store.statistics import Rollup
from dsched.contracts.store.tasklogs import TaskLine, line_size
from dsched.model import Decision, JsonValue, Limit, MemberLine, Task

# The claim of a task that ran when it was moved: a token like any other, which no worker has.
MOVED_CLAIM = "moved.0.0"


@attrs.frozen(kw_only=True)
class MovedTask:
    """A task with spec, result and lines. ``wait_ms``: how long a delayed one has still to wait, or
    a run that is not open yet. ``members`` is the member log of a run, which has news once it is
    moved; its members are tasks like others, and those that have ended come after it."""

    task: Task
    wait_ms: int = 0
    lines: tuple[TaskLine, ...] = ()
    members: tuple[MemberLine, ...] = ()


@attrs.frozen(kw_only=True)
class MovedDocument:
    """A document. ``ttl_ms``: how long it has still to live, None: it stays."""

    kind: str
    id: str
    version: int
    value: JsonValue
    ttl_ms: int | None = None


@attrs.frozen(kw_only=True)
class Part:
    """Some of what a store holds, at most `MAX_BATCH` of each.

    Cursors of ``events`` are the source's: a target gives its own. ``collected``: whether the
    collector had read them. ``terms`` are the newest first, over all parts.
    """

    limits: tuple[Limit, ...] = ()
    configs: tuple[StoredConfig, ...] = ()
    tasks: tuple[MovedTask, ...] = ()
    decisions: tuple[Decision, ...] = ()
    rollups: tuple[Rollup, ...] = ()
    documents: tuple[MovedDocument, ...] = ()
    terms: tuple[Term, ...] = ()
    events: tuple[Event, ...] = ()
    collected: bool = False


class Source(ABC):
    """A store that is read, whole and as of one moment."""

    @abstractmethod
    async def head(self) -> History:
        """Where its history stands."""

    @abstractmethod
    def parts(self) -> AsyncIterator[Part]:
        """All that it holds, each thing once; events in their order."""


class Target(ABC):
    """A store that is filled. Nothing of it counts before `finish`."""

    @abstractmethod
    async def fill(self, part: Part) -> None:
        """Take a part."""

    @abstractmethod
    async def finish(self, head: History) -> None:
        """Take the history: identity, generation, breaks, epoch and revision."""


class Mover(ABC):
    """A store's own way to be read and filled as a whole."""

    @abstractmethod
    def reading(self) -> AbstractAsyncContextManager[Source]:
        """Read it. `StoreRefusedError` where it cannot be read as of one moment, or is damaged; at
        the end of the block also where it has changed meanwhile."""

    @abstractmethod
    def filling(self) -> AbstractAsyncContextManager[Target]:
        """Fill it. `StoreRefusedError` unless it is empty. A block that fails leaves it empty, or
        so that no pod uses it and the next `filling` begins anew."""


@attrs.frozen(kw_only=True)
class LineCounts:
    """What a store knows of the log of a task, as `append_lines` would have left it."""

    attempt: int
    last: int
    count: int
    head_lines: int
    head_bytes: int
    closed: bool
    tail: int
    tail_lines: int
    tail_bytes: int


def line_counts(lines: Sequence[TaskLine]) -> LineCounts:
    """The counts for kept lines: the head ends where numbers jump."""
    head: list[TaskLine] = []
    for line in lines:
        if line.n != len(head) + 1:
            break
        head.append(line)
    tail = lines[len(head) :]
    newest = lines[-1]
    return LineCounts(
        attempt=newest.attempt,
        last=newest.n,  # the attempt's own number is lost: it is not higher than this
        count=newest.n,
        head_lines=len(head),
        head_bytes=sum(line_size(line.text) for line in head),
        closed=bool(tail),
        tail=tail[0].n if tail else len(head) + 1,
        tail_lines=len(tail),
        tail_bytes=sum(line_size(line.text) for line in tail),
    )
