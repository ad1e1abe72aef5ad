"""Runs of many tasks: what the leader reads of them, and how it advances them."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.checks import check_limit
from dsched.contracts.store.codec import write_spec
from dsched.contracts.store.outcomes import Outcome, StoreError, StoreReadOnlyError
from dsched.contracts.store.runs import (
    MAX_MEMBER_LINES,
    Advance,
    AdvanceAnswer,
    Birth,
    OpenRun,
    RunPage,
    Runs,
    check_advances,
    overlooks_cancel,
    read_line,
)
from dsched.model.json import dumps
from dsched_store_redis.base import OnRedis, store_time
from dsched_store_redis.configs import route
from dsched_store_redis.rows import read_task
from dsched_store_redis.wire import decode, lines, number, optional, safe_id, text, untext
from dsched_store_redis.wire import known as known_id


class RedisRuns(OnRedis, Runs):
    """The leader's steps on runs."""

    async def open_runs(self, fence: str, known: Mapping[str, int], limit: int) -> RunPage:
        """The runs with news."""
        check_limit(limit)
        if len(known) > MAX_BATCH:
            raise ValueError(f"at most {MAX_BATCH} runs are known in one call")
        versions = " ".join(f"{known_id(run_id)} {version}" for run_id, version in known.items())
        answer = await self._step("open_runs", fence, versions, limit, MAX_MEMBER_LINES, self._ttl)
        return RunPage(
            time=store_time(answer[1]),
            runs=tuple(map(_open_run, answer[2])),
            next_in_ms=optional(answer[3]),
            more=answer[4] == 1,
        )

    async def advance(self, fence: str, items: Sequence[Advance]) -> tuple[AdvanceAnswer, ...]:
        """Do what was decided. A server without memory bears no members, and does the rest."""
        check_advances(items)
        if not any(item.births for item in items):
            return await self._advance("settle", fence, items)
        try:
            return await self._advance("advance", fence, items)
        except StoreReadOnlyError as error:
            if error.reason == "memory":
                await self._advance("settle", fence, list(map(_without_births, items)))
            raise

    async def _advance(
        self, script: str, fence: str, items: Sequence[Advance]
    ) -> tuple[AdvanceAnswer, ...]:
        births = [birth for item in items for birth in item.births]
        answer = await self._step(
            script,
            fence,
            lines(map(_row, items)),
            lines(
                f"{skip.step}\t{skip.status.value}\t{text(skip.reason)}"
                for item in items
                for skip in item.skips
            ),
            lines(map(_birth_row, births)),
            lines(write_spec(birth.spec) for birth in births),
            lines(known_id(name) for item in items for name in item.cancels),
            self._ttl,
            lines(
                f"{told.step}\t{dumps(list(told.workers))}"
                for item in items
                for told in item.workers
            ),
            durable=True,
        )
        return tuple(map(_answer, answer[1]))


def _without_births(item: Advance) -> Advance:
    """What of an item needs no room. A run that waits for it keeps its news."""
    return attrs.evolve(item, births=(), again_in_ms=0) if item.births else item


def _row(item: Advance) -> str:
    end = item.end
    return "\t".join(
        (
            known_id(item.run_id),
            str(item.version),
            number(item.again_in_ms),
            text(item.cancel_reason),
            "" if end is None else end.status.value,
            text("" if end is None else end.reason),
            str(len(item.skips)),
            str(len(item.births)),
            str(len(item.cancels)),
            "1" if overlooks_cancel(item) else "",
            str(len(item.workers)),
        )
    )


def _birth_row(birth: Birth) -> str:
    name = safe_id(birth.name, "member")
    return f"{name}\t{birth.spec.priority}\t{route(birth.spec)}"


def _open_run(row: list[Any]) -> OpenRun:
    shown, version, told, cancelled, reason = row
    task = read_task(shown)
    if task is None:
        raise StoreError("a run was read and is not there any more")
    return OpenRun(
        task=task,
        version=int(version),
        lines=tuple(map(read_line, told)),
        cancel_reason=untext(decode(reason)) if cancelled else None,
    )


def _answer(line: bytes) -> AdvanceAnswer:
    word, version = decode(line).split()
    return AdvanceAnswer(outcome=Outcome(word), version=int(version))
