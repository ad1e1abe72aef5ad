"""Several versions of one program at once: the newest that lives decides what is declared."""

import asyncio

import pytest
from engine_cluster import config, seconds

from dsched.declaring import Keeper, Source, keep
from dsched.declaring.standing import (
    ALIVE_MS,
    LEFT_MS,
    MAX_VERSIONS,
    digest_of,
    noted,
    read,
    standing,
)
from dsched.declaring.standing import written as as_document
from dsched.model import ORPHAN

CODE = "code:shop"
OLD = (config("kept", origin=CODE), config("dropped", origin=CODE))
NEW = (config("kept", origin=CODE, timeout=seconds(9)), config("added", origin=CODE))


def keeper(cluster, configs):
    return Keeper(cluster.client, Source(origin=CODE, configs=configs, orphans=True))


async def states(cluster):
    """Each config: who paused it, if anybody did, and its timeout in seconds."""
    page = await cluster.client.list_configs(origin=CODE)
    return {
        one.config.id: (one.paused and one.paused.who, one.config.timeout.total_seconds())
        for one in page.configs
    }


RENEWED = {"kept": (None, 9.0), "added": (None, 300.0), "dropped": (ORPHAN, 300.0)}


async def test_an_old_replica_that_restarts_in_a_rolling_update_changes_nothing(cluster):
    await keeper(cluster, OLD).look()
    new = keeper(cluster, NEW)
    await new.look()
    assert await states(cluster) == RENEWED
    await keeper(cluster, OLD).look()  # it restarts
    assert await states(cluster) == RENEWED
    await asyncio.sleep(12)
    await new.look()
    assert await states(cluster) == RENEWED


async def test_a_newer_replica_mends_what_an_old_one_puts_after_it(cluster):
    """As in a start of both at once: the old one had not yet read of the new one."""
    old, new = keeper(cluster, OLD), keeper(cluster, NEW)
    await old.look()
    await new.look()
    old._asserted_ms = 0
    await old._assert(0)  # its acts come late
    assert (await states(cluster))["added"][0] == ORPHAN
    await asyncio.sleep(12)
    await new.look()
    assert await states(cluster) == RENEWED


async def test_the_old_version_counts_again_once_no_new_replica_lives(cluster):
    old, new = keeper(cluster, OLD), keeper(cluster, NEW)
    await old.look()
    await new.look()
    for _ in range(2):
        await asyncio.sleep(8)
        await old.look()
        assert await states(cluster) == RENEWED
    await asyncio.sleep(ALIVE_MS / 1000)
    await old.look()
    back = {"kept": (None, 300.0), "added": (ORPHAN, 300.0), "dropped": (None, 300.0)}
    assert await states(cluster) == back
    await keeper(cluster, OLD).look()
    assert await states(cluster) == back


async def test_a_version_whose_replicas_have_left_is_not_waited_for_long(cluster):
    old, new = keeper(cluster, OLD), keeper(cluster, NEW)
    await old.look()
    await new.look()
    await new.leave()
    await old.look()
    assert await states(cluster) == RENEWED  # another new replica may live and say so
    await asyncio.sleep(LEFT_MS / 1000 + 0.1)
    await old.look()
    assert (await states(cluster))["dropped"][0] is None


async def test_what_is_kept_is_looked_after_and_left(cluster):
    old, new = keeper(cluster, OLD), keeper(cluster, NEW)
    await old.look()
    await new.look()
    keeping = asyncio.create_task(keep([new], asyncio.sleep))
    for _ in range(10):
        await asyncio.sleep(5)
        await keeper(cluster, OLD).look()
        assert await states(cluster) == RENEWED
    keeping.cancel()
    await asyncio.wait({keeping})
    await asyncio.sleep(LEFT_MS / 1000 + 0.1)
    await keeper(cluster, OLD).look()
    assert (await states(cluster))["added"][0] == ORPHAN


async def test_a_version_that_was_never_seen_is_the_newest(cluster):
    await keeper(cluster, OLD).look()
    await keeper(cluster, NEW).look()
    newest = (config("other", origin=CODE),)
    await keeper(cluster, newest).look()
    assert {name for name, (who, _) in (await states(cluster)).items() if who is None} == {"other"}


async def test_a_sign_of_life_of_one_replica_is_that_of_all_of_its_version(cluster):
    one, two = keeper(cluster, NEW), keeper(cluster, NEW)
    await one.look()
    await two.look()
    version = (await cluster.client.declaration(CODE))[0].version
    await one.look()
    await two.look()
    assert (await cluster.client.declaration(CODE))[0].version == version


def test_versions_are_few_and_survive_a_document():
    versions = {}
    for number in range(MAX_VERSIONS + 5):
        versions = noted(versions, f"d{number}", now_ms=1000 + number, asserts=True)
    assert len(versions) == MAX_VERSIONS
    assert read(as_document(versions)) == versions
    assert read({"x": {"since": "soon"}, "y": 7}) == {} == read(None)


def test_the_newest_that_lives_counts_whatever_the_clock_says():
    versions = noted({}, "old", now_ms=5000, asserts=True)
    versions = noted(versions, "new", now_ms=5000, asserts=True)
    assert standing(versions, "old", now_ms=5000, asserted_ms=5000).newer.digest == "new"
    assert standing(versions, "new", now_ms=5000, asserted_ms=5000 + ALIVE_MS).newer is None


@pytest.mark.parametrize("order", [1, -1])
def test_a_digest_does_not_depend_on_the_order(order):
    assert digest_of(OLD[::order]) == digest_of(OLD)
    assert digest_of(OLD) != digest_of(NEW)
