"""The collector's step: follows the event log and makes decisions, indexes and notices of it."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence

from dsched.contracts.observer import LogEntry
from dsched.contracts.store.bounds import MAX_BATCH, MAX_EVENT_PAGE
from dsched.contracts.store.collecting import Collecting
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.engine.assertions import AttemptWatch
from dsched.engine.leader.counting import CountedWorkers
from dsched.engine.leader.projecting import MAY_END, project
from dsched.engine.leader.term import Term
from dsched.engine.observers import Announcer

# A decision, with its counts and its update, costs a store as much as the ends of many tasks that
# no config made: a thousand in one step would keep a Redis from everything else for thirty
# milliseconds.
MAX_PROJECTED = 10 * MAX_BATCH
WEIGHT_OF_FIRES = 12
ENTRIES_A_TICK = 10 * MAX_EVENT_PAGE
# An entry has one item or a hundred. A page of 1,000 large ones takes tens of megabytes, which no
# pod gives back, and reading it holds up the loop: so a page begins small and becomes as large as
# fits.
PAGE_ITEMS = 40 * MAX_BATCH
SMALL_PAGE = PAGE_ITEMS // MAX_BATCH
GROWTH = 4


class CollectStep:
    """Reads what is new in the log, projects it in one fenced step, and tells the observers.

    ``complete``: the last time it came to the end of the log.
    """

    def __init__(
        self, store: Collecting, term: Term, announcer: Announcer, watch: AttemptWatch
    ) -> None:
        self._store = store
        self._term = term
        self._announcer = announcer
        self._watch = watch
        self._workers = CountedWorkers()
        self._told: str | None = None
        self._page_size = SMALL_PAGE
        self.complete = False

    async def collect(self) -> bool:
        """Collect until the end of the log, or as many entries as a tick may take.

        Whether there was anything new.
        """
        read = 0
        self.complete = False
        while read < ENTRIES_A_TICK:
            self._term.check()
            page = await self._store.collect(self._term.fence, self._page_size)
            after = page.after
            for events in _portions(page.events):
                projection = project(after, events, self._workers)
                self._tell(events)
                outcome = await self._store.project(self._term.fence, projection)
                if outcome is Outcome.MOVED:
                    return True  # a repeat after a lost reply: read again from where the cursor is
                after = projection.upto
                await _turns(len(events))
            read += len(page.events)
            # Only now: all that was told before a failure must be on the page that is read again.
            self._page_size = _next_size(page.events)
            if not page.more:
                self.complete = True
                break
        return read > 0

    def _tell(self, events: list[Event]) -> None:
        """Tell each entry once in this term, and before the cursor moves: else a crash, or a lost
        reply, would keep entries from every observer."""
        told = [index for index, event in enumerate(events) if event.cursor == self._told]
        new = events[told[0] + 1 if told else 0 :]
        self._watch.entries(new)
        for event in new:
            self._announcer.tell(LogEntry(event=event))
        self._told = events[-1].cursor


async def _turns(count: int) -> None:
    """Let observers take what they were told, a notice a turn: their queues hold whole entries."""
    for _ in range(count):
        await asyncio.sleep(0)


def _next_size(page: Sequence[Event]) -> int:
    """How many entries to ask for after ``page``: as many as have `PAGE_ITEMS` items, if they are
    like its own, but not many more than there were."""
    items = sum(len(event.items) for event in page)
    alike = PAGE_ITEMS * len(page) // max(1, items)
    return max(SMALL_PAGE, min(alike, GROWTH * len(page), MAX_EVENT_PAGE))


def _portions(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Runs of entries that fit in one projection; an entry has at most a batch of items."""
    portion: list[Event] = []
    weight = 0
    for event in events:
        more = _weight(event)
        if portion and weight + more > MAX_PROJECTED:
            yield portion
            portion, weight = [], 0
        portion.append(event)
        weight += more
    if portion:
        yield portion


def _weight(event: Event) -> int:
    """How much it costs to project an entry, in items of tasks that no config made."""
    if event.kind in _DECIDES:
        return WEIGHT_OF_FIRES * len(event.items)
    if event.kind in _TELLS_OF_TASKS:
        of_fires = len([item for item in event.items if "@" in item["task"]])
        return len(event.items) + (WEIGHT_OF_FIRES - 1) * of_fires
    return len(event.items)


_DECIDES = frozenset({EventKind.FIRED, EventKind.SKIPPED, EventKind.MISSED})
_TELLS_OF_TASKS = MAY_END | {EventKind.DISPATCHED, EventKind.CLAIMED}
