"""The HTTP clients against real pods with a real API: what they promise, end to end."""

import asyncio
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from api_pods import ADMIN, serving
from workspace import ROOT

import dsched_client
from dsched import TaskConfig, TaskSpec
from dsched.functions.registry import REGISTRY
from dsched.model import Limit, RetryPolicy, TaskStatus
from dsched_client import AsyncClient, Client, NotFoundError

README = ROOT / "clients/http/README.md"
NEVER = RetryPolicy(max_retries=0)


class InThread:
    """A blocking client as the tests use it: every call in a thread."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        call = getattr(self._client, name)

        async def threaded(*arguments, **named):
            found = await asyncio.to_thread(call, *arguments, **named)
            return InThread(found) if isinstance(found, dsched_client.TaskHandle) else found

        return threaded if callable(call) else call


@pytest.fixture(params=["sync", "async"])
def connected(request):
    @asynccontextmanager
    async def open_client(url, token=ADMIN, **options):
        if request.param == "async":
            async with AsyncClient(url, token=token, **options) as client:
                yield client
        else:
            with Client(url, token=token, **options) as client:
                yield InThread(client)

    return open_client


@pytest.fixture
async def cluster():
    async with serving(roles=("api", "scheduler", "worker")) as served:
        yield served


def echo(payload, **more):
    return TaskSpec(executor="echo", payload=payload, retry=NEVER, **more)


async def test_a_task_is_submitted_waited_for_and_its_result_read(cluster, connected):
    async with connected(cluster.url) as client:
        handle = await client.submit(echo({"a": [1, None]}), task_id="t")
        assert await handle.result(timeout=20) == {"a": [1, None]}
        task = await client.get("t", full=True)
        assert [(one.number, one.how, one.code) for one in task.attempts] == [(1, "success", "ok")]
        assert (task.status, task.ended, task.attempt) == (TaskStatus.SUCCESS, True, 1)
        assert task.result.data == {"a": [1, None]}
        assert task.scheduled_time.tzinfo is not None
        again = await client.submit(echo({"a": [1, None]}), task_id="t")
        assert again.id == "t"
        with pytest.raises(dsched_client.ConflictError) as caught:
            await client.submit(echo("another"), task_id="t")
        assert caught.value.code == "conflict"


async def test_a_task_that_failed_is_an_exception_that_has_the_task(cluster, connected):
    async with connected(cluster.url) as client:
        handle = await client.submit(echo({"fail": "no luck"}))
        with pytest.raises(dsched_client.TaskEndedBadlyError, match="no luck") as caught:
            await handle.result(timeout=timedelta(seconds=20))
        assert caught.value.code == "failed"
        retried = await client.retry(handle.id)
        assert retried.id != handle.id
        with pytest.raises(dsched_client.ConflictError) as late:
            await client.cancel(handle.id, reason="too late")
        assert late.value.code == "too_late"


async def test_waiting_in_vain_is_a_timeout_and_a_running_task_is_cancelled(cluster, connected):
    async with connected(cluster.url) as client:
        handle = await client.submit(echo({"wait": True}))
        with pytest.raises(
            TimeoutError, match=rf"task {handle.id} is (pending|running) after 0.3 s"
        ):
            await handle.wait(timeout=0.3)
        answer = await handle.cancel(reason="enough")
        assert answer.outcome in ("OK", "REQUESTED")
        assert (await handle.wait(timeout=20)).status is TaskStatus.CANCELLED


async def test_the_same_key_is_the_same_task_and_a_lost_answer_costs_none(cluster, connected):
    async with connected(cluster.url) as client:
        one = await client.submit(echo(1), key="order-4711")
        two = await client.submit(echo(1), key="order-4711")
        assert one.id == two.id
        with pytest.raises(dsched_client.ConflictError) as caught:
            await client.submit(echo(2), key="order-4711")
        assert caught.value.code == "idempotency_mismatch"


async def test_many_are_submitted_with_an_outcome_each(cluster, connected):
    async with connected(cluster.url) as client:
        items = [{"id": f"m{n}", "executor": "echo", "payload": n} for n in range(3)]
        found = await client.submit_many([*items, {"id": "bad", "executor": "nobody's"}])
        assert [one.outcome for one in found] == ["OK", "OK", "OK", "INVALID"]
        assert "nobody's" in found[3].problem["detail"]
        assert [one.outcome for one in await client.submit_many(items)] == ["DUP"] * 3


async def test_a_config_lives_through_all_its_calls(cluster, connected):
    config = TaskConfig(
        id="nightly",
        executor="echo",
        payload={"n": 1},
        cron_expr="0 2 * * *",
        timezone="Europe/Berlin",
        retry=NEVER,
    )
    async with connected(cluster.url) as client:
        made = await client.put_config(config)
        assert (made.outcome, made.config.origin) == ("created", "api")
        assert made.config.due > datetime.now(UTC)
        assert (await client.put_config(config)).outcome == "unchanged"
        entry = {"id": "nightly", **made.config.spec, "misfire_grace": timedelta(minutes=3)}
        changed = await client.put_config(entry, revision=made.config.revision)
        assert changed.outcome == "changed"
        with pytest.raises(dsched_client.PreconditionError):
            await client.put_config(entry, revision=made.config.revision)
        with pytest.raises(dsched_client.ConflictError) as caught:
            await client.put_config(entry, origin="code:shop")
        assert caught.value.code == "origin_conflict"
        assert (await client.put_config(entry, origin="code:shop", adopt=True)).config.origin == (
            "code:shop"
        )
        await client.put_config(entry, adopt=True)
        patched = await client.patch_config("nightly", {"payload": {"n": 2}})
        assert patched.spec["payload"] == {"n": 2}
        paused = await client.pause_config("nightly", why="a test")
        assert (paused.paused.why, paused.due) == ("a test", None)
        assert (await client.resume_config("nightly")).paused is None
        assert await (await client.trigger("nightly")).result(timeout=20) == {"n": 2}
        assert [one.id for one in await client.list_configs()] == ["nightly"]
        assert (await client.decisions("nightly")).items == ()
        upcoming = await client.upcoming("nightly", limit=3)
        assert len(upcoming.items) == 3
        assert "02:00" in upcoming.items[0].local
        await client.delete_config("nightly", cancel_tasks=True, reason="done")
        with pytest.raises(dsched_client.NotFoundError):
            await client.get_config("nightly")


async def test_many_configs_are_put_by_batches_and_each_has_an_outcome(cluster, connected):
    async with connected(cluster.url) as client:
        await client.put_config({"id": "c3", "executor": "echo", "every": "1h"}, origin="code:shop")
        configs = [
            TaskConfig(id=f"c{n}", executor="echo", cron_expr="H 2 * * *") for n in range(130)
        ]
        wrong = {"id": "wrong", "executor": "echo", "every": "often"}
        found = await client.put_configs([*configs, wrong])
        assert [one.id for one in found] == [*(one.id for one in configs), "wrong"]
        assert {one.outcome for one in (*found[:3], *found[4:-1])} == {"created"}
        assert found[0].kept() == await client.get_config("c0")
        with pytest.raises(dsched_client.ConflictError) as conflict:
            found[3].kept()
        assert conflict.value.code == "origin_conflict"
        with pytest.raises(dsched_client.InvalidError) as invalid:
            found[-1].kept()
        assert [flaw.field for flaw in invalid.value.errors] == ["every"]
        again = await client.put_configs(configs, adopt=True)
        assert [one.id for one in again if one.outcome != "unchanged"] == ["c3"]
        dry = await client.put_configs([{**wrong, "every": "2h"}], origin="file:x", dry_run=True)
        assert [one.outcome for one in dry] == ["created"]
        with pytest.raises(dsched_client.NotFoundError):
            await client.get_config("wrong")


async def test_operators_skip_backfill_and_ask_why(cluster, connected):
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    async with connected(cluster.url) as client:
        await client.put_config(
            {"id": "hourly", "executor": "echo", "payload": 1, "cron_expr": "0 * * * *"}
        )
        skipped = await client.skip_config("hourly", at=now + timedelta(hours=1), why="a holiday")
        assert (skipped.skipped, skipped.first) == (1, now + timedelta(hours=1))
        span = {
            "from_": now - timedelta(hours=3),
            "to": now - timedelta(hours=2),
            "why": "an outage",
        }
        dry = await client.backfill_config("hourly", **span, dry_run=True)
        assert len(dry.instants) == 2
        done = await client.backfill_config("hourly", **span)
        assert (await client.wait(done.tasks[0], timeout_s=20)).status is TaskStatus.SUCCESS
        why = await client.why_task(done.tasks[0])
        assert (why.task.id, why.verdict) == (done.tasks[0], "success")
        skipped_why = await client.why_config("hourly", now + timedelta(hours=1))
        assert "a holiday" in " ".join([skipped_why.summary, *skipped_why.because])
        async with asyncio.timeout(20):
            while (await client.stats("hourly", bucket="day")).total.runs < 1:
                await asyncio.sleep(0.1)


async def test_the_lines_of_a_task_are_read_and_followed(cluster, monkeypatch):
    monkeypatch.setattr(REGISTRY, "_functions", {})

    @REGISTRY.task("talk")
    async def talk(ctx):
        for n in range(3):
            ctx.logger.warning("line %d", n)
            await asyncio.sleep(0.3)

    spec = TaskSpec(executor="local", payload={"function": "talk"})
    async with AsyncClient(cluster.url, token=ADMIN) as client:
        handle = await client.submit(spec)
        async with asyncio.timeout(20):
            followed = [line async for line in client.follow_lines(handle.id)]
        page = await client.task_lines(handle.id)
    assert [(line.level, line.line) for line in followed] == [
        ("warning", "line 0"),
        ("warning", "line 1"),
        ("warning", "line 2"),
    ]
    assert (page.complete, list(page.items)) == (True, followed)
    with Client(cluster.url, token=ADMIN) as blocking:
        again = await asyncio.to_thread(lambda: list(blocking.follow_lines(handle.id)))
    assert again == followed


async def test_what_is_wrong_with_an_entry_is_said_by_field(cluster, connected):
    async with connected(cluster.url) as client:
        with pytest.raises(dsched_client.InvalidError) as caught:
            await client.put_config(
                {"id": "x", "executor": "echo", "cron_expr": "0 0 30 2 *", "timzone": "UTC"}
            )
        assert {flaw.field for flaw in caught.value.errors} >= {"cron_expr", "timzone"}


async def test_a_token_may_do_what_its_scope_says(cluster, connected):
    read = await cluster.token_of("read")
    async with connected(cluster.url, token=read) as client:
        assert (await client.cluster()).counts.by_status is not None
        with pytest.raises(dsched_client.ForbiddenError):
            await client.submit(echo(1))
    async with connected(cluster.url, token="dsk_wrong_wrong") as client:
        with pytest.raises(dsched_client.AuthenticationError):
            await client.counts()


async def test_the_cluster_and_its_workers_are_seen(cluster, connected):
    async with connected(cluster.url) as client:
        async with asyncio.timeout(20):
            while (await client.cluster()).leader is None:
                await asyncio.sleep(0.05)
        (worker,) = await client.workers()
        assert worker.capacity > 0
        assert (await client.drain_worker(worker.id, reason="a test")).draining
        assert not (await client.resume_worker(worker.id)).draining
        made = await client.resize_worker(worker.id, worker.capacity + 3, reason="a test")
        assert (made.capacity, made.resized_to) == (worker.capacity + 3, worker.capacity + 3)
        assert made.own_capacity == worker.capacity
        back = await client.resize_worker(worker.id, None)
        assert (back.capacity, back.resized_to) == (worker.capacity, None)
        (pod,) = await client.pods()
        assert (pod.name, "worker" in pod.roles) == ("pod-a", True)
        (term,) = await client.terms()
        assert (term.pod, term.ended) == ("pod-a", None)
        assert await client.step_down(why="a test") == "pod-a"
        told = await client.declare_restored(why="a test", since=term.began)
        assert (told.generation, told.loss, told.since) == (1, "declared", term.began)
        found = await client.store_format()
        assert (found.format, found.older_pods) == (found.newest, ())
        assert await client.migrate_store(why="a test") == found
        listed = await client.list(live_of="none")
        assert (listed.items, listed.cursor) == ((), None)


async def test_lists_are_of_the_configs_that_are_meant(cluster, connected):
    async with connected(cluster.url) as client:
        began = datetime.now(UTC)
        for name, team, owner in (("etl-a", "data", "ann"), ("etl-b", "data", ""), ("w", "=&", "")):
            await client.put_config(
                TaskConfig(
                    id=name,
                    executor="echo",
                    at="2090-01-01T00:00:00Z",
                    labels={"team": team, "env": "prod"},
                    owner=owner,
                )
            )
            handle = await client.trigger(name)
            await handle.wait(timeout=20)

        async def names(**asked):
            return [one.id.partition("@")[0] for one in (await client.list(**asked)).items]

        async with asyncio.timeout(20):
            while len(await names(config_id="*")) < 3:  # the collector makes the lists
                await asyncio.sleep(0.05)
        assert await names(config_id="etl-*") == ["etl-b", "etl-a"]
        assert await names(labels={"team": "=&", "env": "prod"}) == ["w"]
        assert await names(owner="ann", status="success") == ["etl-a"]
        assert await names(owner="ann", status="failed") == []
        assert await names(owner="ann", since=began) == ["etl-a"]
        assert await names(owner="ann", until=began) == []
        assert await names(live_of="etl-*", owner="ann") == []
        page = await client.list_configs(config_id="etl-*", labels={"env": "prod"}, owner="ann")
        assert [one.id for one in page.items] == ["etl-a"]
        with pytest.raises(ValueError, match="has a ="):
            await client.list(labels={"a=b": "c"})
        with pytest.raises(dsched_client.ApiError, match="star"):
            await client.list(config_id="e*l")


async def test_the_readmes_program_does_what_it_says(cluster, tmp_path, monkeypatch, capsys):
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    block = block.replace("http://127.0.0.1:8700", cluster.url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text(ADMIN)
    monkeypatch.setattr(REGISTRY, "_functions", {})
    REGISTRY.task("double")(lambda number: 2 * number)
    await asyncio.to_thread(exec, compile(block, "README", "exec"), {})
    shown = capsys.readouterr().out.splitlines()
    assert (shown[0], shown[2]) == ("42", "not_found")
    assert "T02:00" in shown[1]


async def test_events_follow_a_task_through_its_life(cluster):
    async with AsyncClient(cluster.url, token=ADMIN) as client:
        kinds = []

        async def follow():
            async for event in client.events(topics=["task"]):
                kinds.append(event.kind)
                if event.kind == "completed" and "submitted" in kinds:
                    return

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            following = group.create_task(follow())
            while not following.done():
                await client.submit(echo(1))
                await asyncio.wait({following}, timeout=0.2)
    assert kinds.index("submitted") < len(kinds) - 1 - kinds[::-1].index("completed")
    assert {"submitted", "claimed", "completed"} <= set(kinds)


async def test_limits_are_put_read_and_deleted(cluster, connected):
    async with connected(cluster.url) as client:
        assert await client.put_limit(Limit(id="crm", max_running=2)) is True
        assert await client.put_limit(Limit(id="crm", max_running=2)) is False
        await client.put_limit(Limit(id="tenant:acme", max_running=3, rate="5/1s", burst=2))
        assert [one.id for one in await client.list_limits()] == ["crm", "tenant:acme"]
        page = await client.list_limits(limit=1)
        (rest,) = await client.list_limits(limit=1, cursor=page.cursor)
        assert (rest.id, rest.max_running, rest.rate) == ("tenant:acme", 3, "5/1s")
        assert (rest.burst, rest.origin) == (2, "api")
        found = await client.get_limit("crm")
        assert (found.id, found.max_running, found.uses, found.cursor) == ("crm", 2, (), None)
        await client.delete_limit("crm")
        with pytest.raises(NotFoundError, match="there is no limit"):
            await client.get_limit("crm")
        with pytest.raises(NotFoundError, match="there is no limit"):
            await client.delete_limit("crm", force=True)
