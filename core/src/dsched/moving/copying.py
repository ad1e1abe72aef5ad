"""Copy one store into another, and look afterwards whether all of it is there."""

import time
from collections.abc import Mapping
from contextlib import AsyncExitStack

import attrs

from dsched.contracts.store.history import History
from dsched.contracts.store.moving import Mover, Source, Target
from dsched.contracts.store.settings import StoreSettings
from dsched.moving.census import Census, differences
from dsched.moving.sealing import Seal, read_seal, without_seal


class MovingError(Exception):
    """A store could not be moved; the message says why and what to do."""


@attrs.frozen(kw_only=True)
class Copied:
    """What was copied: how many of each kind, where the history stood, and the seal that was
    met."""

    counts: Mapping[str, int]
    head: History
    seal: Seal | None = None


async def copy_store(
    source: Mover,
    target: Mover,
    *,
    settings: StoreSettings,
    seal: Seal | None = None,
    sealed: bool = False,
) -> Copied:
    """Copy all of ``source`` into the empty ``target``, then read the target and compare.

    ``seal`` makes the target a backup: its lasting content is filled in here. ``sealed``: the
    source has to be a whole backup. Raises `MovingError`, and `StoreRefusedError` of the movers.
    """
    async with AsyncExitStack() as stack:
        reading = await stack.enter_async_context(source.reading())
        census = Census(time.time_ns() // 1_000_000, settings)
        async with target.filling() as filling:
            head = await reading.head()
            found = await _poured(reading, filling, census)
            if sealed:
                _check_seal(found, census)
            if seal is not None:
                await filling.fill(attrs.evolve(seal, lasting=census.lasting()).part())
            await filling.finish(head)
    await _compare(target, census, head)
    return Copied(counts=census.counts, head=head, seal=found)


async def _poured(source: Source, target: Target, census: Census) -> Seal | None:
    found: Seal | None = None
    async for part in source.parts():
        found = read_seal(part) or found
        own = without_seal(part)
        census.add(own)
        await target.fill(own)
    return found


def _check_seal(seal: Seal | None, census: Census) -> None:
    if seal is None:
        raise MovingError(
            "this is no backup: it has no seal. `dsched store backup` makes one; to take over the "
            "file of a store itself, use `dsched store copy`"
        )
    lacking = differences(seal.lasting, census.lasting())
    if lacking:
        raise MovingError(
            "the backup does not hold what its seal names (" + "; ".join(lacking) + "): it was "
            "changed or damaged. Take another one"
        )


async def _compare(target: Mover, census: Census, head: History) -> None:
    after = Census(census.wall_ms, census.settings)
    async with target.reading() as source:
        there = await source.head()
        async for part in source.parts():
            after.add(without_seal(part))
    lacking = census.differences(after)
    if (there.identity, there.generation) != (head.identity, head.generation):
        lacking.append("the identity of the store")
    if lacking:
        raise MovingError(
            "what was copied is not what was read (" + "; ".join(lacking) + "): do not use it, and "
            "report this"
        )
