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
    owed_ms = row.due_ms
    cluster.start("a")
    await asyncio.sleep(10)
    assert len(cluster.fired("sound")) >= 8
    assert cluster.fired("broken") == []
    assert cluster.state.configs["broken"].due_ms == owed_ms, "it keeps what it owes"
    await cluster.client.put_config(config("broken"))
    await asyncio.sleep(5)
    assert len(cluster.fired("broken")) >= 3, "a put has mended it"


async def test_what_a_leader_of_an_older_version_could_not_read_is_fired_by_one_that_can(cluster):
    # As in a rolling update: the older pod leads, reads a value that it does not know, and leaves.
    await cluster.client.put_config(config("new", misfire="fire_all", overlap="allow"))
    row = cluster.state.configs["new"]
    readable, owed_ms = row.config, row.due_ms
    row.config = readable_config(
        "new", '{"v":1}', revision=readable.revision, created_ms=0, updated_ms=0
    )
    cluster.start("older")
    await asyncio.sleep(90)
    assert cluster.fired("new") == []
    await cluster.leave("older")
    row.config = readable
    cluster.start("newer")
    await asyncio.sleep(90)
    fired, skipped = cluster.fired("new"), cluster.items("skipped", config="new")
    assert min([*fired, *(one["first"] for one in skipped)]) == owed_ms
    last_ms = max([*fired, *(one["last"] for one in skipped)])
    told = len(fired) + sum(one["count"] for one in skipped)
    assert told == (last_ms - owed_ms) // 1000 + 1, "each instant has its account, and one"
    assert told > 150
