"""One play of one scenario, as written or with one fault, healed and checked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.settings import StoreSettings
from dsched.model import ORPHAN, TaskStatus
from dsched_testkit.checker import check, excerpt
from dsched_testkit.evidence import gathered
from dsched_testkit.judging.asked_skips import skips_hold
from dsched_testkit.judging.facts import facts_problems
from dsched_testkit.judging.paths import recovery_paths
from dsched_testkit.judging.testimony import Testimony
from dsched_testkit.judging.written import lines_kept_once
from dsched_testkit.kernel.virtual_time import VirtualWall, run_virtual
from dsched_testkit.memory import State
from dsched_testkit.memory.audit import Audit
from dsched_testkit.sweep.process import Call, Point
from dsched_testkit.sweep.rest import end, heal, projected
from dsched_testkit.sweep.stage import Stage

START_MS = 1_800_000_000_000
# A lease of 1 s, 1.5 s without a leader, steady answers for 1.5 s, polls every second, and a last
# request of the dead that arrives 4 s late.
RECOVERY_BOUND_MS = 10_000


Play = Callable[[Stage], Awaitable[None]]


@attrs.frozen(kw_only=True)
class Scenario:
    """A short story. ``shows``: words of the log that it must bring about when nothing is broken.

    ``settings`` of the store. ``clock_back``: the wall goes back, so instants may come again.
    ``opening``: faults are also played at the calls before a user's first, which are much the same
    in all scenarios.
    """

    name: str
    play: Play
    shows: frozenset[str] = frozenset()
    settings: StoreSettings = attrs.field(factory=StoreSettings)
    clock_back: bool = False
    opening: bool = False


def scenario(*shows: str, name: str = "", **more: Any) -> Callable[[Play], Scenario]:
    """Make a `Scenario` of what is decorated, named like it; ``more`` of its fields."""

    def make(play: Play) -> Scenario:
        called = name or play.__name__.replace("_", "-")
        return Scenario(name=called, play=play, shows=frozenset(shows), **more)

    return make


@attrs.frozen(kw_only=True)
class Played:
    """What one play gave; ``calls`` only when it was recorded."""

    violations: list[str]
    excerpt: list[str]
    seen: frozenset[str]
    calls: list[Call]
    virtual_s: float
    tasks: int


class KeptState(State):
    """A store that trims its log, beside which the checker keeps all of it."""

    def __init__(self, wall: Callable[[], int], settings: StoreSettings) -> None:
        super().__init__(wall, settings)
        self.whole: list[Event] = []

    def append(self, *args: object, **how: object) -> None:
        """As the store."""
        super().append(*args, **how)  # type: ignore[arg-type]
        self.whole.append(self.log[-1])


def play(
    scenario: Scenario,
    balancer: tuple[str, LoadBalancer],
    point: Point | None = None,
    *,
    record: bool = False,
) -> Played:
    """Play a scenario in virtual time. Equal arguments give equal plays, up to the fault."""
    return run_virtual(_story(scenario, balancer, point, record=record), numbered=True)


async def _story(
    scenario: Scenario, balancer: tuple[str, LoadBalancer], point: Point | None, *, record: bool
) -> Played:
    loop = asyncio.get_running_loop()
    wall = VirtualWall(loop, START_MS)
    state = KeptState(wall, scenario.settings)
    calls: list[Call] = []
    async with asyncio.TaskGroup() as group:
        stage = Stage(
            group=group,
            state=state,
            wall=wall,
            now_s=loop.time,
            balancer=balancer,
            point=point,
            calls=calls if record else None,
        )
        audit = Audit(state)
        try:
            await scenario.play(stage)
            found = audit.problems()
            stage.calls = None
            found += await heal(stage)
        finally:
            await end(stage)
    found += [*stage.problems, *stage.assertions.found, *audit.problems()]
    found += _checked(stage, state, scenario)
    found = list(dict.fromkeys(found))
    return Played(
        violations=found,
        excerpt=excerpt(state.log, found[0]) if found else [],
        seen=frozenset(recovery_paths(state.log)),
        calls=calls,
        virtual_s=loop.time(),
        tasks=len(state.tasks),
    )


def _checked(stage: Stage, state: KeptState, scenario: Scenario) -> list[str]:
    """Judge it like a run of the simulation, as far as a store that trims its log allows."""
    trimmed = any(event.kind is EventKind.GAP for event in state.whole)
    found = [] if trimmed else projected(stage)
    state.log = state.whole
    if scenario.settings == StoreSettings():
        found += facts_problems(state)
    testimony = Testimony(
        source=f"sweep, {scenario.name}",
        state=state,
        books=stage.books,
        ledger=stage.ledger,
        said=stage.said,
        faults=stage.faults,
        rest=stage.rest,
        recovery_bound_ms=RECOVERY_BOUND_MS,
        principals=("client", ORPHAN),
    )
    found += check(gathered(testimony.lines())).violations
    found += lines_kept_once(state)
    if not scenario.clock_back:
        found += skips_hold(state.log, stage.books.skips)
    return found + _unended(stage, state) + _gone_too_soon(state)


def _gone_too_soon(state: KeptState) -> list[str]:
    """I12: what ended is kept for as long as the settings say for its outcome."""
    now_ms = state.wall()
    return [
        f"I12: {item['task']} ended {status} at {event.at_ms}, and is gone at {now_ms}"
        for event in state.whole
        for item in event.items
        if "task" in item and (word := item.get("status")) is not None
        if (status := TaskStatus(word)).terminal and item["task"] not in state.tasks
        if now_ms - event.at_ms < state.settings.kept_ms(status)
    ]


def _unended(stage: Stage, state: KeptState) -> list[str]:
    """I7: what was acknowledged has ended; by the log, for the task may be removed since."""
    ends = {
        item["task"]
        for event in state.whole
        for item in event.items
        if "task" in item and (word := item.get("status")) and TaskStatus(word).terminal
    }
    return [f"I7: {key} was acknowledged and lost" for key in stage.acknowledged if key not in ends]
