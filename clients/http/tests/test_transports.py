"""Both clients against a server that misbehaves: what is repeated, refused, and never followed."""

import asyncio
import socket

import pytest
from aiohttp import web

from dsched_client import (
    ConflictError,
    NotFoundError,
    ProtocolError,
    UnavailableError,
    UnreachableError,
)

TASK = {"id": "t", "status": "pending", "scheduled_time": "2026-01-31T09:00:00.000Z"}


def says(body, status=200, **headers):
    return lambda request: web.json_response(body, status=status, headers=headers)


def hangs_up(request):
    request.transport.abort()
    return web.Response()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


async def test_every_attempt_at_one_submit_has_the_same_key_and_the_next_call_another(
    server, connected
):
    server.answers = [hangs_up, says({}, 503), hangs_up, says(TASK, 201)]
    async with connected(server.url, token="dsk_a_b") as client:
        handle = await client.submit({"executor": "x"})
        await client.submit({"executor": "x"})
    keys = [request.headers["Idempotency-Key"] for request in server.asked]
    assert handle.id == "t"
    assert len(set(keys[:4])) == 1
    assert keys[4] != keys[0]
    assert set(server.bodies) == {b'{"executor": "x"}'}
    assert {request.headers["Authorization"] for request in server.asked} == {"Bearer dsk_a_b"}


async def test_what_must_not_be_repeated_is_not(server, connected):
    server.answers = [hangs_up]
    async with connected(server.url) as client:
        with pytest.raises(UnreachableError) as caught:
            await client.request("POST", "cluster/step-down", body={"reason": "x"})
    assert caught.value.maybe_applied
    assert len(server.asked) == 1


async def test_a_refusal_is_not_tried_again_and_keeps_its_code(server, connected):
    server.answers = [says({"code": "origin_conflict", "title": "no", "detail": "why"}, 409)]
    async with connected(server.url) as client:
        with pytest.raises(ConflictError, match="origin_conflict: why"):
            await client.put_config({"id": "c", "executor": "x"})
    assert len(server.asked) == 1


async def test_trying_again_ends(server, connected):
    server.answers = [says({"code": "store_unavailable", "title": "no"}, 503)]
    async with connected(server.url, attempts=3) as client:
        with pytest.raises(UnavailableError):
            await client.get("t")
    assert len(server.asked) == 3


async def test_nobody_there_is_said_with_the_address(connected):
    url = f"http://127.0.0.1:{free_port()}"
    async with connected(url, attempts=2) as client:
        with pytest.raises(UnreachableError, match=url) as caught:
            await client.get("t")
    assert not caught.value.maybe_applied
    assert caught.value.code == "unreachable"


async def test_a_redirect_is_not_followed(server, connected):
    server.answers = [lambda request: web.Response(status=302, headers={"Location": server.url})]
    async with connected(server.url, token="dsk_a_b") as client:
        with pytest.raises(ProtocolError, match="302"):
            await client.get("t")
    assert [request.path for request in server.asked] == ["/api/v1/tasks/t"]


async def test_proxies_of_the_environment_are_not_used(server, connected, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "")
    server.answers = [says(TASK)]
    async with connected(server.url) as client:
        assert (await client.get("t")).id == "t"


async def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_told(server, connected):
    over = asyncio.Event()

    async def sleeps(request):
        await over.wait()
        return web.Response()

    server.answers = [sleeps]
    async with connected(server.url, timeout_s=0.2, attempts=1) as client:
        with pytest.raises(UnreachableError):
            await client.get("t")
    over.set()


async def test_ids_and_prefixes_reach_the_server_as_they_were_given(server, connected):
    server.answers = [says({"code": "not_found", "title": "no"}, 404)]
    async with connected(f"{server.url}/prefix") as client:
        for task_id in ("a/b", "c@1767148200000", "a%2Fb", "a?b"):
            with pytest.raises(NotFoundError):
                await client.get(task_id)
    assert [request.rel_url.raw_path for request in server.asked] == [
        "/prefix/api/v1/tasks/a%2Fb",
        "/prefix/api/v1/tasks/c%401767148200000",
        "/prefix/api/v1/tasks/a%252Fb",
        "/prefix/api/v1/tasks/a%3Fb",
    ]


async def test_a_connection_that_the_server_closed_meanwhile_costs_no_attempt(server, connected):
    def closes(request):
        response = web.json_response(TASK)
        response.force_close()
        return response

    server.answers = [says(TASK), hangs_up, says(TASK), closes, says(TASK)]
    async with connected(server.url, attempts=2) as client:
        for _ in range(3):
            assert (await client.get("t")).id == "t"


async def test_an_event_stream_that_breaks_is_taken_up_at_its_cursor(server):
    from dsched_client import AsyncClient, Client

    def streams(*events):
        async def answer(request):
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            for cursor in events:
                await response.write(b'id: %s\nevent: fired\ndata: {"n":1}\n\n' % cursor)
            return response

        return answer

    def read(client):
        found = []
        for event in client.events(topics=["task"]):
            found.append(event.cursor)
            if len(found) == 3:
                return found
        return found

    server.answers = [streams(b"1-1", b"1-2"), hangs_up, streams(b"1-3")]
    with Client(server.url) as client:
        assert await asyncio.to_thread(read, client) == ["1-1", "1-2", "1-3"]
    assert [one.headers.get("Last-Event-ID") for one in server.asked] == [None, "1-2", "1-2"]
    server.answers, server.asked = [streams(b"1-1", b"1-2"), hangs_up, streams(b"1-3")], []
    async with AsyncClient(server.url) as client:
        found = []
        async for event in client.events():
            found.append(event.cursor)
            if len(found) == 3:
                break
    assert found == ["1-1", "1-2", "1-3"]
    assert [one.headers.get("Last-Event-ID") for one in server.asked] == [None, "1-2", "1-2"]


async def test_a_token_may_come_from_a_file_and_never_shows(server, connected, tmp_path):
    file = tmp_path / "token"
    file.write_text("dsk_from_file\n")
    server.answers = [says(TASK)]
    async with connected(server.url, token_file=file) as client:
        await client.get("t")
    assert server.asked[0].headers["Authorization"] == "Bearer dsk_from_file"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"timeout_s": 0}, "timeout_s"),
        ({"attempts": 0}, "attempts"),
        ({"retry_for_s": -1}, "retry_for_s"),
        ({"token": "a b"}, "token"),
        ({"token": "a", "token_file": "b"}, "either token or token_file"),
    ],
)
async def test_options_that_cannot_be_are_refused_by_name(connected, given, reason):
    with pytest.raises(ValueError, match=reason):
        async with connected("http://127.0.0.1:1", **given):
            pass
