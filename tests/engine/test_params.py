"""Params and templates, by real pods in virtual time."""

from datetime import timedelta
from typing import Any

import pytest

from dsched.errors import RefusedError
from dsched.model import (
    InvalidConfigError,
    Step,
    TaskConfig,
    TaskSpec,
    TaskStatus,
    Workflow,
    from_ms,
)
from dsched.model.instants import rfc3339_ms

DAY = {"day": {"type": "string", "default": "${fire.date}"}}
NEVER = timedelta(days=300)
FAILED, SUCCESS = TaskStatus.FAILED, TaskStatus.SUCCESS


@pytest.fixture
def payloads(cluster: Any) -> list[Any]:
    """The payloads, where they are mappings, that the attempts were really given."""
    seen: list[Any] = []

    async def told(context: Any, task: Any) -> object:
        seen.append(task.spec.payload)
        if task.spec.payload.get("attempt") == 1:
            raise RuntimeError("once more")
        return task.spec.payload

    class Told(dict[str, Any]):
        def __getitem__(self, payload: Any) -> Any:
            return told if isinstance(payload, dict) else super().__getitem__(payload)

    cluster.executor.bodies = Told(cluster.executor.bodies)
    return seen


def config(**more: Any) -> TaskConfig:
    given = {"id": "c", "executor": "fn", "every": NEVER, "template": True}
    return TaskConfig(**{**given, **more})


async def ran(cluster: Any, task_id: str) -> Any:
    return await cluster.client.wait(task_id, timeout_s=60)


async def test_a_trigger_sets_what_the_config_declares(cluster, payloads):
    cluster.start("a")
    payload = {"day": "${params.day}", "n": "${params.n}", "raw": "$${x}"}
    params = {**DAY, "n": {"type": "integer", "default": 3}}
    await cluster.client.put_config(config(payload=payload, params=params))
    made = await cluster.client.trigger("c", params={"day": "2026-11-30"})
    assert (await ran(cluster, made)).status is SUCCESS
    assert payloads == [{"day": "2026-11-30", "n": 3, "raw": "${x}"}]


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"dya": "x"}, "params.dya: is unknown; did you mean 'day'"),
        ({"day": 3}, "params.day: must be a string, got 3"),
        ({}, "params.who: is missing"),
        (None, "params.who: is missing"),
    ],
)
async def test_a_trigger_that_gives_something_else_makes_nothing(cluster, params, reason):
    cluster.start("a")
    declared = {**DAY, "who": {"type": "string"}}
    if params is not None and "dya" not in params and params:
        params = {"who": "me", **params}
    await cluster.client.put_config(config(payload="ok", params=declared, enabled=False))
    with pytest.raises(InvalidConfigError, match=reason):
        await cluster.client.trigger("c", params=params)
    with pytest.raises(InvalidConfigError, match=reason):
        await cluster.client.backfill_config(
            "c", from_=from_ms(0), to=from_ms(1), why="x", params=params
        )
    assert not (await cluster.client.list(config_id="c")).tasks
    assert not (await cluster.client.list(home="ready")).tasks


async def test_a_fire_of_its_own_has_the_defaults_in_the_zone_of_the_config(cluster, payloads):
    cluster.start("a")
    payload = {"day": "${params.day}", "at": "${fire.time}", "ms": "${fire.ms}"}
    await cluster.client.put_config(
        config(payload=payload, params=DAY, every=timedelta(minutes=1), timezone="Asia/Kathmandu")
    )
    await cluster.until(lambda: payloads, "a fire", timeout_s=200)
    first = payloads[0]
    at = from_ms(first["ms"]) + timedelta(hours=5, minutes=45)
    assert first["day"] == at.date().isoformat()
    assert first["at"] == at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "+05:45"
    assert first["ms"] % 1000 == 0 or first["ms"] > 0


async def test_each_attempt_renders_anew(cluster, payloads):
    cluster.start("a")
    payload = {"attempt": "${attempt}", "id": "${task.id}", "zone": "${labels.z}"}
    spec = TaskSpec(
        executor="fn",
        template=True,
        payload=payload,
        labels={"z": "eu"},
        retry={"max_retries": 1, "retry_delay": "1s"},
    )
    await cluster.client.submit(spec, task_id="t")
    assert (await ran(cluster, "t")).status is SUCCESS
    assert payloads == [{"attempt": at, "id": "t", "zone": "eu"} for at in (1, 2)]


async def test_without_the_word_a_payload_is_what_it_says(cluster, payloads):
    cluster.start("a")
    payload = {"text": "${fire.date} $${x"}
    await cluster.client.submit(TaskSpec(executor="fn", payload=payload), task_id="t")
    await ran(cluster, "t")
    assert payloads == [payload]


async def test_a_retry_has_the_params_that_the_task_had(cluster, payloads):
    cluster.start("a")
    payload = {"day": "${params.day}", "n": "${params.n}"}
    params = {
        "day": {"type": "string", "default": "${fire.time}"},
        "n": {"type": "string", "default": ""},
    }
    await cluster.client.put_config(config(payload=payload, params=params))
    first = await cluster.client.trigger("c", params={"n": "${fire.ms}"})
    task = await ran(cluster, first)
    again = await cluster.client.retry(first)
    await ran(cluster, again)
    assert payloads[0] == payloads[1]
    assert payloads[0]["n"] == "${fire.ms}"
    assert payloads[0]["day"] == rfc3339_ms(task.nominal_ms).replace("Z", "+00:00")


async def test_a_backfill_gives_each_instant_its_own_day(cluster, payloads):
    cluster.start("a")
    payload = {"day": "${params.day}", "n": "${params.n}"}
    params = {**DAY, "n": {"type": "integer", "default": 0}}
    now = from_ms((await cluster.store.now()).wall_ms)
    await cluster.client.put_config(
        config(
            payload=payload,
            params=params,
            every=timedelta(days=1),
            start_at=now - timedelta(days=3),
            misfire="skip",
            overlap="allow",
        )
    )
    found = await cluster.client.backfill_config(
        "c", from_=now - timedelta(days=3), to=now - timedelta(days=1), why="x", params={"n": 7}
    )
    for task_id in found.tasks:
        await ran(cluster, task_id)
    days = [from_ms(at_ms).date().isoformat() for at_ms in found.instants]
    assert len(days) >= 2
    assert sorted(one["day"] for one in payloads) == days
    assert {one["n"] for one in payloads} == {7}


async def test_what_is_too_large_once_rendered_fails_for_good(cluster):
    cluster.start("a")
    payload = ["${params.x}"] * 20
    params = {"x": {"type": "string", "default": "x" * 15_000}}
    await cluster.client.put_config(config(payload=payload, params=params))
    made = await cluster.client.trigger("c")
    task = await ran(cluster, made)
    assert (task.status, task.result.code, task.attempt) == (FAILED, "template", 1)
    assert "262144" in task.error


async def test_a_secret_that_reached_the_store_by_a_param_is_not_put_in(cluster):
    cluster.start("a")
    spec = TaskSpec(
        executor="fn",
        template=True,
        payload={"x": "${params.x}"},
        param_values={"x": "secret://env/HOME"},
        retry={"max_retries": 3},
    )
    await cluster.client.submit(spec, task_id="t")
    task = await ran(cluster, "t")
    assert (task.status, task.result.code, task.attempt) == (FAILED, "template", 1)
    assert "secret reference" in task.error
    assert "${params.x}" in task.error or "params" in task.error


async def test_members_are_given_the_params_of_their_run_those_that_they_name(cluster, payloads):
    cluster.start("a")
    first = Step(id="a", executor="fn", payload={"day": "${params.day}"})
    second = Step(id="b", executor="fn", payload="ok", needs=["a"])
    flow = Workflow(steps=[first, second], params={**DAY, "big": {"type": "string"}})
    run = await cluster.client.submit(
        flow, task_id="r", params={"day": "monday", "big": "x" * 10_000}
    )
    assert (await ran(cluster, run)).status is SUCCESS
    assert payloads == [{"day": "monday"}]
    members = [await cluster.client.get(one) for one in ("r~a", "r~b")]
    assert [dict(one.spec.param_values) for one in members] == [{"day": "monday"}, {}]
    with pytest.raises(InvalidConfigError, match=r"params.big: is missing"):
        await cluster.client.submit(flow, params={"day": "monday"})


async def test_a_run_again_has_its_params(cluster, payloads):
    cluster.start("a")
    step = Step(id="a", executor="fn", payload={"at": "${params.at}"})
    params = {"at": {"type": "string", "default": "${fire.time}"}}
    flow = Workflow(steps=[step], params=params)
    await cluster.client.put_config(
        TaskConfig(id="c", executor="workflow", workflow=flow, every=NEVER)
    )
    first = await cluster.client.trigger("c")
    await ran(cluster, first)
    await ran(cluster, await cluster.client.retry(first))
    assert payloads[0] == payloads[1]


async def test_before_the_store_was_migrated_a_template_is_refused(cluster):
    cluster.state.format = 3
    with pytest.raises(RefusedError, match="templates need 4: migrate it first"):
        await cluster.client.submit(TaskSpec(executor="fn", template=True, payload="${fire.ms}"))
    with pytest.raises(InvalidConfigError, match="template: needs a store of format 4"):
        await cluster.client.put_config(config(payload="${fire.ms}"))
    assert not cluster.state.tasks
    assert not cluster.state.configs
