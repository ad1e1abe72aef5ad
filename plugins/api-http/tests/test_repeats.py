"""Idempotency-Key: a repeat is the same thing once, anything else under the key is refused."""

import asyncio
from typing import Any

import pytest

SPEC = {"executor": "echo", "payload": 1}
KEY = {"Idempotency-Key": "order-4711"}


async def test_a_repeated_submit_is_the_same_task(api: Any) -> None:
    first = await api.ask("POST", "/tasks", SPEC, KEY)
    again = await api.ask("POST", "/tasks", {"payload": 1, "executor": "echo"}, KEY)
    assert (first.status, again.status) == (201, 200)
    assert again.body == first.body
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(api.pod.store.inner._state.tasks) == 1


async def test_without_a_key_each_submit_is_a_task_of_its_own(api: Any) -> None:
    first, second = [await api.ask("POST", "/tasks", SPEC) for _ in range(2)]
    assert first.body["id"] != second.body["id"]


async def test_many_at_once_with_one_key_make_one_task(api: Any) -> None:
    answers = await asyncio.gather(*(api.ask("POST", "/tasks", SPEC, KEY) for _ in range(20)))
    assert {one.status for one in answers} <= {200, 201}
    assert len({one.body["id"] for one in answers}) == 1
    assert len(api.pod.store.inner._state.tasks) == 1


async def test_a_repeated_batch_and_trigger_and_retry_make_nothing_new(cluster: Any) -> None:
    await cluster.ask("PUT", "/configs/c", {**SPEC, "every": "24h"})
    await cluster.ask("POST", "/tasks", {**SPEC, "id": "ended"})
    await cluster.ask("GET", "/tasks/ended/wait?timeout=20s")
    asked: list[tuple[str, Any]] = [
        ("/tasks/batch", {"items": [SPEC, SPEC]}),
        ("/configs/c/trigger", {}),
        ("/tasks/ended/retry", {}),
    ]
    for number, (path, body) in enumerate(asked):
        key = {"Idempotency-Key": f"k-{number}"}
        first = await cluster.ask("POST", path, body, key)
        before = set(cluster.pod.store.inner._state.tasks)
        again = await cluster.ask("POST", path, body, key)
        assert set(cluster.pod.store.inner._state.tasks) == before
        if path == "/tasks/batch":
            assert [one["id"] for one in again.body["items"]] == [
                one["id"] for one in first.body["items"]
            ]
        else:
            assert again.body["id"] == first.body["id"]


async def test_a_key_is_its_principals_and_nobody_takes_or_learns_of_it(api: Any) -> None:
    stranger = api.using(await api.token_of("submit"))
    theirs = await stranger.ask("POST", "/tasks", SPEC, KEY)
    mine = await api.ask("POST", "/tasks", {**SPEC, "payload": 2}, KEY)
    assert (theirs.status, mine.status) == (201, 201)
    assert theirs.body["id"] != mine.body["id"]
    for who, task in ((stranger, theirs), (api, mine)):
        body = SPEC if who is stranger else {**SPEC, "payload": 2}
        again = await who.ask("POST", "/tasks", body, KEY)
        assert (again.status, again.body["id"]) == (200, task.body["id"])
    assert len(api.pod.store.inner._state.tasks) == 2


async def test_a_key_of_another_body_or_address_is_refused(api: Any) -> None:
    await api.ask("PUT", "/configs/c", {**SPEC, "every": "24h"})
    first = await api.ask("POST", "/tasks", SPEC, KEY)
    for reply in (
        await api.ask("POST", "/tasks", {**SPEC, "payload": 2}, KEY),
        await api.ask("POST", "/configs/c/trigger", None, KEY),
        await api.ask("POST", "/tasks/batch", {"items": [SPEC]}, KEY),
    ):
        assert (reply.status, reply.body["code"]) == (409, "idempotency_mismatch")
        assert first.body["id"] not in reply.text
    assert len(api.pod.store.inner._state.tasks) == 1


async def test_a_refused_request_leaves_its_key_to_the_mended_one(api: Any) -> None:
    refused = await api.ask("POST", "/tasks", {"executor": "none"}, KEY)
    assert refused.status == 422
    assert (await api.ask("POST", "/configs/none/trigger", None, KEY)).status == 404
    mended = await api.ask("POST", "/tasks", SPEC, KEY)
    assert mended.status == 201
    # A repeat that is refused now does not free what the first one took.
    assert (await api.ask("POST", "/tasks", {"executor": "none"}, KEY)).status == 409
    assert (await api.ask("POST", "/tasks", SPEC, KEY)).body["id"] == mended.body["id"]


async def test_a_key_is_forgotten_after_a_day(api: Any) -> None:
    first = await api.ask("POST", "/tasks", SPEC, KEY)
    state = api.pod.store.inner._state
    real = state.wall
    state.wall = lambda: real() + 24 * 3600 * 1000
    again = await api.ask("POST", "/tasks", SPEC, KEY)
    assert again.status == 201
    assert again.body["id"] != first.body["id"]


@pytest.mark.parametrize("key", ["", "a b", "x" * 201, "ü"])
async def test_a_key_that_cannot_be_one_is_refused(api: Any, key: str) -> None:
    refused = await api.ask("POST", "/tasks", SPEC, {"Idempotency-Key": key})
    assert refused.status == 422
    assert not api.pod.store.inner._state.tasks


async def test_a_first_try_that_was_cut_off_is_completed_by_the_repeat(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsched.client import Client

    async def cut_off(*_: object, **__: object) -> Any:
        raise RuntimeError("the pod died here")

    with monkeypatch.context() as patched:
        patched.setattr(Client, "submit_many", cut_off)
        assert (await api.ask("POST", "/tasks", SPEC, KEY)).status == 500
    again = await api.ask("POST", "/tasks", SPEC, KEY)
    assert again.status == 201
    assert (await api.ask("POST", "/tasks", SPEC, KEY)).body["id"] == again.body["id"]
