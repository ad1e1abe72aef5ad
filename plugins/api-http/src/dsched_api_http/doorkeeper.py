"""Bounds on connections, in all and from one address; further ones are told to come later."""

import ipaddress
import logging
import time
from collections import Counter

import attrs

_log = logging.getLogger(__name__)

SAY_AGAIN_S = 60.0
SHARE_OF_DESCRIPTORS = 2  # the API takes one in so many; tasks and the store need the rest


@attrs.frozen
class Refusal:
    """Why a connection is not taken: the code of a problem, and its detail."""

    code: str
    detail: str
    hint: str


class Doorkeeper:
    """Counts the connections that are open."""

    def __init__(self, most: int, most_by_address: int) -> None:
        self._most = most
        self._most_by_address = most_by_address
        self._by_address: Counter[str] = Counter()
        self._said_s = -SAY_AGAIN_S
        self.open = 0

    def admit(self, address: str) -> Refusal | None:
        """Count a connection from an address, or say why it is one too many."""
        where = network_of(address)
        refusal = self._refusal(where)
        if refusal is None:
            self.open += 1
            self._by_address[where] += 1
        elif time.monotonic() - self._said_s >= SAY_AGAIN_S:
            self._said_s = time.monotonic()
            _log.warning("connections are refused, now one of %s: %s", where, refusal.detail)
        return refusal

    def leave(self, address: str) -> None:
        """A connection that was admitted is closed."""
        where = network_of(address)
        self.open -= 1
        self._by_address[where] -= 1
        if not self._by_address[where]:
            del self._by_address[where]

    def _refusal(self, where: str) -> Refusal | None:
        if self._by_address[where] >= self._most_by_address:
            return Refusal(
                "too_many_requests",
                f"{self._most_by_address} connections of this address are open, its share",
                "close some or use them again, or raise api.max_connections_by_address",
            )
        if self.open >= self._most:
            return Refusal(
                "busy",
                f"{self._most} connections are open, as many as may be",
                "try again, ask another pod, or raise api.max_connections",
            )
        return None


def network_of(address: str) -> str:
    """What counts as one address: for IPv6 the network, since a host may have any number in it."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((found, 64), strict=False))


def within_descriptors(wanted: int, limit: int) -> int:
    """How many connections fit into what the process may open (``limit``)."""
    return min(wanted, max(1, limit // SHARE_OF_DESCRIPTORS))
