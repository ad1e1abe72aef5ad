"""The machine's memory, and what leaders do."""

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from dsched.contracts.store.classes import Blocked, Let, Shut
from dsched.contracts.store.configs import ConfigVersion
from dsched.contracts.store.dispatching import Choice, Deferral, ReadyPage
from dsched.contracts.store.firing import DuePage, Fire, Replan
from dsched.contracts.store.leadership import Acquired
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.recovering import Overdue, Reap
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.tasklogs import LogCaps
from dsched.contracts.store.workers import Held, Registration
from dsched.model import Limit
from dsched_testkit.suites.machine.pools import (
    CLASSES,
    CONFIGS,
    DAY_MS,
    INCARNATIONS,
    RATES,
    WORKERS,
    a_fire,
    a_fire_of,
    pick,
)
from dsched_testkit.suites.machine.twin import Twin
from dsched_testkit.suites.store.harness import StoreHarness

# Caps so small that both halves of a task's log are reached.
SETTINGS = StoreSettings(result_ttl_ms=DAY_MS, max_events=40, log_caps=LogCaps(lines=8, bytes=140))

age = st.integers(0, 6)  # 0 to 2: the newest of a pool; more: ever older ones
rarely = st.integers(0, 9).map(lambda number: number == 9)
workers = st.sampled_from(WORKERS)
configs = st.sampled_from(CONFIGS)
variants = st.sampled_from([0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6])  # `FLOWS` are the last three
# In how many ms something is due; None: never.
due_in = st.sampled_from([0, 0, -45_000, -20_000, 5_000, None])

Act = TypeVar("Act", bound=Callable[..., None])


def often(weight: int, /, **strategies: st.SearchStrategy[Any]) -> Callable[[Act], Act]:
    """Mark an act of the machine: how often it is taken, and how its arguments are drawn.

    They are not rules of Hypothesis: it leaves out many of the rules in each example, and with so
    many rules no task ever came to its end.
    """

    def mark(act: Act) -> Act:
        act.often = (weight, strategies)  # type: ignore[attr-defined]
        return act

    return mark


class Pools(RuleBasedStateMachine):
    """The machine's memory, and how it picks from it."""

    harness: StoreHarness

    def __init__(self) -> None:
        super().__init__()
        self.twin = Twin(self.harness, SETTINGS)
        self.terms = 0
        self.fences = ["1:none:pod"]
        self.attempts: list[Held] = [Held("t0", "w0.01-a.0.0")]
        self.incarnation = dict.fromkeys(WORKERS, INCARNATIONS[0])
        self.numbers: dict[tuple[str, int], int] = {}
        self.versions: dict[str, list[ConfigVersion]] = {key: [ConfigVersion()] for key in CONFIGS}
        self.fires: list[Fire] = []

    def teardown(self) -> None:
        """Compare everything once more, then close."""
        try:
            self.twin.compare_all()
        finally:
            self.twin.close()

    def step(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """One step in both stores."""
        return self.twin.step(name, *args, **kwargs)

    @property
    def wall_ms(self) -> int:
        """The wall clock."""
        return self.twin.clock.ms

    def lead(self, pod: str = "pod0", ttl_ms: int = 60_000) -> None:
        """Try for a new term."""
        self.terms += 1
        acquired: Acquired = self.step("acquire", pod, f"term{self.terms}", ttl_ms)
        self.fences.append(acquired.fence)

    def fence(self, index: int) -> str:
        """A fence: that of the current term, or a stale one."""
        if index <= 4:
            if self.twin.state.fence is None or self.twin.run(self.twin.reference.leader()) is None:
                self.lead()
            return self.twin.state.fence or "1:none:pod"
        return pick(self.fences, index)

    def version(self, config_id: str, index: int) -> ConfigVersion:
        """What somebody read of a config: what is stored, or a stale reading."""
        (stored,) = self.twin.run(self.twin.reference.get_configs([config_id]))
        now = ConfigVersion() if stored is None else stored.version
        if now != self.versions[config_id][-1]:
            self.versions[config_id].append(now)
        return pick(self.versions[config_id], index)

    def incarnation_of(self, worker_id: str, index: int) -> str:
        """The incarnation registered last, or another."""
        current = self.incarnation[worker_id]
        return current if index <= 4 else INCARNATIONS[index % len(INCARNATIONS)]

    def held(self, index: int, count: int = 1) -> list[Held]:
        """Attempts, each task once: those that run, or superseded ones."""
        state = self.twin.state
        running = [Held(key, state.tasks[key].token or "") for key in state.leases]
        if index <= 3 and running:
            return running[:count] if index % 2 else running[-count:]
        superseded = [
            item
            for item in self.attempts
            if item.task_id in state.leases and item.token != state.tasks[item.task_id].token
        ]
        if index == 4 and superseded:
            return superseded[-1:]
        found: dict[str, Held] = {}
        for offset in range(count):
            item = pick(self.attempts, index + offset)
            found.setdefault(item.task_id, item)
        return list(found.values())


class LeaderRules(Pools):
    """What leaders do."""

    @initialize()
    def start(self) -> None:
        """A leader, two workers, some work."""
        self.lead()
        for worker_id in WORKERS:
            self.register_as(worker_id, INCARNATIONS[0], 2, 1)

    def register_as(self, worker_id: str, incarnation: str, capacity: int, backlog: int) -> None:
        """Register a worker."""
        registration = Registration(
            worker_id=worker_id,
            incarnation=incarnation,
            capacity=capacity,
            backlog=backlog,
            heartbeat_timeout_ms=30_000 if worker_id == "w0" else 12_000,
        )
        if self.step("register", registration) is Outcome.OK:
            self.incarnation[worker_id] = incarnation

    @often(1, pod=st.sampled_from(["pod0", "pod1"]), ttl_ms=st.sampled_from([10_000, 600_000]))
    def acquire(self, pod: str, ttl_ms: int) -> None:
        self.lead(pod, ttl_ms)

    @often(1, index=age, which=st.integers(0, 5))
    def renew_or_resign(self, index: int, which: int) -> None:
        fence = self.fence(index)
        if which == 0:
            self.step("resign", fence)
        else:
            self.step("renew", fence, 30_000)

    @often(4, index=age, runs=st.integers(1, 3))
    def fire_what_is_due(self, index: int, runs: int) -> None:
        fence = self.fence(index)
        page = self.step("due", fence, 10)
        if isinstance(page, DuePage) and page.configs:
            fires = [a_fire_of(stored, self.wall_ms, runs) for stored in page.configs]
            self.fires += fires
            self.step("fire", fence, fires)

    @often(2, index=age, which=st.integers(0, 9))
    def fire_something_old(self, index: int, which: int) -> None:
        if self.fires:
            self.step("fire", self.fence(index), [pick(self.fires, which)])

    @often(3, config_id=configs, stale=age, which=st.integers(0, 30))
    def replan_and_fire_again(self, config_id: str, stale: int, which: int) -> None:
        """The clock went back: an instant that was fired once is due once more."""
        fence = self.fence(0)
        version = self.version(config_id, stale)
        instants = [
            task.scheduled_ms
            for task in self.twin.state.tasks.values()
            if task.id.startswith(f"{config_id}@") and task.scheduled_ms <= self.wall_ms
        ]
        if not instants:
            return
        again = attrs.evolve(version, due_ms=instants[which % len(instants)])
        replan = Replan(
            config_id=config_id,
            revision=version.revision,
            due_ms=version.due_ms,
            next_due_ms=again.due_ms,
            last_fired_ms=version.last_fired_ms,
        )
        self.step("replan", fence, [replan])
        self.step("fire", fence, [a_fire(config_id, again, self.wall_ms, 1)])

    @often(3, index=age, limit=st.sampled_from([1, 10]))
    def promote(self, index: int, limit: int) -> None:
        self.step("promote", self.fence(index), limit)

    @often(3, index=age, limit=st.sampled_from([1, 10]))
    def poll(self, index: int, limit: int) -> None:
        self.step("poll", self.fence(index), limit)

    @often(5, index=age, worker_id=workers, defers=rarely, stale=rarely, count=st.integers(1, 4))
    def dispatch(
        self, index: int, worker_id: str, *, defers: bool, stale: bool, count: int
    ) -> None:
        fence = self.fence(index)
        page = self.step("ready", fence, 0, count)
        if not isinstance(page, ReadyPage):
            return
        task_ids = [task.id for task in page.tasks]
        if stale:
            task_ids = sorted(self.twin.state.tasks)[:count]
        choices = [Choice(task_id=key, worker_id=worker_id, why="x") for key in task_ids]
        deferrals = []
        if defers and choices:
            last = choices.pop().task_id
            deferrals = [Deferral(task_id=last, delay_ms=2000, reason="no worker")]
        self.step("dispatch", fence, choices, deferrals, skip=0, limit=3)

    @often(4, index=age, full=st.booleans(), shuts=st.integers(0, 2), let=st.integers(0, 4))
    def shut_and_let_out(self, index: int, full: bool, shuts: int, let: int) -> None:
        blocked = Blocked.FULL if full else Blocked.NOBODY
        self.step(
            "dispatch",
            self.fence(index),
            [],
            [],
            skip=0,
            limit=3,
            shuts=[Shut(text, blocked) for text in CLASSES[:shuts]],
            lets=[Let(CLASSES, let)] if let else [],
        )
        self.step("shut_classes", None, 1)

    @often(
        3,
        limit_id=st.sampled_from(["a", "b", "b:x"]),
        most=st.integers(0, 3),
        rate=st.sampled_from(RATES),
        drop=rarely,
    )
    def change_a_limit(
        self, limit_id: str, most: int, rate: tuple[str | None, int | None], drop: bool
    ) -> None:
        if drop:
            self.step("drop_limit", limit_id, force=most > 0)
        else:
            bound = None if rate[0] and most == 3 else most
            limit = Limit(id=limit_id, max_running=bound, rate=rate[0], burst=rate[1])
            self.step("put_limit", limit)
        self.step("list_limits", None, 2)
        self.step("limit_uses", None, 2)
        self.step("limit_uses", None, 2, of="b")
        for task_id in sorted(self.twin.state.tasks)[:5]:
            self.step("place_in_line", "b", task_id)

    @often(2, index=age, age_ms=st.sampled_from([0, 0, 5000, 20_000]), stale=rarely)
    def recall(self, index: int, age_ms: int, stale: bool) -> None:
        fence = self.fence(index)
        self.step("overdue", fence, 100, age_ms)
        task_ids = [key for queue in self.twin.state.queues.values() for key in queue]
        if stale:
            task_ids = sorted(self.twin.state.tasks)
        self.step("recall", fence, task_ids[:5], age_ms)

    @often(3, index=age, how=st.integers(0, 3))
    def reap(self, index: int, how: int) -> None:
        fence = self.fence(index)
        page = self.step("overdue", fence, 100, 0)
        if isinstance(page, Overdue) and page.leases:
            items = [self._reap(lease.task.id, lease.token, how) for lease in page.leases]
            self.step("reap", fence, items)

    @often(1, index=age, which=st.integers(0, 9), how=st.integers(0, 3))
    def reap_something_else(self, index: int, which: int, how: int) -> None:
        (item,) = self.held(which)
        self.step("reap", self.fence(index), [self._reap(item.task_id, item.token, how)])

    @staticmethod
    def _reap(task_id: str, token: str, how: int) -> Reap:
        return Reap(
            task_id=task_id,
            token=token,
            delay_ms=4000 if how == 1 else 0,
            fail_reason="poison" if how == 2 else None,
            error="lease ran out" if how else "",
        )

    @often(1, late_ms=st.sampled_from([0, 0, 1000, 60_000]), skip=st.sampled_from([0, 0, 1]))
    def raise_missed(self, late_ms: int, skip: int) -> None:
        self.step("raise_missed", late_ms, skip, 3, by="watch")

    @often(1, idle_ms=st.sampled_from([0, 60_000]))
    def raise_leaderless(self, idle_ms: int) -> None:
        self.step("raise_leaderless", idle_ms, by="watch")

    @often(1, index=age)
    def prune(self, index: int) -> None:
        self.step("prune", self.fence(index), 40)

    @often(1, index=age)
    def collect(self, index: int) -> None:
        self.twin.collect(self.fence(index))
