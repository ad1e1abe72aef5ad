"""Payloads and batches from the command line, files and stdin, read within bounds."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from dsched_cli.cleaning import clean
from dsched_cli.errors import UsageError

MAX_PAYLOAD_BYTES = 256 * 1024
MAX_BATCH_BYTES = 64 * 1024 * 1024
MAX_BATCH = 10_000
_PART = 100


def payload_of(text: str | None) -> Any:
    """A payload: JSON itself, ``@FILE``, or ``-`` for stdin; None: none."""
    if text is None:
        return None
    where = "--payload"
    if text == "-":
        text, where = _decoded(sys.stdin.buffer.read(MAX_PAYLOAD_BYTES + 1), "stdin"), "stdin"
    elif text.startswith("@"):
        where = text[1:]
        text = _decoded(_read(where, MAX_PAYLOAD_BYTES), where)
    if len(text) > MAX_PAYLOAD_BYTES:
        raise UsageError(f"{where} is larger than {MAX_PAYLOAD_BYTES} bytes")
    return _json(text, where)


def read_submissions(path: str) -> Iterator[list[Any]]:
    """The lines of a batch, in parts as large as the API takes."""
    text = _decoded(_read(path, MAX_BATCH_BYTES), path)
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > MAX_BATCH:
        raise UsageError(
            f"{path} has {len(lines)} tasks", todo=f"split it: at most {MAX_BATCH} a batch"
        )
    found = [_json(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    for first in range(0, len(found), _PART):
        yield found[first : first + _PART]


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{clean(where)} is not JSON",
            why=str(error),
            todo="quote it for the shell: '{\"a\": 1}'",
        ) from error


def _read(path: str, most: int) -> bytes:
    try:
        with open(path, "rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        raise UsageError(
            f"{clean(path)} cannot be read", why=error.strerror or str(error)
        ) from error
    if len(content) > most:
        raise UsageError(f"{clean(path)} is larger than {most} bytes")
    return content


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{clean(where)} is not UTF-8 text", why=str(error)) from error
