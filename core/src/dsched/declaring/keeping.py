"""Keeps what a program declares as its newest living version declares it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from dsched.client import Client
from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.declaring.acting import Source, declare, report
from dsched.declaring.standing import Version, digest_of, left, noted, read, standing, written
from dsched.model import from_ms

log = logging.getLogger("dsched.configs")

LOOK_EVERY_S = 5.0
LEAVE_S = 2.0
RENEW_MS = 3_000  # a sign of life of another replica of this version counts for ours for this long
MOVED_TRIES = 10


class Keeper:
    """Declares a source that orphans, and looks now and then whether that still stands.

    Replicas of the same version do the same at once, which does no harm. One of an older version,
    while a newer one lives, puts and pauses nothing.
    """

    def __init__(self, client: Client, source: Source, *, adopt: bool = False) -> None:
        self._client = client
        self._source = source
        self._adopt = adopt
        self._digest = digest_of(source.configs)
        self._asserted_ms: int | None = None
        self._behind: str | None = None

    async def look(self) -> None:
        """Say that this version lives, and declare it if it is to count."""
        for _ in range(MOVED_TRIES):
            document, now_ms = await self._client.declaration(self._source.origin)
            versions = read(None if document is None else document.value)
            stands = standing(versions, self._digest, now_ms=now_ms, asserted_ms=self._asserted_ms)
            fresh = self._is_fresh(versions, now_ms)
            if not stands.assert_ and fresh:
                break
            after = noted(versions, self._digest, now_ms=now_ms, asserts=stands.assert_)
            answer = await self._client.note_declaration(
                self._source.origin,
                written(after),
                read=0 if document is None else document.version,
            )
            if answer.outcome is not Outcome.MOVED:
                break
        else:
            return  # the others are many and quick; the next look is soon
        if stands.newer is not None:
            self._stand_behind(stands.newer)
        elif stands.assert_:
            await self._assert(now_ms)

    async def leave(self) -> None:
        """Say that this replica leaves, so that an older version need not wait long for its
        turn."""
        document, now_ms = await self._client.declaration(self._source.origin)
        if document is not None:
            after = left(read(document.value), self._digest, now_ms=now_ms)
            await self._client.note_declaration(
                self._source.origin, written(after), read=document.version
            )

    def _is_fresh(self, versions: dict[str, Version], now_ms: int) -> bool:
        mine = versions.get(self._digest)
        return mine is not None and now_ms - mine.seen_ms < RENEW_MS

    def _stand_behind(self, newer: Version) -> None:
        self._asserted_ms = None
        if self._behind != newer.digest:
            self._behind = newer.digest
            log.warning(
                "a newer version of what %s declares runs since %s: this pod leaves its configs as "
                "they are, until no pod of that version runs any more",
                self._source.origin,
                from_ms(newer.since_ms).isoformat(timespec="seconds"),
            )

    async def _assert(self, now_ms: int) -> None:
        first = self._asserted_ms is None
        declared = await declare(
            self._client, self._source.configs, origin=self._source.origin, adopt=self._adopt
        )
        if first or not declared.plan.changes_nothing:
            report(declared)
        # Set only now: what the store did not answer to is done again at the next look.
        self._asserted_ms, self._behind = now_ms, None


async def keep(keepers: Sequence[Keeper], sleep: Callable[[float], Awaitable[None]]) -> None:
    """Look now and then whether what was declared still stands, until cancelled."""
    try:
        while keepers:
            await sleep(LOOK_EVERY_S)
            for keeper in keepers:
                await _bearing(keeper.look())
    finally:
        for keeper in keepers:
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await _bearing(keeper.leave())


async def _bearing(act: Awaitable[None]) -> None:
    """An act that is done again later where the store does not answer."""
    try:
        await act
    except StoreUnavailableError as error:
        log.debug("the declarations were not looked at: %s", error)
