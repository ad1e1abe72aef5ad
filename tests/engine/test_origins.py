"""Who declares a config: only its origin changes it, and what it no longer declares is orphaned."""

import asyncio

import pytest
from engine_cluster import config, seconds

from dsched.client import Client, ConflictError
from dsched.contracts.store.codec import read_config, write_config
from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm
from dsched.declaring import Source, declare
from dsched.engine.runtime import Runtime
from dsched.launcher.putting import put_all
from dsched.model import ORPHAN, Verdict
from dsched_testkit.memory import MemoryStore

FILE, CODE = "file:tasks", "code:shop"


async def test_another_origin_may_not_change_a_config_unless_it_adopts_it(cluster):
    client = cluster.client
    await client.put_config(config(origin=FILE))
    with pytest.raises(ConflictError, match=r"declared by file:tasks, not by api.*adopt") as caught:
        await client.put_config(config(timeout=seconds(7)))
    assert caught.value.code == "origin_conflict"
    assert (await client.get_config("tick")).config.timeout != seconds(7)
    adopted = await client.put_config(config(timeout=seconds(7)), adopt=True)
    assert (adopted.config.origin, adopted.config.timeout) == ("api", seconds(7))
    with pytest.raises(ConflictError, match="declared by api, not by file:tasks"):
        await client.put_config(config(origin=FILE))


async def test_a_config_stored_before_there_were_origins_is_of_the_api():
    text = write_config(config())
    assert "origin" not in text
    assert read_config(text, revision=1, created_ms=0, updated_ms=0).origin == "api"
    of_file = write_config(config(origin=FILE))
    assert read_config(of_file, revision=1, created_ms=0, updated_ms=0).origin == FILE


async def test_configs_are_listed_by_their_origin(cluster):
    for number, origin in enumerate((FILE, "api", FILE, CODE)):
        await cluster.client.put_config(config(f"c{number}", origin=origin))
    page = await cluster.client.list_configs(origin=FILE)
    assert [one.config.id for one in page.configs] == ["c0", "c2"]


async def test_a_declaration_reads_what_it_declares_and_what_its_origin_has_and_nothing_else(
    cluster,
):
    class Counting(MemoryStore):
        """Notes which configs are read."""

        async def list_configs(self, cursor, limit, *, origin=None, prefix=""):
            page = await super().list_configs(cursor, limit, origin=origin, prefix=prefix)
            read.extend(one.config.id for one in page.configs)
            return page

        async def get_configs(self, config_ids):
            found = await super().get_configs(config_ids)
            read.extend(one.config.id for one in found if one is not None)
            return found

    read = []
    for first in range(0, 1000, 40):
        foreign = [config(f"foreign-{number}") for number in range(first, first + 40)]
        rearm = Rearm(read=ConfigVersion(), upto_ms=0)
        await cluster.store.put([PutConfig(config=one, rearm=rearm) for one in foreign], by="them")
    mine = [config(f"mine-{number}") for number in range(150)]
    await declare(cluster.client, [*mine, config("gone")], origin=FILE)
    declared = await declare(
        Client(Counting(cluster.state)),
        [*mine, config("foreign-7", timeout=seconds(9))],
        origin=FILE,
    )
    assert sorted(declared.plan.unchanged) == sorted(one.id for one in mine)
    assert (declared.plan.orphan, declared.conflicts[0].id) == (("gone",), "foreign-7")
    assert set(read) == {"gone", "foreign-7", *(one.id for one in mine)}
    # Once each, and the orphaned one again as it is paused.
    assert len(read) == len(set(read)) + 1


async def test_any_number_of_configs_is_read_by_id(cluster):
    await declare(cluster.client, [config(f"c{number}") for number in range(250)], origin=FILE)
    ids = [f"c{number}" for number in reversed(range(251))]
    nothing, *found = await cluster.client.get_configs(ids)
    assert nothing is None
    assert [one.config.id for one in found] == ids[1:]
    assert await cluster.client.get_configs([]) == ()
    first, other, again = await cluster.client.get_configs(["c1", "c2", "c1"])
    assert (first, other.config.id, again) == (again, "c2", first)


async def test_what_an_origin_no_longer_declares_is_orphaned_and_resumed_when_it_reappears(cluster):
    client = cluster.client
    both = [config("a"), config("b")]
    first = await declare(client, both, origin=FILE)
    assert first.plan.create == ("a", "b")
    assert [one.config.origin for one in first.stored] == [FILE, FILE]
    await declare(client, both[:1], origin=FILE)
    paused = (await client.get_config("b")).paused
    assert (paused.who, paused.why) == (ORPHAN, "file:tasks no longer declares it, says client")
    again = await declare(client, both, origin=FILE)
    assert (again.plan.resume, again.plan.unchanged) == (("b",), ("a", "b"))
    assert again.stored[1].paused is None
    assert (await client.get_config("b")).due_ms is not None


async def test_only_the_configs_of_one_origin_are_orphaned(cluster):
    client = cluster.client
    await client.put_config(config("by-hand"))
    await declare(client, [config("coded")], origin=CODE)
    await declare(client, [config("filed")], origin=FILE)
    await declare(client, [], origin=FILE)
    stored = {one.config.id: one for one in (await client.list_configs()).configs}
    assert [name for name, one in stored.items() if one.paused] == ["filed"]


async def test_a_pause_by_an_operator_outlives_disappearing_and_reappearing(cluster):
    client = cluster.client
    await declare(client, [config("a")], origin=FILE)
    await client.pause_config("a", why="broken upstream")
    assert (await declare(client, [], origin=FILE)).plan.orphan == ()
    assert (await declare(client, [config("a")], origin=FILE)).plan.resume == ()
    assert (await client.get_config("a")).paused.why == "broken upstream"


async def test_pruning_deletes_and_adopting_takes_over(cluster):
    client = cluster.client
    await declare(client, [config("a"), config("b")], origin=FILE)
    refused = await declare(client, [config("a", timeout=seconds(9))], origin=CODE)
    assert [(one.id, one.origin) for one in refused.conflicts] == [("a", FILE)]
    assert refused.stored == ()
    taken = await declare(client, [config("a", timeout=seconds(9))], origin=CODE, adopt=True)
    assert taken.plan.adopt == ("a",)
    pruned = await declare(client, [], origin=FILE, prune=True)
    assert pruned.plan.delete == ("b",)
    left = (await client.list_configs()).configs
    assert [(one.config.id, one.config.origin) for one in left] == [("a", CODE)]


async def test_what_another_origin_took_in_between_is_left_to_it(cluster):
    class Late(Client):
        """Reads, and then somebody else is faster."""

        async def get_configs(self, config_ids):
            found = await super().get_configs(config_ids)
            await other.put_config(config("gone", origin=CODE), adopt=True)
            await other.put_config(config("new", origin=CODE))
            return found

    other = cluster.client
    late = Late(cluster.store)
    await declare(other, [config("gone")], origin=FILE)
    declared = await declare(late, [config("new")], origin=FILE)
    assert [(one.id, one.origin) for one in declared.conflicts] == [("new", CODE)]
    assert (await other.get_config("gone")).paused is None


async def test_the_launcher_puts_files_by_their_origin_and_leaves_what_others_declare(
    cluster, caplog
):
    client = cluster.client
    await client.put_config(config("theirs", origin=CODE))
    before_origins = await client.put_config(config("old"))
    assert before_origins.config.origin == "api"
    tasks = [
        Source(origin=FILE, configs=(config("old"), config("theirs")), orphans=False),
        Source(origin="file:more", configs=(config("mine"),), orphans=False),
    ]
    await put_all(client, tasks, adopt=False, runtime=Runtime())
    stored = {one.config.id: one.config.origin for one in (await client.list_configs()).configs}
    assert stored == {"old": FILE, "theirs": CODE, "mine": "file:more"}
    assert "config theirs is not put: it is declared by code:shop, not by file:tasks" in caplog.text
    await put_all(client, tasks, adopt=True, runtime=Runtime())
    assert (await client.get_config("theirs")).config.origin == FILE


async def test_files_only_put_and_never_orphan(cluster):
    await declare(cluster.client, [config("a"), config("b")], origin=FILE)
    tasks = [Source(origin=FILE, configs=(config("a"),), orphans=False)]
    await put_all(cluster.client, tasks, adopt=False, runtime=Runtime())
    assert (await cluster.client.get_config("b")).paused is None


async def test_an_orphaned_config_skips_what_it_owed_and_says_why(cluster):
    cluster.start("a")
    await declare(cluster.client, [config("a", every=seconds(2))], origin=FILE)
    await cluster.until(lambda: cluster.items("fired"), "fires")
    await declare(cluster.client, [], origin=FILE)
    fired = len(cluster.items("fired"))
    await asyncio.sleep(10)
    assert len(cluster.items("fired")) == fired
    await declare(cluster.client, [config("a", every=seconds(2))], origin=FILE)
    await cluster.until(lambda: len(cluster.items("fired")) > fired, "fires again")
    skipped = [
        one
        for one in (await cluster.client.decisions("a")).decisions
        if one.verdict is Verdict.SKIPPED
    ]
    assert [one.reason for one in skipped] == ["paused"]


async def test_other_content_of_the_same_origin_is_overwritten_with_a_warning_where_pods_run(
    cluster, caplog
):
    mine = Client(cluster.store, by="me")
    await declare(mine, [config(timeout=seconds(5))], origin=FILE)
    await declare(mine, [config(timeout=seconds(6))], origin=FILE)
    assert "overwrites" not in caplog.text  # nobody is there who could undo it
    cluster.start("old", frozenset({"scheduler"}))
    while not await cluster.client.pods():
        await asyncio.sleep(0.1)
    await declare(mine, [config(timeout=seconds(6))], origin=FILE)
    assert "overwrites" not in caplog.text
    await declare(mine, [config(timeout=seconds(7))], origin=FILE)
    assert "overwrites it: tick (revision " in caplog.text
    caplog.clear()
    await declare(Client(cluster.store, by="old"), [config(timeout=seconds(8))], origin=FILE)
    assert "overwrites" not in caplog.text
