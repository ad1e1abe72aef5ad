"""Whether the servers that steps are sent to are, at run time, what the profile asks for."""

import asyncio

import attrs

from dsched.contracts.store.outcomes import StoreRefusedError
from dsched_store_redis.conditions import CONDITIONS
from dsched_store_redis.connections import Line
from dsched_store_redis.endpoints import Address
from dsched_store_redis.options import RedisOptions
from dsched_store_redis.startup import check_server, log

# After how long a server is checked again: one that was in order, and one that was not.
EVERY_S = 30.0
AGAIN_S = 2.0
_MAX_KNOWN = 100


@attrs.define
class ServerChecks:
    """What was found about the server at each address.

    A server is looked at before the first step on it, and again every `EVERY_S`: a failover may
    have brought another one, and settings may change under way. Where it falls short of what the
    profile promises, writes are refused here rather than lost there.
    """

    _options: RedisOptions
    _timeout_s: float
    _problems: dict[Address, str | None] = attrs.field(factory=dict)
    _latest: Address | None = None
    _looked_s: float = 0.0
    _warned: set[str] = attrs.field(factory=set)

    def passed(self, address: Address) -> None:
        """This server was looked at and found in order."""
        self._problems[address] = None
        self._latest, self._looked_s = address, asyncio.get_running_loop().time()

    def problem(self, address: Address) -> str | None:
        """Why nothing may be written there; None if nothing is wrong, or nobody has looked."""
        return self._problems.get(address)

    def is_known(self, address: Address) -> bool:
        """Whether this server was looked at."""
        return address in self._problems

    def forget(self, address: Address) -> None:
        """Another server, or another start of it, may be at this address by now."""
        if self._problems.get(address) is None:
            self._problems.pop(address, None)

    def due(self) -> bool:
        """Whether it is time to look again."""
        in_order = self._latest is None or self._problems.get(self._latest) is None
        passed_s = asyncio.get_running_loop().time() - self._looked_s
        return passed_s >= (EVERY_S if in_order else AGAIN_S)

    async def poll(self, line: Line) -> None:
        """Look at the server at the end of a connection.

        Raises what redis-py does, and `StoreUnavailableError` for one that is no primary any more.
        """

        async def ask(*args: bytes) -> object:
            return await line.command(*args, timeout_s=self._timeout_s)

        found = None
        try:
            await check_server(ask, self._options, warn=self.warn)
        except StoreRefusedError as error:
            found = str(error)
        self._note(line.address, found)

    def _note(self, address: Address, found: str | None) -> None:
        where = f"{address[0]}:{address[1]}"
        if len(self._problems) >= _MAX_KNOWN:
            self._problems.clear()
        self._problems[address] = found
        self._latest, self._looked_s = address, asyncio.get_running_loop().time()
        if found is None:
            text = "Redis at %s is again what redis.durability asks for: steps are written"
            CONDITIONS.over(("profile", where), self.who, text, where)
            return
        CONDITIONS.begins(
            ("profile", where),
            self.who,
            "store degraded: nothing is written to Redis at %s while redis.durability is %s: %s",
            where,
            self._options.durability,
            found,
        )

    def warn(self, text: str, *args: object) -> None:
        """A warning is said once a handle, however often the server is looked at."""
        said = text % args if args else text
        if said not in self._warned:
            self._warned.add(said)
            log.warning("%s", said)

    @property
    def who(self) -> int:
        """The name of this handle among those that meet the same trouble."""
        return id(self)

    def close(self) -> None:
        """The handle is closed."""
        CONDITIONS.leave(self.who)
