"""The observer contract, and the notices that observers are given."""

from collections.abc import Mapping
from typing import Protocol, TypeAlias, runtime_checkable

import attrs

from dsched.contracts.store.events import Event
from dsched.contracts.store.history import Loss
from dsched.contracts.store.watching import MissedInstant
from dsched.model import Worker


@attrs.frozen(kw_only=True)
class LogEntry:
    """An entry of the store's event log. Given by the leader's collector, in the log's order.

    At least once over all pods: after a leader change an entry may come again, with equal cursor.
    """

    event: Event


@attrs.frozen(kw_only=True)
class TermChanged:
    """This pod became leader (``leading``) or ceased to be."""

    pod: str
    leading: bool
    epoch: int
    reason: str = ""


@attrs.frozen(kw_only=True)
class Unrunnable:
    """Tasks that no worker can run, for one reason (``no worker has function etl.load``).

    ``tasks``: how many were found waiting lately, at least; ``lasted_s``: for how long by now.
    """

    reason: str
    tasks: int
    lasted_s: float


@attrs.frozen(kw_only=True)
class BlockedClass:
    """Tasks that demand the same of a worker, and that no worker can run now.

    ``kind``: ``nobody`` has what they demand, or those that have are ``full``; ``demands``: in
    words (``gpu=1, function etl.load``); ``lasted_s``: for how long by now.
    """

    kind: str
    demands: str
    tasks: int
    lasted_s: float


@attrs.frozen(kw_only=True)
class BlockedKind:
    """All that is blocked of one kind: classes, their tasks, and the longest that one has been."""

    classes: int = 0
    tasks: int = 0
    lasted_s: float = 0.0


@attrs.frozen(kw_only=True)
class LimitGauge:
    """A limit, or an instance of one, under which tasks wait: how many may hold a place (None: any
    number, and a rate bounds it), how many do, how many wait, and for how long the oldest has."""

    name: str
    max_running: int | None
    held: int
    waiting: int
    oldest_s: float


@attrs.frozen(kw_only=True)
class ClusterGauges:
    """What the leader sees of the whole cluster, every few seconds. Only the leader gives it.

    ``unrunnable``: the reasons why tasks wait for a worker that nobody is, the most tasks first;
    ``nobody``: how many tasks at home ``ready`` do; ``blocked``: what cannot be run now, by kind
    (each is there); ``worst``: the classes of most tasks among them; ``full``: those of them whose
    workers are full, each ``lasted_s`` for as long as its oldest task has waited for that.
    ``limits``: the 20 limits and instances under which most waits, the most first.
    """

    tasks_by_status: dict[str, int]
    waiting_by_home: dict[str, int]
    oldest_ready_age_s: float
    workers: tuple[Worker, ...]
    now_ms: int
    unrunnable: tuple[Unrunnable, ...] = ()
    nobody: int = 0
    blocked: Mapping[str, BlockedKind] = attrs.field(factory=dict)
    worst: tuple[BlockedClass, ...] = ()
    full: tuple[BlockedClass, ...] = ()
    limits: tuple[LimitGauge, ...] = ()


@attrs.frozen(kw_only=True)
class HeartbeatSent:
    """A worker's heartbeat was answered; ``delay_s`` is how much later than planned."""

    worker_id: str
    delay_s: float
    running: int
    capacity: int


@attrs.frozen(kw_only=True)
class StoreCalled:
    """A step of the store took ``seconds``; ``outcome`` is ``ok`` or the kind of refusal."""

    step: str
    seconds: float
    outcome: str


@attrs.frozen(kw_only=True)
class StoreWrites:
    """The store no longer takes this pod's writes (``taken`` False), or takes them again.

    ``reason`` is a word (`StoreReadOnlyError.reason`, or ``no_answer``), ``words`` the store's own;
    ``lasted_s``: for how long it took none. Given once each time, and when the reason changes.
    """

    pod: str
    taken: bool
    reason: str = ""
    words: str = ""
    lasted_s: float = 0.0


@attrs.frozen(kw_only=True)
class ThreadOutlived:
    """A function in a thread outlived its timeout and keeps its slot until it returns."""

    task_id: str
    worker_id: str


@attrs.frozen(kw_only=True)
class InstantsMissed:
    """A pod that does not lead reported that these instants are overdue and nobody fired them.

    ``epoch`` is the term that holds the lock and did not fire them, 0 if nobody leads; ``now_ms``
    the wall. Given by the pod that reported, once for each instant (a lost reply may cost the
    notice); the entry of the log comes by the next leader's collector.
    """

    pod: str
    epoch: int
    missed: tuple[MissedInstant, ...]
    now_ms: int


@attrs.frozen(kw_only=True)
class NobodyLeads:
    """A pod reported that nobody has led for ``idle_s`` or longer. Given once after each term."""

    pod: str
    idle_s: float


@attrs.frozen(kw_only=True)
class HistoryBroken:
    """The past that pods have seen is gone from the store. Given by the pod that recorded it, once.

    ``generation`` is that of the break, 0 while there is no store to record it in (``emptied``;
    each pod says so). What happened after ``from_ms`` (wall, None: ever) may be forgotten or
    repeated.
    """

    pod: str
    loss: Loss
    generation: int
    from_ms: int | None


@attrs.frozen(kw_only=True)
class InvariantViolated:
    """A cheap production assertion failed: a defect of dsched or of a store, never of its user.

    ``name`` is that of the invariant (``I4``, ``I5``, ``I8``, ``I13``), or a word.
    """

    name: str
    detail: str


@attrs.frozen(kw_only=True)
class ObserverTrouble:
    """An observer (by its name) missed ``dropped`` notices and raised on ``failed`` more.

    Both count since the previous notice of this kind. Given to every observer, itself included.
    """

    observer: str
    dropped: int
    failed: int


Notice: TypeAlias = (
    LogEntry
    | TermChanged
    | ClusterGauges
    | HeartbeatSent
    | StoreCalled
    | StoreWrites
    | ThreadOutlived
    | InstantsMissed
    | NobodyLeads
    | HistoryBroken
    | InvariantViolated
    | ObserverTrouble
)


@attrs.frozen(kw_only=True)
class Scrape:
    """A page of figures as a monitoring system fetches it, and what it is written in."""

    content_type: str
    body: bytes


@runtime_checkable
class Scraped(Protocol):
    """An optional ability of an observer: its figures can be fetched as a page."""

    def scrape(self) -> Scrape:
        """The page as it is now. May take some ms; called in a thread, one call at a time."""


class Observer(Protocol):
    """Is told what happens. Each observer has a bounded queue of its own in front of it.

    `notify` is called from that queue's loop, one notice at a time; raising is logged and counted,
    lagging drops the oldest notices (counted too): neither ever delays the engine.
    """

    def notify(self, notice: Notice) -> None:
        """Take note. Must not block; unknown kinds of notice are to be ignored."""
