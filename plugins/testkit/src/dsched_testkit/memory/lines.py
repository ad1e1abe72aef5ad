"""The lines of one task, as the reference store keeps them."""

from collections import deque

import attrs

from dsched.contracts.store.tasklogs import LogCaps, TaskLine, line_size


@attrs.define
class LogRow:
    """How the log began, and the newest. ``last`` is the highest number of attempt ``attempt``."""

    head: list[TaskLine] = attrs.field(factory=list)
    head_bytes: int = 0
    closed: bool = False
    tail: deque[TaskLine] = attrs.field(factory=deque)
    tail_bytes: int = 0
    count: int = 0
    attempt: int = 0
    last: int = 0

    def add(self, line: TaskLine, caps: LogCaps) -> None:
        """Keep a line in the head as long as all lines have found room there, else in the tail."""
        most_lines, most_bytes, size = caps.lines // 2, caps.bytes // 2, line_size(line.text)
        if len(self.head) >= most_lines or self.head_bytes + size > most_bytes:
            self.closed = True
        if not self.closed:
            self.head.append(line)
            self.head_bytes += size
            return
        self.tail.append(line)
        self.tail_bytes += size
        while len(self.tail) > most_lines or self.tail_bytes > most_bytes:
            self.tail_bytes -= line_size(self.tail.popleft().text)
