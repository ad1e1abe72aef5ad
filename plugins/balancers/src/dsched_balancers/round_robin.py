"""The balancer ``round-robin``: every eligible worker in its turn, whatever its load."""

from collections.abc import Sequence

import attrs

from dsched.contracts import ReadyTask
from dsched.model import Worker
from dsched_balancers.rotation import rotate


@attrs.frozen
class RoundRobin:
    """Each round of as many turns as there are eligible workers gives every one of them a task.

    Over any stretch of turns with the same workers their counts differ by two at most, and by one
    if it starts with a round. Where each round starts is not the same, see `rotate`. When workers
    come or go, only the round at hand is cut short: no memory is needed to go on evenly. Capacity
    counts only in that a full worker is not among those given.
    """

    def choose(self, task: ReadyTask, workers: Sequence[Worker], turn: int) -> Worker | None:  # noqa: ARG002
        """The worker whose turn it is."""
        return workers[rotate(turn, len(workers))] if workers else None
