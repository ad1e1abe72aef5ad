"""What the sentinels say of the primary: asked about once a second, and after every complaint."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import attrs

from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched_store_redis.conditions import CONDITIONS
from dsched_store_redis.connections import FAULTS, Dialler, Line, pack
from dsched_store_redis.credentials import SentinelCredentials
from dsched_store_redis.endpoints import Address
from dsched_store_redis.options import SentinelOptions, host_and_port

log = logging.getLogger("dsched.store.redis")

ASK_EVERY_S = 1.0
# An answer counts for this long, while its sentinel gives no other.
FRESH_S = 5.0
# After the first answer the others have this long: one that lags must not be believed alone.
_OTHERS_S = 0.2

_last_said: dict[str, Address] = {}


@attrs.frozen
class Named:
    """A sentinel's answer. ``epoch`` grows with each failover: the highest is the newest."""

    address: Address
    epoch: int
    at_s: float


class _Sentinel:
    """One sentinel, on one connection that is opened anew when it fails."""

    def __init__(self, address: Address, master: str, dialler: Dialler) -> None:
        self.address = address
        self._dialler = dialler
        self._line: Line | None = None
        self._problem = ""
        self._lock = asyncio.Lock()
        name = master.encode()
        self._question = pack(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", name)
        self._question += pack(b"SENTINEL", b"MASTER", name)

    @property
    def told(self) -> str:
        """Its address, and what was wrong with the last question."""
        where = "{}:{}".format(*self.address)
        return f"{where} ({self._problem})" if self._problem else where

    async def ask(self, who: SentinelCredentials) -> Named | None:
        """What it says; None if it does not answer or knows none."""
        async with self._lock:
            try:
                if self._line is None or not self._line.usable:
                    self._line = await self._dialler.dial(self.address, who.now())
                replies = await self._line.exchange(self._question, 2, self._dialler.timeout_s)
            except FAULTS as error:
                self._problem = str(error) or type(error).__name__
                await self.close()
                return None
        self._problem = str(replies[0]) if isinstance(replies[0], Exception) else ""
        return _named(replies)

    async def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close_now()


class SentinelEndpoints:
    """The primary that the sentinels name, by the highest epoch that any of them knows.

    A single sentinel may lag behind a failover by seconds, or be cut off together with an old
    primary. So an older epoch than one heard before is believed only if more than half of them say
    so, as after the sentinels were set up anew.
    """

    alternatives = 0

    def __init__(self, options: SentinelOptions, dialler: Dialler) -> None:
        self._master = options.master
        self._who = SentinelCredentials(options)
        self._timeout_s = dialler.timeout_s
        self._sentinels = [
            _Sentinel(host_and_port(node), options.master, dialler) for node in options.nodes
        ]
        self._answers: dict[Address, Named] = {}
        self._current: Named | None = None
        self._told: Address | None = None
        self._doubted = False

    @property
    def current(self) -> Address | None:
        """The primary as it was last named."""
        return None if self._current is None else self._current.address

    async def locate(self) -> Address:
        """The primary, as known or as the sentinels say now."""
        if self._current is None or self._doubted:
            await self._ask_all()
            self._doubted = False
        if self._current is None:
            named = ", ".join(one.told for one in self._sentinels)
            raise StoreUnavailableError(
                f"no sentinel of {named} names a primary of {self._master!r}: check that they run, "
                "and redis.sentinel.master",
                maybe_applied=False,
            )
        return self._current.address

    def moved(self, target: Address | None) -> None:  # noqa: ARG002 - sentinels know better
        """Ask all of them before the next connection."""
        self._doubted = True

    async def watch(self, changed: Callable[[Address], Awaitable[None]]) -> None:
        """Ask each of them about once a second; ``changed`` when another primary is named."""
        async with asyncio.TaskGroup() as group:
            for one in self._sentinels:
                name = "sentinel {}:{}".format(*one.address)
                group.create_task(self._watch(one, changed), name=name)

    async def _watch(self, one: _Sentinel, changed: Callable[[Address], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(ASK_EVERY_S * random.uniform(0.9, 1.1))
            self._hear(one, await one.ask(self._who))
            self._tell_of_silence()
            before, address = self._told, self.current
            if address is None or address == before:
                continue
            self._told = address
            if before is not None and _last_said.get(self._master) != address:
                _last_said[self._master] = address  # once for all handles of the process
                log.warning(
                    "the sentinels name %s:%d as the primary of %s (before: %s:%d)",
                    *address,
                    self._master,
                    *before,
                )
            await changed(address)

    async def _ask_all(self) -> None:
        """Ask all at once; those that are silent are not waited for once one has answered."""
        asked = {
            asyncio.create_task(one.ask(self._who), name="ask a sentinel"): one
            for one in self._sentinels
        }
        waiting, limit_s, answered = set(asked), self._timeout_s, False
        try:
            while waiting and limit_s > 0:
                began_s = asyncio.get_running_loop().time()
                when = asyncio.ALL_COMPLETED if answered else asyncio.FIRST_COMPLETED
                done, waiting = await asyncio.wait(waiting, timeout=limit_s, return_when=when)
                for task in done:
                    self._hear(asked[task], task.result())
                spent_s = asyncio.get_running_loop().time() - began_s
                heard = any(task.result() is not None for task in done)
                limit_s = 0.0 if answered else _OTHERS_S if heard else limit_s - spent_s
                answered = answered or heard
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def _hear(self, one: _Sentinel, named: Named | None) -> None:
        if named is None:
            self._answers.pop(one.address, None)
        else:
            self._answers[one.address] = named
        chosen = choose(self._fresh(), self._current, of=len(self._sentinels))
        if chosen is not None:
            self._current = chosen

    def _fresh(self) -> list[Named]:
        since_s = asyncio.get_running_loop().time() - FRESH_S
        return [one for one in self._answers.values() if one.at_s >= since_s]

    def _tell_of_silence(self) -> None:
        what = ("sentinels", self._master)
        if any(self._fresh()):
            CONDITIONS.over(what, id(self), "sentinels of %s answer again", self._master)
        elif self._current is not None:
            CONDITIONS.begins(
                what,
                id(self),
                "store degraded: no sentinel of %s answers: %s:%d is used as it was last "
                "named, and a failover would not be noticed",
                self._master,
                *self._current.address,
            )

    async def close(self) -> None:
        """Close the connections. Nobody may be asking."""
        CONDITIONS.leave(id(self))
        for one in self._sentinels:
            await one.close()


def choose(answers: list[Named], current: Named | None, *, of: int) -> Named | None:
    """The answer to believe; None: the one that was believed before."""
    if not answers:
        return None
    newest = max(one.epoch for one in answers)
    agreed = [one for one in answers if one.epoch == newest]
    counted = Counter(one.address for one in agreed)
    # If no epochs are told, believe those that agree, and change only with a majority.
    address, votes = max(
        counted.items(),
        key=lambda item: (item[1], current is not None and item[0] == current.address),
    )
    chosen = next(one for one in agreed if one.address == address)
    if current is not None and newest < current.epoch and 2 * votes <= of:
        return None
    return chosen


def _named(replies: list[object]) -> Named | None:
    where, told = replies
    if not isinstance(where, list) or len(where) != 2:
        return None
    epoch = 0
    if isinstance(told, list):  # a user without the permission for it is told no epoch
        fields = dict(zip(told[::2], told[1::2], strict=False))
        epoch = int(fields.get(b"config-epoch", 0))
    at_s = asyncio.get_running_loop().time()
    return Named((where[0].decode(), int(where[1])), epoch, at_s)
