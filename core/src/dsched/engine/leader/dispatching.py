"""The dispatch loop's step: ready tasks to the queues of workers, page by page."""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.classes import Let, Shut
from dsched.contracts.store.dispatching import Deferral, Dispatched, Promoted, ReadyPage, ReadyTask
from dsched.contracts.store.outcomes import Outcome
from dsched.engine.leader.assignment import (
    NOTHING,
    READ_PAST,
    SHUTS_A_STEP,
    Assigner,
    Assignment,
    room_at,
)
from dsched.engine.leader.classes import Classes, ClassPlan
from dsched.engine.leader.next_token import NextToken
from dsched.engine.leader.term import Term
from dsched.engine.leader.unplaced import Unplaced
from dsched.model import Worker

log = logging.getLogger("dsched.leader")

PAGES_A_TICK = 20
SAY_EVERY = 30  # a deferred task comes back every 2 s
MAX_REASONS = 1000


class DispatchStep:
    """Promotes delayed tasks whose time has come, and dispatches what is ready."""

    def __init__(
        self,
        store: Store,
        term: Term,
        assigner: Assigner,
        *,
        learn: Callable[[Sequence[Worker]], Awaitable[None]] | None = None,
        unplaced: Unplaced | None = None,
        token: NextToken | None = None,
    ) -> None:
        """``learn`` is told the workers of each page before they are judged, ``unplaced`` what
        nobody can run, ``token`` when the next one of a limit comes."""
        self._store = store
        self._learn = learn
        self._unplaced = unplaced
        self._token = token
        self._term = term
        self._assigner = assigner
        self._classes = Classes(assigner.runs)
        self._said: Counter[str] = Counter()

    async def promote(self, promoted: Promoted) -> float | None:
        """Make ready what is no longer delayed, after a first step that answered ``promoted``;
        seconds until the next one, None if there is none."""
        for number in range(PAGES_A_TICK):
            self._term.check()
            if number:
                promoted = await self._store.promote(self._term.fence, MAX_BATCH)
            if promoted.count < MAX_BATCH:
                return None if promoted.next_in_ms is None else promoted.next_in_ms / 1000
        return 0.0

    @property
    def shut_classes(self) -> int:
        """How many classes are shut."""
        return len(self._classes)

    def found_empty(self, texts: Iterable[str]) -> None:
        """Nothing waits under these classes: the next dispatch opens them, unless it finds some."""
        self._classes.found_empty(texts)

    def open(self, tasks: Sequence[ReadyTask]) -> Sequence[ReadyTask]:
        """Those of tasks that have just become ready which wait under no class."""
        return tasks if not self._classes else [one for one in tasks if not self._classes.shut(one)]

    async def dispatch(self, page: ReadyPage) -> bool:
        """Dispatch until nothing more can be, or for as many pages as a tick may take, ``page``
        first.

        Whether there may be more to do at once.
        """
        passed, moved = 0, False
        page = await self._let_first(page)
        for _ in range(PAGES_A_TICK):
            if not page.tasks and not self._classes:
                return False
            self._term.check()
            if self._learn is not None:
                await self._learn(page.workers)
            plan = self._assigner.assign(
                page.tasks, page.workers, passed, classes=page.shut is not None
            )
            passed += plan.passed
            shut = self._classes.plan(plan.workers)
            shuts = _distinct(plan.shuts, shut.shuts)
            acts = plan.choices or plan.deferrals or shuts
            if not (acts or shut.lets) and not (page.more and room_at(page.workers)):
                return False
            answer = await self._step(
                plan, ClassPlan(shuts, shut.lets), skip=passed, limit=_limit(page, plan)
            )
            # What was refused (a worker left, or filled up) is still ready, before the next page.
            passed += sum(outcome in _STAYS_READY for outcome in answer.choices)
            moved = moved or not _MOVED.isdisjoint((*answer.choices, *answer.deferrals))
            moved = moved or _made_way(page, shuts, shut.lets, answer.page)
            if not acts and answer.page.tasks == page.tasks:
                break  # nothing was let out
            page = answer.page
        return moved  # a ready task that no step can move must not keep the loop spinning

    async def _let_first(self, page: ReadyPage) -> ReadyPage:
        """What waits under a class that there is room for may go before what is ready: let it out
        before anything else takes that room."""
        await self._classes.learn(self._store, page.shut)
        if not (page.tasks and self._classes):
            return page
        if self._learn is not None:
            await self._learn(page.workers)
        lets = self._classes.with_room(page.workers)
        if not lets:
            return page
        return (await self._step(NOTHING, ClassPlan((), lets), skip=0, limit=MAX_BATCH)).page

    async def _step(
        self, plan: Assignment, classes: ClassPlan, *, skip: int, limit: int
    ) -> Dispatched:
        """Tell the store, and take note of it."""
        answer = await self._store.dispatch(
            self._term.fence,
            plan.choices,
            plan.deferrals,
            skip=min(skip, READ_PAST),
            limit=limit,
            shuts=classes.shuts,
            lets=classes.lets,
        )
        self._classes.told(classes.shuts, answer.opened, alone=not plan.workers)
        if self._token is not None:
            self._token.told(answer.limits_in_ms)
        self._say_deferred(plan.deferrals)
        if self._unplaced is not None:
            self._unplaced.note(plan.deferrals)
        return answer

    def _say_deferred(self, deferrals: Sequence[Deferral]) -> None:
        """Log why tasks wait: once when a reason is new, then now and then, not each time.

        Reasons name what tasks ask for, so there may be as many as tasks: no more are remembered,
        nor said, than `MAX_REASONS` in a term.
        """
        for reason in {deferral.reason for deferral in deferrals}:
            if reason not in self._said and len(self._said) >= MAX_REASONS:
                continue
            if self._said[reason] % SAY_EVERY == 0:
                log.warning("tasks wait, %s", reason)
            self._said[reason] += 1


def with_new(page: ReadyPage, tasks: Sequence[ReadyTask], *, more: bool) -> ReadyPage:
    """A page with tasks that have become ready since it was read, in the order of ready tasks.

    The result still begins with the first ready tasks: the old page did, and all others are new.
    ``more``: some have become ready that nobody has read.
    """
    if not tasks and not more:
        return page
    known = sorted([*page.tasks, *tasks], key=lambda task: (-task.priority, task.scheduled_ms))
    return attrs.evolve(
        page,
        tasks=tuple(known[:MAX_BATCH]),
        more=page.more or more or len(known) > MAX_BATCH,
    )


def _made_way(
    before: ReadyPage, shuts: Sequence[Shut], lets: Sequence[Let], after: ReadyPage
) -> bool:
    """Whether what was shut away has made way for others. A page may also differ by what was let
    out, which may be refused again and again; it does not where more follows it."""
    return bool(shuts) and before.tasks != after.tasks and (after.more or not lets)


def _distinct(found: Sequence[Shut], planned: Sequence[Shut]) -> tuple[Shut, ...]:
    """Each class once, as many as a step takes; what is left out comes up again."""
    shuts = {one.text: one for one in (*planned, *found)}
    return tuple(shuts.values())[:SHUTS_A_STEP]


# What a limit refuses waits under it: no page has it any more.
_MOVED = frozenset({Outcome.OK, Outcome.EXPIRED, Outcome.LIMITED})
_STAYS_READY = frozenset(
    {
        *(Outcome.NO_WORKER, Outcome.MOVED, Outcome.GONE, Outcome.DRAINING, Outcome.STALLED),
        Outcome.FULL,
    }
)


def _limit(page: ReadyPage, plan: Assignment) -> int:
    """How many tasks to read next: as many as there is room for. But busy workers make room
    meanwhile, for about as many as they have just been given."""
    if plan.passed:
        return MAX_BATCH  # tasks that have a worker come later in the order
    given = len(plan.choices)
    return max(1, min(MAX_BATCH, max(given, room_at(page.workers) - given)))
