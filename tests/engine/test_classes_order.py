"""What waits under a class is not passed by what is worth less, and leaves nothing behind."""

import asyncio

from engine_cluster import SCHEDULER, WORKER, spec

from dsched.contracts.store.classes import Blocked, class_text
from dsched.contracts.store.unrunnable import unrunnable_now
from dsched.contracts.store.working import Submission

POOL_A = class_text({"pool": "a"}, "fn")


async def submit(cluster, ids, **fields):
    await cluster.client.submit_many(
        [Submission(task_id=task_id, spec=spec(**fields)) for task_id in ids]
    )


async def test_a_stream_of_ordinary_tasks_does_not_pass_what_waits_under_a_class(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER, labels={"pool": "a"}, capacity=1)
    cluster.start("b", WORKER, labels={"pool": "b"}, capacity=1)
    of_a = [f"a{number}" for number in range(5)]
    await submit(cluster, of_a, name="sleep 1", required_labels={"pool": "a"})
    await cluster.until(lambda: POOL_A in cluster.state.shut, "the class is shut")
    assert cluster.state.shut[POOL_A].blocked is Blocked.FULL
    plain = [f"plain{number:02d}" for number in range(40)]
    await submit(cluster, plain, name="sleep 1")
    for task_id in of_a:
        await cluster.client.wait(task_id, timeout_s=60)
    started = [task_id for task_id, _, _ in cluster.executor.started]
    # The other worker takes one of them in the meantime, for each one of the class.
    assert started.index("a4") <= 10, started


async def test_a_higher_priority_under_a_class_goes_before_ordinary_tasks(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER, labels={"pool": "a"}, capacity=1)
    cluster.start("b", WORKER, labels={"pool": "b"}, capacity=1)
    await submit(cluster, ["busy"], name="sleep 1", required_labels={"pool": "a"})
    await submit(
        cluster,
        [f"a{number}" for number in range(4)],
        name="sleep 1",
        required_labels={"pool": "a"},
    )
    await cluster.until(lambda: POOL_A in cluster.state.shut, "the class is shut")
    await submit(cluster, [f"p{number}" for number in range(30)], name="sleep 1", priority=3)
    await submit(cluster, ["urgent"], name="sleep 1", priority=9, required_labels={"pool": "a"})
    await cluster.client.wait("urgent", timeout_s=60)
    started = [task_id for task_id, _, _ in cluster.executor.started]
    on_a = [one for one in started if one in {"busy", "urgent"} or one.startswith("a")]
    assert on_a.index("urgent") <= 2, "behind what ran, and what a worker may have claimed by then"


async def test_a_class_of_which_all_was_cancelled_is_forgotten(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("work", WORKER)
    for number in range(3):
        await submit(cluster, [f"t{number}"], required_labels={"gpu": str(number)})
    await cluster.until(lambda: len(cluster.state.shut) == 3, "their classes are shut")
    for number in range(3):
        await cluster.client.cancel(f"t{number}")
    await cluster.until(lambda: not cluster.state.shut, "nothing is left of them", 60)


async def test_what_waits_under_classes_is_told_by_reason_with_all_its_tasks(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("work", WORKER)
    ids = [f"t{number:02d}" for number in range(30)]
    await submit(cluster, ids[:20], required_labels={"gpu": "1"})
    await submit(cluster, ids[20:], required_labels={"gpu": "2"})

    async def told():
        return [(one.reason, one.tasks) for one in await unrunnable_now(cluster.store)]

    expected = [("no worker has gpu=1", 20), ("no worker has gpu=2", 10)]
    await until(told, expected)
    (first, _) = await unrunnable_now(cluster.store)
    await cluster.kill("lead")
    cluster.start("next", SCHEDULER)
    await cluster.lead_by("next")
    for task_id in ids[20:]:
        await cluster.client.cancel(task_id)
    await until(told, expected[:1])
    (later,) = await unrunnable_now(cluster.store)
    assert abs(later.since_ms - first.since_ms) < 100, "since when is kept beyond a leader"


async def until(ask, expected):
    """Wait until an answer is as expected."""
    async with asyncio.timeout(60):
        while (seen := await ask()) != expected:
            await asyncio.sleep(0.5)
    assert seen == expected
