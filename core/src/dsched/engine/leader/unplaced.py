"""Why tasks wait for a worker that nobody is, as the latest dispatches have found it."""

from collections import OrderedDict
from collections.abc import Callable, Iterable

import attrs

from dsched.contracts.observer import Unrunnable
from dsched.contracts.store.dispatching import Deferral
from dsched.engine.leader.assignment import DEFERRED, FULL

# A task that waits is found again every two seconds; a leader with much to do may take longer.
FRESH_S = 6.0
MAX_REASONS = 20
MAX_TASKS = 1000


@attrs.define
class _Wait:
    since_s: float
    seen_s: float
    tasks: "OrderedDict[str, float]" = attrs.field(factory=OrderedDict)


class Unplaced:
    """Remembers a bounded number of reasons, and of each a bounded number of tasks."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._waits: dict[str, _Wait] = {}

    def note(self, deferrals: Iterable[Deferral]) -> None:
        """These tasks were put off just now; only those that nobody can run count."""
        now_s = self._now_s()
        for deferral in deferrals:
            if deferral.reason == FULL:
                continue
            wait = self._waits.get(deferral.reason)
            if wait is None:
                self._forget(now_s)
                if len(self._waits) >= MAX_REASONS:
                    continue
                wait = self._waits[deferral.reason] = _Wait(now_s, now_s)
            wait.seen_s = wait.tasks[deferral.task_id] = now_s
            wait.tasks.move_to_end(deferral.task_id)
            if len(wait.tasks) > MAX_TASKS:
                wait.tasks.popitem(last=False)

    def now(self, waits: Iterable[Unrunnable] = ()) -> tuple[Unrunnable, ...]:
        """The reasons that hold still, the most tasks first, with what ``waits`` under classes.

        The task for which a class was shut was put off, and may wait under it by now: of one reason
        the larger number counts.
        """
        now_s = self._now_s()
        self._forget(now_s)
        found = {one.reason: one for one in waits}
        for known, wait in self._waits.items():
            reason = known.removeprefix(DEFERRED)
            one = found.get(reason, Unrunnable(reason=reason, tasks=0, lasted_s=0.0))
            found[reason] = attrs.evolve(
                one,
                tasks=max(one.tasks, len(wait.tasks)),
                lasted_s=max(one.lasted_s, now_s - wait.since_s),
            )
        most = sorted(found.values(), key=lambda one: (-one.tasks, one.reason))
        return tuple(most[:MAX_REASONS])

    def _forget(self, now_s: float) -> None:
        """What was not found again, because it runs by now, or was cancelled."""
        fresh_s = now_s - FRESH_S
        for reason, wait in list(self._waits.items()):
            while wait.tasks and next(iter(wait.tasks.values())) < fresh_s:
                wait.tasks.popitem(last=False)
            if wait.seen_s < fresh_s:
                del self._waits[reason]
