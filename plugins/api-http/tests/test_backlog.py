"""How much may wait to be run, for one token and in all; a refusal says what to do."""

import asyncio
from typing import Any

SPEC = {"executor": "echo"}
TRIES = 12


async def submitted(who: Any, count: int, **more: Any) -> list[int]:
    """The statuses of so many submits."""
    return [(await who.ask("POST", "/tasks", SPEC | more)).status for _ in range(count)]


def refused(reply: Any, setting: str) -> None:
    assert (reply.status, reply.body["code"]) == (429, "backlog_full"), reply.text
    assert reply.body["hint"].endswith(f"or raise api.{setting}"), reply.text
    assert int(reply.headers["Retry-After"]) >= 1


async def test_one_token_cannot_fill_the_store_with_tasks(serve: Any) -> None:
    async with serve(max_waiting_by_token=5) as api:
        one, other = [api.using(await api.token_of("submit")) for _ in range(2)]
        assert await submitted(one, 5) == [201] * 5
        refused(await one.ask("POST", "/tasks", SPEC), "max_waiting_by_token")
        refused(await one.ask("POST", "/tasks/batch", {"items": [SPEC]}), "max_waiting_by_token")
        await api.ask("PUT", "/configs/c", {**SPEC, "every": "1h"})
        refused(await one.ask("POST", "/configs/c/trigger"), "max_waiting_by_token")
        assert len(api.pod.store.inner._state.tasks) == 5
        assert await submitted(other, 3) == [201] * 3
        refused(
            await other.ask("POST", "/tasks/batch", {"items": [SPEC] * 3}), "max_waiting_by_token"
        )
        assert (await other.ask("POST", "/tasks/batch", {"items": [SPEC] * 2})).status == 207


async def test_one_token_cannot_fill_the_store_with_bytes(serve: Any) -> None:
    async with serve(max_waiting_bytes_by_token=300_000) as api:
        one, other = [api.using(await api.token_of("submit")) for _ in range(2)]
        payload = "x" * 90_000
        assert await submitted(one, 3, payload=payload) == [201] * 3
        refused(
            await one.ask("POST", "/tasks", {**SPEC, "payload": payload}),
            "max_waiting_bytes_by_token",
        )
        assert await submitted(one, 1) == [201]
        await api.ask("PUT", "/configs/c", {**SPEC, "every": "1h", "payload": payload})
        refused(await one.ask("POST", "/configs/c/trigger"), "max_waiting_bytes_by_token")
        assert await submitted(other, 1, payload=payload) == [201]


async def test_there_is_an_end_to_all_that_waits(serve: Any) -> None:
    async with serve(max_waiting=4, max_waiting_bytes=10_000_000) as api:
        tokens = [api.using(await api.token_of("submit")) for _ in range(3)]
        statuses = [status for who in tokens for status in await submitted(who, 2)]
        assert statuses == [201] * 4 + [429] * 2
        refused(await tokens[2].ask("POST", "/tasks", SPEC), "max_waiting")
    async with serve(max_waiting_bytes=200_000) as api:
        tokens = [api.using(await api.token_of("submit")) for _ in range(2)]
        assert await submitted(tokens[0], 1, payload="x" * 150_000) == [201]
        large = {**SPEC, "payload": "x" * 60_000}
        refused(await tokens[1].ask("POST", "/tasks", large), "max_waiting_bytes")


async def test_what_has_run_makes_room(serve: Any, eventually: Any) -> None:
    bounds = {"max_waiting": 6, "max_waiting_by_token": 3, "max_waiting_bytes": 100_000}
    async with serve(roles=("api", "scheduler", "worker"), **bounds) as api:
        who = api.using(await api.token_of("submit"))
        large = {**SPEC, "payload": "x" * 25_000}
        done = 0
        async with asyncio.timeout(40):
            while done < TRIES:
                done += (await who.ask("POST", "/tasks", large)).status == 201

        async def ended() -> bool:
            return len((await api.ask("GET", "/tasks?status=success")).body["items"]) == TRIES

        await eventually(ended)


async def test_a_repeat_and_a_refusal_take_no_room(serve: Any) -> None:
    async with serve(max_waiting_by_token=2) as api:
        who = api.using(await api.token_of("submit"))
        key = {"Idempotency-Key": "one"}
        first = await who.ask("POST", "/tasks", {**SPEC, "id": "a"}, key)
        again = await who.ask("POST", "/tasks", {**SPEC, "id": "a"}, key)
        assert (first.status, again.status) == (201, 200)
        assert (await who.ask("POST", "/tasks", {"executor": "none"})).status == 422
        assert (await who.ask("POST", "/tasks", {**SPEC, "id": "a", "payload": 1})).status == 409
        assert await submitted(who, 1) == [201]
        key = {"Idempotency-Key": "two"}
        refused(await who.ask("POST", "/tasks", SPEC, key), "max_waiting_by_token")
        assert (await api.ask("POST", "/tasks/a/cancel", {"reason": "room"})).status == 200
        async with asyncio.timeout(20):
            while (made := await who.ask("POST", "/tasks", SPEC, key)).status != 201:
                refused(made, "max_waiting_by_token")


async def test_many_at_once_do_not_get_past_the_bound_together(serve: Any) -> None:
    async with serve(max_waiting_by_token=5) as api:
        who = api.using(await api.token_of("submit"))
        replies = await asyncio.gather(*(who.ask("POST", "/tasks", SPEC) for _ in range(40)))
        assert sorted(one.status for one in replies) == [201] * 5 + [429] * 35
        assert len(api.pod.store.inner._state.tasks) == 5
