"""Dispatch and recall: ready tasks to workers' queues, and back."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from dsched.contracts.store.checks import check_batch, check_classes, check_limit
from dsched.contracts.store.classes import (
    MAX_EXPIRED,
    SWEPT,
    Blocked,
    Classing,
    ClassPage,
    Let,
    Shut,
    ShutClass,
)
from dsched.contracts.store.dispatching import (
    Choice,
    Deferral,
    Dispatched,
    Dispatching,
    Poll,
    Promoted,
    ReadyPage,
    ReadyTask,
)
from dsched.contracts.store.firing import DuePage
from dsched.contracts.store.limits import MAX_FORGOTTEN, MAX_FREED, MAX_OPEN
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched_store_redis.base import OnRedis, store_time
from dsched_store_redis.rows import read_configs, read_workers
from dsched_store_redis.wire import decode, ids, known, lines, optional, outcomes, text

_RANK, _BEFORE_1970 = 10**13, 10**12
_LET_GO = f"{MAX_OPEN} {MAX_FREED} {MAX_FORGOTTEN}"


class RedisDispatching(OnRedis, Dispatching, Classing):
    """Dispatching."""

    async def promote(self, fence: str, limit: int) -> Promoted:
        """Delayed tasks whose instant has come become ready."""
        check_limit(limit)
        answer = await self._step("promote", fence, limit)
        return Promoted(count=answer[1], next_in_ms=optional(answer[2]))

    async def ready(self, fence: str, skip: int, limit: int) -> ReadyPage:
        """A page of ready tasks, and all workers."""
        check_limit(limit)
        answer = await self._step("ready", fence, skip, limit)
        return _page(answer[1])

    @property
    def _waiting(self) -> tuple[bytes, int, str]:
        """What a poll may end, and let go, of what waits."""
        return self._ttl, MAX_EXPIRED, _LET_GO

    async def poll(self, fence: str, limit: int) -> Poll:
        """Promote, and read what is due and what is ready."""
        check_limit(limit)
        return _poll(await self._step("poll", fence, limit, *self._waiting))

    async def poll_when_woken(self, fence: str, limit: int, timeout_s: float) -> Poll:
        """The same, as soon as the leader is woken."""
        check_limit(limit)
        _, answer = await self._step_when_woken(
            LEADER_WAKEUP, timeout_s, "poll", fence, limit, *self._waiting
        )
        return _poll(answer)

    async def dispatch(
        self,
        fence: str,
        choices: Sequence[Choice],
        deferrals: Sequence[Deferral],
        *,
        skip: int,
        limit: int,
        shuts: Sequence[Shut] = (),
        lets: Sequence[Let] = (),
    ) -> Dispatched:
        """Queue and defer tasks, shut classes, let tasks out."""
        check_batch([c.task_id for c in choices] + [d.task_id for d in deferrals])
        check_limit(limit)
        check_classes(shuts, lets)
        chosen = (
            f"{known(item.task_id)}\t{known(item.worker_id)}\t{text(item.why)}\t{_judged(item)}"
            for item in choices
        )
        deferred = (
            f"{known(item.task_id)}\t{item.delay_ms}\t{text(item.reason)}\t" for item in deferrals
        )
        answer = await self._step(
            "dispatch",
            fence,
            lines(chosen),
            lines(deferred),
            skip,
            limit,
            self._ttl,
            lines(f"{one.text}\t{one.blocked.value}" for one in shuts),
            lines("\t".join((str(one.limit), str(one.above), *one.classes)) for one in lets),
            SWEPT,
            _LET_GO,
        )
        return _dispatched(answer)

    async def shut_classes(self, cursor: str | None, limit: int) -> ClassPage:
        """The classes that are shut."""
        check_limit(limit)
        _, rows, more = await self._step("shut_classes", cursor or "", limit)
        page = tuple(map(_shut_class, rows))
        return ClassPage(classes=page, cursor=page[-1].text if more else None)

    async def recall(
        self, fence: str, task_ids: Sequence[str], min_age_ms: int
    ) -> tuple[Outcome, ...]:
        """Put old queue entries back to ready."""
        check_batch(task_ids)
        return outcomes((await self._step("recall", fence, ids(task_ids), min_age_ms))[1])


def _judged(choice: Choice) -> str:
    """The ability by which a worker was chosen: ``*`` for any."""
    return "*" if choice.ability is None else choice.ability


def _dispatched(answer: list[Any]) -> Dispatched:
    if answer[0] == b"CLASSLESS":
        stored = decode(answer[1])
        raise ValueError(f"the format of the store, {stored}, has no classes: migrate it")
    return Dispatched(
        choices=outcomes(answer[1]),
        deferrals=outcomes(answer[2]),
        page=_page(answer[3]),
        opened=tuple(map(decode, answer[4])),
        limits_in_ms=optional(answer[5]),
    )


def _poll(answer: list[Any]) -> Poll:
    _, count, next_in, time_row, configs, next_due, page, runs_in, limits_in = answer
    return Poll(
        promoted=Promoted(count=count, next_in_ms=optional(next_in)),
        due=DuePage(
            time=store_time(time_row),
            configs=read_configs(configs),
            next_due_ms=optional(next_due),
        ),
        ready=_page(page),
        runs_in_ms=optional(runs_in),
        limits_in_ms=optional(limits_in),
    )


def _page(row: list[Any]) -> ReadyPage:
    time_row, listed, routed, more, workers, shut = row
    time = store_time(time_row)
    route_of = {routed[i]: routed[i + 1] for i in range(0, len(routed), 2)}
    tasks = []
    required, affinity, need = read_route(b"")
    for at in range(0, len(listed), 2):
        if route_of:
            required, affinity, need = read_route(route_of.get(listed[at], b""))
        # A score is (9 - priority) x 10^13 + the instant, which may lie before 1970.
        rank, instant = divmod(int(float(listed[at + 1])) + _BEFORE_1970, _RANK)
        tasks.append(
            ReadyTask(
                id=listed[at].decode(),
                priority=9 - rank,
                scheduled_ms=instant - _BEFORE_1970,
                required_labels=required,
                affinity_key=affinity,
                need=need,
            )
        )
    return ReadyPage(
        time=time,
        tasks=tuple(tasks),
        workers=read_workers(workers, time.now_ms),
        more=more == 1,
        shut=None if shut < 0 else shut,
    )


def _shut_class(row: list[Any]) -> ShutClass:
    text_, blocked, since_ms, waiting, oldest_ms = row
    return ShutClass(
        text=decode(text_),
        blocked=Blocked(decode(blocked)),
        since_ms=int(since_ms),
        waiting=waiting,
        oldest_ms=optional(oldest_ms),
    )


@lru_cache(maxsize=4096)
def read_route(value: bytes) -> tuple[dict[str, str], str | None, str]:
    """Required labels, affinity key and need of a task; one of an earlier build has no need."""
    if not value:
        return {}, None, ""
    found = json.loads(decode(value))
    return found["required"], found["affinity"], found.get("need", "")
