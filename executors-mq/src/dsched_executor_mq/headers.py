"""Which headers a payload may set, and what they may contain: they are text on the wire of NATS."""

import re
from collections.abc import Mapping

from dsched.model import JsonValue
from dsched.wording import printable

MAX_HEADERS = 64
MAX_VALUE_LENGTH = 8000

CORRELATION_ID = "Correlation-Id"
REPLY_TO = "Reply-To"
CONTENT_TYPE = "Content-Type"
BODY = "body"

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?")
_OF_DSCHED = frozenset(
    {"idempotency-key", "traceparent", CORRELATION_ID.lower(), REPLY_TO.lower(), BODY}
)


def name_problem(name: str) -> str | None:
    """What is wrong with a header's name, or None."""
    if not _NAME.fullmatch(name):
        return "is not a header name; use letters, digits and -"
    lower = name.lower()
    if lower in _OF_DSCHED or lower.startswith("x-dsched-"):
        return "cannot be set; dsched sends it with facts about the task"
    if lower.startswith("nats-"):
        return "cannot be set; NATS would take it as an order to itself"
    return None


def value_problem(value: JsonValue) -> str | None:
    """What is wrong with a header's value, or None; the value itself is never repeated."""
    if not isinstance(value, str):
        return "must be text; quote it"
    if len(value) > MAX_VALUE_LENGTH:
        return f"is longer than {MAX_VALUE_LENGTH} characters"
    if not _VALUE.fullmatch(value):
        return "must be printable ASCII without line breaks or spaces around it"
    return None


def header_problems(headers: JsonValue) -> list[str]:
    """All problems of a payload's ``headers``, each naming its key."""
    if not isinstance(headers, Mapping):
        return ["headers: must map names to values"]
    problems = [f"headers: at most {MAX_HEADERS}"] if len(headers) > MAX_HEADERS else []
    seen: set[str] = set()
    for name, value in headers.items():
        key = f"headers.{printable(str(name))}"
        found = (name_problem(str(name)), value_problem(value))
        problems += [f"{key}: {problem}" for problem in found if problem is not None]
        lower = str(name).lower()
        if lower in seen:
            problems.append(f"{key}: is given twice; names differ only in case")
        seen.add(lower)
    return problems
