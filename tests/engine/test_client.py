"""The Python client: what is asked, answered, repeated and refused."""

import asyncio
from datetime import UTC, datetime

import pytest
from engine_cluster import (
    Line,
    config,
    first,
    lost_reply,
    only,
    seconds,
    spec,
)

from dsched.client import (
    Client,
    ConflictError,
    NotFoundError,
    PreconditionError,
    TaskEndedBadlyError,
)
from dsched.contracts import StoreUnavailableError
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.working import Submission
from dsched.model import Home, InvalidIdError, RetryPolicy, TaskStatus


async def test_the_result_of_a_task_is_its_data(cluster):
    cluster.start("a")
    task_id = await cluster.client.submit(spec("ok"))
    assert await cluster.client.result(task_id, timeout_s=20) == {"ran": task_id}


async def test_a_task_that_failed_is_an_exception_that_tells_how(cluster):
    cluster.start("a")
    await cluster.client.submit(spec("fail", retry=RetryPolicy(max_retries=0)), task_id="t")
    with pytest.raises(TaskEndedBadlyError, match="no luck") as caught:
        await cluster.client.result("t", timeout_s=20)
    assert (caught.value.code, caught.value.task.id) == ("failed", "t")


async def test_waiting_too_long_is_a_timeout_and_changes_nothing(cluster):
    await cluster.client.submit(spec("ok"), task_id="t")
    with pytest.raises(TimeoutError):
        await cluster.client.wait("t", timeout_s=3)
    assert cluster.row("t").status == TaskStatus.PENDING


async def test_the_same_id_and_spec_is_the_same_task_and_another_spec_a_conflict(cluster):
    client = cluster.client
    assert await client.submit(spec("ok"), task_id="t") == "t"
    assert await client.submit(spec("ok"), task_id="t") == "t"
    assert len(cluster.items("submitted", task="t")) == 1
    with pytest.raises(ConflictError):
        await client.submit(spec("fail"), task_id="t")


@pytest.mark.parametrize("task_id", ["a@b", "", "a b", "x" * 129, "a{b}", "a\n"])
async def test_a_bad_id_is_refused_before_anything_is_stored(cluster, task_id):
    with pytest.raises(InvalidIdError):
        await cluster.client.submit(spec("ok"), task_id=task_id)
    assert cluster.state.tasks == {}


async def test_what_does_not_exist_is_said_so(cluster):
    client = cluster.client
    for call in (
        client.get("no"),
        client.wait("no", timeout_s=1),
        client.cancel("no"),
        client.get_config("no"),
        client.trigger("no"),
        client.pause_config("no"),
        client.resume_config("no"),
        client.delete_config("no"),
        client.drain_worker("no"),
    ):
        with pytest.raises(NotFoundError):
            await call


async def test_a_trigger_repeated_with_its_key_is_one_task_even_after_an_edit(cluster):
    client = cluster.client
    await client.put_config(config(every=seconds(3600)))
    one = await client.trigger("tick", key="k")
    await client.put_config(config(every=seconds(3600), timeout=seconds(7)))
    assert await client.trigger("tick", key="k") == one == "tick@manual-k"
    assert await client.trigger("tick") not in (one, await client.trigger("tick"))


async def test_a_paused_or_disabled_config_can_be_triggered(cluster):
    cluster.start("a")
    await cluster.client.put_config(config(enabled=False))
    task_id = await cluster.client.trigger("tick")
    assert (await cluster.client.wait(task_id, timeout_s=20)).status == TaskStatus.SUCCESS
    assert cluster.fired("tick") == []


async def test_putting_equal_content_changes_nothing(cluster):
    one = await cluster.client.put_config(config())
    await asyncio.sleep(0.3)
    two = await cluster.client.put_config(config())
    assert one == two
    assert len(cluster.items("config", act="put")) == 1


async def test_a_delete_whose_reply_is_lost_has_deleted(cluster):
    await cluster.client.put_config(config())
    line = Line()
    line.rule = only(first(1, lost_reply), steps={"delete"})
    await Client(line.over(cluster.store, "main")).delete_config("tick")
    assert cluster.state.configs == {}


async def test_deleting_with_its_tasks_cancels_those_that_live(cluster):
    cluster.start("a")
    await cluster.client.put_config(config(name="sleep 60"))
    await cluster.until(lambda: cluster.executor.started, "a run")
    task_id = cluster.executor.started[0][0]
    await cluster.client.delete_config("tick", cancel_tasks=True)
    assert (await cluster.client.wait(task_id, timeout_s=10)).status == TaskStatus.CANCELLED


async def test_deleting_alone_lets_a_live_task_finish(cluster):
    cluster.start("a")
    await cluster.client.put_config(config(name="sleep 1"))
    await cluster.until(lambda: cluster.executor.started, "a run")
    await cluster.client.delete_config("tick")
    task_id = cluster.executor.started[0][0]
    assert (await cluster.client.wait(task_id, timeout_s=10)).status == TaskStatus.SUCCESS


async def test_a_store_that_stays_silent_is_reported_after_some_seconds(cluster):
    line = Line()
    line.cut()
    began_s = cluster.now_s()
    with pytest.raises(StoreUnavailableError):
        await Client(line.over(cluster.store, "main")).counts()
    assert 5 < cluster.now_s() - began_s < 15


async def test_pages_of_tasks_and_configs_lead_to_all_of_them(cluster):
    client = cluster.client
    for number in range(7):
        await client.submit(spec("ok"), task_id=f"t{number}")
        await client.put_config(config(f"c{number}", every=seconds(3600)))
    tasks, cursor = [], None
    while True:
        page = await client.list(TaskQuery(home=Home.READY), cursor=cursor, limit=3)
        tasks += [task.id for task in page.tasks]
        cursor = page.cursor
        if cursor is None:
            break
    assert tasks == [f"t{number}" for number in range(7)]
    page = await client.list_configs(limit=3)
    assert [stored.config.id for stored in page.configs] == ["c0", "c1", "c2"]
    rest = await client.list_configs(cursor=page.cursor)
    assert [stored.config.id for stored in rest.configs] == ["c3", "c4", "c5", "c6"]


async def test_lists_are_of_the_configs_that_are_meant(cluster):
    client = cluster.client
    for name, owner in (("etl-a", "ann"), ("etl-b", ""), ("web", "ann")):
        labels = {"team": "web" if name == "web" else "data"}
        await client.put_config(config(name, every=seconds(3600), owner=owner, labels=labels))
        handle = await client.trigger(name)
        await handle.cancel()
    cluster.start("a")
    await cluster.until(lambda: len(cluster.state.finished) == 3, "what ended is in its lists")

    async def names(**asked):
        return sorted(one.id.partition("@")[0] for one in (await client.list(**asked)).tasks)

    assert await names(config_id="etl-*") == ["etl-a", "etl-b"]
    assert await names(labels={"team": "data"}) == ["etl-a", "etl-b"]
    assert await names(owner="ann", status=TaskStatus.CANCELLED) == ["etl-a", "web"]
    assert await names(config_id="etl-a", status="failed") == []
    assert await names(config_id="*", status="running") == []
    assert await names(status="running") == []
    assert await names(live_of="etl-*") == []
    late = datetime(2090, 1, 1, tzinfo=UTC)
    assert await names(config_id="web", until=late) == ["web"]
    assert await names(config_id="web", since=late) == []
    assert await names(status="cancelled", since=late) == []
    page = await client.list_configs(config_id="etl-*", owner="ann", origin="api")
    assert [one.config.id for one in page.configs] == ["etl-a"]
    for pattern in ("etl-a", "etl-*"):
        page = await client.list_configs(config_id=pattern, origin="code:x")
        assert page.configs == ()
    for asked, said in (
        ({"config_id": "e*l"}, "star"),
        ({"config_id": "a", "live_of": "b"}, "keep one"),
        ({"status": "pending"}, "several homes"),
        ({"status": "running", "until": late}, "has none"),
        ({"home": "ready", "owner": "ann"}, "all configs"),
        ({"home": "ready", "since": late}, "ended"),
        ({"since": late, "until": late}, "later"),
        ({"config_id": "a", "since": datetime(2026, 1, 1)}, "UTC offset"),  # noqa: DTZ001
        ({"config_id": "a*", "limit": 101}, "limit"),
        ({}, "no index"),
    ):
        with pytest.raises(ValueError, match=said):
            await client.list(**asked)
    with pytest.raises(ValueError, match="limit"):
        await client.list_configs(owner="ann", limit=101)


async def test_events_can_be_read_to_the_end_and_followed(cluster):
    client = cluster.client
    await client.submit(spec("ok"), task_id="t0")
    seen = [event async for event in client.events()]
    assert [event.kind for event in seen] == ["submitted"]
    followed = client.events(after=seen[-1].cursor, follow=True)
    await client.submit(spec("ok"), task_id="t1")
    event = await anext(followed)
    assert event.items[0]["task"] == "t1"
    await followed.aclose()


async def test_many_tasks_are_submitted_in_one_step(cluster):

    items = [Submission(task_id=f"t{number}", spec=spec("ok")) for number in range(100)]
    assert set(await cluster.client.submit_many(items)) == {Outcome.OK}
    assert set(await cluster.client.submit_many(items)) == {Outcome.DUP}
    assert len(cluster.events("submitted")) == 1


async def test_a_spec_alone_is_no_submission_and_the_error_says_what_is(cluster):
    with pytest.raises(TypeError, match=r"takes Submission\(task_id=.*, not TaskSpec"):
        await cluster.client.submit_many([spec("ok")])


async def test_a_change_that_came_second_is_planned_again_and_made(cluster):
    await cluster.client.put_config(config("every", every=seconds(60)))
    line = Line()
    store = line.over(cluster.store, "client")

    async def overtaken(handle, step, proceed):
        await cluster.client.put_config(config("every", every=seconds(90)))
        return await proceed()

    line.rule = only(first(1, overtaken), steps={"pause"})
    await type(cluster.client)(store).pause_config("every")
    assert cluster.state.configs["every"].paused is not None


async def test_a_change_of_another_revision_than_was_meant_changes_nothing(cluster):
    made = await cluster.client.put_config(config("every", every=seconds(60)), expected_revision=0)
    revision = made.config.revision
    longer = config("every", every=seconds(90))
    for meant in (0, revision + 1):
        with pytest.raises(PreconditionError):
            await cluster.client.put_config(longer, expected_revision=meant)
    assert cluster.state.configs["every"].config.every == seconds(60)
    await cluster.client.put_config(longer, expected_revision=revision)
    assert cluster.state.configs["every"].config.every == seconds(90)
