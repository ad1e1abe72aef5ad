"""Which workers that fell silent while running a task beat again: they were cut off, not killed."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeVar

from dsched.model import Worker

MAX_KNOWN = 10_000
MAX_TAKEN = 10_000  # from one process: more than run at once in any
# A task that keeps its worker from beating now and then must end all the same.
CUTS_A_DEATH = 4

_Process = tuple[str, str]  # worker id, incarnation
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class CrashMemory:
    """What this pod knows of crashes from its terms as leader, of the latest `MAX_KNOWN` processes
    and tasks.

    It knows nothing of another pod's terms: a silence from there counts as a death, since nothing
    shows otherwise.
    """

    def __init__(self) -> None:
        self._taken: OrderedDict[_Process, list[str]] = OrderedDict()  # from who is silent still
        self._cuts: OrderedDict[str, int] = OrderedDict()  # by task: silences that ended

    def heard(self, workers: Iterable[Worker]) -> None:
        """Take note of who is there now."""
        for worker in workers if self._taken else ():
            if not (worker.gone or worker.silent):
                for task_id in self._taken.pop((worker.id, worker.incarnation), ()):
                    self._cuts[task_id] = self._cuts.get(task_id, 0) + 1
                    _bound(self._cuts, task_id)

    def reaped(self, task_id: str, token: str) -> None:
        """An attempt was taken from a worker that fell silent."""
        worker_id, incarnation, _lane, _number = token.rsplit(".", 3)
        process = (worker_id, incarnation)
        taken = self._taken.setdefault(process, [])
        if len(taken) < MAX_TAKEN:
            taken.append(task_id)
        _bound(self._taken, process)

    def spoke_again(self, task_id: str) -> int:
        """After how many of a task's crashes the worker came back."""
        return self._cuts.get(task_id, 0)


def _bound(memory: "OrderedDict[_Key, _Value]", latest: _Key) -> None:
    memory.move_to_end(latest)
    if len(memory) > MAX_KNOWN:
        memory.popitem(last=False)


def deaths(crashes: int, spoke_again: int) -> int:
    """How many deaths ``crashes`` silences count as, if ``spoke_again`` of them were none."""
    cuts = min(spoke_again, crashes)
    return crashes - cuts + cuts // CUTS_A_DEATH
