"""The event log as topics, told to any number of listeners by one reader of the store."""

import asyncio
import itertools
import json
import logging
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import suppress

from dsched.contracts import Event, EventKind, StoreError
from dsched.contracts.store import Store
from dsched.model import rfc3339_ms

_log = logging.getLogger(__name__)

POLL_S = 0.25  # unless every listener has more time
RING = 20_000  # how far behind a listener may be, in what entries are about
PAGE = 1000
HEARTBEAT_S = 15.0

_CURSOR = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")

TOPICS: Mapping[str, frozenset[EventKind]] = {
    "leader": frozenset(
        {
            EventKind.LEADER,
            EventKind.LEADERLESS,
            EventKind.CLOCK_BACK,
            EventKind.GAP,
            EventKind.HISTORY,
            EventKind.MIGRATED,
        }
    ),
    "worker": frozenset({EventKind.WORKER}),
    "config": frozenset({EventKind.CONFIG, EventKind.FIRED, EventKind.SKIPPED, EventKind.MISSED}),
    "task": frozenset(
        {
            EventKind.FIRED,
            EventKind.SUBMITTED,
            EventKind.DISPATCHED,
            EventKind.DEFERRED,
            EventKind.RECALLED,
            EventKind.CLAIMED,
            EventKind.COMPLETED,
            EventKind.RELEASED,
            EventKind.REAPED,
            EventKind.CANCELLED,
            EventKind.CANCEL_REQUESTED,
            EventKind.BORN,
            EventKind.STEP_SKIPPED,
            EventKind.RUN_ENDED,
        }
    ),
}


class TooOldError(Exception):
    """The log does not go back as far as the cursor, or the listener was too slow."""


class EventHub:
    """Reads the log while somebody listens, and keeps the newest entries for all listeners.

    The ring is each listener's queue: a listener that falls out of it gets `TooOldError`. An entry
    about a hundred tasks takes the memory of a hundred, so the ring is bounded by tasks.
    """

    def __init__(
        self, store: Store, most: int = RING, heard: Callable[[Event], None] | None = None
    ) -> None:
        self._store = store
        self._most = most
        self._ring: deque[Event] = deque()
        self._weight = 0  # of what is in the ring
        self._count = 0  # entries ever put into the ring
        self._cursor: str | None = None
        self._at_end = asyncio.Event()
        self._news = asyncio.Condition()
        self._heard = heard
        self._listeners: dict[int, float] = {}
        self._numbers = itertools.count()
        self._wanted = asyncio.Event()
        self._came = asyncio.Event()

    async def run(self) -> None:
        """Follow the log while there are listeners; until cancelled."""
        while True:
            await self._wanted.wait()
            try:
                more = await self._read()
            except StoreError as error:
                _log.debug("the event log cannot be read: %s", error)
                more = False
            if not more:
                await self._pause()

    async def _pause(self) -> None:
        """As long as the least patient listener waits; one that comes meanwhile is heard at
        once."""
        self._came.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(self._listeners.values(), default=POLL_S)):
                await self._came.wait()

    async def _read(self) -> bool:
        page = await self._store.events(self._cursor, PAGE)
        self._cursor = page.cursor
        async with self._news:
            for event in page.events:
                self._keep(event)
            if not page.more:
                self._at_end.set()
            self._news.notify_all()
        return page.more

    def _keep(self, event: Event) -> None:
        if self._heard is not None:
            self._heard(event)
        self._ring.append(event)
        self._count += 1
        self._weight += _weight(event)
        while self._weight > self._most and len(self._ring) > 1:
            self._weight -= _weight(self._ring.popleft())

    @property
    def told(self) -> int:
        """How many entries there have been: while it stays, nobody has heard of anything."""
        return self._count

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    async def follow(
        self, after: str | None, within_s: float = POLL_S
    ) -> AsyncGenerator[Event | None, None]:
        """The entries after a cursor, or those from now on, each ``within_s`` or sooner; None is a
        heartbeat.

        Raises `TooOldError` where entries are missing: there is a gap that cannot be filled.
        """
        me = next(self._numbers)
        self._listeners[me] = within_s
        self._at_end.clear()
        self._wanted.set()
        self._came.set()
        try:
            # Every earlier entry is then in the ring, or older than the ring.
            while not await _happened(self._at_end):
                yield None
            position, sent = self._count, set[str]()
            if after is not None:
                async for event in self._missed(after):
                    yield event
                    sent.add(event.cursor)
            async for found in self._fresh(position):
                if found is None or found.cursor not in sent:
                    yield found
        finally:
            self._listeners.pop(me, None)
            if not self._listeners:
                self._wanted.clear()

    async def _missed(self, after: str) -> AsyncIterator[Event]:
        """What the store has after a cursor, to the end of the log."""
        cursor = await self._checked(after)
        while True:
            page = await self._store.events(cursor, PAGE)
            for event in page.events:
                yield event
            if not page.more:
                return
            cursor = page.cursor

    async def _checked(self, after: str) -> str:
        if not _CURSOR.fullmatch(after):
            raise TooOldError
        oldest = await self._store.events(None, 1)
        first = oldest.events[0].cursor if oldest.events else None
        last = self._cursor or "0"
        if (first is not None and _order(after) < _order(first)) or _order(after) > _order(last):
            raise TooOldError
        try:
            await self._store.events(after, 1)
        except ValueError as error:
            raise TooOldError from error
        return after

    async def _fresh(self, position: int) -> AsyncIterator[Event | None]:
        """What comes into the ring from a position on."""
        while True:
            oldest = self._count - len(self._ring)
            if position < oldest:
                raise TooOldError
            while position < self._count:
                oldest = self._count - len(self._ring)
                if position < oldest:
                    raise TooOldError
                yield self._ring[position - oldest]
                position += 1
            if not await self._more(position):
                yield None

    async def _more(self, position: int) -> bool:
        try:
            async with asyncio.timeout(HEARTBEAT_S), self._news:
                await self._news.wait_for(lambda: self._count > position)
        except TimeoutError:
            return False
        return True


async def _happened(event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _weight(event: Event) -> int:
    return max(1, len(event.items))


def _order(cursor: str) -> tuple[int, ...]:
    """The place of a cursor among those of its store."""
    return tuple(int(part) for part in cursor.split("-"))


def topics_of(text: str) -> frozenset[EventKind] | None:
    """The kinds of a comma-separated list of topics, all if it is empty; None if one is unknown."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if any(name not in TOPICS for name in names):
        return None
    return frozenset().union(*(TOPICS[name] for name in names or TOPICS))


def message_of(event: Event) -> bytes:
    """An entry as a server-sent event."""
    data = {
        "at": rfc3339_ms(event.at_ms),
        "by": _shown(event),
        "items": [dict(item) for item in event.items],
    }
    text = json.dumps(data, separators=(",", ":"))
    return f"id: {event.cursor}\nevent: {event.kind.value}\ndata: {text}\n\n".encode()


def _shown(event: Event) -> str:
    """Who did it, without the secrets in it: tokens of claims and of terms."""
    if event.kind is EventKind.CLAIMED:
        return event.by.rsplit(".", 3)[0]
    epoch, first, rest = event.by.partition(":")
    if first and epoch.isdigit() and ":" in rest:
        return rest.partition(":")[2]
    return event.by
