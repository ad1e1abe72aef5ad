"""I3, I13 and I22: who may write, by which clock, and in whose name."""

from collections.abc import Sequence

from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.leadership import fence_epoch
from dsched_testkit.evidence import Chapter, Evidence

_ONLY_LEADERS = {
    *(EventKind.FIRED, EventKind.DISPATCHED, EventKind.DEFERRED, EventKind.REAPED),
    *(EventKind.BORN, EventKind.STEP_SKIPPED, EventKind.RUN_ENDED),
}
_ONLY_CLIENTS = {EventKind.SUBMITTED, EventKind.CONFIG, EventKind.CANCEL_REQUESTED}
BACKWARDS_MS = 1000


def _is_a_leaders(event: Event) -> bool:
    """Whether only a leader writes it: a pause that ends by itself is ended by one, and its entry
    names the instant; a config that pauses itself is paused by one, and its entry says who."""
    if event.kind is not EventKind.CONFIG:
        return event.kind in _ONLY_LEADERS
    return any(
        (item["act"] == "resumed" and "until" in item) or "who" in item for item in event.items
    )


def fenced(log: Sequence[Event]) -> list[str]:
    """I3: a leader's entry is by the term that holds the lock there; epochs only grow."""
    found, fence, epoch = [], "", -1
    for event in log:
        if event.kind is EventKind.LEADER:
            acquired = event.items[0]["act"] == "acquired"
            if acquired and fence_epoch(event.by) <= epoch:
                found.append(f"I3: the epoch of {event.by} is not above {epoch}")
            fence = event.by if acquired else ""
            epoch = max(epoch, fence_epoch(event.by))
        elif _is_a_leaders(event) and event.by != fence:
            found.append(f"I3: {event.kind} {event.cursor} by {event.by}, the term is {fence!r}")
    return found


def clock(chapter: Chapter) -> list[str]:
    """I13: store time never goes back; each step back of the wall is in the log, and counted."""
    found, gen = [], 0
    highest_ms: int | None = None
    for event in chapter.log:
        if event.kind is EventKind.CLOCK_BACK:
            for item in event.items:
                if item["gen"] != gen + 1:
                    found.append(f"I13: generation {item['gen']} of the clock comes after {gen}")
                gen = item["gen"]
            highest_ms = event.at_ms
        elif highest_ms is not None and event.at_ms < highest_ms - BACKWARDS_MS:
            back_ms = highest_ms - event.at_ms
            found.append(f"I13: {event.cursor} is {back_ms} ms back, and no clock_back tells it")
            highest_ms = event.at_ms
        highest_ms = event.at_ms if highest_ms is None else max(highest_ms, event.at_ms)
    return found + _readings(chapter, gen)


def _readings(chapter: Chapter, gen: int) -> list[str]:
    found, before_ms = [], 0
    for reading in chapter.clocks:
        if reading["store_ms"] < before_ms:
            found.append(f"I13: store time went back from {before_ms} to {reading['store_ms']}")
        before_ms = reading["store_ms"]
    if chapter.clocks and chapter.clocks[-1]["gen"] != gen:
        last = chapter.clocks[-1]["gen"]
        found.append(f"I13: the clock's generation is {last}, the log tells of {gen}")
    return found


def signed(evidence: Evidence) -> list[str]:
    """I22: every entry names who did it; what clients did, a principal if those are told."""
    principals = evidence.run.get("principals")
    found = []
    for event in evidence.last.log:
        if not event.by:
            found.append(f"I22: {event.kind} {event.cursor} is by nobody")
        elif principals is not None and event.kind in _ONLY_CLIENTS and not _is_a_leaders(event):
            by_leader = event.kind is EventKind.CANCEL_REQUESTED and ":" in event.by
            if event.by not in principals and not by_leader:
                found.append(f"I22: {event.kind} {event.cursor} is by {event.by!r}, no principal")
    return found
