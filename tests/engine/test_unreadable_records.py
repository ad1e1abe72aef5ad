"""A stored record that cannot be read (F71) fails openly and disturbs nothing else."""

import asyncio

from engine_cluster import config, spec

from dsched.contracts.store.codec import readable_config, readable_spec
from dsched.model import TaskStatus


async def test_a_task_whose_snapshot_cannot_be_read_fails_and_says_so_and_others_run(cluster):
    await cluster.client.submit(spec("ok"), task_id="broken")
    await cluster.client.submit(spec("ok"), task_id="sound")
    cluster.state.tasks["broken"].spec = readable_spec('{"executor":"fn","v":9}')
    cluster.start("a")
    sound = await cluster.client.wait("sound", timeout_s=20)
    broken = await cluster.client.wait("broken", timeout_s=20)
    assert sound.status is TaskStatus.SUCCESS
    assert (broken.status, broken.reason) == (TaskStatus.FAILED, "not retryable")
    assert "version 9" in broken.error


async def test_a_config_that_cannot_be_read_is_set_aside_and_others_fire(cluster):
    await cluster.client.put_config(config("broken"))
    await cluster.client.put_config(config("sound"))
    row = cluster.state.configs["broken"]
    row.config = readable_config(
        "broken", "{}", revision=row.config.revision, created_ms=0, updated_ms=0
    )
    cluster.start("a")
    await asyncio.sleep(10)
    assert len(cluster.fired("sound")) >= 8
    assert cluster.fired("broken") == []
    await cluster.client.put_config(config("broken"))
    await asyncio.sleep(5)
    assert len(cluster.fired("broken")) >= 3, "a put has mended it"
