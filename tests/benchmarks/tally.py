"""What the tasks of a benchmark write down: how many ran, when, and how late. Needs no package.

Each process writes to files of its own in the folder ``BENCH_TALLY``: a count with the first and
the last instant in shared memory, and one double per measured delay.
"""

import mmap
import os
import struct
import threading
import time

_ROW = struct.Struct("<qdd")
_DOUBLE = struct.Struct("<d")


class Tally:
    """The counts of this process; made anew after a fork."""

    def __init__(self) -> None:
        self._pid = 0
        self._lock = threading.Lock()

    def _open(self) -> None:
        folder, pid = os.environ["BENCH_TALLY"], os.getpid()
        with open(f"{folder}/{pid}.count", "w+b") as file:
            file.write(bytes(_ROW.size))
            file.flush()
            self._row = mmap.mmap(file.fileno(), _ROW.size)
        self._delays = os.open(f"{folder}/{pid}.delays", os.O_CREAT | os.O_WRONLY)
        self._count, self._first_s, self._pid = 0, time.time(), pid

    def ran(self) -> None:
        """A task has run."""
        with self._lock:
            if self._pid != os.getpid():
                self._open()
            self._count += 1
            _ROW.pack_into(self._row, 0, self._count, self._first_s, time.time())

    def late(self, due_s: float) -> None:
        """A task has started that should have started at ``due_s`` (wall clock)."""
        delay_s = time.time() - due_s
        self.ran()
        os.write(self._delays, _DOUBLE.pack(delay_s))


TALLY = Tally()


def read(folder: str) -> tuple[int, list[float], list[float], list[float]]:
    """Tasks run by all processes; first and last instants of each process; all delays, seconds."""
    total, first_s, last_s, delays_s = 0, [], [], []
    for entry in os.scandir(folder):
        with open(entry.path, "rb") as file:
            data = file.read()
        if entry.name.endswith(".delays"):
            delays_s += [row[0] for row in _DOUBLE.iter_unpack(data)]
        elif len(data) == _ROW.size:
            count, first, last = _ROW.unpack(data)
            if count:
                total += count
                first_s.append(first)
                last_s.append(last)
    return total, first_s, last_s, delays_s
