"""`max_running` of a config: all of its runs, so many at a time."""

import pytest
from engine_cluster import config, most_in_hand, spec

from dsched.client import NotFoundError
from dsched.model import InvalidConfigError, Limit, TaskStatus
from dsched.model.limits import own_limit


def bound(most=2, config_id="nightly", name="sleep 1", **fields):
    return config(config_id, name=name, max_running=most, overlap="allow", enabled=False, **fields)


async def triggered(cluster, count, config_id="nightly"):
    return [str(await cluster.client.trigger(config_id, key=f"k{at}")) for at in range(count)]


async def test_all_runs_are_run_and_never_more_than_that_at_once(cluster):
    await cluster.client.put_config(bound())
    cluster.start("a")
    for task_id in await triggered(cluster, 8):
        ended = await cluster.client.wait(task_id, timeout_s=60)
        assert ended.status is TaskStatus.SUCCESS
    assert most_in_hand(cluster, "nightly@") == 2
    assert (await cluster.client.limit_uses()).uses == ()


async def test_why_says_how_many_runs_of_the_config_there_are(cluster):
    await cluster.client.put_config(bound(1, name="sleep 60"))
    cluster.start("a")
    ids = await triggered(cluster, 3)
    await cluster.until(lambda: cluster.state.places.waiting[own_limit("nightly")] == 2, "two wait")
    told = await cluster.client.why_task(ids[2])
    assert told.summary == f"Task {ids[2]} waits until a run of nightly ends."
    assert told.because[0].startswith("1 of 1 run of nightly is running, and 2 tasks wait for one")


async def test_an_edit_holds_for_what_waits_and_a_deletion_ends_it(cluster):
    await cluster.client.put_config(bound(1, name="sleep 60"))
    cluster.start("a")
    await triggered(cluster, 4)
    places, own = cluster.state.places, own_limit("nightly")
    await cluster.until(lambda: places.waiting[own] == 3, "three wait")
    await cluster.client.put_config(bound(3, name="sleep 60"))
    await cluster.until(lambda: (places.held[own], places.waiting[own]) == (3, 1), "three run")
    await cluster.client.delete_config("nightly")
    await cluster.until(lambda: places.held[own] == 4, "the last one waits for nobody")


@pytest.mark.parametrize("overlap", ["skip", "queue_one", "queue_all", "cancel_previous"])
async def test_other_overlap_policies_are_refused_beside_it(cluster, overlap):
    with pytest.raises(InvalidConfigError, match="say overlap: allow") as caught:
        await cluster.client.put_config(config("c", max_running=2, overlap=overlap))
    assert caught.value.field == "max_running"


async def test_nobody_else_takes_its_places_or_changes_it(cluster):
    await cluster.client.put_config(bound())
    with pytest.raises(InvalidConfigError, match="max_running of config nightly"):
        await cluster.client.put_limit(Limit(id=own_limit("nightly"), max_running=9))
    with pytest.raises(InvalidConfigError, match="max_running of config nightly"):
        await cluster.client.delete_limit(own_limit("nightly"), force=True)
    with pytest.raises(InvalidConfigError, match="only its own tasks take its places"):
        await cluster.client.submit(spec("ok", limits=[own_limit("nightly")]))
    with pytest.raises(InvalidConfigError, match="names no limit"):
        await cluster.client.put_config(config("c", limits=[own_limit("nightly")]))
    assert (await cluster.client.list_limits()).limits == ()


async def test_a_store_of_an_older_format_refuses_it(cluster):
    cluster.state.format = 3
    with pytest.raises(InvalidConfigError) as caught:
        await cluster.client.put_config(bound())
    assert caught.value.field == "max_running"
    with pytest.raises(NotFoundError):
        await cluster.client.get_config("nightly")
