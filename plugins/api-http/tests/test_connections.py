"""Connections: heads and bodies must come in time, and their number is bounded, per address too."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dsched_api_http.doorkeeper import Doorkeeper, network_of, within_descriptors

HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"


@asynccontextmanager
async def connected(
    api: Any, source: str = "127.0.0.1"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(source, 0))
    try:
        yield reader, writer
    finally:
        writer.close()


async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The first bytes of an answer to a probe; empty if it was closed."""
    writer.write(HEAD + b"\r\n")
    async with asyncio.timeout(20):
        found = b""
        while piece := await reader.read(4096):
            found += piece
            if b"alive" in found or b"}" in found:
                break
    return found


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dsched_api_http.listener.HEAD_S", 0.5)
    monkeypatch.setattr("dsched_api_http.bodies.BODY_S", 0.5)


@pytest.mark.usefixtures("hurried")
async def test_a_head_that_does_not_come_in_time_costs_its_connection(api: Any) -> None:
    async with asyncio.timeout(20):
        async with connected(api) as (reader, _):
            assert await reader.read() == b""
        async with connected(api) as (reader, writer):
            writer.write(HEAD)
            assert await reader.read() == b""


@pytest.mark.usefixtures("hurried")
async def test_a_head_that_drips_in_is_not_waited_for_any_longer(api: Any) -> None:
    async with asyncio.timeout(20), connected(api) as (reader, writer):

        async def drip() -> None:
            writer.write(HEAD)
            for number in range(1000):
                writer.write(b"X-%d: y\r\n" % number)
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
        finally:
            dripping.cancel()


@pytest.mark.usefixtures("hurried")
async def test_the_second_head_of_a_connection_has_its_time_too_but_being_idle_is_no_head(
    api: Any,
) -> None:
    async with asyncio.timeout(20), connected(api) as (reader, writer):
        assert b"alive" in await served(reader, writer)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await reader.read(1)
        assert b"alive" in await served(reader, writer)
        writer.write(HEAD)
        assert await reader.read() == b""


@pytest.mark.usefixtures("hurried")
async def test_a_request_at_work_and_an_open_stream_outlast_the_time_of_a_head(api: Any) -> None:
    headers = {"Authorization": f"Bearer {api.token}"}
    async with api.http.get(f"{api.url}/api/v1/events", headers=headers) as stream:
        made = await api.ask("POST", "/tasks", {"executor": "echo", "id": "t"})
        assert made.status == 201
        waited = await api.ask("GET", "/tasks/t/wait?timeout=2s")
        assert (waited.status, waited.body["status"]) == (200, "pending")
        assert not stream.content.at_eof()


@pytest.mark.usefixtures("hurried")
async def test_a_body_that_does_not_come_in_time_is_refused(api: Any) -> None:
    async with asyncio.timeout(20), connected(api) as (reader, writer):
        writer.write(
            b"POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\nAuthorization: Bearer %s\r\n\r\n{" % api.token.encode()
        )
        answer = await reader.readuntil(b"}")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"too_slow" in answer


async def test_one_address_has_its_share_of_the_connections_and_there_is_an_end_to_all(
    serve: Any, eventually: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(max_connections=6, max_connections_by_address=4) as api:
        opened = [connected(api) for _ in range(4)]
        mine = [await one.__aenter__() for one in opened]
        assert [b"alive" in await served(*one) for one in mine] == [True] * 4
        async with connected(api) as one:
            refused = await served(*one)
        assert refused.startswith(b"HTTP/1.1 429 ")
        assert b"api.max_connections_by_address" in refused
        assert b"nosniff" in refused
        others = [connected(api, "127.0.0.2") for _ in range(2)]
        theirs = [await one.__aenter__() for one in others]
        assert [b"alive" in await served(*one) for one in theirs] == [True] * 2
        async with connected(api, "127.0.0.2") as one:
            full = await served(*one)
        assert full.startswith(b"HTTP/1.1 503 ")
        assert b"api.max_connections" in full
        await opened[0].__aexit__(None, None, None)

        async def room() -> bool:
            async with connected(api) as one:
                return b"alive" in await served(*one)

        await eventually(room)
        for one in (*opened[1:], *others):
            await one.__aexit__(None, None, None)
    assert caplog.text.count("connections are refused") == 1


def test_a_host_with_many_addresses_of_one_network_is_one() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:2") == "2001:db8::/64"
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("::ffff:192.0.2.7") == network_of("192.0.2.7") == "192.0.2.7"
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("") == ""


def test_who_leaves_makes_room_and_nothing_is_kept_of_it() -> None:
    keeper = Doorkeeper(2, 1)
    for number in range(1000):
        assert keeper.admit(f"192.0.2.{number % 256}") is None
        keeper.leave(f"192.0.2.{number % 256}")
    assert keeper.open == 0
    assert not keeper._by_address


def test_connections_stay_below_the_descriptors_of_the_process() -> None:
    assert within_descriptors(500, 1024) == 500
    assert within_descriptors(500, 256) == 128
    assert within_descriptors(500, 1) == 1


async def test_the_wish_for_more_than_there_are_descriptors_is_said(
    serve: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 256))
    async with serve() as api:
        assert (await api.ask("GET", "/livez")).status == 200
    assert "at most 128 connections, not api.max_connections (500)" in caplog.text
