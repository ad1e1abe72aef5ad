"""What a Redis remembers of the store's past, and when a process may make one anew."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.history import Mark
from dsched.contracts.store.working import Submission
from dsched.model import TaskSpec
from dsched_store_redis.store import RedisStore
from dsched_testkit.servers import RedisServer

SPEC = TaskSpec(executor="local", payload={})


async def test_who_has_not_seen_a_store_begins_it_anew(opener: Any) -> None:
    """Such as a process that was started after it was emptied: the last handle forgets it."""
    with RedisServer() as server:
        identities = set()
        for _ in range(2):
            async with opener(server, key_prefix="p:") as store:
                identities.add((await store.history(None)).identity)
            server.command("FLUSHALL")
        assert len(identities) == 2


async def test_a_store_of_before_gets_an_identity_when_it_is_opened_and_keeps_it(
    opener: Any,
) -> None:
    with RedisServer() as server:
        async with opener(server, key_prefix="p:") as store:
            await store.acquire("pod", "one", 5000)
        server.command("HDEL", "p:meta", "identity", "end")
        identities = set()
        for _ in range(2):
            async with opener(server, key_prefix="p:") as store:
                found = await store.history(None)
                identities.add(found.identity)
                assert (found.generation, found.breaks, found.end) == (0, (), None)
        (identity,) = identities
        assert identity


async def test_the_last_entry_before_a_mark_is_found_among_many(opener: Any) -> None:
    async with opener_on_its_own(opener) as (server, store):
        for number in range(300):
            await store.submit([Submission(task_id=f"t{number}", spec=SPEC)], by="me")
        events = (await store.events(None, 1000)).events
        mark = Mark(events[-1].cursor, events[-1].at_ms)
        assert (await store.history(None)).end == mark
        cut = events[170:]
        for event in cut:
            server.command("XDEL", "p:events", event.cursor)
        await store.submit([Submission(task_id="new", spec=SPEC)], by="me")
        found = await store.history(mark)
        assert (found.known, found.kept_ms) == (False, events[169].at_ms)


async def test_of_several_entries_of_one_millisecond_the_last_is_found(opener: Any) -> None:
    async with opener_on_its_own(opener) as (server, store):
        for cursor, at_ms in (("5-0", 5), ("7-0", 7), ("7-1", 8), ("7-2", 9), ("9-0", 9)):
            fields = ("k", "submitted", "t", f"{at_ms}", "b", "x", "i", "[]")
            server.command("XADD", "p:events", cursor, *fields)
        assert (await store.history(Mark("9-0", 10))).kept_ms == 9
        for asked, kept_ms in (("8-0", 9), ("7-3", 9), ("7-2", 9), ("7-1", 8), ("6-0", 5)):
            assert (await store.history(Mark(asked, 0))).kept_ms == kept_ms, asked


@asynccontextmanager
async def opener_on_its_own(opener: Any) -> AsyncIterator[tuple[RedisServer, RedisStore]]:
    with RedisServer() as server:
        async with opener(server, key_prefix="p:") as store:
            yield server, store


async def test_an_entry_of_a_kind_of_a_later_version_is_read_as_it_is(opener: Any) -> None:
    async with opener_on_its_own(opener) as (server, store):
        fields = ("k", "of a later version", "t", "5", "b", "x", "i", '[{"odd":1}]')
        server.command("XADD", "p:events", "*", *fields)
        fence = (await store.acquire("pod", "token", 60_000)).fence
        for page in (await store.events(None, 10), await store.collect(fence, 10)):
            strange, own = page.events
            assert strange.kind == "of a later version"
            assert strange.kind not in set(EventKind)
            assert own.kind is EventKind.LEADER
