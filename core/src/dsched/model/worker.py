"""`Worker`: a registered worker role, as the store sees it."""

from collections.abc import Mapping
from enum import StrEnum

import attrs

from dsched.model.pins import WORKER_LABEL

LATE_BEAT_MS = 2_000


class WorkerStatus(StrEnum):
    """What a worker is doing."""

    IDLE = "idle"  # nothing runs
    BUSY = "busy"  # something runs; capacity and backlog say whether there is room for more
    DRAINING = "draining"


def missed_a_beat(age_ms: int, heartbeat_timeout_ms: int) -> bool:
    """Whether a last beat of this age means that the next one is missing.

    Beats come at least three times in a heartbeat timeout: start-up refuses a longer interval. They
    may be late by 2 s, or by less if the timeout is short.
    """
    return age_ms > heartbeat_timeout_ms // 3 + min(LATE_BEAT_MS, heartbeat_timeout_ms // 6)


@attrs.frozen(kw_only=True, slots=False)
class Worker:
    """A worker as registered, with the counts that the store itself keeps.

    ``running`` and ``queued`` are the store's own numbers, never the worker's report. ``backlog``
    is how many tasks may wait in its queue beyond its capacity. ``stalled``: a task was recalled
    from its queue although it had a free slot; it gets nothing until its next claim. ``gone``: no
    heartbeat within ``heartbeat_timeout_ms``; ``silent``: it has missed one (`missed_a_beat`).
    ``ability``: the digest of what it can run (`Ability`); nothing: it takes anything.
    ``lowest_queued``: of one that may have no more, the priority of the last task in its queue.
    ``address`` is information only: nothing connects.
    """

    id: str
    incarnation: str
    capacity: int
    backlog: int
    heartbeat_timeout_ms: int = 30_000
    labels: Mapping[str, str] = attrs.field(factory=dict)
    address: str = ""
    draining: bool = False
    last_heartbeat_ms: int = 0
    running: int = 0
    queued: int = 0
    stalled: bool = False
    gone: bool = False
    silent: bool = False
    lowest_queued: int | None = None
    ability: str = ""

    @property
    def load(self) -> int:
        """Tasks running on this worker or waiting in its queue."""
        return self.running + self.queued

    @property
    def limit(self) -> int:
        """How many tasks it may have, running and queued."""
        return self.capacity + self.backlog

    @property
    def status(self) -> WorkerStatus:
        """The one word for what it is doing."""
        if self.draining:
            return WorkerStatus.DRAINING
        return WorkerStatus.BUSY if self.running else WorkerStatus.IDLE

    @property
    def has_room(self) -> bool:
        """Whether it would begin one task more at once."""
        away = self.gone or self.silent or self.draining or self.stalled
        return not away and self.load < self.capacity

    def with_one_more(self) -> "Worker":
        """This worker with one task more in its queue.

        Copied as a dictionary: a leader does it for each task, and `attrs.evolve` takes four times
        as long.
        """
        twin = object.__new__(Worker)
        twin.__dict__.update(self.__dict__, queued=self.queued + 1)
        return twin

    def matches(self, required: Mapping[str, str]) -> bool:
        """Whether this worker carries every label that a task requires. Of that which pins a task
        to a worker its id counts, whatever labels it was given."""
        if not required:
            return True
        return all(
            (self.id if key == WORKER_LABEL else self.labels.get(key)) == value
            for key, value in required.items()
        )
