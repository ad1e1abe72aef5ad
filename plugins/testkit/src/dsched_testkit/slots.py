"""Slots of a Redis Cluster: who has one, and moving it while clients go on, key by key.

The order is that of the Redis documentation: the target imports, the source migrates, the keys
move, the target has the slot, the source has it not, all others learn of it.
"""

from collections.abc import Iterable, Sequence

import attrs

from dsched_testkit.servers import RedisServer, command

_MIGRATE_MS = 5000


@attrs.frozen(kw_only=True)
class View:
    """How a node sees itself. ``slots``: first and last of each range that it has."""

    node_id: str
    master: bool
    epoch: int
    slots: tuple[tuple[int, int], ...]
    moving: bool

    def has(self, slot: int) -> bool:
        """Whether it takes commands on keys of this slot."""
        return self.master and any(first <= slot <= last for first, last in self.slots)


def view(node: RedisServer, *, timeout_s: float = 5.0) -> View:
    """Ask a node how it sees itself. Raises `OSError` where it does not answer in time."""
    told = command(node.port, "CLUSTER", "NODES", password=node.password, timeout_s=timeout_s)
    lines = [line.split() for line in str(told).splitlines()]
    (own,) = [words for words in lines if len(words) >= 8 and "myself" in words[2].split(",")]
    ranges = [word.partition("-") for word in own[8:] if not word.startswith("[")]
    return View(
        node_id=own[0],
        master="master" in own[2].split(","),
        epoch=int(own[6]),
        slots=tuple((int(first), int(last or first)) for first, _, last in ranges),
        moving=any(word.startswith("[") for word in own[8:]),
    )


def bin_of(node: RedisServer, key: str) -> int:
    """The slot in which a key lies."""
    return int(node.command("CLUSTER", "KEYSLOT", key))


def owner(nodes: Iterable[RedisServer], slot: int) -> RedisServer:
    """The node that has the slot, by its own word; `LookupError` where none has."""
    for node in nodes:
        if view(node).has(slot):
            return node
    raise LookupError(f"no node has slot {slot}")


def begin_move(slot: int, source: RedisServer, target: RedisServer) -> None:
    """From now on both ends know that keys are leaving."""
    words = ("CLUSTER", "SETSLOT", str(slot))
    target.command(*words, "IMPORTING", view(source).node_id)
    source.command(*words, "MIGRATING", view(target).node_id)


def move_keys(slot: int, source: RedisServer, target: RedisServer, *, limit: int) -> int:
    """Move so many keys at most; how many were moved. May be repeated after an error."""
    keys = str(source.command("CLUSTER", "GETKEYSINSLOT", str(slot), str(limit))).splitlines()
    if keys:
        where = ("127.0.0.1", str(target.port), "", "0", str(_MIGRATE_MS))
        # After a lost reply both ends have the keys, and the source's copies count.
        source.command("MIGRATE", *where, "REPLACE", "KEYS", *keys)
    return len(keys)


def end_move(
    slot: int, source: RedisServer, target: RedisServer, others: Sequence[RedisServer] = ()
) -> None:
    """The slot is the target's, and all masters are told so."""
    new = view(target).node_id
    for node in (target, source, *others):
        node.command("CLUSTER", "SETSLOT", str(slot), "NODE", new)
