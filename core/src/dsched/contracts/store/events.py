"""The event log: its kinds of entry, and a page of it."""

from collections.abc import Mapping
from enum import StrEnum

import attrs

from dsched.model import JsonValue


class EventKind(StrEnum):
    """The kinds of entry in the log. The comment gives the keys of each item.

    Keys in parentheses are present only where they say something. Every item that ends a task
    has ``status`` with the terminal status. Readers pass over entries of kinds that they do not
    know: a store may have been written by a later version.
    """

    LEADER = "leader"  # act: acquired, resigned, stepped_down (who, why)
    WORKER = "worker"  # worker, act: registered, superseded, draining, undrained, deregistered,
    #                     forgotten, resized (capacity); (who)
    CONFIG = "config"  # config, act: put, paused, resumed, deleted, skip; revision, (why);
    #                     skip: first, last, count; paused, resumed: (until);
    #                     paused by itself: who
    FIRED = "fired"  # config, ms, task, late, (held: true)
    SKIPPED = "skipped"  # config, first, last, count, reason, (trigger); reason operator: who, why;
    #                      paused: (who, why); overlap: behind (a live task)
    MISSED = "missed"  # config, ms, late (ms), term (of the leader, 0: nobody leads)
    LEADERLESS = "leaderless"  # epoch (of the last term), idle (ms since its lock ran out)
    SUBMITTED = "submitted"  # task, (why)
    DISPATCHED = "dispatched"  # task, worker, (why)
    DEFERRED = "deferred"  # task, delay, reason
    RECALLED = "recalled"  # task, worker, (stalled: true), (displaced: true)
    CLAIMED = "claimed"  # task, attempt; `by` is the token
    COMPLETED = "completed"  # task, status (success, failed, cancelled, retrying), attempt, code,
    #                           run (ms since the claim), (reason), (delay)
    RELEASED = "released"  # task, status (pending, failed, cancelled), reason
    REAPED = "reaped"  # task, status (pending, retrying, failed, cancelled), crashes, worker,
    #                     (reason), (delay)
    CANCELLED = "cancelled"  # task, status, reason
    CANCEL_REQUESTED = "cancel_requested"  # task, reason
    CLOCK_BACK = "clock_back"  # back (ms), gen
    GAP = "gap"  # dropped: entries trimmed before the collector had read them
    HISTORY = "history"  # generation, loss, from (wall ms, or null: all), (why)
    BORN = "born"  # task, run: a member of a run was made
    STEP_SKIPPED = "step_skipped"  # run, step, status (what it counts as), reason
    RUN_ENDED = "run_ended"  # task, status, run (ms since it opened), (reason)
    MIGRATED = "migrated"  # from, to: formats of the store

    @classmethod
    def _missing_(cls, value: object) -> "EventKind | None":
        """A kind that a later version writes: read as it is, equal to no kind of this version."""
        if not isinstance(value, str):
            return None
        kind = str.__new__(cls, value)
        kind._name_ = kind._value_ = value
        return kind


@attrs.frozen(kw_only=True)
class Event:
    """One entry of the log: what one step decided, for all the ids it decided about.

    ``cursor`` orders entries within the store; ``by`` is the fence of a leader, the id of a
    worker, the token of a claim, or a client's name.
    """

    cursor: str
    kind: EventKind
    at_ms: int
    by: str
    items: tuple[Mapping[str, JsonValue], ...]


@attrs.frozen(kw_only=True)
class EventPage:
    """Entries after a cursor, oldest first; ``cursor`` is that of the last one, or as given.

    ``after`` is the cursor that they come after: for `collect`, where the collector stands.
    Without ``more`` the page reached the end of the log; with it there may be others already. A
    store may end a page of large entries before the limit, with ``more``, but has at least one.
    """

    events: tuple[Event, ...]
    cursor: str
    after: str = ""
    more: bool
