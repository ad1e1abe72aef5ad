"""How arguments and answers of the scripts are written: rows of tab-separated short fields.

Texts of users travel as JSON strings, so no tab or newline occurs inside a field.
"""

import json
import re
from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

from dsched.contracts.store.outcomes import Outcome

# Ids go into rows and into the log as they are: nothing else may be in them.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@~-]{0,299}")
_OUTCOMES = {outcome.value.encode(): outcome for outcome in Outcome}

NO_TEXT = '""'
NOBODY = "?"


def is_id(value: str) -> bool:
    """Whether this can be the id of anything stored."""
    return _ID.fullmatch(value) is not None


def known(value: str) -> str:
    """The id, or one that nothing has in place of what cannot be an id."""
    return value if _ID.fullmatch(value) else NOBODY


def safe_id(value: str, what: str) -> str:
    """The id, or ValueError: what is stored under it must be addressable and quotable."""
    if not _ID.fullmatch(value):
        raise ValueError(f"{what} {value[:60]!r} is not an id")
    return value


def ids(values: Sequence[str]) -> bytes:
    """Ids of a batch, in order; what cannot be an id becomes one that nothing has."""
    return " ".join(map(known, values)).encode()


def text(value: str) -> str:
    """A text as a JSON string."""
    return encode_basestring_ascii(value) if value else NO_TEXT


def untext(value: str) -> str:
    """A text as kept: a JSON string where something is escaped, else as it is."""
    if value.startswith('"'):
        return str(json.loads(value))
    return value


def number(value: int | None) -> str:
    """A number, or nothing."""
    return "" if value is None else str(value)


def optional(value: bytes) -> int | None:
    """A number from an answer, or None."""
    return int(float(value)) if value else None


def lines(values: Iterable[str]) -> bytes:
    """Rows, each ended by a newline. Lone surrogates of JSON texts pass."""
    return "\n".join([*values, ""]).encode("utf-8", "surrogatepass")


def decode(value: bytes) -> str:
    """Text of an answer."""
    return value.decode("utf-8", "surrogatepass")


def outcomes(value: bytes) -> tuple[Outcome, ...]:
    """One outcome an item."""
    return tuple(_OUTCOMES[word] for word in value.split())


def outcome(value: bytes) -> Outcome:
    """One outcome."""
    return _OUTCOMES[value]


def pairs(flat: Sequence[bytes]) -> dict[str, str]:
    """A hash as read."""
    it = iter(flat)
    return {decode(name): decode(next(it)) for name in it}


def load_json(value: str) -> Any:
    """A JSON value, None where there is none."""
    return json.loads(value) if value else None
