"""Any number of configs put at once: each by itself, in as few steps of the store as they fit
in."""

import asyncio

from engine_cluster import config, seconds

from dsched.client import Client, ConflictError
from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.declaring import declare
from dsched.model import InvalidConfigError
from dsched_testkit.memory import MemoryStore

FILE = "file:tasks"


class Counting(MemoryStore):
    """Counts the calls of its steps."""

    calls = 0

    async def get_configs(self, config_ids):
        self.calls += 1
        return await super().get_configs(config_ids)

    async def put(self, items, *, by):
        self.calls += 1
        return await super().put(items, by=by)


class Overtaken(MemoryStore):
    """Somebody else changes the config between the reading and the writing, so many times."""

    times = 0

    async def put(self, items, *, by):
        if self.times:
            self.times -= 1
            theirs = config("b", timeout=seconds(100 + self.times))
            await Client(MemoryStore(state=self._state)).put_config(theirs)
        return await super().put(items, by=by)


def said(outcomes):
    return [(one.id, one.outcome) for one in outcomes]


async def test_each_has_an_outcome_of_its_own(cluster):
    client = cluster.client
    await client.put_configs([config("a"), config("b"), config("d", origin=FILE)])
    contradictory = config("x", misfire="fire_all", overlap="skip")
    found = await client.put_configs(
        [config("a"), config("b", timeout=seconds(7)), config("c"), config("d"), contradictory]
    )
    assert said(found) == [
        ("a", "unchanged"),
        ("b", "changed"),
        ("c", "created"),
        ("d", "refused"),
        ("x", "refused"),
    ]
    assert [type(one.error) for one in found[3:]] == [ConflictError, InvalidConfigError]
    assert (await client.get_config("d")).config.origin == FILE
    assert found[1].stored == await client.get_config("b")


async def test_what_another_origin_declares_is_taken_over_only_if_it_is_to_be(cluster):
    await cluster.client.put_config(config("a", origin=FILE))
    (found,) = await cluster.client.put_configs([config("a")], adopt=True)
    assert (found.outcome, found.kept().config.origin) == ("changed", "api")


async def test_of_several_with_one_id_the_last_one_stays(cluster):
    found = await cluster.client.put_configs(
        [config("a", timeout=seconds(number)) for number in (1, 2, 2, 3)]
    )
    assert [one.outcome for one in found] == ["created", "changed", "unchanged", "changed"]
    assert (await cluster.client.get_config("a")).config.timeout == seconds(3)


async def test_a_thousand_take_two_calls_for_each_batch_of_the_store(cluster):
    store = Counting(state=cluster.state)
    outcomes = await Client(store).put_configs([config(f"c{number}") for number in range(1000)])
    assert {one.outcome for one in outcomes} == {"created"}
    assert store.calls == 2 * 1000 / MAX_HEAVY_BATCH
    store.calls = 0
    wanted = [config(f"c{number}", timeout=seconds(7)) for number in range(1000)]
    await declare(Client(store), wanted, origin="api", orphan=False)
    assert store.calls == 1000 / 100 + 2 * 1000 / MAX_HEAVY_BATCH


async def test_one_that_somebody_was_faster_with_is_planned_again_and_no_other(cluster):
    store = Overtaken(state=cluster.state)
    store.times = 2
    found = await Client(store).put_configs([config("a"), config("b"), config("c")])
    assert said(found) == [("a", "created"), ("b", "changed"), ("c", "created")]
    assert (await cluster.client.get_config("b")).config == config("b")


async def test_one_that_always_moves_is_refused_in_the_end_and_the_others_are_there(cluster):
    store = Overtaken(state=cluster.state)
    store.times = 1000
    async with asyncio.timeout(20):
        found = await Client(store).put_configs([config("a"), config("b"), config("c")])
    assert said(found) == [("a", "created"), ("b", "refused"), ("c", "created")]
    assert "was changed by others" in str(found[1].error)
