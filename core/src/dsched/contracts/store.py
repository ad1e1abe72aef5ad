"""The store contract: every change of state is one atomic step of a store.

Rules that hold for every step, and that the contract suite checks:

* A step is atomic: other steps happen wholly before or wholly after it. All checks of an item come
  before its first write; one refused item refuses no other. Items are handled in their order.
* A step reads the clock once. *Store time* never goes back (design.md 5.10): a step that sees the
  wall clock more than 1 s behind the highest store time given raises the offset so that store time
  goes on from there, adds 1 to `clock_gen` and writes a `clock_back` event before its own.
* Every step may be repeated unchanged after a lost reply; the repeat changes nothing further and
  answers as described, or with ``DUP``, ``ALREADY``, ``STALE``, ``MOVED`` or ``FENCED``.
* At most `MAX_BATCH` items a call, `MAX_HEAVY_BATCH` for put, fire, release and prune, and an id at most
  once a call; else `ValueError`.
* A step that decides writes one entry to the event log, for all items it decided about together
  (kinds and keys: `EventKind`). An item that changed nothing is in no entry. A call that changed
  nothing writes no entry. Where one call gives entries of several kinds, their order is:
  clock_back, skipped, fired, cancelled, cancel_requested, recalled, then the others.
* A step that makes work for somebody rings that bell itself: the leader's for new ready, delayed
  or due work and for freed room while tasks are ready; a worker's for a new queue entry, a
  requested cancel, or a drain; ``election`` on resign.
* Leader steps take the fence and raise `FencedError` when the lock is not held with exactly this
  value, a missing or expired lock included, before anything else is looked at.
* When the server cannot be reached a step raises `StoreUnavailableError`.

How a task ends (``finish``), in whichever step: its home is freed, ``end_ms`` is the wall, its
snapshot may be dropped (kept with the result); it leaves its config's live tasks; a task held for
its config, if any and if no live task but the held one is left, becomes ready; a fixed-delay
config that exists, is enabled and not paused, and has no live task left gets
``due := wall + delay``.

*Live* tasks of a config are those its fires made (id ``config@ms``) that have not ended; they are
known by config id and survive the config's deletion.

Fields of a task: ``worker_id`` is set by dispatch, cleared when the task goes back to ready or
delayed, kept at the end. ``reason`` is set by whatever moves a task against expectation (deferral,
``recalled``, release, ``crashed``, ``expired``, a cancel's or a completion's reason) and cleared by
dispatch and claim. ``error`` is set by a failed completion or a reap that gives one, and cleared by
success. ``progress`` is cleared by a claim. ``cancel_requested`` stays.

The order of *ready* is (priority descending, scheduled_ms ascending, id ascending), and a task
that comes back (recall, release, retry) takes its old place by that order.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from dsched.contracts.documents import Documents
from dsched.contracts.facts import Collecting as Collecting
from dsched.contracts.facts import Watching as Watching
from dsched.contracts.leading import ELECTION_BELL as ELECTION_BELL
from dsched.contracts.leading import LEADER_BELL as LEADER_BELL
from dsched.contracts.leading import WAIT_SLACK_S as WAIT_SLACK_S
from dsched.contracts.leading import Leadership as Leadership
from dsched.contracts.leading import Timing as Timing
from dsched.contracts.operating import Operating
from dsched.contracts.outcomes import Outcome
from dsched.contracts.retention import Kept as Kept
from dsched.contracts.retention import StoreSettings as StoreSettings
from dsched.contracts.statistics import Rollup
from dsched.contracts.steps import (
    Choice,
    Claimed,
    ConfigPage,
    Counts,
    DecisionPage,
    Deferral,
    Dispatched,
    DuePage,
    EventPage,
    Fire,
    FireAnswer,
    HeartbeatAnswer,
    Held,
    Look,
    Overdue,
    Promoted,
    Pruned,
    PutAnswer,
    PutConfig,
    ReadyPage,
    Reap,
    Rearm,
    Registration,
    Replan,
    StoredConfig,
    TaskPage,
    TaskQuery,
)
from dsched.contracts.tasklogs import TaskLogs
from dsched.contracts.working import Working as Working
from dsched.model import Task, Worker


class Workers(ABC):
    """Registration, heartbeats, drain.

    A worker is *gone* when its last beat is older than its own heartbeat timeout. A call with an
    incarnation other than the stored one: lower, and the stored worker is not gone:
    ``SUPERSEDED``; else ``NO_WORKER``; an unknown worker: ``NO_WORKER``.
    """

    @abstractmethod
    async def register(self, worker: Registration) -> Outcome:
        """Make the worker known, with a fresh beat: ``OK`` or ``SUPERSEDED``.

        The same incarnation again updates its fields and keeps its lanes, draining flag and queue.
        A newer one (or any, if the stored worker is gone) takes over: queue entries of the
        predecessor go back to ready (at most `MAX_BATCH`; the rest stays in the queue), the leases
        of all that had the id before are over at once, lanes, stalled and draining flags are
        cleared. Writes a ``worker`` event ``registered``, and before it ``superseded`` where one
        was taken over.
        More than `MAX_WORKERS` registered: `StoreRefusedError`.
        """

    @abstractmethod
    async def heartbeat(
        self, worker_id: str, incarnation: str, held: Sequence[Held]
    ) -> HeartbeatAnswer:
        """Beat, and renew the leases of the attempts listed to now + heartbeat timeout.

        An attempt is renewed if its token is current and its home the lease, even if the lease is
        over but not yet reaped; else its id is in ``lost``. Those with a requested cancel are in
        ``cancel``. A gone worker is alive again. With ``NO_WORKER`` the leases are renewed all the
        same (by the 30 s default if the timeout is unknown), ``lost`` and ``cancel`` answered;
        with ``SUPERSEDED`` nothing is renewed and all listed are lost. Attempts not listed are
        untouched. Writes no event.
        """

    @abstractmethod
    async def workers(self) -> tuple[Worker, ...]:
        """All registered workers by ascending id, with the store's counts."""

    @abstractmethod
    async def drain(self, worker_id: str, incarnation: str | None) -> Outcome:
        """Set the draining flag and put its queue back to ready (at most `MAX_BATCH`, oldest first).

        ``OK`` if something changed, ``ALREADY`` if it was draining with an empty queue,
        ``NO_WORKER``, ``SUPERSEDED``. With ``incarnation`` None any incarnation is meant (an
        operator, who may `Operating.undrain` it); a worker that drains itself leaves. Repeat until ``ALREADY``. Event ``worker`` ``draining`` when the flag was set,
        ``recalled`` for the tasks put back.
        """

    @abstractmethod
    async def deregister(self, worker_id: str, incarnation: str) -> Outcome:
        """Forget the worker; what was in its queue goes back to ready (at most `MAX_BATCH`; the
        rest is recalled by the leader). ``OK``, ``NO_WORKER`` (also a repeat), ``SUPERSEDED``.
        Its leases, if any are left, run out by themselves."""


class Configs(ABC):
    """Configs. `Rearm` says how each step that moves a due is compared.

    Common checks, in this order, each leaving everything unchanged: ``UNKNOWN`` (no such config;
    not for put); ``MOVED`` (what is stored is not ``rearm.read``); ``EARLY`` (``upto_ms`` or
    ``skipped.last_ms`` later than the wall). ``skipped`` gives a ``skipped`` event. A fixed-delay
    config with a live task has no due, whatever ``next_due_ms`` says; nor has a paused one.
    """

    @abstractmethod
    async def put(self, items: Sequence[PutConfig], *, by: str) -> tuple[PutAnswer, ...]:
        """Create or change configs.

        Content equal to what is stored (revision, created, updated aside): ``DUP``, unchanged,
        before any other check. Else the common checks, then ``OK``: revision := max(last revision
        ever given in this store + 1, store time); created kept, or for a new config
        ``config.created_ms`` (``EARLY`` if later than the wall; 0 means the wall); updated := the
        wall; due := ``next_due_ms``. A pause stays, its ``gap_from_ms`` := ``upto_ms``.
        Answers carry what is stored afterwards (None only for ``MOVED`` against no config).
        """

    @abstractmethod
    async def get_configs(self, config_ids: Sequence[str]) -> tuple[StoredConfig | None, ...]:
        """The configs of these ids, None where there is none."""

    @abstractmethod
    async def list_configs(
        self, cursor: str | None, limit: int, *, origin: str | None = None
    ) -> ConfigPage:
        """A page of configs by ascending id; of one origin, if one is given. What it costs grows
        with the page, not with what the store holds: so a page of one origin may be short, or
        empty, while its cursor is not None."""

    @abstractmethod
    async def delete(self, config_id: str, rearm: Rearm, *, by: str) -> Outcome:
        """Remove a config: ``OK``, ``UNKNOWN``, ``MOVED``, ``EARLY``. Its tasks live on."""

    @abstractmethod
    async def pause(self, config_id: str, rearm: Rearm, *, by: str, why: str) -> Outcome:
        """Pause: no due until resumed. ``OK``, ``ALREADY``, ``UNKNOWN``, ``MOVED``, ``EARLY``.

        ``gap_from_ms`` := ``rearm.upto_ms``, ``since_ms`` := the wall. ``ALREADY`` (it is paused)
        comes right after ``UNKNOWN`` and changes nothing.
        """

    @abstractmethod
    async def resume(self, config_id: str, rearm: Rearm, *, by: str) -> Outcome:
        """End a pause, due := ``next_due_ms``. Outcomes as `pause`; ``ALREADY``: not paused."""


class Firing(ABC):
    """Turning due configs into tasks. Every step takes the fence."""

    @abstractmethod
    async def due(self, fence: str, limit: int) -> DuePage:
        """The configs with due <= wall by (due, id), at most ``limit``, and the next due after."""

    @abstractmethod
    async def fire(self, fence: str, fires: Sequence[Fire]) -> tuple[FireAnswer, ...]:
        """Fire configs: `MAX_HEAVY_BATCH` runs over all of them at most, ascending, else ValueError.

        Per config: ``REVISED`` unless it exists, is not paused and has this revision; ``MOVED``
        unless the stored due is ``due_ms``; ``EARLY`` if a run or ``skipped.last_ms`` is later
        than the wall, or a ``left_out``. Then ``skipped`` and each of ``left_out`` are recorded,
        each run handled in order, due := ``next_due_ms``, last_fired := the last run if there is
        one; skips before the new due are forgotten. For a fixed-delay config with runs: due :=
        none while a live task exists, else wall + delay.

        A run whose task exists (in any state): ``dup``, nothing changes. One that an operator
        asked to skip: ``skipped``, recorded with that reason. Else by the overlap
        policy, L being the live tasks at that moment, runs of this very call included:
        *allow*: create. *skip*: create if L is empty, else ``skipped`` (reason ``overlap``).
        *queue_one*: create if L is empty; else hold it if none is held; else skip it.
        *cancel_previous*: every task of L (at most `MAX_HEAVY_BATCH`) is cancelled as `cancel`
        does, reason ``superseded``, a held one included; create if L is then empty, else hold it.
        A created task is ready, or delayed until ``not_before_ms`` if that is later than the
        wall, or held; status pending; it carries the config's snapshot. It need ring no bell: the
        leader that fires knows what it has made.
        """

    @abstractmethod
    async def replan(self, fence: str, items: Sequence[Replan]) -> tuple[Outcome, ...]:
        """After the clock went back: set due and last_fired. ``OK``, ``REVISED`` (as in `fire`),
        ``MOVED``. Writes no event."""

    @abstractmethod
    async def promote(self, fence: str, limit: int) -> Promoted:
        """Delayed tasks whose instant has come (store time) become pending and ready, earliest
        first, at most ``limit``. Writes no event."""


class Dispatching(ABC):
    """Ready tasks to workers' queues. Every step takes the fence."""

    @abstractmethod
    async def ready(self, fence: str, skip: int, limit: int) -> ReadyPage:
        """The ready tasks from position ``skip`` on, at most ``limit``, and all workers."""

    @abstractmethod
    async def look(self, fence: str, limit: int) -> Look:
        """`Firing.promote`, `Firing.due` and `ready` from position 0, each with ``limit``, in this
        order and in one step: what a tick of the leader needs when little is to be done. It need
        ring no bell: the leader that looks sees what it has made ready."""

    @abstractmethod
    async def dispatch(
        self,
        fence: str,
        choices: Sequence[Choice],
        deferrals: Sequence[Deferral],
        *,
        skip: int,
        limit: int,
    ) -> Dispatched:
        """Queue tasks on workers and defer others, then read the next page as `ready` does.

        Choice: ``STALE`` unless the task is ready; ``EXPIRED`` if it was never claimed and the
        wall is later than scheduled_ms + start_deadline: it ends ``cancelled``, reason
        ``expired``; ``NO_WORKER``; ``GONE``; ``DRAINING``; ``STALLED``; ``FULL`` (running + queued
        >= capacity + backlog); else ``OK``. Deferral: ``STALE``, ``EXPIRED``, ``OK``. At most
        `MAX_BATCH` of both together. Events: ``cancelled``, ``dispatched``, ``deferred``.
        """

    @abstractmethod
    async def recall(
        self, fence: str, task_ids: Sequence[str], min_age_ms: int
    ) -> tuple[Outcome, ...]:
        """Put queue entries back to ready: ``OK``, or ``STALE`` unless queued for that long.

        A worker from which one is taken while it is registered, not gone, and has running <
        capacity is marked stalled until its next claim. Event ``recalled``.
        """


class Recovering(ABC):
    """What dead workers left behind, and what is past its time. Every step takes the fence."""

    @abstractmethod
    async def overdue(self, fence: str, limit: int, min_queue_age_ms: int) -> Overdue:
        """Leases that are over (earliest first) and queue entries at least that old (any order),
        at most ``limit`` of each, with all workers."""

    @abstractmethod
    async def reap(self, fence: str, items: Sequence[Reap]) -> tuple[Outcome, ...]:
        """End attempts whose leases are over: ``OK``, or ``STALE`` if the token is not current, the
        task not running or the lease renewed. crash_count + 1, the token is forgotten. A requested
        cancel: ``cancelled``. Else as `Reap` says. Event ``reaped``."""

    @abstractmethod
    async def prune(self, fence: str, limit: int) -> Pruned:
        """Remove what is past its time, at most ``limit`` of each kind.

        Ended tasks and results with their lines and index entries, each outcome a kind of its own: those that
        ended `StoreSettings.kept_ms` ago or before, and those beyond the newest ``kept_count``, the
        oldest end first. Decisions as old as ``result_ttl_ms`` by ``at_ms``. Log entries beyond
        ``max_events`` (those the collector has not read: replaced by one ``gap`` event). Workers
        gone for an hour or more without queue or leases (event ``worker`` ``forgotten``). Not
        counted in the answer: statistics past their time, and the marks of misses that were due
        ``result_ttl_ms`` ago.
        """


class Reading(ABC):
    """Reading, never changing. Lists are served from indexes only."""

    @abstractmethod
    async def get(self, task_ids: Sequence[str], *, full: bool = False) -> tuple[Task | None, ...]:
        """The tasks, None where unknown or past the result TTL. ``full`` adds spec and result."""

    @abstractmethod
    async def list_tasks(self, query: TaskQuery, cursor: str | None, limit: int) -> TaskPage:
        """A page of tasks by one index. A task that moves meanwhile may be seen twice or not."""

    @abstractmethod
    async def events(self, after: str | None, limit: int) -> EventPage:
        """Log entries after a cursor (None: from the oldest kept), at most ``limit``."""

    @abstractmethod
    async def decisions(self, config_id: str, cursor: str | None, limit: int) -> DecisionPage:
        """A page of a config's decisions, newest first_ms first."""

    @abstractmethod
    async def stats(self, config_id: str | None, from_ms: int, to_ms: int) -> tuple[Rollup, ...]:
        """What a config (None: everything) did in each hour that overlaps ``[from_ms, to_ms)``.

        By ascending hour; hours without anything are left out, and so are those that began
        ``stats_ttl_ms`` ago or before. At most `MAX_STATS_HOURS` hours, else `ValueError`.
        """

    @abstractmethod
    async def counts(self) -> Counts:
        """How many there are of what, from counters and index sizes, without counting."""


class Store(
    Timing,
    Leadership,
    Workers,
    Configs,
    Firing,
    Dispatching,
    Recovering,
    Collecting,
    Watching,
    Working,
    TaskLogs,
    Reading,
    Documents,
    Operating,
):
    """All groups of steps; a store implements them all. One handle belongs to one event loop."""

    async def look_when_rung(self, fence: str, limit: int, timeout_s: float) -> Look:
        """`bell` of the leader, and then `look`, whether it rang or not.

        A store that is far away saves the leader a round trip by an answer to both at once. The
        wait need not be exact: it may end `WAIT_SLACK_S` late, or sooner.
        """
        await self.bell(LEADER_BELL, timeout_s)
        return await self.look(fence, limit)

    async def claim_when_rung(
        self,
        worker_id: str,
        incarnation: str,
        lane: int,
        number: int,
        limit: int,
        timeout_s: float,
    ) -> tuple[bool, Claimed]:
        """`bell` of the worker, and then `claim`, whether it rang or not; and whether it did.

        The same saving for workers, and as exact. A caller that gives up, or gets an error, does
        not know whether the claim was made: it repeats it by `claim`, as after any lost answer.
        """
        rang = await self.bell(worker_id, timeout_s)
        return rang, await self.claim(worker_id, incarnation, lane, number, limit)
