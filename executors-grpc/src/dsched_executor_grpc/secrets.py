"""Secrets by reference: read in the worker for one attempt, kept out of all that comes back."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence

from dsched.contracts import TaskFailed
from dsched.model import JsonValue
from dsched_executor_grpc.files import read_bounded

MARK = "secret://"
MASK = "[redacted]"
MAX_SECRET_BYTES = 64 * 1024

_REFERENCE = re.compile(
    r"secret://(env|file)/([A-Za-z0-9_-](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_-])?)"
)


def reference_problem(text: str) -> str:
    """What is wrong with the references in a text, or nothing."""
    if text.count(MARK) != len(_REFERENCE.findall(text)):
        return "has a secret reference that is neither secret://env/NAME nor secret://file/NAME"
    return ""


def texts_of(value: JsonValue) -> Iterable[str]:
    """Every text in a JSON value, keys left out: references in keys are not looked at."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from texts_of(item)


class Secrets:
    """The secrets of one attempt: put in where references stand, taken out of what comes back."""

    def __init__(self, *, env: Sequence[str], directory: str) -> None:
        self._env = env
        self._directory = directory
        self._spellings: set[str] = set()

    def fill(self, text: str) -> str:
        """``text`` with every reference replaced; blocks. Raises a final `TaskFailed` for one
        that may not be read or is not there. A value is not looked into again.
        """
        return _REFERENCE.sub(lambda match: self._value(match[1], match[2]), text)

    def fill_json(self, value: JsonValue) -> JsonValue:
        """A JSON value with `fill` applied to its texts, never to its keys; blocks."""
        if isinstance(value, str):
            return self.fill(value)
        if isinstance(value, Mapping):
            return {key: self.fill_json(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill_json(item) for item in value]
        return value

    def mask(self, text: str) -> str:
        """``text`` without any value that was put in, the longest taken out first."""
        for spelling in sorted(self._spellings, key=len, reverse=True):
            text = text.replace(spelling, MASK)
        return text

    def mask_json(self, value: JsonValue) -> JsonValue:
        """The same for a JSON value, keys and numbers included."""
        if not self._spellings:
            return value
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, dict):
            return {self.mask(key): self.mask_json(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.mask_json(item) for item in value]
        return value if self.mask(str(value)) == str(value) else MASK

    def _value(self, kind: str, name: str) -> str:
        reference = f"{MARK}{kind}/{name}"
        value = self._from_env(name) if kind == "env" else self._from_file(name)
        if not value:
            raise _unusable(f"{reference} is empty")
        self._spellings |= {value, json.dumps(value)[1:-1], repr(value)[1:-1]}
        return value

    def _from_env(self, name: str) -> str:
        if not any(
            name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1]))
            for pattern in self._env
        ):
            raise _unusable(
                f"{MARK}env/{name} is not allowed; add {name!r} to executors.grpc.secret_env on "
                "the workers that may use it"
            )
        value = os.environ.get(name)
        if value is None:
            raise _unusable(f"{MARK}env/{name}: this worker has no such environment variable")
        return value

    def _from_file(self, name: str) -> str:
        content = read_bounded(self._directory, name, option="secret_dir", most=MAX_SECRET_BYTES)
        try:
            return content.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise _unusable(f"{MARK}file/{name} is not UTF-8 text") from None


def _unusable(message: str) -> TaskFailed:
    return TaskFailed(message, code="invalid_payload", retryable=False)
