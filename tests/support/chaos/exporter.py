"""Exports the store's log while a run goes on, and notices when the store has lost entries."""

import asyncio
import time
from collections.abc import Sequence

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.leadership import fence_pod
from dsched.contracts.store.outcomes import StoreError
from dsched.model import JsonValue
from dsched_testkit.evidence import Recorder

POLL_S = 0.2
PAGE = 1000
LOOK_BACK = 20_000  # entries of the log, beyond which no loss can reach


@attrs.frozen(kw_only=True)
class Cut:
    """A fault that may lose acknowledged writes: from when, and until when at most (monotonic)."""

    what: str
    from_s: float
    upto_s: float


@attrs.frozen(kw_only=True)
class Loss:
    """Entries that were seen and then gone: how many, and from when until when they were made."""

    count: int
    first: str
    from_s: float
    upto_s: float

    def explained(self, cuts: Sequence[Cut], bound_s: float) -> bool:
        """Whether something was done to the store that may lose writes of that time."""
        return any(
            cut.from_s - bound_s <= self.upto_s and self.from_s <= cut.upto_s + 1 for cut in cuts
        )


@attrs.define
class ConfigCalls:
    """When changes of configs were asked for, to bound which instants they concern."""

    contents: dict[str, dict[str, JsonValue]] = attrs.field(factory=dict)
    asked: dict[tuple[str, str], list[list[object]]] = attrs.field(factory=dict)

    def invoke(self, config_id: str, act: str) -> list[object]:
        """A call begins; its entry, whose second item is to become how it ended."""
        entry: list[object] = [int(time.time() * 1000), "open"]
        self.asked.setdefault((config_id, act), []).append(entry)
        return entry

    def since_ms(self, config_id: str, act: str, event_ms: int) -> int:
        """The earliest moment at which the call that made this entry can have read the clock.

        It is the latest call before, or one before that of which nobody knows what became.
        """
        calls = [call for call in self.asked.get((config_id, act), []) if call[0] <= event_ms]  # type: ignore[operator]
        found = event_ms - 1
        for asked_ms, ended in reversed(calls):
            if found != event_ms - 1 and ended != "info":
                break
            found = int(asked_ms)  # type: ignore[call-overload]
        return min(found, event_ms)


class Exporter:
    """Reads the log on and on. Each page begins with the last entry known: if not, it is lost."""

    def __init__(self, recorder: Recorder, calls: ConfigCalls) -> None:
        self.known: list[Event] = []
        self.losses: list[Loss] = []
        self.leader = ""
        self.workers: dict[str, str] = {}
        self.registered: list[tuple[str, int]] = []
        self._recorder = recorder
        self._calls = calls
        self._wall_minus_mono_s = time.time() - time.monotonic()

    async def run(self, store: Store) -> None:
        """Until cancelled. While the store does not answer, later."""
        while True:
            try:
                await self.catch_up(store)
            except StoreError:
                await asyncio.sleep(POLL_S)
            await asyncio.sleep(POLL_S)

    async def catch_up(self, store: Store) -> None:
        """Read to the end of the log."""
        while True:
            last = self.known[-1] if self.known else None
            anchor = self.known[-2].cursor if len(self.known) > 1 else None
            async with asyncio.timeout(10):
                page = await store.events(anchor, PAGE)
            events = list(page.events)
            if last is not None:
                if not events or events[0] != last:
                    await self._find_loss(store)
                    continue
                events = events[1:]
            for event in events:
                self._take(event)
            if len(page.events) < PAGE:
                return

    def _take(self, event: Event) -> None:
        self.known.append(event)
        self._recorder.event(event)
        if event.kind is EventKind.CONFIG:
            self._tell_acts(event)
        elif event.kind is EventKind.LEADER:
            self.leader = fence_pod(event.by) if event.items[0]["act"] == "acquired" else ""
        elif event.kind is EventKind.WORKER:
            for item in event.items:
                if item["act"] in ("registered", "superseded"):
                    pod = str(item["worker"]).rpartition("-")[0]
                    self.workers[pod] = str(item["worker"])
                    self.registered.append((pod, event.at_ms))

    def _tell_acts(self, event: Event) -> None:
        """Write which instants a change of a config concerns."""
        for item in event.items:
            config_id, act = str(item["config"]), str(item["act"])
            if act not in ("put", "paused", "resumed", "deleted"):
                continue
            content = {} if act == "deleted" else {"content": self._calls.contents[config_id]}
            self._recorder.write(
                "act",
                config=config_id,
                act=act,
                position=event.cursor,
                from_ms=self._calls.since_ms(config_id, act, event.at_ms),
                upto_ms=event.at_ms,
                **content,
            )

    async def _find_loss(self, store: Store) -> None:
        """Write down which entry was the last that the store kept, and forget what came after."""
        start = max(0, len(self.known) - LOOK_BACK)
        there = set()
        after = self.known[start - 1].cursor if start else None
        while True:
            async with asyncio.timeout(10):
                page = await store.events(after, PAGE)
            there |= {(event.cursor, repr(event)) for event in page.events}
            after = page.cursor
            if len(page.events) < PAGE:
                break
        kept = len(self.known)
        while kept > start and _key(self.known[kept - 1]) not in there:
            kept -= 1
        lost = self.known[kept:]
        if not lost:
            return  # it was a page of another moment
        first, offset_s = lost[0], self._wall_minus_mono_s
        from_s = min(one.at_ms for one in lost) / 1000 - offset_s
        upto_s = max(one.at_ms for one in lost) / 1000 - offset_s
        what = f"{first.cursor} ({first.kind})"
        self.losses.append(Loss(count=len(lost), first=what, from_s=from_s, upto_s=upto_s))
        cursor = self.known[kept - 1].cursor if kept else "0"
        self._recorder.write("lost", kept=cursor, from_s=from_s, upto_s=upto_s)
        del self.known[kept:]

    def unexplained(self, cuts: Sequence[Cut], bound_s: float) -> list[str]:
        """The losses that nothing which was done to the store may explain."""
        return [
            f"I20: the store lost {loss.count} entries from {loss.first} on, and nothing was done "
            "to it that may lose any"
            for loss in self.losses
            if not loss.explained(cuts, bound_s)
        ]


def _key(event: Event) -> tuple[str, str]:
    return event.cursor, repr(event)
