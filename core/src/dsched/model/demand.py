"""How many workers the work that there is would keep busy: what an autoscaler asks for."""

from collections.abc import Mapping, Sequence

import attrs

from dsched.model.status import Home
from dsched.model.worker import Worker

_WAITING = (Home.READY, Home.QUEUE)


@attrs.frozen(kw_only=True)
class Demand:
    """``slots``: those that run and those that could run now, one slot each; ``waiting``: of them
    those without one. ``capacity``: the slots of the workers that take tasks; ``wanted_workers``:
    as many of their mean size as ``slots`` would fill.

    What is delayed, held, or waits for a worker that nobody is, does not count: more workers of the
    same kind would not run it sooner.
    """

    slots: int
    waiting: int
    capacity: int
    wanted_workers: int


def demand_of(
    by_home: Mapping[Home, int] | Mapping[str, int], workers: Sequence[Worker], *, nobody: int = 0
) -> Demand:
    """The demand, by how many tasks live where, of which ``nobody`` wait for a worker that nobody
    is, and the registered workers."""
    counts = {str(home): count for home, count in by_home.items()}
    waiting = max(0, sum(counts.get(home, 0) for home in _WAITING) - nobody)
    slots = waiting + counts.get(Home.LEASE, 0)
    takers = [worker for worker in workers if not (worker.gone or worker.draining)]
    sized = takers or workers
    total = sum(worker.capacity for worker in sized)
    # Where nobody is known, one worker will show how large they are.
    wanted = -(-slots * len(sized) // total) if total else min(1, slots)
    return Demand(
        slots=slots,
        waiting=waiting,
        capacity=sum(worker.capacity for worker in takers),
        wanted_workers=wanted,
    )
