"""The messages between a worker and its child processes: JSON behind a length, never pickle."""

import json
import struct
from typing import Any, TypeAlias

from dsched.model.json import MAX_PAYLOAD_BYTES, MAX_RESULT_BYTES

Message: TypeAlias = dict[str, Any]

HEADER = struct.Struct(">I")
# ASCII escapes can make a text six times as long as the UTF-8 that its bound is counted in.
MAX_FRAME_BYTES = 6 * max(MAX_PAYLOAD_BYTES, MAX_RESULT_BYTES) + 256 * 1024


class FrameError(Exception):
    """Bytes that are no message of this protocol."""


def pack(message: Message) -> bytes:
    """The bytes of a message; plain ASCII, so lone surrogates survive the way."""
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    if len(body) > MAX_FRAME_BYTES:
        raise FrameError(f"a message of {len(body)} bytes is over {MAX_FRAME_BYTES}")
    return HEADER.pack(len(body)) + body


def body_size(header: bytes) -> int:
    """The size a header announces; raises `FrameError` past the bound."""
    size: int = HEADER.unpack(header)[0]
    if size > MAX_FRAME_BYTES:
        raise FrameError(f"a message of {size} bytes was announced; at most {MAX_FRAME_BYTES}")
    return size


def unpack(body: bytes) -> Message:
    """The message in the bytes after a header; raises `FrameError` for anything else."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise FrameError(f"a message must be an object, not {type(message).__name__}")
    return message
