"""The balancer ``least-tasks``, the default: the worker that is filled least."""

from collections.abc import Sequence

import attrs

from dsched.contracts import ReadyTask
from dsched.model import Worker
from dsched_balancers.rotation import rotate


@attrs.frozen
class LeastTasks:
    """The fewest tasks, running and queued, relative to capacity; equally filled workers rotate.

    A worker without capacity (an operator may set 0) counts as the fullest.
    """

    def choose(self, task: ReadyTask, workers: Sequence[Worker], turn: int) -> Worker | None:  # noqa: ARG002
        """The least filled worker, or the one among the least filled whose turn it is."""
        least = float("inf")
        ties: list[Worker] = []
        for worker in workers:
            capacity = worker.capacity
            # Equal fractions give equal floats: a division is rounded correctly.
            filled = (worker.running + worker.queued) / capacity if capacity > 0 else float("inf")
            if filled < least:
                least = filled
                ties = [worker]
            elif filled == least:
                ties.append(worker)
        if not ties:
            return None
        return ties[0] if len(ties) == 1 else ties[rotate(turn, len(ties))]
