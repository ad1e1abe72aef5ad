"""The collector's step: follows the event log and makes decisions, indexes and notices of it."""

from collections.abc import Iterable, Iterator

from dsched.contracts.observer import LogEntry
from dsched.contracts.outcomes import Outcome
from dsched.contracts.steps import (
    MAX_BATCH,
    MAX_EVENT_PAGE,
    Event,
    EventKind,
    Finished,
    Projection,
    fence_epoch,
)
from dsched.contracts.store import Collecting
from dsched.engine.announcer import Announcer
from dsched.engine.assertions import AttemptWatch
from dsched.engine.term import Term
from dsched.model import Decision, TaskStatus, Verdict

MAX_PROJECTED = 10 * MAX_BATCH
PAGES_A_TICK = 10
_STATUS = {status.value: status for status in TaskStatus}


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

    async def collect(self) -> None:
        """Collect until the end of the log, or for as many pages as a tick may take."""
        for _ in range(PAGES_A_TICK):
            self._term.check()
            after, page = await self._read()
            for events in _portions(page):
                projection = project(after, events)
                self._tell(events)
                outcome = await self._store.project(self._term.fence, projection)
                if outcome is Outcome.MOVED:
                    return  # a repeat after a lost reply: read again from where the cursor is
                after = projection.upto
            if len(page) < MAX_EVENT_PAGE:
                return

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


def project(after: str, events: list[Event]) -> Projection:
    """The decisions and index entries that these entries make. Pure, and the same every time."""
    decisions: list[Decision] = []
    finished: dict[str, Finished] = {}
    for event in events:
        match event.kind:
            case EventKind.FIRED:
                decisions.extend(_fired(event))
            case EventKind.SKIPPED:
                decisions.extend(_skipped(event))
        for ended in _ended(event):
            finished[ended.task_id] = ended
    return Projection(
        after=after,
        upto=events[-1].cursor,
        decisions=tuple(decisions),
        finished=tuple(finished.values()),
    )


def _fired(event: Event) -> Iterator[Decision]:
    for item in event.items:
        yield Decision(
            config_id=item["config"],
            verdict=Verdict.FIRED,
            first_ms=item["ms"],
            last_ms=item["ms"],
            detail="held: an earlier run is live" if item.get("held") else "",
            late_ms=item["late"],
            at_ms=event.at_ms,
            term=_epoch(event.by),
            task_id=item["task"],
        )


def _skipped(event: Event) -> Iterator[Decision]:
    for item in event.items:
        yield Decision(
            config_id=item["config"],
            verdict=Verdict.SKIPPED,
            first_ms=item["first"],
            last_ms=item["last"],
            count=item["count"],
            reason=item["reason"],
            late_ms=max(0, event.at_ms - item["last"]),
            at_ms=event.at_ms,
            term=_epoch(event.by),
        )


def _ended(event: Event) -> Iterator[Finished]:
    for item in event.items:
        word = item.get("status")
        if word is not None and (status := _STATUS[word]).terminal:
            yield Finished(task_id=item["task"], status=status, end_ms=event.at_ms)


def _epoch(by: str) -> int:
    """The epoch if a leader decided, else 0 (a client's edit, pause or delete)."""
    head, colon, _ = by.partition(":")
    return fence_epoch(by) if colon and head.isdigit() else 0
