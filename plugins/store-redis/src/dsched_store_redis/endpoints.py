"""Where the primary is: a fixed address, what sentinels say, or where a cluster redirects to."""

from typing import Protocol

from dsched_store_redis.options import host_and_port

Address = tuple[str, int]

_MAX_KNOWN = 1000


class Endpoints(Protocol):
    """Finds the server that takes the steps."""

    @property
    def alternatives(self) -> int:
        """How many other addresses there are to try at once when one cannot be reached."""
        ...

    @property
    def current(self) -> Address | None:
        """The primary that sentinels name and watch; None without sentinels."""
        ...

    async def locate(self) -> Address:
        """The address to connect to now."""
        ...

    def moved(self, target: Address | None) -> None:
        """What was located is not the primary; ``target`` is the one that it named instead."""
        ...


class FixedEndpoint:
    """One address, for ever."""

    alternatives = 0
    current = None

    def __init__(self, address: Address) -> None:
        self._address = address

    async def locate(self) -> Address:
        """The address."""
        return self._address

    def moved(self, target: Address | None) -> None:
        """Another address than the one configured is not followed."""


class ClusterEndpoints:
    """One prefix is one slot, so one node: the last one named, else the known ones in turn."""

    current = None

    def __init__(self, nodes: tuple[str, ...]) -> None:
        self._known = [host_and_port(node) for node in nodes]
        self._current = self._known[0]

    @property
    def alternatives(self) -> int:
        """The other nodes known."""
        return len(self._known) - 1

    async def locate(self) -> Address:
        """The node last named."""
        return self._current

    def moved(self, target: Address | None) -> None:
        """Go where the node said, or try the next one."""
        if target is None:
            at = self._known.index(self._current) if self._current in self._known else -1
            self._current = self._known[(at + 1) % len(self._known)]
            return
        self._current = (target[0] or self._current[0], target[1])
        if self._current not in self._known and len(self._known) < _MAX_KNOWN:
            self._known.append(self._current)


def redirection(text: str) -> Address | None:
    """The address in a ``MOVED slot host:port`` reply."""
    words = text.split()
    for word in reversed(words):
        host, colon, port = word.rpartition(":")
        if colon and port.isdigit():
            return host, int(port)
    return None
