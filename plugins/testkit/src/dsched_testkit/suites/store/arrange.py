"""A small language for arranging a store: leaders, workers, configs and tasks in any state."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from dsched.contracts.store.collecting import Finished, Projection
from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm, StoredConfig
from dsched.contracts.store.dispatching import Choice, Deferral
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.firing import Fire, FireAnswer
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.contracts.store.workers import Held, Registration
from dsched.contracts.store.working import Claimed, Completion, Submission
from dsched.model import (
    Decision,
    Home,
    SkippedRange,
    SkipReason,
    Task,
    TaskConfig,
    TaskResult,
    TaskSpec,
    TaskStatus,
    Worker,
)
from dsched.planning import PlannedRun
from dsched_testkit.suites.store.harness import StoreTests

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
# Long enough for any test; a test in which a lock ends gives its own.
LONG_TTL_MS = 60 * DAY_MS
HEARTBEAT_MS = 30 * SECOND_MS
WAKEUP_S = 5.0

OPERATOR = "operator"
AUTHOR = "author"
CLIENT = "client"


def ms(span_ms: int) -> timedelta:
    """A span in milliseconds."""
    return timedelta(milliseconds=span_ms)


def a_spec(**fields: Any) -> TaskSpec:
    """A small snapshot."""
    return TaskSpec(**({"executor": "local", "payload": {"call": "work"}} | fields))


def a_config(config_id: str = "c", **fields: Any) -> TaskConfig:
    """A config, every minute unless the fields name another trigger."""
    if not {"cron_expr", "every", "fixed_delay", "at"} & fields.keys():
        fields["every"] = ms(MINUTE_MS)
    return TaskConfig(**({"id": config_id, "executor": "local"} | fields))


def a_registration(worker_id: str = "w1", **fields: Any) -> Registration:
    """A worker that presents itself."""
    defaults: dict[str, Any] = {
        "worker_id": worker_id,
        "incarnation": "0100-a",
        "capacity": 10,
        "backlog": 10,
        "heartbeat_timeout_ms": HEARTBEAT_MS,
    }
    return Registration(**(defaults | fields))


def a_range(
    first_ms: int, last_ms: int, count: int, reason: SkipReason = SkipReason.MISFIRE
) -> SkippedRange:
    """A skipped range."""
    return SkippedRange(first_ms=first_ms, last_ms=last_ms, count=count, reason=reason)


def items_of(events: Sequence[Event], kind: EventKind) -> list[dict[str, Any]]:
    """The items of all entries of a kind, in the log's order."""
    return [dict(item) for event in events if event.kind is kind for item in event.items]


def kinds_of(events: Sequence[Event]) -> list[EventKind]:
    """The kinds of entries, in the log's order."""
    return [event.kind for event in events]


def finished_in(events: Sequence[Event]) -> tuple[Finished, ...]:
    """The index entries of the tasks that ended by these entries of the log."""
    return tuple(
        Finished(task_id=item["task"], status=TaskStatus(item["status"]), end_ms=event.at_ms)
        for event in events
        for item in event.items
        if "task" in item and item.get("status") in ("success", "failed", "cancelled")
    )


class Arranging(StoreTests):
    """Brings a store into a state; whatever it does is asserted to have worked."""

    fence: str = ""
    _seen: str | None = None
    _terms: int = 0
    _numbers: dict[tuple[str, str, int], int]

    async def fresh(self, **settings: Any) -> None:
        """Go on with another, empty store, told these settings."""
        self._seen, self._numbers = None, {}
        await super().fresh(**settings)

    # --- the log --------------------------------------------------------------------------------

    async def news(self) -> list[Event]:
        """The entries written since the last call of this."""
        found: list[Event] = []
        while True:
            page = await self.store.events(self._seen, 1000)
            found.extend(page.events)
            self._seen = page.cursor
            if not page.more:
                return found

    async def new_items(self, kind: EventKind) -> list[dict[str, Any]]:
        """The items of one kind among the `news`."""
        return items_of(await self.news(), kind)

    async def the_news(self) -> Event:
        """The one entry written since the last look."""
        events = await self.news()
        assert len(events) == 1, events
        return events[0]

    # --- leaders and workers --------------------------------------------------------------------

    async def lead(self, pod: str = "pod1", ttl_ms: int = LONG_TTL_MS) -> str:
        """Become leader in a new term; the fence is also ``self.fence``."""
        self._terms += 1
        acquired = await self.store.acquire(pod, f"term{self._terms}", ttl_ms)
        assert acquired.outcome == Outcome.OK
        self.fence = acquired.fence
        return self.fence

    async def worker(self, worker_id: str = "w1", **fields: Any) -> Registration:
        """Register a worker."""
        registration = a_registration(worker_id, **fields)
        assert await self.store.register(registration) == Outcome.OK
        return registration

    async def worker_now(self, worker_id: str = "w1") -> Worker:
        """How the store sees a worker."""
        found = [worker for worker in await self.store.workers() if worker.id == worker_id]
        assert found, f"{worker_id} is not registered"
        return found[0]

    async def beat(
        self, worker_id: str = "w1", *held: Held, incarnation: str = "0100-a"
    ) -> Outcome:
        """A heartbeat."""
        return (await self.store.heartbeat(worker_id, incarnation, held)).outcome

    # --- configs --------------------------------------------------------------------------------

    async def config(
        self, config_id: str = "c", *, due_in_ms: int | None = 0, **fields: Any
    ) -> StoredConfig:
        """Put a new config that is due in so many ms (None: never)."""
        due_ms = None if due_in_ms is None else self.clock.ms + due_in_ms
        return await self.put(a_config(config_id, **fields), next_due_ms=due_ms)

    async def put(self, config: TaskConfig, *, next_due_ms: int | None) -> StoredConfig:
        """Put a config, new or changed, planned from what is stored now."""
        (before,) = await self.store.get_configs([config.id])
        rearm = self.rearm(before, next_due_ms=next_due_ms)
        (answer,) = await self.store.put([PutConfig(config=config, rearm=rearm)], by=AUTHOR)
        assert answer.outcome == Outcome.OK
        assert answer.stored is not None
        return answer.stored

    def rearm(
        self,
        read: StoredConfig | None,
        *,
        skipped: SkippedRange | None = None,
        next_due_ms: int | None = None,
    ) -> Rearm:
        """A rearm planned from ``read``, accounting for everything up to now."""
        version = ConfigVersion() if read is None else read.version
        return Rearm(read=version, upto_ms=self.clock.ms, skipped=skipped, next_due_ms=next_due_ms)

    async def stored(self, config_id: str = "c") -> StoredConfig:
        """A config as stored."""
        (stored,) = await self.store.get_configs([config_id])
        assert stored is not None, f"no config {config_id}"
        return stored

    async def unchanged(self, before: StoredConfig) -> None:
        """Assert that a config is stored as it was, to the letter."""
        after = await self.stored(before.config.id)
        assert before == after
        assert (before.config.revision, before.config.created_ms, before.config.updated_ms) == (
            after.config.revision,
            after.config.created_ms,
            after.config.updated_ms,
        )

    async def due_of(self, config_id: str = "c") -> int | None:
        """When a config is due."""
        return (await self.stored(config_id)).due_ms

    # --- fires ----------------------------------------------------------------------------------

    async def a_fire(self, config_id: str = "c", *runs: int | PlannedRun, **fields: Any) -> Fire:
        """A fire planned from what is stored: of these runs, or of the due instant."""
        stored = await self.stored(config_id)
        assert stored.due_ms is not None, f"{config_id} is not due"
        planned = [
            run if isinstance(run, PlannedRun) else PlannedRun(scheduled_ms=run, not_before_ms=run)
            for run in runs or (stored.due_ms,)
        ]
        defaults: dict[str, Any] = {
            "config_id": config_id,
            "revision": stored.config.revision,
            "due_ms": stored.due_ms,
            "runs": tuple(planned),
            "next_due_ms": max(run.scheduled_ms for run in planned) + MINUTE_MS,
        }
        return Fire(**(defaults | fields))

    async def fire(
        self, config_id: str = "c", *runs: int | PlannedRun, **fields: Any
    ) -> FireAnswer:
        """Fire a config, planned from what is stored."""
        fire = await self.a_fire(config_id, *runs, **fields)
        (answer,) = await self.store.fire(self.fence, [fire])
        return answer

    async def fired(self, config_id: str = "c", *runs: int | PlannedRun) -> str:
        """Fire a config's due instant, or these runs; the id of the last run's task."""
        fire = await self.a_fire(config_id, *runs)
        (answer,) = await self.store.fire(self.fence, [fire])
        assert answer.outcome == Outcome.OK
        assert answer.runs[-1] in (RunOutcome.FIRED, RunOutcome.HELD), answer
        return f"{config_id}@{fire.runs[-1].scheduled_ms}"

    async def fire_next(self, config_id: str = "c") -> FireAnswer:
        """Let a minute pass and fire the instant that is due then."""
        await self.clock.advance(MINUTE_MS)
        return await self.fire(config_id)

    async def fired_and_running(self, config_id: str = "c") -> tuple[str, str]:
        """Fire a config's due instant and start its task on w1: (id, token)."""
        task_id = await self.fired(config_id)
        return task_id, await self.start(task_id)

    # --- tasks ----------------------------------------------------------------------------------

    async def submit(self, task_id: str = "t", *, delay_ms: int = 0, **fields: Any) -> str:
        """Submit a task; it is ready, or delayed."""
        submission = Submission(task_id=task_id, spec=a_spec(**fields), delay_ms=delay_ms)
        assert await self.store.submit([submission], by=CLIENT) == (Outcome.OK,)
        return task_id

    async def queue(self, *task_ids: str, worker_id: str = "w1") -> None:
        """Dispatch ready tasks to a worker."""
        choices = [Choice(task_id=task_id, worker_id=worker_id) for task_id in task_ids]
        done = await self.store.dispatch(self.fence, choices, [], skip=0, limit=1)
        assert (Outcome.OK,) * len(choices) == done.choices

    async def choose(self, task_id: str = "t", worker_id: str = "w1", why: str = "") -> Outcome:
        """Dispatch one task and say what became of it."""
        choice = Choice(task_id=task_id, worker_id=worker_id, why=why)
        done = await self.store.dispatch(self.fence, [choice], [], skip=0, limit=1)
        return done.choices[0]

    async def defer(
        self, task_id: str = "t", delay_ms: int = 2000, reason: str = "no worker"
    ) -> Outcome:
        """Defer one task."""
        deferral = Deferral(task_id=task_id, delay_ms=delay_ms, reason=reason)
        done = await self.store.dispatch(self.fence, [], [deferral], skip=0, limit=1)
        return done.deferrals[0]

    async def claim(
        self,
        worker_id: str = "w1",
        *,
        incarnation: str = "0100-a",
        lane: int = 0,
        number: int | None = None,
        limit: int = 100,
    ) -> Claimed:
        """Claim with the lane's next number, or with this one."""
        key = (worker_id, incarnation, lane)
        chosen = self._numbers.get(key, 0) + 1 if number is None else number
        self._numbers[key] = max(chosen, self._numbers.get(key, 0))
        return await self.store.claim(worker_id, incarnation, lane, chosen, limit)

    async def start(self, *task_ids: str, worker_id: str = "w1") -> str:
        """Dispatch and claim ready tasks; the token of the claim."""
        await self.queue(*task_ids, worker_id=worker_id)
        claimed = await self.claim(worker_id)
        assert claimed.outcome == Outcome.OK
        assert set(task_ids) <= {task.id for task in claimed.tasks}
        return claimed.token

    async def queued(self, task_id: str = "t", **fields: Any) -> str:
        """Submit a task and dispatch it to w1."""
        await self.submit(task_id, **fields)
        await self.queue(task_id)
        return task_id

    async def running(self, task_id: str = "t", **fields: Any) -> str:
        """Submit a task and start it on w1; its token."""
        await self.submit(task_id, **fields)
        return await self.start(task_id)

    async def finish(self, task_id: str, token: str, **fields: Any) -> Outcome:
        """Complete an attempt: a success unless the fields say else."""
        defaults: dict[str, Any] = {"success": True, "result": TaskResult()}
        completion = Completion(task_id=task_id, token=token, **(defaults | fields))
        (outcome,) = await self.store.complete([completion], by="w1")
        return outcome

    async def fail(self, task_id: str, token: str, **fields: Any) -> Outcome:
        """Complete an attempt as failed."""
        result = TaskResult(code="failed", message="no luck")
        return await self.finish(task_id, token, success=False, result=result, **fields)

    async def ended(self, task_id: str = "t", **fields: Any) -> str:
        """Submit a task, run it and complete it with success."""
        token = await self.running(task_id, **fields)
        assert await self.finish(task_id, token) == Outcome.OK
        return task_id

    async def task(self, task_id: str = "t") -> Task:
        """A task, in full."""
        (task,) = await self.store.get([task_id], full=True)
        assert task is not None, f"no task {task_id}"
        return task

    async def state(self, task_id: str = "t") -> tuple[TaskStatus, Home | None]:
        """Status and home of a task."""
        task = await self.task(task_id)
        return task.status, task.home

    async def ready_ids(self) -> list[str]:
        """The ready tasks in their order."""
        page = await self.store.ready(self.fence, 0, 100)
        return [task.id for task in page.tasks]

    # --- the collector --------------------------------------------------------------------------

    async def collected(self, decisions: Sequence[Decision] = ()) -> None:
        """Do the collector's work to the end of the log: index what ended; add decisions."""
        while True:
            page = await self.store.collect(self.fence, 1000)
            if not page.events and not decisions:
                return
            projection = Projection(
                after=page.after,
                upto=page.cursor,
                decisions=tuple(decisions),
                finished=finished_in(page.events),
            )
            assert await self.store.project(self.fence, projection) == Outcome.OK
            decisions = ()

    # --- wake-ups -------------------------------------------------------------------------------

    async def hush(self, *who: str) -> None:
        """Take the wake-ups so far, so that the next one is new."""
        for name in who:
            for _ in range(10):
                if not await self.store.wakeup(name, 0.02):
                    break


READY = (TaskStatus.PENDING, Home.READY)
DELAYED = (TaskStatus.PENDING, Home.DELAYED)
QUEUED = (TaskStatus.PENDING, Home.QUEUE)
HELD = (TaskStatus.PENDING, Home.HELD)
RUNNING = (TaskStatus.RUNNING, Home.LEASE)
RETRYING = (TaskStatus.RETRYING, Home.DELAYED)
SUCCESS = (TaskStatus.SUCCESS, None)
FAILED = (TaskStatus.FAILED, None)
CANCELLED = (TaskStatus.CANCELLED, None)
