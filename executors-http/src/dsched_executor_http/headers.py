"""Which request headers a payload may set, and what they may contain."""

import re
from collections.abc import Mapping
from typing import Any

from dsched.wording import printable

MAX_HEADERS = 64
MAX_VALUE_LENGTH = 8000

_NAME = re.compile(r"\A[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}\Z")
_VALUE = re.compile(r"\A[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?\Z|\A\Z")

_OF_THE_CONNECTION = frozenset(
    (
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive"),
        *("proxy-connection", "te", "trailer", "upgrade", "expect", "accept-encoding"),
        *("proxy-authorization", "proxy-authenticate"),
    )
)
_OF_DSCHED = frozenset({"idempotency-key", "traceparent"})

# Headers that may follow a redirect to another origin: none that could be a credential.
HARMLESS = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "user-agent"})


def name_problem(name: object) -> str | None:
    """What is wrong with a header's name, or None."""
    if not isinstance(name, str) or not _NAME.match(name):
        return "is not a header name; use letters, digits and -"
    lower = name.lower()
    if lower in _OF_THE_CONNECTION:
        return "cannot be set; it belongs to the connection"
    if lower in _OF_DSCHED or lower.startswith("x-dsched-"):
        return "cannot be set; dsched sends it with facts about the task"
    return None


def value_problem(value: object) -> str | None:
    """What is wrong with a header's value, or None; the value itself is never repeated."""
    if not isinstance(value, str):
        return "must be text; quote it"
    if len(value) > MAX_VALUE_LENGTH:
        return f"is longer than {MAX_VALUE_LENGTH} characters"
    if not _VALUE.match(value):
        return "must be printable ASCII without line breaks or spaces around it"
    return None


def header_problems(headers: Any) -> list[str]:
    """All problems of a payload's ``headers``, each naming its key."""
    if not isinstance(headers, Mapping):
        return ["headers: must map names to values"]
    problems = []
    if len(headers) > MAX_HEADERS:
        problems.append(f"headers: at most {MAX_HEADERS}")
    seen: set[str] = set()
    for name, value in headers.items():
        key = f"headers.{printable(str(name))}"
        found = (name_problem(name), value_problem(value))
        problems.extend(f"{key}: {problem}" for problem in found if problem is not None)
        lower = str(name).lower()
        if lower in seen:
            problems.append(f"{key}: is given twice; names differ only in case")
        seen.add(lower)
    return problems
