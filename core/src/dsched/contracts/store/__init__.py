"""The store contract: every change of state is one atomic step of a store.

Rules that hold for every step, and that the contract suite checks:

* A step is atomic: other steps happen wholly before or wholly after it. All checks of an item come
  before its first write; one refused item refuses no other. Items are handled in their order.
* A step reads the clock once. *Store time* never goes back: a step that sees the wall clock more
  than 1 s behind the highest store time given raises the offset so that store time goes on from
  there, adds 1 to `clock_gen` and writes a `clock_back` event before its own.
* Every step may be repeated unchanged after a lost reply; the repeat changes nothing further and
  answers as described, or with ``DUP``, ``ALREADY``, ``STALE``, ``MOVED`` or ``FENCED``.
* At most `MAX_BATCH` items a call, `MAX_HEAVY_BATCH` for put, fire, release and prune, and an id
  at most once a call; else `ValueError`.
* A step that decides writes one entry to the event log, for all items it decided about together
  (kinds and keys: `EventKind`). An item that changed nothing is in no entry. A call that changed
  nothing writes no entry. Where one call gives entries of several kinds, their order is:
  clock_back, skipped, fired, cancelled, cancel_requested, recalled, then the others.
* A step that makes work for somebody wakes them itself: the leader for new ready, delayed or due
  work and for freed room while tasks are ready; a worker for a new queue entry, a requested cancel
  or a drain; a follower (`ELECTION_WAKEUP`) when the leader resigns or is asked to step down.
* Leader steps take the fence and raise `FencedError` when the lock is not held with exactly this
  value, a missing or expired lock included, before they check anything else.
* When the server cannot be reached a step raises `StoreUnavailableError`; when it answers and
  takes no writes, `StoreReadOnlyError`, with its own words.

Units: every name ending in ``_ms`` is in milliseconds. *Wall* instants are the store server's
clock, *store time* is that clock made monotone. Unless a field says otherwise, instants of
schedules and published times are wall, and everything that waits or ages is in store time. Callers
send durations; the only instants that they send are those of schedules.

How a task ends (``finish``), in whichever step: its home is freed, ``end_ms`` is the wall, its
snapshot may be dropped (kept with the result); it leaves its config's live tasks; the oldest of the
tasks held for its config, if any and if no live task but held ones is left, becomes ready; a
fixed-delay config that exists, is enabled and not paused, and has no live task left gets
``due := wall + delay``.

*Live* tasks of a config are those its fires made (id ``config@ms``) that have not ended; they are
known by config id and survive the config's deletion.

Fields of a task: ``worker_id`` is set by dispatch, cleared when the task goes back to ready or
delayed, kept at the end. ``reason`` is set by whatever moves a task against expectation (deferral,
``recalled``, release, ``crashed``, ``expired``, a cancel's or a completion's reason) and cleared by
dispatch and claim. ``error`` is set by a failed completion or a reap that gives one, and cleared by
success. ``progress`` is cleared by a claim. ``cancel_requested`` stays.

A snapshot with a workflow makes a *run* wherever a task is made: it is ``open`` where a task would
be ready or delayed, and what is said of it and of its members is in `runs`.

The order of *ready* is (priority descending, scheduled_ms ascending, id ascending), and a task
that comes back (recall, release, retry) takes its old place by that order.
"""

from dsched.contracts.store.classes import Classing
from dsched.contracts.store.collecting import Collecting
from dsched.contracts.store.configs import Configs
from dsched.contracts.store.dispatching import Dispatching, Poll
from dsched.contracts.store.documents import Documents
from dsched.contracts.store.firing import Firing
from dsched.contracts.store.formats import Migrating
from dsched.contracts.store.history import Remembering
from dsched.contracts.store.leadership import Leadership
from dsched.contracts.store.limits import Limiting
from dsched.contracts.store.operating import Operating
from dsched.contracts.store.reading import Reading
from dsched.contracts.store.recovering import Recovering
from dsched.contracts.store.runs import Runs
from dsched.contracts.store.tasklogs import TaskLogs
from dsched.contracts.store.timing import LEADER_WAKEUP, Timing
from dsched.contracts.store.watching import Watching
from dsched.contracts.store.workers import Workers
from dsched.contracts.store.working import Claimed, Working


class Store(
    Timing,
    Leadership,
    Workers,
    Configs,
    Firing,
    Dispatching,
    Classing,
    Limiting,
    Runs,
    Recovering,
    Collecting,
    Watching,
    Working,
    TaskLogs,
    Reading,
    Documents,
    Operating,
    Remembering,
    Migrating,
):
    """All groups of steps; a store implements them all. One handle belongs to one event loop."""

    async def poll_when_woken(self, fence: str, limit: int, timeout_s: float) -> Poll:
        """`wakeup` of the leader, and then `poll`, whether the wake-up came or not.

        One answer to both saves the leader a round trip to a store that is far away. The wait need
        not be exact: it may end `WAIT_SLACK_S` late, or sooner.
        """
        await self.wakeup(LEADER_WAKEUP, timeout_s)
        return await self.poll(fence, limit)

    async def claim_when_woken(
        self,
        worker_id: str,
        incarnation: str,
        lane: int,
        number: int,
        limit: int,
        timeout_s: float,
    ) -> tuple[bool, Claimed]:
        """`wakeup` of the worker, and then `claim` in any case; and whether the wake-up came.

        It saves workers a round trip too, and is as exact. A caller that gives up, or gets an
        error, does not know whether the claim was made: it repeats it by `claim`, as after any
        lost answer.
        """
        woken = await self.wakeup(worker_id, timeout_s)
        return woken, await self.claim(worker_id, incarnation, lane, number, limit)
