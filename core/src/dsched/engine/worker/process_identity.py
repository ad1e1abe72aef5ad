"""Which process a worker is, so that another one of its host can know whether that has ended.

It stands at the end of the worker's incarnation: ``-HOST-SPACE-PID-START``. HOST stands for one
boot of one machine and its name, SPACE for one PID namespace: a PID means something here only if
both are equal. START distinguishes a process from a later one with the same PID. Only processes of
the same host read it. It is left out on systems other than Linux, where nothing is known.
"""

import contextlib
import hashlib
import os
import re
import socket
from pathlib import Path

import attrs

_PROC = Path("/proc")
_IDENTITY = re.compile(r"-([0-9a-f]{8})-([0-9a-z]{1,12})-(\d{1,10})-(\d{1,20})$", re.ASCII)
_ENDED_STATES = frozenset("ZXx")  # a zombie runs nothing any more


@attrs.frozen
class ProcessIdentity:
    """One process, for ever: of one host since its boot, in one PID namespace."""

    host: str
    space: str
    pid: int
    start: int

    def __str__(self) -> str:
        """As it stands at the end of an incarnation."""
        return f"-{self.host}-{self.space}-{self.pid}-{self.start}"


def identity_in(incarnation: str) -> ProcessIdentity | None:
    """The identity at the end of an incarnation; None if there is none."""
    found = _IDENTITY.search(incarnation)
    return (
        None if found is None else ProcessIdentity(found[1], found[2], int(found[3]), int(found[4]))
    )


def this_process() -> ProcessIdentity | None:
    """The identity of this process; None where the system does not tell it."""
    pid = os.getpid()
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return None
    state = _state_and_start(pid)
    if state is None:
        return None
    host = hashlib.sha256(f"{boot}\0{socket.gethostname()}".encode()).hexdigest()[:8]
    return ProcessIdentity(host, re.sub(r"[^0-9]", "", space)[:12] or "0", pid, state[1])


def has_ended(process: ProcessIdentity) -> bool:
    """Whether a process of this host and PID namespace runs no more. When in doubt: False."""
    try:
        with contextlib.suppress(PermissionError):  # it is there, and another user's
            os.kill(process.pid, 0)  # this finds what /proc may hide from us
    except ProcessLookupError:
        return True
    found = _state_and_start(process.pid)
    return found is not None and (found[0] in _ENDED_STATES or found[1] != process.start)


def _state_and_start(pid: int) -> tuple[str, int] | None:
    """The state of a process, and the clock tick of the boot in which it began."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    try:
        return fields[0], int(fields[19])
    except (IndexError, ValueError):
        return None
