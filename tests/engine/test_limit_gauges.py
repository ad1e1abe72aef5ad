"""What waits under limits is told to the observers and to every pod: where most waits, how long."""

import asyncio

from engine_cluster import SCHEDULER, WORKER, spec

from dsched.contracts import ClusterGauges
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.limits import LimitUse, LimitUsePage
from dsched.contracts.store.unrunnable import told_now
from dsched.contracts.store.working import Submission
from dsched.engine.leader.limit_gauges import MAX_WORST, PAGES_A_LOOK, LimitUses, told_limits
from dsched.model import Limit


class Pictures:
    """Keeps the latest picture."""

    def __init__(self):
        self.latest = None

    def notify(self, notice):
        if isinstance(notice, ClusterGauges):
            self.latest = notice


async def submitted(cluster, prefix, count, *names):
    work = spec("sleep 60", limits=names)
    await cluster.client.submit_many(
        [Submission(task_id=f"{prefix}{number}", spec=work) for number in range(count)]
    )


async def test_limits_under_which_most_waits_are_told_with_their_age_until_nothing_waits(cluster):
    seen = Pictures()
    cluster.observers["seen"] = seen
    await cluster.client.put_limit(Limit(id="crm", max_running=0))
    await cluster.client.put_limit(Limit(id="tenant", max_running=2))
    await cluster.client.put_limit(Limit(id="idle", max_running=2))
    cluster.start("lead", SCHEDULER)
    cluster.start("work", WORKER, capacity=20)
    await submitted(cluster, "a", 5, "tenant:a")
    await submitted(cluster, "c", 1, "crm")

    def told():
        return {} if seen.latest is None else {one.name: one for one in seen.latest.limits}

    await cluster.until(lambda: len(told()) == 2, "both are told", 60)
    assert list(told()) == ["tenant:a", "crm"]
    first = told()["tenant:a"]
    assert (first.max_running, first.held, first.waiting) == (2, 2, 3)
    await cluster.until(lambda: told()["crm"].oldest_s > 20, "it gets older", 90)
    (of_tenant, of_crm) = (await told_now(cluster.store)).limits
    assert (of_tenant.name, of_tenant.tasks, of_tenant.held, of_tenant.most) == (
        "tenant:a",
        3,
        2,
        2,
    )
    assert (of_crm.name, of_crm.tasks, of_crm.most) == ("crm", 1, 0)
    await cluster.client.cancel("c0")
    for number in range(5):
        await cluster.client.cancel(f"a{number}")
    await cluster.until(lambda: not told(), "nothing waits", 60)

    async with asyncio.timeout(60):
        while (await told_now(cluster.store)).limits:
            await asyncio.sleep(0.5)


class Paged:
    """A store with so many names in use, told a page at a time; counts the calls."""

    def __init__(self, count):
        self.waiting = {f"t:{number:05d}": number for number in range(count)}
        self.calls = 0

    async def limit_uses(self, cursor, limit, *, of=None):
        self.calls += 1
        names = [one for one in sorted(self.waiting) if cursor is None or one > cursor]
        page = names[:limit]
        return LimitUsePage(
            uses=tuple(LimitUse(name=one, held=1, waiting=self.waiting[one]) for one in page),
            cursor=page[-1] if len(names) > limit else None,
        )

    async def get_limits(self, limit_ids):
        self.calls += 1
        assert len(limit_ids) <= MAX_BATCH
        return tuple(None for _ in limit_ids)


async def test_of_very_many_names_a_look_reads_a_few_pages_and_tells_the_worst():
    store, uses = Paged(PAGES_A_LOOK * MAX_BATCH + 50), LimitUses()
    await uses.look(store)
    assert store.calls == PAGES_A_LOOK
    await uses.look(store)
    assert store.calls == PAGES_A_LOOK + 1
    worst = uses.worst()
    assert len(worst) == MAX_WORST
    assert [one.waiting for one in worst] == list(range(1049, 1049 - MAX_WORST, -1))
    told = await told_limits(store, worst, 1000)
    assert [one.max_running for one in told] == [None] * MAX_WORST
    store.waiting = {"t:1": 4}
    await uses.look(store)
    assert [one.name for one in uses.worst()] == ["t:1"], "what is idle is told no more"
    store.waiting, store.calls = {}, 0
    await uses.look(store)
    assert await told_limits(store, uses.worst(), 1000) == ()
    assert store.calls == 1, "where nothing waits it costs one call"
