"""A wall clock that can be set, for one process: ``python -m chaos.clocks FILE`` is a `dsched-run`.

Everything that asks the machine for the time of day gets it with an offset, which whoever has the
file changes while the process runs. Clocks that only count on (monotonic) are left alone, and so
is what C code asks for by itself: `datetime.now`, which no part of a chaos pod calls.
"""

import contextlib
import mmap
import os
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_OFFSET_MS = struct.Struct("q")  # aligned, so that no reader ever sees half of it


class ClockOffset:
    """An offset that processes share through a file; 0 in the beginning."""

    def __init__(self, path: Path) -> None:
        self.path = path
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.truncate(file, _OFFSET_MS.size)
            self._shared = mmap.mmap(file, _OFFSET_MS.size)
        finally:
            os.close(file)

    @property
    def ms(self) -> int:
        """By how many ms the clock is ahead."""
        found: int = _OFFSET_MS.unpack_from(self._shared)[0]
        return found

    @ms.setter
    def ms(self, value: int) -> None:
        _OFFSET_MS.pack_into(self._shared, 0, value)


@contextlib.contextmanager
def shifted(offset: ClockOffset) -> Iterator[None]:
    """Within, the time of day of this process is ahead by the offset, as it is at each moment."""
    true_s, true_ns = time.time, time.time_ns
    try:
        time.time = lambda: true_s() + offset.ms / 1000
        time.time_ns = lambda: true_ns() + offset.ms * 1_000_000
        yield
    finally:
        time.time, time.time_ns = true_s, true_ns


def main() -> int:
    """``FILE`` and what `dsched-run` takes; its exit code."""
    path, *argv = sys.argv[1:]
    with shifted(ClockOffset(Path(path))):
        # Only now: whatever it binds while it is imported is to be the shifted clock.
        from dsched.launcher.run import main as run

        return run(argv)


if __name__ == "__main__":
    sys.exit(main())
