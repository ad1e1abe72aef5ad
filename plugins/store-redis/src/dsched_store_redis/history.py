"""What the store knows of its own past."""

from typing import Any

from dsched.contracts.store.history import (
    MAX_BREAKS,
    MAX_WHY,
    Break,
    History,
    Loss,
    Lost,
    Mark,
    Remembering,
)
from dsched.contracts.store.outcomes import Outcome
from dsched_store_redis.base import OnRedis, store_time
from dsched_store_redis.wire import decode, number, outcome, text, untext


class RedisRemembering(OnRedis, Remembering):
    """Remembering."""

    async def history(self, mark: Mark | None) -> History:
        """Where the history stands."""
        asked = ("", "") if mark is None else (mark.cursor, mark.at_ms)
        return _history((await self._step("history", *asked))[1:])

    async def raise_break(self, read: int, lost: Lost, *, by: str) -> Outcome:
        """Record that a part of the past is gone."""
        answer = await self._step(
            "raise_break",
            by,
            read,
            lost.generation,
            lost.epoch,
            lost.revision,
            lost.loss.value,
            lost.identity,
            number(lost.from_ms),
            text(lost.why[:MAX_WHY]),
            text(by),
            MAX_BREAKS,
            durable=True,
        )
        return outcome(answer[0])


def _history(answer: list[Any]) -> History:
    identity, generation, epoch, revision, end, known, kept_ms, breaks, time = answer
    cursor, _, at_ms = decode(end).partition(" ")
    return History(
        identity=decode(identity),
        generation=int(generation),
        epoch=int(epoch),
        revision=int(revision),
        end=Mark(cursor, int(at_ms)) if cursor else None,
        known=None if known == b"" else bool(known),
        kept_ms=int(kept_ms) if kept_ms else None,
        breaks=tuple(map(_break, decode(breaks).splitlines())),
        time=store_time(time),
    )


def _break(line: str) -> Break:
    generation, at_ms, from_ms, loss, lost, by, why = line.split("\t")
    return Break(
        generation=int(generation),
        at_ms=int(at_ms),
        from_ms=int(from_ms) if from_ms else None,
        loss=Loss(loss),
        lost=lost,
        by=untext(by),
        why=untext(why),
    )
