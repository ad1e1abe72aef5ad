"""Reading a store that no pod uses, and filling one that is empty."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
from redis.exceptions import RedisError

from dsched.contracts.store.events import Event
from dsched.contracts.store.exporting import Inventory, Listed, ReadSource
from dsched.contracts.store.history import History
from dsched.contracts.store.moving import Mover, Part, Source, Target
from dsched.contracts.store.outcomes import StoreError, StoreRefusedError
from dsched.contracts.store.settings import StoreSettings
from dsched.model import TaskStatus
from dsched.model.json import dumps
from dsched_store_redis.errors import code_of
from dsched_store_redis.filling import (
    Command,
    Held,
    config_commands,
    decision_commands,
    document_commands,
    head_commands,
    limit_commands,
    rollup_commands,
    task_commands,
    term_command,
)
from dsched_store_redis.link import Link
from dsched_store_redis.options import RedisOptions
from dsched_store_redis.scripts import FORMAT
from dsched_store_redis.startup import FILLING
from dsched_store_redis.store import RedisStore, open_store
from dsched_store_redis.wire import decode

PAGE = 1000


@attrs.frozen
class RedisMover(Mover):
    """The keys of one prefix."""

    options: RedisOptions
    settings: StoreSettings

    def reading(self) -> AbstractAsyncContextManager[Source]:
        """Read it while no pod uses it: a server gives no view of one moment to many commands."""
        return self._reading()

    def filling(self) -> AbstractAsyncContextManager[Target]:
        """Fill it under a format that no pod opens, until it is whole."""
        return self._filling()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Source]:
        async with open_store(self.options, self.settings) as store:
            await _refuse_used(store)
            before = await store.history(None)
            yield ReadSource(store, _Inventory(Raw.of(store)))
            after = await store.history(None)
            if (before.end, before.revision) != (after.end, after.revision):
                raise StoreRefusedError(
                    "the store changed while it was read: stop what writes to it, and repeat this"
                )

    @asynccontextmanager
    async def _filling(self) -> AsyncIterator[Target]:
        async with open_store(self.options, self.settings) as store:
            await _refuse_used(store)
            raw = Raw.of(store)
            await _refuse_content(store, raw)
            await raw.do([("HSET", "meta", "format", FILLING)])
            target = _Target(raw, self.settings)
            target.begun = await raw.time_ms()
            try:
                yield target
            except BaseException:
                await raw.forget()
                raise
            await raw.do([("HSET", "meta", "format", FORMAT)])


@attrs.define
class Raw:
    """Commands on the keys of one prefix, and which keys they have written."""

    link: Link
    prefix: str
    written: set[str] = attrs.field(factory=set)

    @classmethod
    def of(cls, store: RedisStore) -> "Raw":
        """On a store's own connections."""
        footing = store.footing
        return cls(footing.link, footing.prefix)

    async def ask(self, name: str, key: str, *more: str | int) -> object:
        """A command on one key."""
        words = (name, f"{self.prefix}{key}", *more)
        return await self.link.command(
            *(str(one).encode("utf-8", "surrogatepass") for one in words)
        )

    async def do(self, commands: Iterable[Command]) -> None:
        """Commands that write, the key second."""
        for name, key, *more in commands:
            self.written.add(str(key))
            await self.ask(str(name), str(key), *more)

    async def time_ms(self) -> int:
        """The server's wall."""
        seconds, micros = await self.link.command(b"TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def forget(self) -> None:
        """Remove all that was written; the format last, so that nobody opens what is half."""
        for key in sorted(self.written - {"meta"}):
            await self.ask("UNLINK", key)
        await self.ask("UNLINK", "meta")

    async def found(self, pattern: str) -> list[str]:
        """The keys of a pattern, without the prefix."""
        cursor, found = "0", set[str]()
        escaped = "".join(f"\\{one}" if one in "*?[]^\\" else one for one in self.prefix)
        while True:
            words = ("SCAN", cursor, "MATCH", f"{escaped}{pattern}", "COUNT", PAGE)
            try:
                next_cursor, keys = await self.link.command(*(str(one).encode() for one in words))
            except (StoreError, RedisError) as error:
                if code_of(error.__cause__ or error) != "NOPERM":
                    raise
                raise StoreRefusedError(
                    "the Redis user may not SCAN, and a backup has to find all documents: give it "
                    "+scan, or name another user for this command (DSCHED_REDIS__USERNAME)"
                ) from error
            found |= {decode(key).removeprefix(self.prefix) for key in keys}
            cursor = decode(next_cursor)
            if cursor == "0":
                return sorted(found)


async def _refuse_used(store: RedisStore) -> None:
    pods = sorted({pod.name for pod in await store.pods()})
    if pods or await store.leader() is not None:
        named = ", ".join(pods) or "one that leads"
        raise StoreRefusedError(
            f"pods use it ({named}): stop them first; Redis gives no view of one moment to read by"
        )


async def _refuse_content(store: RedisStore, raw: Raw) -> None:
    counts = await store.counts()
    tasks = sum(counts.by_status.values())
    entries = await raw.ask("XLEN", "events")
    kinds = await raw.found("documents:*")
    if counts.configs or tasks or entries or kinds:
        raise StoreRefusedError(
            f"it is not empty ({counts.configs} configs, {tasks} tasks, {entries} log entries): "
            "name another redis.key_prefix or database"
        )


class _Inventory(Inventory):
    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    async def listed(self, what: Listed) -> AsyncIterator[Sequence[str]]:
        match what:
            case Listed.ENDED:
                aside = await self._raw.ask("HGETALL", "run:aside")
                assert isinstance(aside, list)  # noqa: S101 - what HGETALL answers
                yield [decode(one) for one in aside[::2]]
                for status in TaskStatus:
                    if status.terminal:
                        async for ids in self._list(f"task:ended:{status.value}"):
                            yield ids
            case Listed.QUEUED:
                for key in await self._raw.found("task:queue:*"):
                    async for ids in self._list(key):
                        yield ids
            case Listed.DECIDED:
                async for members in self._set("decision:index"):
                    yield sorted({one.partition("\t")[0] for one in members})
            case Listed.KINDS:
                keys = await self._raw.found("documents:*")
                yield [key.removeprefix("documents:") for key in keys]

    async def waits_ms(self, task_ids: Sequence[str]) -> Sequence[int]:
        if not task_ids:
            return []
        mark = decode(await self._raw.ask("HGET", "meta", "mark"))  # type: ignore[arg-type]
        delayed = await self._raw.ask("ZMSCORE", "task:delayed", *task_ids)
        opening = await self._raw.ask("ZMSCORE", "run:open", *task_ids)
        assert isinstance(delayed, list)  # noqa: S101 - what ZMSCORE answers
        assert isinstance(opening, list)  # noqa: S101 - what ZMSCORE answers
        found = [one or other for one, other in zip(delayed, opening, strict=True)]
        return [max(0, int(float(one or 0)) - int(mark)) for one in found]

    async def collected(self) -> str | None:
        found = await self._raw.ask("HGET", "meta", "cursor")
        return decode(found) if isinstance(found, bytes) else None

    async def _list(self, key: str) -> AsyncIterator[list[str]]:
        start = 0
        while found := await self._raw.ask("LRANGE", key, start, start + PAGE - 1):
            assert isinstance(found, list)  # noqa: S101 - what LRANGE answers
            yield [decode(one) for one in found]
            start += PAGE

    async def _set(self, key: str) -> AsyncIterator[list[str]]:
        start = 0
        while found := await self._raw.ask("ZRANGE", key, start, start + PAGE - 1):
            assert isinstance(found, list)  # noqa: S101 - what ZRANGE answers
            yield [decode(one) for one in found]
            start += PAGE


class _Target(Target):
    def __init__(self, raw: Raw, settings: StoreSettings) -> None:
        self._raw = raw
        self._settings = settings
        self._held = Held()
        self._last_ms = 0
        self._number = 0
        self.begun = 0

    async def fill(self, part: Part) -> None:
        raw, now_ms = self._raw, self.begun
        for limit in part.limits:
            await raw.do(limit_commands(limit))
        for config in part.configs:
            await raw.do(config_commands(config))
        for moved in part.tasks:
            keep_ms = self._settings.kept_ms(moved.task.status) if moved.task.end_ms else 0
            self._held.saw(moved.task)
            await raw.do(task_commands(moved, now_ms=now_ms, wall_ms=now_ms, keep_ms=keep_ms))
        for decision in part.decisions:
            await raw.do(decision_commands(decision))
        for rollup in part.rollups:
            kept_ms = self._settings.stats_ttl_ms
            await raw.do(rollup_commands(rollup, wall_ms=now_ms, kept_ms=kept_ms))
        for document in part.documents:
            await raw.do(document_commands(document, now_ms))
        await raw.do(map(term_command, part.terms))
        for event in part.events:
            await self._log(event, collected=part.collected)

    async def _log(self, event: Event, *, collected: bool) -> None:
        """An entry at its own time, or after the one before it if the clock had gone back."""
        self._number = self._number + 1 if event.at_ms <= self._last_ms else 0
        self._last_ms = max(self._last_ms, event.at_ms)
        cursor = f"{self._last_ms}-{self._number}"
        items = dumps(list(event.items))
        fields = ("k", event.kind.value, "t", event.at_ms, "b", event.by, "i", items)
        commands: list[Command] = [("XADD", "events", cursor, *fields)]
        commands.append(("HSET", "meta", "end", f"{cursor} {event.at_ms}"))
        if collected:
            commands.append(("HSET", "meta", "cursor", cursor))
        await self._raw.do(commands)

    async def finish(self, head: History) -> None:
        await self._raw.do(self._held.commands())
        await self._raw.do(head_commands(head))
