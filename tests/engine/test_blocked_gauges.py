"""What nobody can run now is told to the observers: full, or nobody, how much and since when."""

import asyncio

from engine_cluster import SCHEDULER, WORKER, spec

from dsched.contracts import BlockedKind, ClusterGauges
from dsched.contracts.store.classes import Blocked, ShutClass, class_text
from dsched.contracts.store.unrunnable import told_now
from dsched.contracts.store.working import Submission
from dsched.engine.leader.blocked import full_of


class Pictures:
    """Keeps the latest picture."""

    def __init__(self):
        self.latest = None

    def notify(self, notice):
        if isinstance(notice, ClusterGauges):
            self.latest = notice


async def submitted(cluster, prefix, count, labels):
    work = spec("sleep 60", required_labels=labels)
    await cluster.client.submit_many(
        [Submission(task_id=f"{prefix}{number}", spec=work) for number in range(count)]
    )


async def test_classes_that_are_full_and_such_that_nobody_has_are_told_with_their_age(cluster):
    seen = Pictures()
    cluster.observers["seen"] = seen
    cluster.start("lead", SCHEDULER)
    cluster.start("busy", WORKER, labels={"pool": "a"}, capacity=1)
    cluster.start("idle", WORKER, labels={"pool": "b"}, capacity=1)
    await submitted(cluster, "a", 9, {"pool": "a"})
    await submitted(cluster, "g", 3, {"gpu": "1", "zone": "eu"})

    def told():
        return seen.latest is not None and {key: one.tasks for key, one in blocked().items()}

    def blocked():
        return seen.latest.blocked

    await cluster.until(lambda: told() and told()["nobody"] == 3 and told()["full"], "told", 40)
    held = sum(row.under is None for row in cluster.state.tasks.values())
    assert told() == {"full": 12 - 3 - held, "nobody": 3}
    assert [(one.kind, one.demands, one.tasks) for one in seen.latest.worst] == [
        ("full", "pool=a, executor fn", 12 - 3 - held),
        ("nobody", "gpu=1, zone=eu, executor fn", 3),
    ]
    before_s = blocked()["full"].lasted_s
    first = seen.latest
    await cluster.until(lambda: seen.latest is not first, "it is told anew", 40)
    assert blocked()["full"].lasted_s > before_s
    for number in range(3):
        await cluster.client.cancel(f"g{number}")
    await cluster.until(lambda: told()["nobody"] == 0, "none is left", 40)
    assert blocked()["nobody"] == BlockedKind()


async def test_every_pod_is_told_which_workers_are_full_as_long_as_others_have_room(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("busy", WORKER, labels={"pool": "a"}, capacity=1)
    cluster.start("idle", WORKER, labels={"pool": "b"}, capacity=1)
    await submitted(cluster, "a", 9, {"pool": "a"})

    async def told():
        return (await told_now(cluster.store)).full

    async def until(holds):
        async with asyncio.timeout(60):
            while not holds(await told()):
                await asyncio.sleep(0.5)

    await until(bool)
    (first,) = await told()
    held = sum(row.under is None for row in cluster.state.tasks.values())
    assert (first.demands, first.tasks) == ("pool=a, executor fn", 9 - held)
    await submitted(cluster, "b", 1, {"pool": "b"})
    await until(lambda full: not full)
    assert (await told_now(cluster.store)).unrunnable == ()
    await cluster.client.cancel("b0")
    await until(bool)
    (again,) = await told()
    assert abs(again.since_ms - first.since_ms) < 1000, (
        "it is the same wait, whatever the others did"
    )


def test_a_class_through_which_tasks_pass_has_lasted_as_long_as_its_oldest_task_waits():
    def shut(pool, blocked=Blocked.FULL, *, oldest_ms):
        return ShutClass(
            text=class_text({"pool": pool}),
            blocked=blocked,
            since_ms=50_000,
            waiting=7,
            oldest_ms=oldest_ms,
        )

    passing, standing = shut("a", oldest_ms=99_000), shut("b", oldest_ms=10_000)
    nobody = shut("c", Blocked.NOBODY, oldest_ms=10_000)
    found = full_of([passing, standing, nobody], 100_000)
    assert [(one.demands, one.tasks, one.lasted_s) for one in found] == [
        ("pool=a", 7, 1.0),
        ("pool=b", 7, 50.0),
    ]
