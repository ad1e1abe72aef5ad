"""The fault menu, and what becomes of the calls of a process that faults happen to."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs

from dsched.contracts.store.outcomes import (
    FencedError,
    Outcome,
    RunOutcome,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)
from dsched_testkit.kernel.line import Proceed
from dsched_testkit.kernel.process import Process

# Faults of single calls, of processes, of the world, and of what executors run.
CALL_FAULTS = ("lost_request", "lost_reply", "delay", "duplicate")
PROCESS_FAULTS = ("pause", "crash", "takeover", "twin", "loss", "leave", "drain", "cut")
WORLD_FAULTS = ("outage", "clock_forward", "clock_back")
STORE_FAULTS = ("restart", "failover", "wipe", "loading", "readonly", "oom", "evict")
EXECUTOR_FAULTS = ("hang", "raise", "kill", "ignore_cancel", "late_answer", "huge_result")
CLIENT_ACTS = ("edit", "cancel")
# How a whole run is: its clocks drift, its night has a DST change, equal instants are permuted.
MODES = ("drift", "dst", "permute")
MENU = (
    *(*CALL_FAULTS, *PROCESS_FAULTS, *WORLD_FAULTS, *STORE_FAULTS),
    *(*EXECUTOR_FAULTS, *CLIENT_ACTS, *MODES),
)

SHARE = 0.03
ANSWER_WITHIN_S = 10.0
WIPE_SHARE = 0.15  # a wipe ends all that was going on, so it must be rare

# Steps that compare what their caller read with what is stored now.
RACING = frozenset({"dispatch", "fire", "put", "pause", "resume", "delete"})
RACING_SHARE = 0.06

# A server at its memory limit refuses steps that add data; a replica refuses every write.
GROWING = frozenset({"submit", "put", "fire"})
READS = frozenset(
    {"now", "leader", "workers", "get_configs", "list_configs", "due", "ready", "overdue"}
    | {"get", "list_tasks", "events", "decisions", "counts", "collect", "wakeup"}
)


def choose_faults(chance: random.Random, only: frozenset[str] | None = None) -> frozenset[str]:
    """A random subset of the menu: faults that hide each other must not always come together."""
    share = chance.choice((0.25, 0.5, 0.75, 1.0))
    chosen = frozenset(
        fault
        for fault in MENU
        if chance.random() < (min(share, WIPE_SHARE) if fault == "wipe" else share)
    )
    return chosen if only is None else chosen & only


@attrs.define(kw_only=True)
class Sky:
    """What all processes share: the faults in use, how the store is, and counts of what was.

    ``generation`` counts the wipes of the store: handles opened before one are refused.
    ``refusing`` is ``loading``, ``readonly`` or ``oom`` until ``refusing_until_s``.
    """

    faults: frozenset[str]
    now_s: Callable[[], float]
    network: asyncio.TaskGroup
    down_until_s: float = 0.0
    dead_until_s: float = 0.0
    refusing: str = ""
    refusing_until_s: float = 0.0
    generation: int = 0
    fair: bool = False
    calls: int = 0
    counts: Counter[str] = attrs.field(factory=Counter)
    outcomes: Counter[str] = attrs.field(factory=Counter)

    def refuses(self, step: str) -> bool:
        """Whether the server, as it is now, answers this step with an error."""
        if self.fair or self.now_s() >= self.refusing_until_s:
            return False
        match self.refusing:
            case "oom":
                return step in GROWING
            case "readonly":
                return step not in READS
        return step != "wakeup"


@attrs.define(kw_only=True, eq=False)
class FaultyProcess(Process):
    """A process with the faults of this `Sky`. ``late`` faults outlive the call.

    Its handle on the store is opened on the store as it is: ``generation``.
    """

    sky: Sky
    chance: random.Random
    number: int = 0
    late: bool = True
    cut_until_s: float = 0.0
    generation: int = attrs.field(
        init=False, default=attrs.Factory(lambda self: self.sky.generation, takes_self=True)
    )

    async def call(self, handle: str, step: str, proceed: Proceed) -> Any:  # noqa: ARG002
        """One call of the process: there, and back."""
        return await self.passed(lambda: self._sent(step, proceed))

    def out_of_reach(self) -> bool:
        """Whether its line is cut, or nobody's call gets to the server."""
        until_s = max(self.cut_until_s, self.sky.down_until_s, self.sky.dead_until_s)
        return not self.sky.fair and self.now_s() < until_s

    def refused_after_s(self) -> float:
        """Soon."""
        return self.chance.uniform(0, 0.5)

    async def _sent(self, step: str, proceed: Proceed) -> Any:
        self.sky.calls += 1
        delivered = self._counted(proceed, step)
        return await (delivered() if step == "wakeup" else self._through(delivered, step))

    def _counted(self, proceed: Proceed, step: str) -> Proceed:
        """The call as it reaches the store, its answer counted even where it gets lost."""

        async def deliver() -> Any:
            self._admit(step)
            try:
                answer = await proceed()
            except FencedError:
                self.sky.outcomes["FENCED"] += 1
                raise
            self.sky.outcomes.update(words(answer))
            return answer

        return deliver

    def _admit(self, step: str) -> None:
        """The server checks a call before it runs it."""
        sky = self.sky
        if self.generation != sky.generation:
            sky.outcomes["refused after a wipe"] += 1
            raise StoreRefusedError("the store was emptied while this one ran: start it anew")
        if not sky.fair and sky.now_s() < sky.dead_until_s:
            raise StoreUnavailableError("the server is down", maybe_applied=False)
        if sky.refuses(step):
            sky.outcomes[f"refused {sky.refusing}"] += 1
            raise StoreUnavailableError(f"the server answers {sky.refusing}", maybe_applied=False)

    async def _through(self, proceed: Proceed, step: str) -> Any:
        chance, fault = self.chance, self._fault()
        await asyncio.sleep(chance.uniform(0.0002, 0.005))
        if step in RACING and self._slow():
            await asyncio.sleep(chance.uniform(0, 3))
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

    def _slow(self) -> bool:
        """A delay may make wrong what was decided from an older reading."""
        if self.sky.fair or "delay" not in self.sky.faults or self.chance.random() > RACING_SHARE:
            return False
        self.sky.counts["delay"] += 1
        return True

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
