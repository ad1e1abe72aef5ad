"""Params through all clients, against a real pod with a real API."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from api_pods import ADMIN, serving

from dsched.model import InvalidConfigError, Step, TaskConfig, TaskSpec, Workflow
from dsched_client import AsyncClient, Client, InvalidError

DAY = {"day": {"type": "string", "default": "${fire.date}"}, "n": {"type": "integer", "default": 3}}
PAYLOAD = {"day": "${params.day}", "n": "${params.n}"}
ETL = Workflow(steps=[Step(id="a", executor="echo", payload=PAYLOAD)], params=DAY)
NOW = datetime.now(UTC).replace(microsecond=0)


def config(**more):
    given = {"id": "c", "executor": "echo", "every": timedelta(days=1), "template": True}
    start = NOW - timedelta(days=2)
    given |= {"params": DAY, "payload": PAYLOAD, "start_at": start, "misfire": "skip"}
    return TaskConfig(**{**given, **more})


@pytest.fixture
async def cluster():
    async with serving(roles=("api", "scheduler", "worker")) as served:
        yield served


async def test_the_client_that_awaits_gives_params(cluster):
    async with AsyncClient(cluster.url, token=ADMIN) as client:
        await client.put_config(config())
        made = await client.trigger("c", params={"day": "monday"})
        assert await client.result(made.id, timeout=20) == {"day": "monday", "n": 3}
        assert (await client.get(made.id, full=True)).params == {"day": "monday", "n": 3}
        with pytest.raises(InvalidError, match=r"params\.dya.*did you mean 'day'"):
            await client.trigger("c", params={"dya": "x"})
        found = await client.backfill_config(
            "c", from_=NOW - timedelta(days=2), to=NOW, why="x", params={"n": 4}
        )
        assert (await client.result(found.tasks[0], timeout=20))["n"] == 4
        run = await client.submit(ETL, params={"day": "tuesday"})
        await client.wait(run.id, timeout=20)
        assert (await client.get(f"{run.id}~a", full=True)).result.data == {
            "day": "tuesday",
            "n": 3,
        }
        with pytest.raises(InvalidConfigError, match=r"params.n: must be an integer"):
            await client.submit(ETL, params={"n": "x"})


async def test_what_is_submitted_in_any_way_is_the_same_snapshot(cluster):
    spec = TaskSpec(
        executor="echo",
        template=True,
        timezone="Asia/Tokyo",
        payload=PAYLOAD,
        param_values={"day": "${fire.date} $${x}", "n": 1},
    )
    async with AsyncClient(cluster.url, token=ADMIN) as client:
        await client.submit(spec, task_id="a")
        await client.submit(ETL, task_id="r", params={"day": "${x}"})
    await cluster.client.submit(ETL, task_id="s", params={"day": "${x}"})
    stored = (await cluster.client.get("a")).spec
    assert (stored.param_values, stored.timezone) == (spec.param_values, "Asia/Tokyo")
    by_http, by_store = [(await cluster.client.get(one)).spec for one in ("r", "s")]
    assert by_http.param_values == by_store.param_values == {"day": "$${x}", "n": 3}
    assert by_http.workflow.params == by_store.workflow.params == ETL.params


async def test_the_client_that_blocks_gives_params(cluster):
    def given():
        with Client(cluster.url, token=ADMIN) as client:
            client.put_config(config())
            made = client.trigger("c", params={"day": "monday"})
            run = client.submit(ETL, params={"n": 9})
            client.wait(run.id, timeout=20)
            return client.result(made.id, timeout=20), client.result(f"{run.id}~a", timeout=20)

    triggered, member = await asyncio.to_thread(given)
    assert triggered == {"day": "monday", "n": 3}
    assert member["n"] == 9
