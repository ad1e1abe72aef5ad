"""Limits in a cluster: never more in hand than they let; a full one costs nobody else anything."""

import pytest
from engine_cluster import SCHEDULER, WORKER, config, most_in_hand, spec

from dsched.client import ConflictError, NotFoundError, RefusedError
from dsched.model import InvalidConfigError, Limit, TaskStatus


async def limit(cluster, limit_id="crm", most=3):
    await cluster.client.put_limit(Limit(id=limit_id, max_running=most))


async def test_tasks_of_a_limit_run_so_many_at_a_time_and_all_of_them_in_the_end(cluster):
    await limit(cluster)
    cluster.start("a")
    cluster.start("b", WORKER)
    for number in range(20):
        await cluster.client.submit(spec("sleep 1", limits=["crm"]), task_id=f"l{number}")
    for number in range(20):
        ended = await cluster.client.wait(f"l{number}", timeout_s=60)
        assert ended.status is TaskStatus.SUCCESS
    assert most_in_hand(cluster, "l") == 3
    assert (await cluster.client.limit_uses()).uses == ()


async def test_a_full_limit_holds_nobody_else_up_and_costs_a_tick_nothing(cluster):
    await limit(cluster, most=0)
    cluster.start("lead", SCHEDULER)
    cluster.start("work", WORKER)
    for number in range(300):
        waits = spec("ok", limits=["crm"], priority=9)
        await cluster.client.submit(waits, task_id=f"l{number}")
    began_s = cluster.now_s()
    await cluster.client.submit(spec("ok"), task_id="plain")
    await cluster.client.wait("plain", timeout_s=20)
    assert cluster.now_s() - began_s < 0.5
    (use,) = (await cluster.client.limit_uses(of="crm")).uses
    assert (use.held, use.waiting) == (0, 300)


async def test_a_raised_limit_lets_go_what_waits(cluster):
    await limit(cluster, most=0)
    cluster.start("a")
    for number in range(5):
        await cluster.client.submit(spec("ok", limits=["crm"]), task_id=f"l{number}")
    await cluster.until(lambda: cluster.state.places.waiting["crm"] == 5, "all wait")
    await limit(cluster, most=2)
    for number in range(5):
        await cluster.client.wait(f"l{number}", timeout_s=20)


async def test_a_limit_that_nobody_has_put_is_refused_where_it_is_named(cluster):
    await limit(cluster, "crm-api")
    with pytest.raises(InvalidConfigError, match="no limit 'crm-apj'; did you mean 'crm-api'"):
        await cluster.client.submit(spec("ok", limits=["crm-apj:x"]))
    with pytest.raises(InvalidConfigError, match="did you mean 'crm-api'"):
        await cluster.client.put_config(config("c", limits=["crm-apj"]))
    await cluster.client.put_config(config("c", limits=["crm-api"]))


async def test_a_limit_in_use_is_deleted_only_by_force(cluster):
    await limit(cluster, most=0)
    cluster.start("a")
    await cluster.client.submit(spec("ok", limits=["crm"]), task_id="t")
    await cluster.until(lambda: cluster.state.places.waiting["crm"] == 1, "it waits")
    with pytest.raises(ConflictError, match="in use"):
        await cluster.client.delete_limit("crm")
    await cluster.client.delete_limit("crm", force=True)
    await cluster.client.wait("t", timeout_s=20)
    with pytest.raises(NotFoundError):
        await cluster.client.get_limit("crm")


async def test_a_store_of_an_older_format_has_no_limits_and_says_what_to_do(cluster):
    cluster.state.format = 3
    with pytest.raises(RefusedError, match="dsched store migrate"):
        await limit(cluster)
    with pytest.raises(RefusedError, match="limits need 4"):
        await cluster.client.submit(spec("ok", limits=["crm"]))
    with pytest.raises(InvalidConfigError, match="dsched store migrate"):
        await cluster.client.put_config(config("c", limits=["crm"]))


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ("crm", "must be a list"),
        (["a", "b", "c", "d", "e"], "at most 4"),
        (["a", "a"], "name each once"),
        ([1], "are texts"),
        ([":x"], "names no limit"),
        (["a:"], "no instance"),
        (["a b"], "names no limit"),
        (["a:${params.x}"], "literal"),
    ],
)
def test_names_that_are_none_are_refused_with_the_reason(names, why):
    with pytest.raises(InvalidConfigError, match=why):
        spec("ok", limits=names)


@pytest.mark.parametrize("text", ["\t\n", "x" * 10_000, "🦆", "a:b", "\ud800", "~" + "0" * 39])
def test_an_instance_of_any_text_is_hashed_and_equal_texts_are_equal(text):
    (name,) = spec("ok", limits=[f"tenant:{text}"]).limits
    assert spec("ok", limits=[f"tenant:{text}"]).limits == (name,)
    assert name.startswith("tenant:~")
    assert len(name) == len("tenant:~") + 40
    assert spec("ok", limits=[name]).limits == (name,)


@pytest.mark.parametrize("most", [-1, 1_000_001, True, "3", 1.5, None])
def test_a_limit_of_nonsense_is_refused(most):
    with pytest.raises(InvalidConfigError, match="max_running"):
        Limit(id="crm", max_running=most)


async def test_why_names_the_limit_that_a_task_waits_under(cluster):
    await limit(cluster, "tenant", most=2)
    cluster.start("lead", SCHEDULER)
    cluster.start("work", WORKER)
    for number in range(5):
        await cluster.client.submit(spec("sleep 60", limits=["tenant:a"]), task_id=f"l{number}")
    await cluster.client.submit(spec("ok", limits=["tenant:b"]), task_id="other")
    await cluster.client.wait("other", timeout_s=20)
    uses = (await cluster.client.limit_uses(of="tenant")).uses
    assert [(one.name, one.held, one.waiting) for one in uses] == [("tenant:a", 2, 3)]
    told = await cluster.client.why_task("l4")
    assert told.summary == "Task l4 waits under limit tenant:a."
    assert told.because[0] == (
        "Limit tenant:a: 2 of 2 places are held, and 3 tasks wait under it, this one as number 3: "
        "higher priorities and earlier tasks go first."
    )
    await cluster.client.submit(spec("ok", limits=["tenant:a"], priority=9), task_id="urgent")
    await cluster.until(lambda: cluster.state.places.waiting["tenant:a"] == 4, "it waits too")
    told = await cluster.client.why_task("urgent")
    assert "4 tasks wait under it, this one as number 1:" in told.because[0]
    told = await cluster.client.why_task("l4")
    assert "this one as number 4:" in told.because[0]
    await limit(cluster, "tenant:a", most=0)
    told = await cluster.client.why_task("l4")
    assert "It lets nothing begin (max_running is 0)" in told.because[0]
