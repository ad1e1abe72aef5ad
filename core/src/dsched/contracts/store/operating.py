"""What operators ask for: skip instants, undo a drain, change the leader, see who runs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import attrs

from dsched.contracts.store.outcomes import Outcome

MAX_SKIPS = 100  # instants of one config that wait to be skipped
MAX_PODS = 1000  # pods that are known at one time
MAX_TERMS = 1000  # terms of leadership that are remembered


@attrs.frozen(kw_only=True)
class Skip:
    """An instant (wall) that an operator asked not to be fired, who, and why."""

    at_ms: int
    who: str
    why: str


@attrs.frozen(kw_only=True)
class Term:
    """One term of leadership; published times are wall.

    ``ended_ms`` is None while it lasts. ``how`` it ended: ``resigned``, ``stepped_down`` (then
    ``who`` asked for it and ``why``), or ``expired``: noticed, and timed, when the next one began.
    """

    epoch: int
    pod: str
    began_ms: int
    ended_ms: int | None = None
    how: str = ""
    who: str = ""
    why: str = ""


@attrs.frozen(kw_only=True)
class TermPage:
    """Terms, newest first; ``cursor`` continues, None at the end."""

    terms: tuple[Term, ...]
    cursor: str | None


@attrs.frozen(kw_only=True)
class PodRecord:
    """What a pod says of itself. ``id`` is of one process, ``name`` may be shared.

    ``roles`` are sorted; ``started_ms`` and ``seen_ms`` are wall, and both are the store's: what
    a caller of `pod_seen` gives for ``seen_ms`` is ignored. ``store_format`` is the newest format
    of a store that it knows; pods of 0.1.0, which knew 3, say nothing of it.
    """

    id: str
    name: str
    roles: tuple[str, ...]
    version: str
    started_ms: int
    ready: bool = True
    leading: bool = False
    draining: bool = False
    seen_ms: int = 0
    store_format: int = 3


class Operating(ABC):
    """What operators ask for. None of it needs a leader, and any pod may pass it on."""

    @abstractmethod
    async def skip(
        self, config_id: str, revision: int, instants: Sequence[int], *, by: str, why: str
    ) -> Outcome:
        """Remember that these instants (wall) of a config are not to be fired.

        They ascend, at most `MAX_BATCH`, else ``ValueError``. In this order, each leaving all as
        it is: ``UNKNOWN``; ``MOVED`` unless the config has this revision; ``ALREADY`` if all are
        remembered; ``TOO_LATE`` if a new one is not later than the wall; ``FULL`` if there would
        be more than `MAX_SKIPS`. Else ``OK``, and a ``config`` event ``skip``.

        The due does not move. The step that moves it past such an instant decides about it: `fire`
        records those that the planner left out (reason ``operator``) and fires none of them;
        `put`, `pause`, `resume` and `delete` have it in their own range. Then `fire` forgets the
        skips before the new due (all, if there is none), and `put` and `resume` forget those
        before `Rearm.decided_before_ms`. An edit keeps the rest, a pause all.
        """

    @abstractmethod
    async def undrain(self, worker_id: str, *, by: str) -> Outcome:
        """Undo an operator's drain: ``OK``; ``ALREADY`` (it does not drain); ``NO_WORKER``;
        ``DRAINING`` if the worker itself drains, because it leaves. Wakes the leader while tasks
        are ready. Event ``worker`` ``undrained``."""

    @abstractmethod
    async def resize(self, worker_id: str, capacity: int, *, by: str) -> Outcome:
        """Set how many attempts a worker runs at once: ``OK``, ``ALREADY`` (it is that),
        ``NO_WORKER``. ``ValueError`` unless 1 to `MAX_CAPACITY`. What runs or waits beyond it
        stays, and nothing is added. The worker learns of it by its next beat. Wakes the worker,
        and the leader. Event ``worker`` ``resized``."""

    @abstractmethod
    async def step_down(self, fence: str, *, by: str, why: str, rest_ms: int) -> Outcome:
        """Take the lock from the term with this fence: ``OK``, or ``FENCED`` (also a repeat).

        Until another pod leads, but for at most ``rest_ms``, `acquire` answers the pod that led
        ``RESTING``. Wakes a follower (`ELECTION_WAKEUP`), and the leader, so that it finds out at
        once. Event ``leader`` ``stepped_down`` (by = the fence).
        """

    @abstractmethod
    async def terms(self, cursor: str | None, limit: int) -> TermPage:
        """The last `MAX_TERMS` terms of leadership, newest first, at most ``limit`` a page."""

    @abstractmethod
    async def pod_seen(self, pod: PodRecord, ttl_ms: int) -> None:
        """Say that this pod runs; it counts as running for ``ttl_ms`` from now. Writes no event.

        The pod that has not been seen for longest makes room where there are `MAX_PODS`.
        """

    @abstractmethod
    async def pod_left(self, pod_id: str) -> None:
        """Say that this pod has left; nothing if it is not known."""

    @abstractmethod
    async def pods(self) -> tuple[PodRecord, ...]:
        """The pods that were seen within their time, by (name, id)."""
