"""What workers, clients, operators and the clock do."""

from typing import Any

import attrs
from hypothesis import strategies as st

from dsched.contracts.store.configs import PutConfig
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.tasklogs import LineBatch, NewLine
from dsched.contracts.store.workers import Held
from dsched.contracts.store.working import Claimed, Completion, Progress, Release, Submission
from dsched.model import Home, TaskResult, TaskStatus
from dsched_testkit.suites.machine.leading import (
    LeaderRules,
    age,
    configs,
    due_in,
    often,
    rarely,
    variants,
    workers,
)
from dsched_testkit.suites.machine.pools import (
    DAY_MS,
    INCARNATIONS,
    TASKS,
    a_rearm,
    config_of_kind,
    spec_of_kind,
)


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

    @often(
        2,
        index=age,
        count=st.integers(1, 2),
        first=st.integers(1, 6),
        lines=st.integers(1, 6),
        attempt=st.sampled_from([None, None, 1, 2]),
    )
    def log(self, index: int, count: int, *, first: int, lines: int, attempt: int | None) -> None:
        """Lines of attempts, repeats and gaps among them; then a reader comes."""
        written = tuple(
            NewLine(number=number, age_ms=number, text="é" * number)
            for number in range(first, first + lines)
        )
        held = self.held(index, count)
        items = [LineBatch(task_id=item.task_id, token=item.token, lines=written) for item in held]
        self.step("append_lines", items)
        for item in held:
            self.step("task_lines", item.task_id, None, 100, attempt=attempt)
            self.step("task_lines", item.task_id, str(first), 2)


class ClientRules(WorkerRules):
    """What clients, operators and the clock do."""

    @often(1, name=st.integers(0, 2), act=st.integers(0, 5), value=st.integers(0, 2), old=age)
    def document(self, name: int, act: int, value: int, old: int) -> None:
        """Read one, and then change, drop or list, from what was read or from something older."""
        key = f"d{name}"
        found = self.step("get_document", "kind", key)
        read = 0 if found is None else found.version
        read = read - 1 if old > 4 else read  # the versions of the contract are numbers
        if act < 3:
            ttl_ms = (None, 500, 20_000)[act]
            self.step("put_document", "kind", key, {"v": value}, read=read, ttl_ms=ttl_ms)
        elif act == 3:
            self.step("drop_document", "kind", key, read=read)
        else:
            after = (None, "d0", "d1")[value]
            self.step("list_documents", "kind", after, 2, descending=act == 5)

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
        self, config_id: str, stale: int, *, variant: int, due_in_ms: int | None, early: bool
    ) -> None:
        version = self.version(config_id, stale)
        rearm = a_rearm(version, self.wall_ms, early=early, skips=variant == 1, due_in_ms=due_in_ms)
        config = config_of_kind(config_id, variant)
        self.step("put", [PutConfig(config=config, rearm=rearm)], by="author")

    @often(2, config_id=configs, stale=age, in_ms=st.sampled_from([-5000, 5000, 20_000, None]))
    def pause_until(self, config_id: str, stale: int, in_ms: int | None) -> None:
        rearm = a_rearm(
            self.version(config_id, stale), self.wall_ms, early=False, skips=False, due_in_ms=None
        )
        until_ms = None if in_ms is None else self.wall_ms + in_ms
        self.step("pause", config_id, rearm, by="operator", why="upkeep", until_ms=until_ms)

    @often(3, config_id=configs, stale=age, which=st.integers(0, 5), due_in_ms=due_in, early=rarely)
    def pause_resume_or_delete(
        self, config_id: str, stale: int, *, which: int, due_in_ms: int | None, early: bool
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
            self.step("prune", self.fence(0), 40)

    @often(2, config_id=configs)
    def read(self, config_id: str) -> None:
        self.twin.compare_all()
        for home in Home:
            worker_id = "w0" if home is Home.QUEUE else None
            self.step("list_tasks", TaskQuery(home=home, worker_id=worker_id), None, 100)
        self.step("list_tasks", TaskQuery(live_of=config_id), None, 100)
        self.step("list_tasks", TaskQuery(config_id=config_id), None, 100)
        self.step("list_tasks", TaskQuery(status=TaskStatus.CANCELLED), None, 100)
        begin, end = self.twin.clock.ms - 60_000, self.twin.clock.ms - 1
        for query in (TaskQuery(config_id=config_id), TaskQuery(status=TaskStatus.SUCCESS)):
            bounded = attrs.evolve(query, from_ms=begin, before_ms=end)
            self.step("list_tasks", bounded, None, 100)
        self.step("decisions", config_id, None, 100)
