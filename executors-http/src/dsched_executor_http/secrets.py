"""Secrets by reference: resolved in the worker for one attempt, redacted from all it leaves."""

import asyncio
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import attrs

from dsched.model import JsonValue

MAX_SECRET_BYTES = 64 * 1024
REDACTED = "[redacted]"

_MARK = "secret://"
_REFERENCE = re.compile(
    r"secret://(?:env/[A-Za-z_][A-Za-z0-9_]*|file/[A-Za-z0-9_-](?:[A-Za-z0-9_.-]*[A-Za-z0-9_-])?)"
)
FILE_NAME = re.compile(r"\A[A-Za-z0-9_-](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_-])?\Z")


class SecretError(Exception):
    """A reference that cannot be resolved here; the message names it, never a value."""


def references(text: str) -> list[str]:
    """The secret references in a text."""
    return _REFERENCE.findall(text) if _MARK in text else []


def reference_problem(text: str) -> str | None:
    """What is wrong with the references in a text, or None."""
    if text.count(_MARK) != len(references(text)):
        return "has a secret reference that is neither secret://env/NAME nor secret://file/NAME"
    return None


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with each reference replaced by its value; a value is not looked into again."""
    return _REFERENCE.sub(lambda match: values[match[0]], text) if values else text


def fill_json(value: JsonValue, values: Mapping[str, str]) -> JsonValue:
    """The same for every text value (never a key) of a JSON value."""
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, Mapping):
        return {key: fill_json(item, values) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill_json(item, values) for item in value]
    return value


def texts_of(value: JsonValue) -> Iterable[str]:
    """Every text value of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_of(item)


class Redactor:
    """Replaces known secret values, as they are and as URLs and JSON would write them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        spellings: set[str] = set()
        for value in values:
            spellings |= {value, quote(value, safe=""), quote_plus(value)}
            spellings |= {json.dumps(value, ensure_ascii=ascii_)[1:-1] for ascii_ in (True, False)}
        # The longest first, so that no secret is left half when it contains another.
        ordered = sorted(spellings, key=len, reverse=True)
        self.longest = len(ordered[0]) if ordered else 0
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """The text without any of the values."""
        return text if self._pattern is None else self._pattern.sub(REDACTED, text)

    def json(self, value: JsonValue) -> JsonValue:
        """The JSON value without any of the values, keys included."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self.json(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.json(item) for item in value]
        # A number can be a secret too: compare it as it was written.
        if isinstance(value, int | float) and self.text(str(value)) != str(value):
            return REDACTED
        return value


NOTHING_SECRET = Redactor()


@attrs.frozen
class Secrets:
    """Where references lead: the allowed environment variables and one directory of files."""

    env_patterns: tuple[str, ...] = ()
    directory: str = ""

    async def resolve(self, wanted: Iterable[str]) -> Mapping[str, str]:
        """The values of references. Raises `SecretError` for the first that has none."""
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
                f"{reference} is not allowed; add {name!r} to executors.http.secret_env "
                "on the workers that may use it"
            )
        value = os.environ.get(name)
        if value is None:
            raise SecretError(f"{reference}: this worker has no such environment variable")
        return value

    def _from_file(self, reference: str, name: str) -> str:
        if not self.directory:
            raise SecretError(
                f"{reference}: set executors.http.secret_dir to the directory of secret files"
            )
        try:
            with (Path(self.directory) / name).open("rb") as file:
                content = file.read(MAX_SECRET_BYTES + 1)
        except OSError as error:
            raise SecretError(
                f"{reference} cannot be read under executors.http.secret_dir: {error.strerror}"
            ) from None
        if len(content) > MAX_SECRET_BYTES:
            raise SecretError(f"{reference} is larger than {MAX_SECRET_BYTES} bytes")
        try:
            return content.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise SecretError(f"{reference} is not UTF-8 text") from None
