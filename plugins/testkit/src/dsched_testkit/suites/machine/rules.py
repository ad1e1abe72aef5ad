"""The rules: steps in the normal flow's order more often than not, with stale things mixed in."""

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from dsched.contracts.outcomes import Outcome
from dsched.contracts.steps import (
    Acquired,
    Choice,
    Claimed,
    Completion,
    ConfigVersion,
    Deferral,
    DuePage,
    Fire,
    Held,
    Overdue,
    Progress,
    PutConfig,
    ReadyPage,
    Reap,
    Registration,
    Release,
    Replan,
    Submission,
    TaskQuery,
)
from dsched.contracts.store import StoreSettings
from dsched.model import Home, TaskResult, TaskStatus
from dsched_testkit.suites.machine.pools import (
    CONFIGS,
    DAY_MS,
    INCARNATIONS,
    TASKS,
    WORKERS,
    a_fire,
    a_rearm,
    config_of_kind,
    pick,
    spec_of_kind,
)
from dsched_testkit.suites.machine.twin import Twin
from dsched_testkit.suites.store.harness import StoreHarness

SETTINGS = StoreSettings(result_ttl_ms=DAY_MS, max_events=40)

age = st.integers(0, 6)  # 0 to 2: the newest of a pool; more: ever older ones
rarely = st.integers(0, 9).map(lambda number: number == 9)
workers = st.sampled_from(WORKERS)
configs = st.sampled_from(CONFIGS)
variants = st.integers(0, 3)
# In how many ms something is due; None: never.
due_in = st.sampled_from([0, 0, -45_000, -20_000, 5_000, None])

Act = TypeVar("Act", bound=Callable[..., None])


def often(weight: int, /, **strategies: st.SearchStrategy[Any]) -> Callable[[Act], Act]:
    """Mark an act of the machine: how often it is taken, and how its arguments are drawn.

    Not rules of Hypothesis, each: it leaves out many of the rules in each example, and with so
    many no task ever came to its end.
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
            fires = [a_fire(s.config.id, s.version, self.wall_ms, runs) for s in page.configs]
            self.fires += fires
            self.step("fire", fence, fires)

    @often(2, index=age, which=st.integers(0, 9))
    def fire_something_old(self, index: int, which: int) -> None:
        if self.fires:
            self.step("fire", self.fence(index), [pick(self.fires, which)])

    @often(2, config_id=configs, stale=age, which=st.integers(0, 9))
    def replan_and_fire_again(self, config_id: str, stale: int, which: int) -> None:
        fence = self.fence(0)
        old = [fire for fire in self.fires if fire.config_id == config_id]
        if not old:
            return
        fire = pick(old, which)
        version = self.version(config_id, stale)
        replan = Replan(
            config_id=config_id,
            revision=version.revision,
            due_ms=version.due_ms,
            next_due_ms=fire.due_ms,
            last_fired_ms=version.last_fired_ms,
        )
        self.step("replan", fence, [replan])
        self.step("fire", fence, [fire])

    @often(3, index=age, limit=st.sampled_from([1, 10]))
    def promote(self, index: int, limit: int) -> None:
        self.step("promote", self.fence(index), limit)

    @often(5, index=age, worker_id=workers, defers=rarely, stale=rarely, count=st.integers(1, 4))
    def dispatch(self, index: int, worker_id: str, defers: bool, stale: bool, count: int) -> None:
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

    @often(2, index=age, age_ms=st.sampled_from([0, 0, 5000, 20_000]), stale=rarely)
    def recall(self, index: int, age_ms: int, stale: bool) -> None:
        fence = self.fence(index)
        page = self.step("overdue", fence, 100, age_ms)
        if isinstance(page, Overdue):
            task_ids = [entry.task_id for entry in page.queued]
            if stale:
                task_ids = sorted(self.twin.state.tasks)[:5]
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

    @often(1, index=age)
    def prune(self, index: int) -> None:
        self.step("prune", self.fence(index), 100)

    @often(1, index=age)
    def collect(self, index: int) -> None:
        self.twin.collect(self.fence(index))


class WorkerRules(LeaderRules):
    """What workers do."""

    @often(2, worker_id=workers, index=st.integers(0, 12), capacity=st.integers(1, 3))
    def register(self, worker_id: str, index: int, capacity: int) -> None:
        current = self.incarnation[worker_id]
        incarnation = current if index < 8 else INCARNATIONS[index % 3]
        self.register_as(worker_id, incarnation, capacity, capacity - 1)

    @often(3, worker_id=workers, index=age, which=age, count=st.integers(0, 3))
    def heartbeat(self, worker_id: str, index: int, which: int, count: int) -> None:
        held = self.held(which, count)
        self.step("heartbeat", worker_id, self.incarnation_of(worker_id, index), held)

    @often(1, worker_id=workers, index=age, which=st.integers(0, 9))
    def leave(self, worker_id: str, index: int, which: int) -> None:
        incarnation = self.incarnation_of(worker_id, index)
        if which == 0:
            self.step("deregister", worker_id, incarnation)
        elif which == 1:
            self.step("drain", worker_id, None)
        elif which == 2:
            self.step("drain", worker_id, incarnation)

    @often(
        4,
        worker_id=workers,
        index=age,
        lane=st.integers(0, 1),
        jump=st.sampled_from([1, 1, 1, 1, 0, 0, -1]),
        limit=st.integers(1, 3),
    )
    def claim(self, worker_id: str, index: int, lane: int, jump: int, limit: int) -> None:
        number = max(0, self.numbers.get((worker_id, lane), 0) + jump)
        self.numbers[worker_id, lane] = max(number, self.numbers.get((worker_id, lane), 0))
        incarnation = self.incarnation_of(worker_id, index)
        claimed = self.step("claim", worker_id, incarnation, lane, number, limit)
        if isinstance(claimed, Claimed):
            self.attempts += [Held(task.id, claimed.token) for task in claimed.tasks]

    @often(7, index=age, count=st.integers(1, 3), how=st.integers(0, 4))
    def complete(self, index: int, count: int, how: int) -> None:
        items = [
            Completion(
                task_id=item.task_id,
                token=item.token,
                success=how <= 1,
                result=TaskResult(code="ok" if how <= 1 else "bad", data={"how": how}),
                error="" if how <= 1 else "boom",
                reason="timeout" if how == 2 else "",
                retry_delay_ms={3: 0, 4: 6000}.get(how),
            )
            for item in self.held(index, count)
        ]
        self.step("complete", items, by="w0")

    @often(2, index=age, fail=st.booleans())
    def release(self, index: int, fail: bool) -> None:
        items = [
            Release(task_id=item.task_id, token=item.token, reason="drain", fail=fail)
            for item in self.held(index)
        ]
        self.step("release", items, by="w1")

    @often(1, index=age, value=st.sampled_from([None, 1, {"done": 5}]))
    def progress(self, index: int, value: Any) -> None:
        items = [Progress(item.task_id, item.token, value) for item in self.held(index)]
        self.step("progress", items)


class ClientRules(WorkerRules):
    """What clients, operators and the clock do."""

    @often(
        3,
        task_ids=st.lists(st.sampled_from(TASKS), min_size=1, max_size=3),
        variant=variants,
        delay_ms=st.sampled_from([0, 0, 0, 4000]),
        twice=rarely,
    )
    def submit(self, task_ids: list[str], variant: int, delay_ms: int, twice: bool) -> None:
        wanted = task_ids if twice else list(dict.fromkeys(task_ids))
        items = [
            Submission(task_id=key, spec=spec_of_kind(variant), delay_ms=delay_ms) for key in wanted
        ]
        self.step("submit", items, by="client")

    @often(3, which=st.lists(st.integers(0, 30), min_size=1, max_size=3, unique=True))
    def cancel(self, which: list[int]) -> None:
        known = [*sorted(self.twin.state.tasks), "unknown"]
        task_ids = list(dict.fromkeys(known[index % len(known)] for index in which))
        self.step("cancel", task_ids, by="client", reason="asked")

    @often(3, config_id=configs, stale=age, variant=variants, due_in_ms=due_in, early=rarely)
    def put(
        self, config_id: str, stale: int, variant: int, due_in_ms: int | None, early: bool
    ) -> None:
        version = self.version(config_id, stale)
        rearm = a_rearm(version, self.wall_ms, early=early, skips=variant == 1, due_in_ms=due_in_ms)
        config = config_of_kind(config_id, variant)
        self.step("put", [PutConfig(config=config, rearm=rearm)], by="author")

    @often(3, config_id=configs, stale=age, which=st.integers(0, 5), due_in_ms=due_in, early=rarely)
    def pause_resume_or_delete(
        self, config_id: str, stale: int, which: int, due_in_ms: int | None, early: bool
    ) -> None:
        version = self.version(config_id, stale)
        rearm = a_rearm(version, self.wall_ms, early=early, skips=which == 1, due_in_ms=due_in_ms)
        if which <= 1:
            self.step("pause", config_id, rearm, by="operator", why="upkeep")
        elif which <= 4:
            self.step("resume", config_id, rearm, by="operator")
        else:
            self.step("delete", config_id, rearm, by="operator")

    @often(4, ms=st.sampled_from([1, 500, 2000, 5000, 20_000, 20_000, 31_000, 61_000]))
    def time_passes(self, ms: int) -> None:
        self.move_clock(ms)

    @often(1, ms=st.sampled_from([-400, -1000, -1001, -30_000]))
    def the_clock_goes_back(self, ms: int) -> None:
        self.move_clock(ms)

    def move_clock(self, ms: int) -> None:
        """Move the clock; a step sees it at once, so that both stores see the same readings."""
        self.twin.steps.append(f"the clock moves by {ms} ms")
        self.twin.run(self.twin.clock.advance(ms))
        self.step("now")

    @often(1, really=st.integers(0, 7))
    def everything_grows_old(self, really: int) -> None:
        """Past every TTL: what has ended goes, after the collector has seen it."""
        if really == 0:
            self.twin.collect(self.fence(0))
            self.move_clock(DAY_MS + 3_600_000)
            self.step("prune", self.fence(0), 100)

    @often(2, config_id=configs)
    def read(self, config_id: str) -> None:
        self.twin.compare_all()
        for home in Home:
            worker_id = "w0" if home is Home.QUEUE else None
            self.step("list_tasks", TaskQuery(home=home, worker_id=worker_id), None, 100)
        self.step("list_tasks", TaskQuery(live_of=config_id), None, 100)
        self.step("list_tasks", TaskQuery(config_id=config_id), None, 100)
        self.step("list_tasks", TaskQuery(status=TaskStatus.CANCELLED), None, 100)
        self.step("decisions", config_id, None, 100)


class FlowRules(ClientRules):
    """Whole stretches of the normal flow, so that deep states are reached often."""

    @often(5, worker_id=workers, count=st.integers(1, 3), variant=st.integers(0, 1))
    def work_arrives_and_starts(self, worker_id: str, count: int, variant: int) -> None:
        taken = self.twin.state.tasks
        self._awake(worker_id)
        free = [key for key in TASKS if key not in taken or taken[key].status.terminal][:count]
        if free:
            self.submit(free, variant, 0, False)
        self.dispatch(0, worker_id, False, False, 4)
        self.claim(worker_id, 0, 0, 1, 3)

    @often(5, config_id=configs, worker_id=workers)
    def a_config_fires_and_starts(self, config_id: str, worker_id: str) -> None:
        self._awake(worker_id)
        self.put(config_id, 0, self.terms % 2, 0, False)
        self.fire_what_is_due(0, 1)
        self.dispatch(0, worker_id, False, False, 4)
        self.claim(worker_id, 0, 0, 1, 3)

    def _awake(self, worker_id: str) -> None:
        """Let the worker beat, and register where it is not known or drains."""
        answer = self.step("heartbeat", worker_id, self.incarnation[worker_id], [])
        if answer.outcome is not Outcome.OK or answer.draining:
            taken = INCARNATIONS.index(self.incarnation[worker_id]) + 1
            incarnation = INCARNATIONS[min(taken, 2)] if answer.draining else INCARNATIONS[2]
            self.register_as(worker_id, incarnation, 2, 1)
            self.numbers.pop((worker_id, 0), None)

    @often(2, how=st.integers(0, 3))
    def leases_run_out(self, how: int) -> None:
        self.move_clock(31_000)
        self.reap(0, how)


def _acts() -> dict[str, tuple[int, dict[str, st.SearchStrategy[Any]]]]:
    members = {name: getattr(FlowRules, name) for name in dir(FlowRules)}
    return {name: act.often for name, act in members.items() if hasattr(act, "often")}


ACTS = _acts()
NAMES = st.sampled_from([name for name, (weight, _) in ACTS.items() for _ in range(weight)])


class Machine(FlowRules):
    """The acts by their weights, and repeats of the last step, as after lost replies."""

    @rule(data=st.data())
    def act(self, data: st.DataObject) -> None:
        name = data.draw(NAMES)
        _, strategies = ACTS[name]
        getattr(self, name)(**{key: data.draw(value) for key, value in strategies.items()})

    @rule(data=st.data())
    def act_twice(self, data: st.DataObject) -> None:
        self.act(data)
        self.twin.repeat()
