"""Server-sent events, read piece by piece: pure, and cheap to import."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from dsched_client.errors import ProtocolError
from dsched_client.requests import Request, path_of, request

MAX_EVENT_BYTES = 4 * 1024 * 1024
SILENCE_S = 60.0  # the server's heartbeats come more often: after a longer silence it is dead


def events_request(topics: Sequence[str], cursor: str | None) -> Request:
    """The request of a stream that continues after ``cursor``."""
    headers = {"Accept": "text/event-stream"}
    if cursor is not None:
        headers["Last-Event-ID"] = cursor
    query = {"topics": ",".join(topics) or None}
    return request("GET", path_of("events"), query=query, headers=headers, extra_s=SILENCE_S)


def lines_request(task_id: str, attempt: int | None, cursor: str | None) -> Request:
    """The request of a task's lines as they come, after ``cursor``."""
    headers = {"Accept": "text/event-stream"}
    if cursor is not None:
        headers["Last-Event-ID"] = cursor
    query = {"follow": True, "attempt": attempt}
    path = path_of("tasks", task_id, "logs")
    return request("GET", path, query=query, headers=headers, extra_s=SILENCE_S)


@attrs.frozen(kw_only=True)
class Event:
    """An event of the stream. After ``kind`` ``reset`` some were lost: read anew what you
    follow."""

    cursor: str
    kind: str
    data: Any = None


@attrs.define
class EventReader:
    """Feeds on bytes, gives whole events; comments and unknown fields are passed over."""

    _rest: bytes = b""
    _kind: str = ""
    _cursor: str = ""
    _data: list[str] = attrs.field(factory=list)
    _size: int = 0

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that this piece completes; `ProtocolError` for one that is none."""
        text = self._rest + piece
        *lines, self._rest = text.replace(b"\r\n", b"\n").split(b"\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            raise ProtocolError(f"an event of the stream has more than {MAX_EVENT_BYTES} bytes")
        for line in lines:
            found = self._line(line.removesuffix(b"\r").decode("utf-8", "replace"))
            if found is not None:
                yield found

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._finish()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._size += len(value)
            if self._size > MAX_EVENT_BYTES:
                raise ProtocolError(f"an event of the stream has more than {MAX_EVENT_BYTES} bytes")
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id":
            self._cursor = value
        return None

    def _finish(self) -> Event | None:
        kind, data = self._kind, "\n".join(self._data)
        self._kind, self._data, self._size = "", [], 0
        if not kind and not data:
            return None
        try:
            value = json.loads(data) if data else None
        except ValueError as error:
            raise ProtocolError(f"an event of the stream is no JSON: {data[:200]!r}") from error
        return Event(cursor=self._cursor, kind=kind or "message", data=value)
