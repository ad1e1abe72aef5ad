"""What systemd is told: that the pod is ready, how it is, that it lives, and that it stops.

The protocol of sd_notify(3): datagrams to the socket that the environment names. Without one
nothing is told. The watchdog is fed by the event loop of the pod, so a pod whose loop hangs is
ended.
"""

import logging
import os
import socket
from collections.abc import Callable, MutableMapping

import attrs

from dsched.contracts.service import PodStatus
from dsched.engine.runtime import Runtime

log = logging.getLogger("dsched.run")

SOCKET, WATCHDOG, WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
LOOK_EVERY_S = 1.0


@attrs.define
class Notifier:
    """Tells the one that started this process; nobody, without an ``address``. ``watchdog_s``: how
    long it may be without a sign of life."""

    address: str = ""
    watchdog_s: float | None = None
    _ready: bool = False
    _status: str = ""

    @classmethod
    def of(cls, environ: MutableMapping[str, str]) -> "Notifier":
        """By the environment, from which it is taken: child processes are not the pod."""
        address = environ.pop(SOCKET, "")
        watchdog, pid = environ.pop(WATCHDOG, ""), environ.pop(WATCHDOG_PID, "")
        if not address.startswith(("/", "@")):
            return cls()
        mine = watchdog.isdigit() and int(watchdog) > 0 and pid in ("", str(os.getpid()))
        return cls(address, int(watchdog) / 1_000_000 if mine else None)

    async def run(self, status: Callable[[], PodStatus], runtime: Runtime) -> None:
        """Tell how the pod is until cancelled: at once, whenever that changes, and to the
        watchdog."""
        if not self.address:
            return
        pause_s = LOOK_EVERY_S
        if self.watchdog_s is not None:
            pause_s = min(pause_s, self.watchdog_s / 3)
        while True:
            self.tell(status())
            await runtime.sleep(pause_s)

    def tell(self, status: PodStatus) -> None:
        """Readiness once, the status where it changed, a sign of life each time."""
        told = [] if self.watchdog_s is None else ["WATCHDOG=1"]
        if status.ready and not self._ready:
            self._ready = True
            told.append("READY=1")
        words = in_words(status)
        if words != self._status:
            self._status = words
            told.append(f"STATUS={words}")
        if told:
            self._send(told)

    def waiting(self) -> None:
        """The pod waits for its store; systemd does not count it as started yet."""
        self._send(["STATUS=starting: waiting for the store"])

    def stop(self) -> None:
        """The pod was told to stop, and drains."""
        self._send(["STOPPING=1", "STATUS=draining"])

    def hurry(self) -> None:
        """It does not wait any longer for what still runs: nothing more to tell."""

    def _send(self, lines: list[str]) -> None:
        if not self.address:
            return
        # An address that begins with @ is in the abstract namespace of Linux.
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("systemd was not told %s: %s", " ".join(lines), error)


def in_words(status: PodStatus) -> str:
    """One line on a pod, for `systemctl status`."""
    role = "draining" if status.draining else "leads" if status.leading else "runs"
    return role if status.ready or status.draining else f"not ready: {status.detail}"
