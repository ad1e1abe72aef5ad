"""What operators ask of real pods on Redis: another leader, a skipped instant, who runs."""

from datetime import timedelta

import pytest

from dsched import __version__
from dsched.contracts.store.leadership import fence_pod
from dsched.model import TaskConfig, from_ms

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def test_a_leader_steps_down_a_skip_holds_and_every_pod_is_seen(open_redis_cluster):
    async with open_redis_cluster() as cluster:
        for name in ("a", "b", "c"):
            cluster.start(name)
        await cluster.workers_ready(3)
        old = fence_pod(await cluster.leader())
        spec = cluster.spec()
        config = TaskConfig(
            id="tick", executor=spec.executor, payload=spec.payload, every=timedelta(seconds=1)
        )
        stored = await cluster.client.put_config(config)
        at_ms = stored.due_ms + 6000
        await cluster.client.skip_config("tick", at=from_ms(at_ms), by="eve", why="no power")
        assert await cluster.client.step_down(by="eve", why="maintenance") == old

        async def decided() -> bool:
            page = await cluster.client.decisions("tick")
            return any(one.first_ms > at_ms for one in page.decisions)

        await cluster.until_store(decided, "the instants after it")
        assert fence_pod(await cluster.leader()) != old
        page = await cluster.client.decisions("tick")
        (skipped,) = [one for one in page.decisions if one.first_ms == at_ms]
        assert (skipped.verdict, skipped.reason, skipped.detail) == (
            "skipped",
            "operator",
            "eve: no power",
        )
        (term,) = [one for one in (await cluster.client.terms()).terms if one.pod == old]
        assert (term.how, term.who, term.why) == ("stepped_down", "eve", "maintenance")
        pods = await cluster.client.pods()
        assert [pod.name for pod in pods] == ["a", "b", "c"]
        assert {pod.version for pod in pods} == {__version__}
        assert all("scheduler" in pod.roles and "worker" in pod.roles for pod in pods)
