"""Names are looked up without holding anybody up, whatever the resolver does."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dsched_store_redis import resolving
from dsched_store_redis.connections import Dialler
from dsched_store_redis.options import RedisOptions
from dsched_store_redis.resolving import resolve
from dsched_testkit.servers import RedisServer

Rows = list[tuple[Any, ...]]


class Silence:
    """A resolver that answers nobody until it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answering = threading.Event()

    def __call__(self, host: str, *_: Any, **__: Any) -> Rows:
        self.asked.append(host)
        self.answering.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 0))]


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[Silence]:
    """No name is answered, until the test says so or ends."""
    silent = Silence()
    monkeypatch.setattr(socket, "getaddrinfo", silent)
    monkeypatch.setattr(resolving, "_under_way", {})
    yield silent
    silent.answering.set()


async def test_a_look_up_is_given_up_in_time_and_says_so(silence: Silence) -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with pytest.raises(TimeoutError, match=r"redis\.example was not resolved within 0\.1 s"):
        await resolve("redis.example", 0.1)
    assert loop.time() - began_s < 2


async def test_many_who_ask_for_one_name_share_one_look_up_and_hear_its_answer(
    silence: Silence,
) -> None:
    given_up = [asyncio.create_task(resolve("redis.example", 0.05)) for _ in range(20)]
    await asyncio.gather(*given_up, return_exceptions=True)
    cancelled = asyncio.create_task(resolve("redis.example", 10))
    waiting = [asyncio.create_task(resolve("redis.example", 10)) for _ in range(20)]
    await asyncio.sleep(0)
    cancelled.cancel()
    silence.answering.set()
    answers = await asyncio.gather(*waiting)
    assert set(answers) == {("10.0.0.1",)}
    assert silence.asked == ["redis.example"]
    await asyncio.gather(cancelled, return_exceptions=True)


async def test_there_are_never_more_than_so_many_look_ups(
    silence: Silence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "MAX_LOOKUPS", 2)
    for name in ("a.example", "b.example"):
        with pytest.raises(TimeoutError):
            await resolve(name, 0.05)
    with pytest.raises(OSError, match="names are being resolved already"):
        await resolve("c.example", 0.05)


def test_a_loop_that_is_closed_meanwhile_hears_nothing(silence: Silence) -> None:
    async def ask() -> None:
        with pytest.raises(TimeoutError):
            await resolve("closed.example", 0.05)

    asyncio.run(ask())
    lookup = resolving._under_way["closed.example"]
    silence.answering.set()
    lookup.join(10)
    assert not lookup.is_alive()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_address_is_not_looked_up(silence: Silence, address: str) -> None:
    assert await resolve(address, 0.05) == (address,)
    assert silence.asked == []


async def test_a_name_that_is_none_is_an_error_with_the_name() -> None:
    with pytest.raises(OSError, match=r"no-such-name\.invalid"):
        await resolve("no-such-name.invalid", 5)
    with pytest.raises(OSError, match="cannot be resolved"):
        await resolve("a" * 70 + ".example", 5)


async def test_of_several_addresses_the_one_that_answers_is_used(
    shared_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def several(host: str, *_: Any, **__: Any) -> Rows:
        # The server listens on the last one only.
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))
            for address in ("127.0.0.2", "127.0.0.3", "127.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", several)
    line = await Dialler(RedisOptions()).dial(("redis.example", shared_server.port))
    assert await line.command(b"PING", timeout_s=5) == b"PONG"
    await line.close()
