"""Gathers from a store what an explanation or a sum needs, with a bounded number of calls."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol, TypeAlias, TypeVar

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH, MAX_EVENT_PAGE
from dsched.contracts.store.history import Break
from dsched.contracts.store.limits import LimitUse, record_in_force
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.statistics import (
    HOUR_MS,
    MAX_STATS_HOURS,
    Bucket,
    Rollup,
    bucket_of,
    worker_key,
)
from dsched.explaining import (
    ConfigFacts,
    Explanation,
    TaskFacts,
    explain_config,
    explain_task,
)
from dsched.explaining.limits import LimitFacts
from dsched.model import Decision, Home, MemberLine, Task, Verdict, fire_task_id, from_ms, to_ms
from dsched.model.limits import limit_of
from dsched.planning.runs.picture import unknown_lists

T = TypeVar("T")

PAGES = 20  # of decisions, at most: what a store keeps of a config is bounded anyway
MAX_STATS_SPAN = timedelta(days=366)
BucketSize: TypeAlias = Literal["hour", "day"]


class Calls(Protocol):
    """How a store is called: repeated for as long as the caller wants."""

    def __call__(self, call: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        """Call, repeatedly if need be, until there is an answer."""
        ...


@attrs.frozen(kw_only=True)
class Statistics:
    """Buckets by ascending start, those without anything left out, and their sum."""

    items: tuple[Bucket, ...]
    total: Bucket


async def why_config(
    store: Store, answered: Calls, config_id: str, at: datetime | None
) -> Explanation | None:
    """Why a config fired, or did not, at an instant; without one: at the latest that is recorded.

    None if there is neither such a config nor any record of it.
    """
    time = await answered(store.now)
    (stored,) = await answered(lambda: store.get_configs([config_id]))
    at_ms = None if at is None else to_ms(at)
    decisions, kept_from_ms = await _decisions_near(store, answered, config_id, at_ms)
    if stored is None and not decisions:
        return None
    if at_ms is None:
        at_ms = _latest(decisions, None if stored is None else stored.due_ms, time.wall_ms)
    task_id = fire_task_id(config_id, at_ms)
    (task,) = await answered(lambda: store.get([task_id]))
    facts = ConfigFacts(
        config_id=config_id,
        at_ms=at_ms,
        now_ms=time.wall_ms,
        stored=stored,
        decisions=decisions,
        kept_from_ms=kept_from_ms,
        fence=await answered(store.leader),
        task=task,
        breaks=await breaks_of(store, answered),
    )
    decision = facts.decision
    if decision is not None and decision.behind is not None:
        about = await why_task(store, answered, decision.behind)
        facts = attrs.evolve(facts, in_the_way=about)
    return explain_config(facts)


def _latest(decisions: tuple[Decision, ...], due_ms: int | None, now_ms: int) -> int:
    """The instant for a question that names none: the overdue one, or the one decided last."""
    if due_ms is not None and (due_ms <= now_ms or not decisions):
        return due_ms
    return decisions[0].last_ms if decisions else now_ms


async def _decisions_near(
    store: Store, answered: Calls, config_id: str, at_ms: int | None
) -> tuple[tuple[Decision, ...], int]:
    """The decisions down to the nearest before an instant, newest first; and what is kept."""
    found: list[Decision] = []
    cursor: str | None = None
    kept_from_ms = 0
    for _ in range(PAGES):
        page = await answered(lambda: store.decisions(config_id, cursor, MAX_BATCH))  # noqa: B023
        found.extend(page.decisions)
        kept_from_ms, cursor = page.kept_from_ms, page.cursor
        passed = at_ms is None or any(d.last_ms < at_ms for d in page.decisions)
        if cursor is None or passed:
            break
    return tuple(found), kept_from_ms


async def why_task(store: Store, answered: Calls, task_id: str) -> Explanation | None:
    """Why a task is where it is, or ended as it did; None if there is no such task (any more)."""
    facts = await _task_facts(store, answered, task_id)
    if facts is None:
        return None
    others = [other for other in facts.live if other.id != task_id and other.home is not Home.HELD]
    if (
        others
    ):  # a held task waits for one that is not held itself, so this goes one step and no further
        first = await _task_facts(store, answered, others[0].id)
        facts = attrs.evolve(facts, in_the_way=None if first is None else explain_task(first))
    return explain_task(facts)


async def _task_facts(store: Store, answered: Calls, task_id: str) -> TaskFacts | None:
    (task,) = await answered(lambda: store.get([task_id], full=True))
    if task is None:
        return None
    time = await answered(store.now)
    workers = () if task.status.terminal else await answered(store.workers)
    live: tuple[Task, ...] = ()
    owner, fire_ms = task.config_id, task.fire_ms
    if task.home is Home.HELD and owner is not None:
        query = TaskQuery(live_of=owner)
        live = (await answered(lambda: store.list_tasks(query, None, MAX_BATCH))).tasks
    stored, decision = None, None
    if fire_ms is not None and owner is not None:
        decision = await _decision_of_fire(store, answered, owner, fire_ms)
        if task.home is Home.DELAYED:
            (stored,) = await answered(lambda: store.get_configs([owner]))
    lines: tuple[MemberLine, ...] = ()
    if task.spec is not None and task.spec.workflow is not None:
        lines = await member_lines(store, answered, task_id)
    limits: tuple[LimitFacts, ...] = ()
    if task.home is Home.READY and task.spec is not None and task.spec.limits:
        limits = await limit_facts(store, answered, task, wall_ms=time.wall_ms)
    digests = sorted({worker.ability for worker in workers if worker.ability})[:MAX_BATCH]
    known = await answered(lambda: store.abilities(digests)) if digests else ()
    return TaskFacts(
        task=task,
        now_ms=time.wall_ms,
        workers=workers,
        fence=await answered(store.leader),
        decision=decision,
        live=live,
        config=None if stored is None else stored.config,
        breaks=await breaks_of(store, answered),
        abilities={one.digest: one for one in known if one is not None},
        lines=lines,
        lists=await list_lengths(store, answered, task, lines),
        limits=limits,
    )


async def limit_facts(
    store: Store, answered: Calls, task: Task, *, wall_ms: int
) -> tuple[LimitFacts, ...]:
    """What there is to say of the limits that a task names, a few by their nature."""
    names = () if task.spec is None else task.spec.limits
    ids = sorted({*names, *map(limit_of, names)})
    found = await answered(lambda: store.get_limits(ids))
    stored = {one.id: one for one in found if one is not None}
    facts = []
    for name in names:
        page = await answered(lambda: store.limit_uses(None, 1, of=name))  # noqa: B023
        unused = LimitUse(name=name, held=0, waiting=0)
        use = next((one for one in page.uses if one.name == name), unused)
        place = None
        if use.waiting:
            place = await answered(lambda: store.place_in_line(name, task.id))  # noqa: B023
        record, next_ms = record_in_force(name, stored), use.next_token_in_ms
        facts.append(
            LimitFacts(
                name=name,
                most=None if record is None else record.max_running,
                held=use.held,
                waiting=use.waiting,
                place=place,
                rate=None if record is None else record.rate,
                tokens=use.tokens,
                next_token_ms=None if next_ms is None else wall_ms + next_ms,
            )
        )
    return tuple(facts)


async def member_lines(store: Store, answered: Calls, run_id: str) -> tuple[MemberLine, ...]:
    """The whole member log of a run; nothing where there is no such run."""
    found: list[MemberLine] = []
    while True:
        after = len(found)
        page = await answered(lambda: store.run_lines(run_id, after, MAX_EVENT_PAGE))  # noqa: B023
        found += page or ()
        if not page or len(page) < MAX_EVENT_PAGE:
            return tuple(found)


async def list_lengths(
    store: Store, answered: Calls, task: Task, lines: Sequence[MemberLine]
) -> dict[str, int]:
    """How many items the lists of a run's steps have, by step, as far as members were made."""
    spec = task.spec
    if spec is None or spec.workflow is None:
        return {}
    wanted = unknown_lists(spec.workflow, lines, task.id, spec.resumes)
    ids = list(wanted.values())
    found = await answered(lambda: store.get(ids, full=True)) if ids else ()
    lengths: dict[str, int] = {}
    for step, one in zip(wanted, found, strict=True):
        member = None if one is None or one.spec is None else one.spec.member
        if member is not None and member.total is not None:
            lengths[step] = member.total
    return lengths


async def _decision_of_fire(
    store: Store, answered: Calls, config_id: str, fire_ms: int
) -> Decision | None:
    near, _ = await _decisions_near(store, answered, config_id, fire_ms)
    fired = (d for d in near if d.verdict is Verdict.FIRED and d.first_ms == fire_ms)
    return next(fired, None)


async def breaks_of(store: Store, answered: Calls) -> tuple[Break, ...]:
    """The breaks of the store's history, the newest first."""
    return (await answered(lambda: store.history(None))).breaks


async def statistics(
    store: Store,
    answered: Calls,
    *,
    config_id: str | None,
    worker_id: str | None,
    span: tuple[datetime, datetime],
    bucket: BucketSize,
) -> Statistics:
    """What a config or a worker (neither: everything) did between two instants, by hour or by day
    (UTC).

    Whole hours are counted: those that the span touches. `ValueError` beyond `MAX_STATS_SPAN`.
    """
    start, end = span
    start_ms, end_ms = to_ms(start), to_ms(end)
    if end - start > MAX_STATS_SPAN:
        raise ValueError(f"at most {MAX_STATS_SPAN.days} days of statistics, got {end - start}")
    counted_as = config_id if worker_id is None else worker_key(worker_id)
    step_ms = MAX_STATS_HOURS * HOUR_MS
    at_ms = start_ms - start_ms % HOUR_MS
    rollups: list[Rollup] = []
    first_ms = at_ms
    while at_ms < end_ms:
        upto_ms = min(at_ms + step_ms, end_ms)
        rollups += await answered(lambda: store.stats(counted_as, at_ms, upto_ms))  # noqa: B023
        at_ms = upto_ms
    by_start: dict[int, list[Rollup]] = {}
    for rollup in rollups:
        by_start.setdefault(_start(rollup.hour_ms, bucket), []).append(rollup)
    return Statistics(
        items=tuple(
            bucket_of(config_id, at, part, worker_id=worker_id)
            for at, part in sorted(by_start.items())
        ),
        total=bucket_of(config_id, first_ms, rollups, worker_id=worker_id),
    )


def _start(hour_ms: int, bucket: BucketSize) -> int:
    if bucket == "hour":
        return hour_ms
    return to_ms(from_ms(hour_ms).astimezone(UTC).replace(hour=0))
