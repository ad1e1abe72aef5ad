"""Secrets by reference: resolved in the worker for one attempt, redacted from all that leaves it.

A payload holds ``secret://env/NAME`` or ``secret://file/NAME``; the operator says which of them may
be read. An executor finds `references` in the payload, asks `Secrets` for their values, puts them
in with `fill`, and passes all that comes back through a `Redactor`.
"""

import asyncio
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote, quote_plus

import attrs

from dsched.contracts.executor.files import FileError, read_file
from dsched.model import JsonValue

MAX_SECRET_BYTES = 64 * 1024
REDACTED = "[redacted]"

_MARK = "secret://"
# No dot at the end of a name: it ends the sentence that the reference stands in.
_REFERENCE = re.compile(
    r"secret://(?:env/[A-Za-z_][A-Za-z0-9_]*|file/[A-Za-z0-9_-](?:[A-Za-z0-9_.-]*[A-Za-z0-9_-])?)"
)
_ENV_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\*?")


class SecretError(Exception):
    """A reference that cannot be resolved here; the message names it, never a value.

    ``passing``: another attempt may well succeed, as after trouble with the disk.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


def mentions_secret(text: str) -> bool:
    """Whether a text holds a reference, well formed or not."""
    return _MARK in text


def references(text: str) -> list[str]:
    """The well-formed secret references in a text."""
    return _REFERENCE.findall(text) if _MARK in text else []


def reference_problem(text: str) -> str | None:
    """What is wrong with the references in a text, or None."""
    if text.count(_MARK) != len(references(text)):
        return "has a secret reference that is neither secret://env/NAME nor secret://file/NAME"
    return None


def texts_of(value: JsonValue) -> Iterable[str]:
    """Every text in a JSON value, keys left out: references in keys are ignored."""
    found: list[str] = []
    _add_texts(value, found)
    return found


def _add_texts(value: JsonValue, found: list[str]) -> None:
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, dict | list | tuple | Mapping):
        for item in value.values() if isinstance(value, dict | Mapping) else value:
            _add_texts(item, found)


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with each reference replaced by its value; a value is not searched again.

    ``values`` must have every reference of the text, as `Secrets.resolve` returns them.
    """
    return _REFERENCE.sub(lambda match: values[match[0]], text) if values else text


def fill_json(value: JsonValue, values: Mapping[str, str]) -> JsonValue:
    """The same for every text (never a key) of a JSON value."""
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, Mapping):
        return {key: fill_json(item, values) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill_json(item, values) for item in value]
    return value


class Redactor:
    """Replaces secret values: as they are, and as URLs, forms, JSON and Python would write them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        spellings = {spelling for value in values for spelling in _spellings(value)} - {""}
        # The longest first: if one secret contains another, no half of it may be left.
        ordered = sorted(spellings, key=len, reverse=True)
        self.longest = len(ordered[0]) if ordered else 0
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """The text without any of the values. Cut a text after this, never before: nothing
        recognises half a secret (``longest`` is how much of a cut text may be one).
        """
        return text if self._pattern is None else self._pattern.sub(REDACTED, text)

    def json(self, value: JsonValue) -> JsonValue:
        """The JSON value without any of the values, keys and numbers included."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self.json(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(item) for item in value]
        # A number can be a secret too: compare it as it was written.
        is_number = isinstance(value, int | float)
        return REDACTED if is_number and self._pattern.search(str(value)) else value


def _spellings(value: str) -> set[str]:
    return {
        value,
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
    }


NOTHING_SECRET = Redactor()


def check_env_patterns(patterns: Sequence[str]) -> None:
    """Raise ValueError for the first that is neither ``NAME`` nor ``PREFIX_*``."""
    for pattern in patterns:
        if not isinstance(pattern, str) or not _ENV_PATTERN.fullmatch(pattern):
            raise ValueError(
                f"secret_env: {pattern!r} is not the name of an environment variable; "
                "write NAME or PREFIX_*"
            )


@attrs.frozen(kw_only=True)
class Secrets:
    """Which references may be resolved: none, unless the operator says so.

    ``section`` is the executor's part of the configuration (``executors.http``). Errors name its
    options ``secret_env``, here ``env_patterns`` (``NAME`` or ``PREFIX_*``), and ``secret_dir``,
    here ``directory``, under which ``secret://file/NAME`` is read.
    """

    section: str
    env_patterns: Sequence[str] = ()
    directory: str = ""

    async def resolve(self, wanted: Iterable[str]) -> Mapping[str, str]:
        """The values of references, read anew. Raises `SecretError` for the first without one.

        A file's line breaks at its end are not part of the secret. The caller bounds the time.
        """
        values = {}
        for reference in wanted:
            kind, _, name = reference.removeprefix(_MARK).partition("/")
            value = (
                self._from_env(reference, name)
                if kind == "env"
                else await asyncio.to_thread(self._from_file, reference, name)
            )
            if not value:
                raise SecretError(f"{reference} is empty")
            values[reference] = value
        return values

    def _from_env(self, reference: str, name: str) -> str:
        if not any(
            name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1]))
            for pattern in self.env_patterns
        ):
            raise SecretError(
                f"{reference} is not allowed; add {name!r} to {self.section}.secret_env "
                "on the workers that may use it"
            )
        value = os.environ.get(name)
        if value is None:
            raise SecretError(f"{reference}: this worker has no such environment variable")
        return value

    def _from_file(self, reference: str, name: str) -> str:
        option = f"{self.section}.secret_dir"
        try:
            content = read_file(self.directory, name, option=option, max_bytes=MAX_SECRET_BYTES)
        except FileError as error:
            raise SecretError(f"{reference}: {error}", passing=error.passing) from None
        try:
            return content.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise SecretError(f"{reference} is not UTF-8 text") from None
