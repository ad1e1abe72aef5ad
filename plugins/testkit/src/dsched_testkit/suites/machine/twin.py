"""Two stores driven with the same steps, whose answers and log entries must be equal."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.configs import ConfigPage, PutAnswer, StoredConfig
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.firing import DuePage
from dsched.contracts.store.outcomes import Outcome, StoreError
from dsched.contracts.store.reading import DecisionPage, TaskPage
from dsched.contracts.store.recovering import Overdue, Pruned
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.workers import HeartbeatAnswer
from dsched.contracts.store.working import Claimed
from dsched.engine.leader.projecting import project
from dsched.model import Task
from dsched_testkit.memory import MemoryStore, State, new_state
from dsched_testkit.memory.audit import Audit
from dsched_testkit.suites.machine.pools import ORIGINS
from dsched_testkit.suites.store.arrange import DAY_MS
from dsched_testkit.suites.store.harness import StoreHarness, WallClock

# Kinds whose place among the entries of one call the contract states; the others follow them.
_FIRST = (
    EventKind.CLOCK_BACK,
    EventKind.SKIPPED,
    EventKind.FIRED,
    EventKind.CANCELLED,
    EventKind.CANCEL_REQUESTED,
    EventKind.RECALLED,
)


class DivergedError(AssertionError):
    """The store under test and the reference answered one step differently."""


def comparable(answer: Any) -> Any:
    """The part of an answer that the contract fixes to the letter."""
    match answer:
        case BaseException():
            return type(answer).__name__
        case Claimed(outcome=outcome) if outcome is not Outcome.OK:
            return outcome
        case HeartbeatAnswer(outcome=outcome) if outcome is not Outcome.OK:
            return outcome, answer.lost, answer.cancel
        case Overdue():
            return attrs.evolve(
                answer,
                queued=tuple(sorted(answer.queued, key=lambda entry: entry.task_id)),
                leases=tuple(sorted(answer.leases, key=lambda lease: lease.task.id)),
            )
        case Pruned():
            return answer.count
        case PutAnswer(stored=StoredConfig() as stored):
            return answer, _exactly(stored)
        case DuePage() | ConfigPage():
            return answer, [_exactly(stored) for stored in answer.configs]
        case DecisionPage():
            return answer.decisions, answer.kept_from_ms, answer.cursor is None
        case TaskPage():
            tasks = tuple(sorted(answer.tasks, key=lambda task: task.id))
            return tasks, answer.cursor is None
    return answer


def _exactly(stored: StoredConfig) -> tuple[int, int, int]:
    """What the equality of configs leaves out."""
    config = stored.config
    return config.revision, config.created_ms, config.updated_ms


def _entries(events: Sequence[Event]) -> list[Any]:
    rows = [(e.kind, e.at_ms, e.by, [dict(item) for item in e.items]) for e in events]
    first = [row for row in rows if row[0] in _FIRST]
    return first + sorted((row for row in rows if row[0] not in _FIRST), key=lambda row: row[0])


class Twin:
    """The reference and the store under test, on one clock and one private event loop."""

    def __init__(self, harness: StoreHarness, settings: StoreSettings) -> None:
        self._harness = harness
        self._settings = settings
        self._runner = asyncio.Runner()
        self.clock = WallClock(harness.set_wall)
        self.state: State = new_state(self.clock, settings)
        self.reference: Store = MemoryStore(self.state)
        self._audit = Audit(self.state)
        self._seen: list[str | None] = [None, None]
        self._told: dict[str, int] = {}
        self._rows: dict[str, Task | None] = {}
        self._last: tuple[str, tuple[Any, ...], dict[str, Any]] | None = None
        self.steps: list[str] = []
        self._open()

    # --- opening and closing, in one task as context managers want it ---

    def _open(self) -> None:
        ready: asyncio.Future[Store] = self._runner.get_loop().create_future()
        self._closing = asyncio.Event()
        self._holder = self._runner.get_loop().create_task(self._hold(ready), name="holder")
        self._tested: Store = self.run(self._opened(ready))

    async def _hold(self, ready: "asyncio.Future[Store]") -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.clock.cleanup)
            await self._harness.set_wall(self.clock)
            opened = self._harness.open_store(self.clock, self._settings)
            ready.set_result(await stack.enter_async_context(opened))
            await self._closing.wait()

    async def _opened(self, ready: "asyncio.Future[Store]") -> Store:
        waited: list[asyncio.Future[Any]] = [self._holder, ready]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await self._holder  # raises what hindered the opening
        return await ready

    def close(self) -> None:
        """Close the store under test, and the loop."""

        async def finish() -> None:
            self._closing.set()
            await self._holder

        try:
            self.run(finish())
        finally:
            self._runner.close()

    def run(self, coroutine: Any) -> Any:
        """Run something on the private loop."""
        return self._runner.run(coroutine)

    # --- steps ---

    def step(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Take one step in both stores; the reference's answer, or what it raised."""
        self._last = (name, args, kwargs)
        shown = ", ".join(
            [*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())]
        )
        self.steps.append(f"{name}({shown})")
        return self.run(self._step(name, args, kwargs))

    def repeat(self) -> None:
        """Take the last step once more, as after a lost reply."""
        if self._last is not None:
            name, args, kwargs = self._last
            self.step(name, *args, **kwargs)

    async def _step(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        expected = await _answer(getattr(self.reference, name), args, kwargs)
        found = await _answer(getattr(self._tested, name), args, kwargs)
        self._compare(name, comparable(expected), comparable(found))
        await self._compare_news(name)
        await self._compare_tasks(name)
        problems = self._audit.problems()
        if problems:
            raise DivergedError(f"after {name} the reference itself is wrong: {problems}")
        return expected

    async def _compare_news(self, name: str) -> None:
        pages = [
            await store.events(seen, 1000)
            for store, seen in zip((self.reference, self._tested), self._seen, strict=True)
        ]
        self._compare(f"log entries of {name}", *(_entries(page.events) for page in pages))
        self._seen = [page.cursor for page in pages]

    async def _compare_tasks(self, name: str) -> None:
        task_ids = sorted(self.state.tasks)[:100]
        expected = await self.reference.get(task_ids)
        found = await self._tested.get(task_ids)
        for one, other in zip(expected, found, strict=True):
            self._compare(f"tasks after {name}", one, other)
        # Snapshots, results and former attempts change together with what was just compared.
        rows = dict(zip(task_ids, expected, strict=True))
        await self._compare_whole(name, [key for key in rows if rows[key] != self._rows.get(key)])
        self._rows = rows
        told = {run_id: len(lines) for run_id, lines in self.state.member_logs.items()}
        await self._compare_logs(name, [key for key in told if told[key] != self._told.get(key)])
        self._told = told

    async def _compare_whole(self, name: str, task_ids: Sequence[str]) -> None:
        if task_ids:
            pages = [await one.get(task_ids, full=True) for one in (self.reference, self._tested)]
            self._compare(f"whole tasks after {name}", *pages)

    async def _compare_logs(self, name: str, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            lines = [await one.run_lines(run_id, 0, 100) for one in (self.reference, self._tested)]
            self._compare(f"the member log of {run_id} after {name}", *lines)

    def compare_all(self) -> None:
        """Compare what can be read: workers, configs, counts, the clock."""
        self.step("now")
        self.step("workers")
        self.step("counts")
        self.step("list_configs", None, 100)
        for prefix in ("c", "c1"):
            self.step("list_configs", None, 100, prefix=prefix)
        self.run(self._compare_whole("all of it", sorted(self.state.tasks)[:100]))
        self.run(self._compare_logs("all of it", self.state.member_logs))
        for origin in ORIGINS:
            self._compare_origin(origin)
        for config_id in sorted(self.state.decisions)[:20]:
            self.step("decisions", config_id, None, 100)
        self.step("stats", None, self.clock.ms - DAY_MS, self.clock.ms + DAY_MS)

    def _compare_origin(self, origin: str) -> None:
        """Compare all pages of one origin as one: a store may choose the length of each."""
        self.steps.append(f"list_configs to the end, origin={origin!r}")

        async def both() -> None:
            expected = await _of_origin(self.reference, origin)
            self._compare(f"configs of {origin}", expected, await _of_origin(self._tested, origin))

        self.run(both())

    def collect(self, fence: str) -> None:
        """Let both collectors do their work to the end of the log, each by its own cursors."""
        self.steps.append("collect and project")

        async def both() -> None:
            expected = await self._collect(self.reference, fence)
            self._compare("collect", expected, await self._collect(self._tested, fence))

        self.run(both())

    async def _collect(self, store: Store, fence: str) -> list[Any]:
        answers: list[Any] = []
        for _ in range(20):
            page = await _answer(store.collect, (fence, 50), {})
            if isinstance(page, BaseException) or not page.events:
                return answers
            projection = project(page.after, page.events)
            done = await _answer(store.project, (fence, projection), {})
            again = await _answer(store.project, (fence, projection), {})
            answers += [_entries(page.events), comparable(done), comparable(again)]
        return answers

    def _compare(self, what: str, expected: Any, found: Any) -> None:
        if expected != found:
            raise DivergedError(
                f"{what}: the answers differ\n  reference: {expected!r}\n  store:     {found!r}\n"
                "  the steps:\n    " + "\n    ".join(self.steps)
            )


async def _of_origin(store: Store, origin: str) -> list[Any]:
    found: list[Any] = []
    cursor = None
    for _ in range(100):
        page = await store.list_configs(cursor, 2, origin=origin)
        found += [(stored, _exactly(stored)) for stored in page.configs]
        cursor = page.cursor
        if cursor is None:
            return found
    raise DivergedError(f"the pages of {origin} have no end: {found}")


async def _answer(
    method: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    try:
        return await method(*args, **kwargs)
    except (ValueError, StoreError) as error:
        return error
