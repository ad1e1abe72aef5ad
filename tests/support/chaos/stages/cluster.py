"""Redis Cluster: three masters, a replica of each, and one slot that has everything."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import attrs

from chaos.plan import Planned
from chaos.stages.base import (
    TIMEOUT,
    TURNS_S,
    OnWhole,
    ReplicatedStage,
    asked,
    away,
    freeze,
    pause,
    told,
)
from dsched_testkit.servers import RedisServer
from dsched_testkit.slots import View, begin_move, bin_of, end_move, move_keys, view

PREFIX = "{chaos}:"
_BATCH = 100  # keys that move at once
_ANSWER_S = 1.0


@attrs.frozen(kw_only=True)
class Shard:
    """A master, and the replica that follows it."""

    master: RedisServer
    replica: RedisServer

    @property
    def nodes(self) -> frozenset[RedisServer]:
        """Both, whoever of them leads."""
        return frozenset((self.master, self.replica))


@attrs.frozen(kw_only=True)
class Whole:
    """A cluster in which nothing is amiss: the shard that has the slot, and the others."""

    owner: Shard
    others: tuple[Shard, ...]


class ClusterStage(ReplicatedStage[Whole]):
    """Six nodes; the profile ``ha``. Pods are told of the first three, and learn of the others."""

    not_whole = "the cluster is not whole yet"

    def __init__(self, nodes: Sequence[RedisServer]) -> None:
        super().__init__()
        self._all = tuple(nodes)
        self._slot = bin_of(nodes[0], PREFIX)
        self._settings = {
            "cluster": {"nodes": [node.addr for node in nodes[: len(nodes) // 2]]},
            "key_prefix": PREFIX,
            "timeout": TIMEOUT,
            "durability": "ha",
        }

    def settings(self, pod: str | None) -> dict[str, Any]:
        return {"store": "redis", "redis": self._settings}

    def acts_on_whole(self) -> dict[str, OnWhole[Whole]]:
        return {
            "primary_kill": lambda whole, planned: self._kill(
                "primary_kill", whole.owner.master, planned
            ),
            "primary_freeze": lambda whole, planned: freeze(whole.owner.master, planned),
            "failover": self._failover,
            "replica_kill": lambda whole, planned: away(whole.owner.replica, planned),
            "other_kill": self._kill_another,
            "slot_move": self._move_slot,
            "redis_pause": lambda whole, planned: pause(whole.owner.master, planned),
        }

    async def whole(self) -> Whole | None:
        """Who is whose, if every node runs, follows or is followed, and no slot is moving."""
        views = await self._views()
        if len(views) < len(self._all) or any(one.moving for one in views.values()):
            return None
        by_port = {node.port: node for node in self._all}
        shards = []
        for node, one in views.items():
            info = await asked(node, "INFO", "replication")
            state = await asked(node, "CLUSTER", "INFO")
            if "cluster_state:ok" not in state:
                return None
            if not one.master:
                if "master_link_status:up" not in info:
                    return None
                master = by_port[int(info.partition("master_port:")[2].split()[0])]
                shards.append(Shard(master=master, replica=node))
            elif "state=online" not in info:
                return None
        owners = [shard for shard in shards if views[shard.master].has(self._slot)]
        if len(shards) * 2 != len(self._all) or len(owners) != 1:
            return None
        others = sorted((one for one in shards if one not in owners), key=lambda s: s.master.port)
        return Whole(owner=owners[0], others=tuple(others))

    async def _views(self) -> dict[RedisServer, View]:
        """How each node that answers sees itself."""

        async def one(node: RedisServer) -> View | None:
            try:
                return await asyncio.to_thread(view, node, timeout_s=_ANSWER_S)
            except (OSError, RuntimeError):
                return None

        found = await asyncio.gather(*map(one, self._all))
        return {node: seen for node, seen in zip(self._all, found, strict=True) if seen is not None}

    async def leading(self) -> RedisServer | None:
        """The node that has the slot; where two say so, the one that got it last."""
        views = await self._views()
        owners = [
            (one.epoch, node.port, node) for node, one in views.items() if one.has(self._slot)
        ]
        return max(owners)[2] if owners else None

    async def watch(self) -> None:
        """See each node become a replica that had the slot. Only then writes may be lost.

        The nodes need no fault of ours to elect: on a machine that stands still they do. A slot
        that is given away loses nothing.
        """
        alone_s: dict[RedisServer, float] = {}
        while True:
            asked_s = time.monotonic()
            views = await self._views()
            leading = [node for node, one in views.items() if one.has(self._slot)]
            for node, one in views.items():
                if node in alone_s and not one.has(self._slot):
                    since_s = alone_s.pop(node)
                    if not one.master:
                        self._cut("demoted", since_s)
            for node in leading:
                if len(leading) == 1 or node not in alone_s:
                    alone_s[node] = asked_s
            await asyncio.sleep(0.2)

    async def _failover(self, whole: Whole, planned: Planned) -> None:
        """In order: the master holds writes back until its replica has all."""
        replica = whole.owner.replica
        await told(replica, "CLUSTER", "FAILOVER")
        end_s = time.monotonic() + TURNS_S
        while time.monotonic() < end_s:
            if await self.leading() is replica:
                return
            await asyncio.sleep(0.1)

    async def _kill_another(self, whole: Whole, planned: Planned) -> None:
        """A master that has none of the keys: without its slots the whole cluster stops."""
        await away(whole.others[int(planned.target * len(whole.others))].master, planned)

    async def _move_slot(self, whole: Whole, planned: Planned) -> None:
        """To another master under load, and back; a third of the time each way, and one there."""
        away = whole.others[int(planned.target * len(whole.others))]
        for goal in (away, whole.owner):
            await self._bring_to(goal.nodes, planned.lasts_s / 3)
            if goal is away:
                await asyncio.sleep(planned.lasts_s / 3)

    async def _bring_to(self, goal: frozenset[RedisServer], takes_s: float) -> None:
        """Move the slot to whoever of these leads. What an election breaks off is taken up
        again."""
        end_s = time.monotonic() + TURNS_S
        while time.monotonic() < end_s:
            try:
                views, source = await self._views(), await self.leading()
                target = next(node for node in goal if node in views and views[node].master)
                if source is target and not any(one.moving for one in views.values()):
                    return
                if source is not None and source is not target:
                    await self._move(source, target, takes_s)
            except (OSError, RuntimeError, StopIteration):
                await asyncio.sleep(0.2)
        raise AssertionError("the slot could not be moved")

    async def _move(self, source: RedisServer, target: RedisServer, takes_s: float) -> None:
        until_s = time.monotonic() + takes_s
        await asyncio.to_thread(begin_move, self._slot, source, target)
        count = await asked(source, "CLUSTER", "COUNTKEYSINSLOT", str(self._slot))
        pause_s = takes_s / (1 + int(count) // _BATCH)
        while await asyncio.to_thread(move_keys, self._slot, source, target, limit=_BATCH):
            await asyncio.sleep(min(pause_s, max(0.0, until_s - time.monotonic())))
        masters = [node for node, one in (await self._views()).items() if one.master]
        others = [node for node in masters if node is not source and node is not target]
        await asyncio.to_thread(end_move, self._slot, source, target, others)
