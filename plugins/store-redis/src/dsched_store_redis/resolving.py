"""Looks names up, so that a silent resolver blocks nothing else.

The event loops look names up in threads that they wait for at their end, or in a queue of four
for the whole process; a look-up that was given up goes on there, and its failure is lost. Here each
name has at most one look-up under way, in a thread of its own that the process does not wait for.
Callers that ask meanwhile share it; one that gives up does not end it.
"""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Sequence

MAX_LOOKUPS = 32

_lock = threading.Lock()
_under_way: dict[str, "_Lookup"] = {}

Found = tuple[str, ...] | OSError


async def resolve(host: str, timeout_s: float) -> Sequence[str]:
    """The addresses of a host, in the order of the system; `OSError` if there are none in time."""
    if _is_address(host):
        return (host,)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Found] = loop.create_future()
    _join(host, answer)
    try:
        async with asyncio.timeout(timeout_s):
            found = await answer
    except TimeoutError:
        raise TimeoutError(
            f"the name {host} was not resolved within {timeout_s:g} s: check the resolver "
            "(/etc/resolv.conf)"
        ) from None
    if isinstance(found, OSError):
        raise OSError(f"the name {host} cannot be resolved: {found}") from found
    return found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _join(host: str, answer: "asyncio.Future[Found]") -> None:
    with _lock:
        lookup = _under_way.get(host)
        if lookup is None:
            if len(_under_way) >= MAX_LOOKUPS:
                raise OSError(f"{MAX_LOOKUPS} names are being resolved already: check the resolver")
            lookup = _under_way[host] = _Lookup(host)
            lookup.start()
        lookup.waiting.append(answer)


class _Lookup(threading.Thread):
    def __init__(self, host: str) -> None:
        super().__init__(name=f"dsched resolves {host}", daemon=True)
        self._host = host
        self.waiting: list[asyncio.Future[Found]] = []

    def run(self) -> None:
        found = _addresses(self._host)
        with _lock:
            if _under_way.get(self._host) is self:
                del _under_way[self._host]
            waiting, self.waiting = self.waiting, []
        for answer in waiting:
            try:
                answer.get_loop().call_soon_threadsafe(_settle, answer, found)
            except RuntimeError:  # its loop was closed: nobody waits there any more
                continue


def _addresses(host: str) -> Found:
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: what cannot be a name at all
        return error if isinstance(error, OSError) else OSError(str(error))
    return tuple(dict.fromkeys(str(row[4][0]) for row in rows))


def _settle(answer: "asyncio.Future[Found]", found: Found) -> None:
    if not answer.done():
        answer.set_result(found)
