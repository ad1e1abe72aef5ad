"""The load balancer contract: which worker gets a task."""

from collections.abc import Sequence
from typing import Protocol

from dsched.contracts.store.dispatching import ReadyTask
from dsched.model import Worker


class LoadBalancer(Protocol):
    """Chooses a worker, purely: equal arguments give equal answers.

    The workers given are eligible: not gone, draining or stalled, matching the task's labels, and
    with ``load < limit``. Their counts are the store's own plus the choices made since, so a
    choice sees the ones before it. They come in ascending order of id. ``turn`` counts this
    term's choices from 0.
    """

    def choose(self, task: ReadyTask, workers: Sequence[Worker], turn: int) -> Worker | None:
        """One of ``workers``, or None to leave the task where it is for now."""
