"""The fault menu, and the wire between one process and the store on which its faults happen."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs

from dsched.contracts.outcomes import (
    FencedError,
    Outcome,
    RunOutcome,
    StoreError,
    StoreUnavailableError,
)
from dsched_testkit.simulation.lines import Proceed

# Faults of single calls, of processes, of the world, and of what executors run.
CALL_FAULTS = ("lost_request", "lost_reply", "delay", "duplicate")
PROCESS_FAULTS = ("pause", "crash", "takeover", "twin", "loss", "leave", "drain", "cut")
WORLD_FAULTS = ("outage", "clock_forward", "clock_back")
EXECUTOR_FAULTS = ("hang", "raise", "kill", "ignore_cancel", "late_answer")
CLIENT_ACTS = ("edit", "cancel")
MENU = (*CALL_FAULTS, *PROCESS_FAULTS, *WORLD_FAULTS, *EXECUTOR_FAULTS, *CLIENT_ACTS)

SHARE = 0.03
ANSWER_WITHIN_S = 10.0


def choose_faults(chance: random.Random, only: frozenset[str] | None = None) -> frozenset[str]:
    """A random subset of the menu: faults that hide each other must not always come together."""
    share = chance.choice((0.25, 0.5, 0.75, 1.0))
    chosen = frozenset(fault for fault in MENU if chance.random() < share)
    return chosen if only is None else chosen & only


@attrs.define(kw_only=True)
class Sky:
    """What all wires share: the faults in use, an outage of the store, and counts of what was."""

    faults: frozenset[str]
    now_s: Callable[[], float]
    network: asyncio.TaskGroup
    down_until_s: float = 0.0
    fair: bool = False
    calls: int = 0
    counts: Counter[str] = attrs.field(factory=Counter)
    outcomes: Counter[str] = attrs.field(factory=Counter)


@attrs.define(kw_only=True)
class Wire:
    """The rule of one process's line to the store. ``late`` faults outlive the call."""

    sky: Sky
    chance: random.Random
    late: bool = True
    dead: bool = False
    paused_until_s: float = 0.0
    cut_until_s: float = 0.0

    async def __call__(self, handle: str, step: str, proceed: Proceed) -> Any:  # noqa: ARG002
        """One call of the process: there, and back."""
        await self.resumed()
        sky = self.sky
        if self.dead or (not sky.fair and sky.now_s() < max(sky.down_until_s, self.cut_until_s)):
            await asyncio.sleep(self.chance.uniform(0, 0.5))
            raise StoreUnavailableError("the store is out of reach", maybe_applied=False)
        sky.calls += 1
        delivered = self._counted(proceed)
        answer = await (delivered() if step == "bell" else self._through(delivered))
        await self.resumed()
        if self.dead:
            raise StoreUnavailableError("the process is dead", maybe_applied=True)
        return answer

    def _counted(self, proceed: Proceed) -> Proceed:
        """The call as it reaches the store, its answer counted even where it gets lost."""

        async def deliver() -> Any:
            try:
                answer = await proceed()
            except FencedError:
                self.sky.outcomes["FENCED"] += 1
                raise
            self.sky.outcomes.update(words(answer))
            return answer

        return deliver

    async def resumed(self) -> None:
        """A stopped process does nothing; it goes on where it was."""
        while self.sky.now_s() < self.paused_until_s and not self.dead:  # noqa: ASYNC110
            await asyncio.sleep(self.paused_until_s - self.sky.now_s())

    async def _through(self, proceed: Proceed) -> Any:
        chance, fault = self.chance, self._fault()
        await asyncio.sleep(chance.uniform(0.0002, 0.005))
        match fault:
            case "lost_request":
                await asyncio.sleep(chance.uniform(0, 2))
                raise StoreUnavailableError("the request was lost", maybe_applied=True)
            case "lost_reply":
                await proceed()
                await asyncio.sleep(chance.uniform(0, 2))
                raise StoreUnavailableError("the reply was lost", maybe_applied=True)
            case "delay" if self.late and chance.random() < 0.3:
                return await self._long_delay(proceed)
            case "delay":
                await asyncio.sleep(chance.uniform(0, 3))
            case "duplicate" if self.late and chance.random() < 0.5:
                self._deliver_later(proceed, chance.uniform(0.01, 40))
            case "duplicate":
                # A request that the network repeats: the first answer is lost.
                await proceed()
        answer = await proceed()
        await asyncio.sleep(chance.uniform(0.0002, 0.005))
        return answer

    def _fault(self) -> str | None:
        if self.sky.fair:
            return None
        number = int(self.chance.random() / SHARE)
        if number >= len(CALL_FAULTS) or CALL_FAULTS[number] not in self.sky.faults:
            return None
        self.sky.counts[CALL_FAULTS[number]] += 1
        return CALL_FAULTS[number]

    async def _long_delay(self, proceed: Proceed) -> Any:
        """The caller gives up after a while; the request arrives all the same."""
        delay_s = self.chance.uniform(3, 60)
        if delay_s < ANSWER_WITHIN_S:
            answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._deliver_later(proceed, delay_s, answer)
            return await answer
        self._deliver_later(proceed, delay_s)
        await asyncio.sleep(ANSWER_WITHIN_S)
        raise StoreUnavailableError(f"no answer in {ANSWER_WITHIN_S:g} s", maybe_applied=True)

    def _deliver_later(
        self, proceed: Proceed, delay_s: float, answer: asyncio.Future[Any] | None = None
    ) -> None:
        async def deliver() -> None:
            await asyncio.sleep(delay_s)
            try:
                given = await proceed()
            except StoreError as error:
                if answer is not None and not answer.done():
                    answer.set_exception(error)
            else:
                if answer is not None and not answer.done():
                    answer.set_result(given)

        self.sky.network.create_task(deliver(), name="packet")


def words(answer: Any) -> list[str]:
    """The outcome words in an answer of the store."""
    if isinstance(answer, Outcome):
        return [answer.value]
    if isinstance(answer, RunOutcome):
        return [f"run {answer.value}"]
    if isinstance(answer, tuple):
        return [word for item in answer for word in words(item)]
    found: list[str] = []
    for field in ("outcome", "runs", "choices", "deferrals"):
        found += words(getattr(answer, field, ()))
    return found
