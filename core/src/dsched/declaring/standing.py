"""Which of several versions of one declaration counts: the newest that lives; pure.

Replicas of one program declare alike, but for the time of a rolling update. A version is the
digest of what is declared. It is as new as its first appearance, and lives while a replica that
declares it says so. An old replica that restarts finds its digest known, and the newer one alive.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, cast

import attrs

from dsched.contracts.store.codec import write_config
from dsched.model import JsonValue, TaskConfig

ALIVE_MS = 20_000
LEFT_MS = 8_000  # a version lives on for this long when a replica has left: others report by then
SETTLE_MS = 5_000  # for this long a replica that has not read of us may still be putting
MAX_VERSIONS = 20


@attrs.frozen(kw_only=True)
class Version:
    """A version, in wall ms of the store: first appearance, last sign of life, last declaration."""

    digest: str
    since_ms: int
    seen_ms: int
    declared_ms: int


@attrs.frozen(kw_only=True)
class Standing:
    """How this version stands. ``newer``: one that lives. ``assert_``: declare (again)."""

    newer: Version | None
    assert_: bool


def digest_of(configs: Iterable[TaskConfig]) -> str:
    """The same for the same configs, in any order."""
    texts = sorted(f"{one.id} {write_config(one)}" for one in configs)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:32]


def standing(
    versions: Mapping[str, Version], digest: str, *, now_ms: int, asserted_ms: int | None
) -> Standing:
    """How ``digest`` stands, which this replica last declared at ``asserted_ms`` (None: never, or
    it stood behind a newer one since)."""
    mine = versions.get(digest)
    others = [one for one in versions.values() if one.digest != digest]
    if mine is not None:
        newer = [
            one
            for one in others
            if one.since_ms > mine.since_ms and now_ms - one.seen_ms < ALIVE_MS
        ]
        if newer:
            return Standing(newer=max(newer, key=lambda one: one.since_ms), assert_=False)
    after_us = asserted_ms is not None and any(
        one.declared_ms > asserted_ms - SETTLE_MS for one in others
    )
    return Standing(newer=None, assert_=asserted_ms is None or after_us)


def noted(
    versions: Mapping[str, Version], digest: str, *, now_ms: int, asserts: bool
) -> dict[str, Version]:
    """The versions with a sign of life of ``digest``, which is the newest once it ``asserts``."""
    mine = versions.get(digest) or Version(
        digest=digest, since_ms=now_ms, seen_ms=now_ms, declared_ms=0
    )
    mine = attrs.evolve(mine, seen_ms=max(mine.seen_ms, now_ms))
    others = [one for one in versions.values() if one.digest != digest]
    if asserts:
        newest_ms = max((one.since_ms for one in others), default=-1)
        since_ms = mine.since_ms if mine.since_ms > newest_ms else max(now_ms, newest_ms + 1)
        mine = attrs.evolve(mine, since_ms=since_ms, declared_ms=now_ms)
    kept = sorted(others, key=lambda one: one.seen_ms, reverse=True)[: MAX_VERSIONS - 1]
    return {one.digest: one for one in (*kept, mine)}


def left(versions: Mapping[str, Version], digest: str, *, now_ms: int) -> dict[str, Version]:
    """The versions after a replica of ``digest`` has left; without others it soon counts as
    dead."""
    mine = versions.get(digest)
    if mine is None:
        return {**versions}
    seen_ms = min(mine.seen_ms, now_ms - ALIVE_MS + LEFT_MS)
    return {**versions, digest: attrs.evolve(mine, seen_ms=seen_ms)}


def written(versions: Mapping[str, Version]) -> JsonValue:
    """Versions as a document has them."""
    return {
        one.digest: {"since": one.since_ms, "seen": one.seen_ms, "declared": one.declared_ms}
        for one in versions.values()
    }


def read(value: JsonValue) -> dict[str, Version]:
    """The versions of a document; what cannot be read of it is left out."""
    found = {}
    for digest, facts in value.items() if isinstance(value, dict) else ():
        facts = cast("Any", facts)
        try:
            found[digest] = Version(
                digest=digest,
                since_ms=int(facts["since"]),
                seen_ms=int(facts["seen"]),
                declared_ms=int(facts["declared"]),
            )
        except (KeyError, TypeError, ValueError):
            continue
    return found
