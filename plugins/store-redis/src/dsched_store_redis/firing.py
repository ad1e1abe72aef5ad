"""Firing: due configs become tasks."""

from collections.abc import Sequence

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.checks import check_batch, check_fires, check_limit
from dsched.contracts.store.firing import DuePage, Fire, FireAnswer, Firing, Replan
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched_store_redis.base import OnRedis, store_time
from dsched_store_redis.configs import left_out_item, skipped_item
from dsched_store_redis.rows import read_configs
from dsched_store_redis.wire import decode, known, lines, number, optional, outcomes, text


class RedisFiring(OnRedis, Firing):
    """Firing."""

    async def due(self, fence: str, limit: int) -> DuePage:
        """Configs whose instant has come."""
        check_limit(limit)
        answer = await self._step("due", fence, limit)
        return DuePage(
            time=store_time(answer[1]),
            configs=read_configs(answer[2]),
            next_due_ms=optional(answer[3]),
        )

    async def fire(self, fence: str, fires: Sequence[Fire]) -> tuple[FireAnswer, ...]:
        """Fire configs."""
        check_fires(fires)
        answer = await self._step(
            "fire", fence, lines(map(_fire_row, fires)), self._ttl, MAX_HEAVY_BATCH, durable=True
        )
        return tuple(map(_fire_answer, answer[1]))

    async def replan(self, fence: str, items: Sequence[Replan]) -> tuple[Outcome, ...]:
        """Move dues after the clock went back."""
        check_batch([item.config_id for item in items])
        rows = (
            f"{known(item.config_id)}\t{item.revision}\t{number(item.due_ms)}"
            f"\t{number(item.next_due_ms)}\t{number(item.last_fired_ms)}"
            for item in items
        )
        return outcomes((await self._step("replan", fence, lines(rows)))[1])


def _fire_row(fire: Fire) -> str:
    instants = [run.scheduled_ms for run in fire.runs]
    if fire.skipped is not None:
        instants.append(fire.skipped.last_ms)
    instants += [skip.at_ms for skip in fire.left_out]
    instants += [fire.due_ms] if fire.resumes else []
    pause = fire.pause
    instants += [] if pause is None else [pause.upto_ms]
    return "\t".join(
        (
            known(fire.config_id),
            str(fire.revision),
            str(fire.due_ms),
            number(fire.next_due_ms),
            number(max(instants, default=None)),
            skipped_item(fire.config_id, fire.skipped),
            ",".join(left_out_item(fire.config_id, skip) for skip in fire.left_out),
            number(fire.parked_until_ms),
            "1" if fire.resumes else "",
            "" if pause is None else str(pause.upto_ms),
            "" if pause is None else text(pause.why),
            " ".join(f"{run.scheduled_ms}:{run.not_before_ms}" for run in fire.runs),
        )
    )


def _fire_answer(line: bytes) -> FireAnswer:
    word, *runs = decode(line).split()
    return FireAnswer(outcome=Outcome(word), runs=tuple(RunOutcome(run) for run in runs))
