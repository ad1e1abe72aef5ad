"""The collector's step: follows the event log and makes decisions, indexes and notices of it."""

from collections.abc import Iterable, Iterator

from dsched.contracts.observer import LogEntry
from dsched.contracts.outcomes import Outcome
from dsched.contracts.steps import MAX_BATCH, MAX_EVENT_PAGE, Event
from dsched.contracts.store import Collecting
from dsched.engine.announcer import Announcer
from dsched.engine.assertions import AttemptWatch
from dsched.engine.projecting import project
from dsched.engine.term import Term

MAX_PROJECTED = 10 * MAX_BATCH
PAGES_A_TICK = 10


class CollectStep:
    """Reads what is new in the log, projects it in one fenced step, and tells the observers."""

    def __init__(
        self, store: Collecting, term: Term, announcer: Announcer, watch: AttemptWatch
    ) -> None:
        self._store = store
        self._term = term
        self._announcer = announcer
        self._watch = watch
        self._told: str | None = None

    async def collect(self) -> bool:
        """Collect until the end of the log, or for as many pages as a tick may take.

        Whether there was anything new.
        """
        news = False
        for _ in range(PAGES_A_TICK):
            self._term.check()
            after, page = await self._read()
            news = news or bool(page)
            for events in _portions(page):
                projection = project(after, events)
                self._tell(events)
                outcome = await self._store.project(self._term.fence, projection)
                if outcome is Outcome.MOVED:
                    return True  # a repeat after a lost reply: read again from where the cursor is
                after = projection.upto
            if len(page) < MAX_EVENT_PAGE:
                break
        return news

    def _tell(self, events: list[Event]) -> None:
        """Tell each entry once in this term, and before the cursor moves: else a crash, or a lost
        reply, would keep entries from every observer."""
        told = [index for index, event in enumerate(events) if event.cursor == self._told]
        new = events[told[0] + 1 if told else 0 :]
        self._watch.entries(new)
        for event in new:
            self._announcer.tell(LogEntry(event=event))
        self._told = events[-1].cursor

    async def _read(self) -> tuple[str, tuple[Event, ...]]:
        page = await self._store.collect(self._term.fence, MAX_EVENT_PAGE)
        return page.after, page.events


def _portions(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Runs of entries whose items fit in one projection; an entry has at most a batch of items."""
    portion: list[Event] = []
    size = 0
    for event in events:
        if portion and size + len(event.items) > MAX_PROJECTED:
            yield portion
            portion, size = [], 0
        portion.append(event)
        size += len(event.items)
    if portion:
        yield portion
