"""The guard between the client and the network: every address is checked where it is used."""

import socket
from contextvars import ContextVar
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from dsched.contracts.executor.egress import EgressPolicy, Lookup, resolve_checked, system_lookup

# The host of the request that this task is making. A socket is only told an address, and whether
# that may be called can depend on the name it came from.
calling_host: ContextVar[str] = ContextVar("calling_host", default="")


class CheckedResolver(AbstractResolver):
    """Resolves names, refusing a name if any of its addresses is refused."""

    def __init__(self, policy: EgressPolicy, lookup: Lookup = system_lookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        """The checked addresses of a name."""
        found = await resolve_checked(self._policy, host, port, lookup=self._lookup)
        return [
            ResolveResult(
                hostname=host,
                host=address.ip,
                port=port,
                family=address.family,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in found
            if family in (socket.AF_UNSPEC, address.family)
        ]

    async def close(self) -> None:
        """Nothing is held open."""


class CheckedSockets:
    """Makes the sockets of connections. This is the last check; IP literals cannot bypass it."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy

    def __call__(self, addr_info: Any) -> socket.socket:
        """A socket for this address. Raises `EgressRefusedError` before one is made."""
        family, kind, protocol, _, address = addr_info
        self._policy.check_address(str(address[0]), calling_host.get())
        return socket.socket(family=family, type=kind, proto=protocol)
