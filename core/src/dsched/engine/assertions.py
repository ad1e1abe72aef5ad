"""Invariants that are checked while dsched runs: I4, I5, I8 (sampled) and I13, all of them cheap.

A broken one is told to the observers as `InvariantViolated` and logged; it stops nothing.
It means a defect of dsched or of a store plugin, or a store that lost what it had acknowledged.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import Any

from dsched.contracts.observer import InvariantViolated
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.reading import Reading, TaskQuery
from dsched.contracts.store.timing import StoreTime
from dsched.contracts.store.working import Claimed, claim_token
from dsched.engine.observers import Announcer
from dsched.model import Home, Task, TaskStatus

log = logging.getLogger("dsched.assertions")

SAMPLE = 20  # tasks in one look
MAX_FOLLOWED = 10_000  # attempts under way that a term remembers
LOG_EVERY = 100

_ENDS_AN_ATTEMPT = frozenset({EventKind.COMPLETED, EventKind.RELEASED, EventKind.REAPED})
_STATUSES: dict[Home | None, frozenset[TaskStatus]] = {
    Home.DELAYED: frozenset({TaskStatus.PENDING, TaskStatus.RETRYING}),
    Home.READY: frozenset({TaskStatus.PENDING}),
    Home.QUEUE: frozenset({TaskStatus.PENDING}),
    Home.HELD: frozenset({TaskStatus.PENDING}),
    Home.LEASE: frozenset({TaskStatus.RUNNING}),
    Home.OPEN: frozenset({TaskStatus.PENDING, TaskStatus.RUNNING}),
    None: frozenset(status for status in TaskStatus if status.terminal),
}


class Assertions:
    """Where broken invariants are reported, and what is known of the store's time. For one pod."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer
        self._failed = 0
        self.latest_ms = 0

    def violated(self, invariant: str, detail: str) -> None:
        """Report one; safe from any thread."""
        if self._failed % LOG_EVERY == 0:
            log.error("invariant %s is broken, please report it: %s", invariant, detail)
        self._failed += 1
        self._announcer.tell(InvariantViolated(name=invariant, detail=detail))

    def answered(self, step: str, before_ms: int, args: Sequence[Any], answer: Any) -> None:
        """Look at the answer of a step; ``before_ms`` is `latest_ms` of when it was called.

        Calls overlap, so an answer may come after that of a later call. So it is compared only with
        what was known before its call.
        """
        match answer:
            case StoreTime():
                self._time(step, before_ms, answer)
            case Claimed(token=token) if token and len(args) >= 4:
                expected = claim_token(*args[:4])
                if token != expected:
                    self.violated("I5", f"the claim {expected} was answered as {token}")
            case _:
                time = getattr(answer, "time", None)
                if isinstance(time, StoreTime):
                    self._time(step, before_ms, time)

    def _time(self, step: str, before_ms: int, time: StoreTime) -> None:
        """I13: store time never goes back."""
        if time.now_ms < before_ms:
            self.violated("I13", f"store time went back from {before_ms} to {time.now_ms} ({step})")
            self.latest_ms = time.now_ms  # told once: what follows is measured from here
        self.latest_ms = max(self.latest_ms, time.now_ms)


class AttemptWatch:
    """I4 and I5 over the log as the collector reads it, for one term.

    What began before the term is not known, so nothing is said about it.
    """

    def __init__(self, assertions: Assertions) -> None:
        self._assertions = assertions
        self._running: OrderedDict[str, int] = OrderedDict()

    def entries(self, events: Iterable[Event]) -> None:
        """Look at what is new in the log, in its order, each entry once."""
        for event in events:
            if event.kind is EventKind.CLAIMED:
                self._claimed(event)
            elif event.kind in _ENDS_AN_ATTEMPT:
                self._ended(event)
            elif event.kind in (EventKind.GAP, EventKind.HISTORY):
                self._running.clear()

    def _claimed(self, event: Event) -> None:
        for item in event.items:
            task_id = item["task"]
            if task_id in self._running:
                attempt = self._running.pop(task_id)
                self._assertions.violated(
                    "I4", f"{task_id} was claimed by {event.by} while attempt {attempt} lived"
                )
            self._running[task_id] = item["attempt"]
            if len(self._running) > MAX_FOLLOWED:
                self._running.popitem(last=False)

    def _ended(self, event: Event) -> None:
        for item in event.items:
            attempt = self._running.pop(item["task"], None)
            ended = item.get("attempt", attempt)
            if attempt is not None and ended != attempt:
                self._assertions.violated(
                    "I5", f"{item['task']}: attempt {ended} ended, {attempt} was current"
                )


class HomeSample:
    """I8: a few tasks of one home, or of one way to end, at each look, by turns."""

    def __init__(self, reading: Reading, assertions: Assertions) -> None:
        self._reading = reading
        self._assertions = assertions
        queries = [TaskQuery(home=home) for home in Home if home is not Home.QUEUE]
        queries += [TaskQuery(status=status) for status in TaskStatus if status.terminal]
        self._queries = cycle(queries)

    async def take(self) -> None:
        """Read one page, and report what does not agree in it."""
        query = next(self._queries)
        page = await self._reading.list_tasks(query, None, SAMPLE)
        for task in page.tasks:
            self._check(query, task)

    def _check(self, query: TaskQuery, task: Task) -> None:
        listed = query.status or query.home
        agrees = task.status is query.status if query.status else task.home is query.home
        if not agrees or task.status not in _STATUSES[task.home]:
            self._assertions.violated(
                "I8", f"{task.id}, listed as {listed}, is {task.status} and lives in {task.home}"
            )
