"""What a child process prints, as lines: two pipes, read as they fill and never for long."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from functools import partial

from dsched.contracts.store.tasklogs import MAX_LINE_BYTES, LineLevel

READ_BYTES = 64 * 1024
# Of one turn of the loop, at most: what a child prints beyond it has to wait in its pipe.
MAX_TURN_BYTES = 1024 * 1024
MAX_TURN_LINES = 500
PAUSE_S = 0.05

OnLine = Callable[[LineLevel, str], None]


class LineSplitter:
    """Bytes in, lines out. Of a line that does not end it holds no more than a line may have."""

    def __init__(self) -> None:
        self._open = bytearray()
        self._beyond = 0

    def feed(self, data: bytes) -> tuple[list[str], int]:
        """The lines that end in ``data``, and how many of them were left out in the middle."""
        if b"\n" not in data:
            self._add(data)
            return [], 0
        ended, data = data.split(b"\n", 1)
        self._add(ended)
        lines = [self._take()]
        count = data.count(b"\n")
        left_out = max(0, count - MAX_TURN_LINES)
        if left_out:
            *first, data = data.split(b"\n", MAX_TURN_LINES // 2)
            _, *newest, data = data.rsplit(b"\n", MAX_TURN_LINES - MAX_TURN_LINES // 2 + 1)
            left_out = count - len(first) - len(newest)
            whole = [*first, *newest]
        else:
            *whole, data = data.split(b"\n")
        lines += [_text(line, 0) for line in whole]
        self._add(data)
        return lines, left_out

    def rest(self) -> str | None:
        """The line that has not ended, if there is one."""
        return self._take() if self._open else None

    def _add(self, data: bytes) -> None:
        room = MAX_LINE_BYTES - len(self._open)
        self._open += data[:room]
        self._beyond += max(0, len(data) - room)

    def _take(self) -> str:
        line = _text(bytes(self._open), self._beyond)
        self._open.clear()
        self._beyond = 0
        return line


def _text(line: bytes, beyond: int) -> str:
    kept = line[:MAX_LINE_BYTES]
    beyond += len(line) - len(kept)
    text = kept.removesuffix(b"\r").decode("utf-8", "replace")
    return f"{text}... (cut; {beyond:,} bytes more)" if beyond else text


def _nobody(_level: LineLevel, _line: str) -> None:
    """Nobody reads yet."""


class ChildOutput:
    """The read ends of a child's stdout and stderr. Everything happens on one loop.

    ``on_line`` gets the lines: nothing at first; it may be changed at any time.
    """

    def __init__(self) -> None:
        self.on_line: OnLine = _nobody
        self._loop = asyncio.get_running_loop()
        self._pipes: dict[int, tuple[LineLevel, LineSplitter]] = {}
        self._paused: set[int] = set()
        self.write_ends: list[int] = []
        try:
            for level in (LineLevel.STDOUT, LineLevel.STDERR):
                read_end, write_end = os.pipe()
                self.write_ends.append(write_end)
                os.set_blocking(read_end, False)
                self._pipes[read_end] = level, LineSplitter()
                self._loop.add_reader(read_end, partial(self._readable, read_end))
        except BaseException:
            self.close()
            raise

    def close_write_ends(self) -> None:
        """The child has its own; a pipe ends when nobody holds one any more."""
        for end in self.write_ends:
            os.close(end)
        self.write_ends.clear()

    def drain(self) -> None:
        """Take what is in the pipes by now, a line that has not ended included."""
        for read_end in list(self._pipes):
            self._read(read_end)
        for level, splitter in self._pipes.values():
            if (rest := splitter.rest()) is not None:
                self.on_line(level, rest)

    def close(self) -> None:
        """Read no more."""
        self.close_write_ends()
        for read_end in list(self._pipes):
            self._end(read_end)

    def _readable(self, read_end: int) -> None:
        if self._read(read_end) and read_end in self._pipes:
            # Too much at once: let the child wait for its pipe, and the loop do something else.
            self._loop.remove_reader(read_end)
            self._paused.add(read_end)
            self._loop.call_later(PAUSE_S, self._resume, read_end)

    def _resume(self, read_end: int) -> None:
        if read_end in self._paused:
            self._paused.discard(read_end)
            self._loop.add_reader(read_end, partial(self._readable, read_end))

    def _read(self, read_end: int) -> bool:
        """Read what is there, within the turn's bound; whether it was too much."""
        level, splitter = self._pipes[read_end]
        data = bytearray()
        ended = False
        with contextlib.suppress(BlockingIOError):
            while len(data) < MAX_TURN_BYTES:
                part = os.read(read_end, READ_BYTES)
                data += part
                if not part:
                    ended = True
                    break
        lines, left_out = splitter.feed(bytes(data)) if data else ([], 0)
        for number, line in enumerate(lines):
            if left_out and number == 1 + MAX_TURN_LINES // 2:
                self.on_line(LineLevel.DROPPED, f"{left_out:,} lines of {level} were dropped")
            self.on_line(level, line)
        if ended:
            if (rest := splitter.rest()) is not None:
                self.on_line(level, rest)
            self._end(read_end)
        return left_out > 0 or len(data) >= MAX_TURN_BYTES

    def _end(self, read_end: int) -> None:
        self._paused.discard(read_end)
        del self._pipes[read_end]
        self._loop.remove_reader(read_end)
        os.close(read_end)
