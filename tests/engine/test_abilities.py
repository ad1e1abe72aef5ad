"""A task goes only to a worker that can run it, and waits where nobody can."""

import asyncio

import pytest
from engine_cluster import SCHEDULER, WORKER, spec
from engine_parts import new_worker

from dsched.contracts.executor import Executor
from dsched.contracts.store.dispatching import ReadyTask
from dsched.contracts.store.recovering import QueuedTask
from dsched.engine.leader.abilities import Abilities
from dsched.engine.leader.assignment import Assigner
from dsched.engine.leader.recovery import to_recall
from dsched.engine.worker.offering import ability_of
from dsched.model import Ability, TaskSpec, need_in_words, need_of
from dsched.model.ability import MAX_ABILITY
from dsched_balancers.least_tasks import LeastTasks

HTTP = Ability.of(["http", "http/*"])
ETL = Ability.of(["http", "local", "local/etl.load"])


class Kept:
    """A store that knows these abilities, and counts how often it is asked."""

    def __init__(self, *abilities):
        self.abilities_of = {one.digest: one for one in abilities}
        self.asked = []

    async def abilities(self, digests):
        self.asked.append(list(digests))
        return tuple(self.abilities_of.get(digest) for digest in digests)


def _task(need, **fields):
    return ReadyTask(id="t", priority=5, scheduled_ms=0, need=need, **fields)


async def _assigned(task, *workers, store=None):
    known = Abilities(store or Kept(HTTP, ETL))
    await known.learn(workers)
    return Assigner("least-tasks", LeastTasks(), known.runs).assign([task], workers, 0)


@pytest.mark.parametrize(
    ("executor", "payload", "need"),
    [
        ("http", {"url": "x", "function": "f"}, "http"),
        ("local", {"function": "etl.load"}, "local/etl.load"),
        ("local", {"function": "x" * 129}, "local"),
        ("local", {"function": "a/b\n"}, "local"),
        ("local", {"function": 7}, "local"),
        ("local", ["etl.load"], "local"),
        ("(unreadable)", {"reason": "x"}, ""),
        ("", None, ""),
    ],
)
def test_what_a_task_needs_is_its_executor_and_of_the_local_one_its_function(
    executor, payload, need
):
    assert need_of(executor, payload) == need


def test_an_ability_is_known_by_its_names_whatever_their_order():
    assert Ability.of(["b", "a"]) == Ability.of(["a", "b", "a"])
    assert Ability.of(["a"]).digest != Ability.of(["b"]).digest
    assert ETL.runs("local/etl.load")
    assert ETL.runs("")
    assert not ETL.runs("local/etl.store")
    assert not ETL.runs("grpc")
    assert HTTP.runs("http/anything")
    assert need_in_words("local/etl.load") == "function etl.load"
    assert need_in_words("http") == "executor http"


def test_of_too_many_functions_a_worker_says_only_that_it_runs_any():
    names = ["http", "local", *(f"local/f{n}" for n in range(MAX_ABILITY))]
    ability = Ability.of(names)
    assert ability.names == {"http", "local", "local/*"}
    assert ability.runs("local/whatever")
    assert not ability.runs("grpc")


async def test_a_task_goes_only_to_a_worker_that_can_run_it():
    workers = [new_worker("a", ability=HTTP.digest), new_worker("b", ability=ETL.digest, queued=7)]
    plan = await _assigned(_task("local/etl.load"), *workers)
    assert [(c.worker_id, c.ability) for c in plan.choices] == [("b", ETL.digest)]
    plan = await _assigned(_task(""), *workers)
    assert [(c.worker_id, c.ability) for c in plan.choices] == [("a", None)]


async def test_a_worker_that_does_not_say_what_it_can_run_takes_anything():
    workers = [new_worker("a", ability=HTTP.digest), new_worker("old")]
    plan = await _assigned(_task("local/etl.load"), *workers)
    assert [(c.worker_id, c.ability) for c in plan.choices] == [("old", "")]


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (_task("local/etl.store"), "deferred: no worker has function etl.store"),
        (_task("grpc"), "deferred: no worker has executor grpc"),
        (_task("grpc", required_labels={"a": "b"}), "deferred: no worker has a=b"),
        (
            _task("grpc", required_labels={"zone": "eu"}),
            "deferred: no worker with zone=eu has executor grpc",
        ),
    ],
)
async def test_where_nobody_can_run_a_task_it_says_what_is_missing(task, reason):
    workers = [
        new_worker("a", ability=HTTP.digest, labels={"zone": "eu"}),
        new_worker("b", ability=ETL.digest),
    ]
    plan = await _assigned(task, *workers)
    assert (plan.choices, [one.reason for one in plan.deferrals]) == ((), [reason])


async def test_each_digest_is_asked_about_once_and_what_nobody_says_is_forgotten():
    store = Kept(HTTP, ETL)
    known = Abilities(store)
    a, b = new_worker("a", ability=HTTP.digest), new_worker("b", ability=ETL.digest)
    for _ in range(3):
        await known.learn([a, new_worker("old")])
    await known.learn([a, b])
    assert store.asked == [[HTTP.digest], [ETL.digest]]
    await known.learn([b])
    await known.learn([a])
    assert len(store.asked) == 2, "what is known is not asked again while nothing else comes"
    strange = new_worker("c", ability="0" * 32)
    await known.learn([strange])
    assert not known.runs(strange, "http")
    assert known.runs(strange, "")


def test_an_old_entry_leaves_a_worker_that_cannot_run_it_and_goes_to_none_that_cannot():
    able = {"able": True, "other": False}
    entry = QueuedTask(task_id="t", worker_id="own", age_ms=99_000, need="local/f")
    busy = new_worker("own", running=4)
    free = new_worker("other")
    assert to_recall([entry], [busy, free], lambda w, _: w.id == "own") == []
    assert to_recall([entry], [busy, free], lambda w, _: able.get(w.id, True)) == []
    assert to_recall([entry], [busy], lambda w, _: w.id != "own") == [entry]
    assert to_recall([entry], [busy, free], lambda w, _: True) == [entry]


class Offers(Executor):
    """An executor of these functions."""

    def __init__(self, *names):
        self.names = list(names)

    async def execute(self, context, task):
        raise NotImplementedError

    def offers(self):
        return self.names


async def test_a_function_that_nobody_has_waits_and_costs_no_retry(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("work", WORKER)
    await cluster.client.submit(
        TaskSpec(executor="local", payload={"function": "etl.load"}), task_id="t"
    )
    await cluster.until(lambda: bool(cluster.items("deferred", task="t")), "the deferral")
    await asyncio.sleep(60)
    task = await cluster.client.get("t")
    assert (task.status, task.reason) == (
        "pending",
        "deferred: no worker has function etl.load",
    )
    assert (task.attempt, task.retry_count, task.crash_count) == (0, 0, 0)


async def test_a_worker_says_what_it_can_run_and_more_when_it_becomes_more(cluster):
    executor = Offers("a")
    assert ability_of({"local": executor, "http": cluster.executor}).names == {
        *("local", "local/a", "http", "http/*"),
    }
    cluster.start("work", WORKER)
    await cluster.until(lambda: "work-w" in cluster.state.workers, "the registration")
    digest = cluster.state.workers["work-w"].ability
    assert spec("ok").executor in cluster.state.abilities[digest].names
