"""Answers of the API into values: pure, and loud about what cannot be one."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

import attrs
from cattrs import Converter
from cattrs.errors import BaseValidationError
from cattrs.gen import make_dict_structure_fn

from dsched.model import JsonValue, TaskStatus
from dsched_client.errors import ApiError, FieldFlaw, Problem, ProtocolError, refusal
from dsched_client.values import Page

T = TypeVar("T")

MAX_SHOWN = 200


@attrs.frozen(kw_only=True)
class Answer:
    """What came back. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def _make_converter() -> Converter:
    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    converter.register_structure_hook(TaskStatus, lambda text, _: TaskStatus(text))
    converter.register_structure_hook_factory(
        attrs.has, lambda cls: make_dict_structure_fn(cls, converter)
    )
    return converter


_CONVERTER = _make_converter()


def one(kind: type[T]) -> Callable[[Answer], T]:
    """How to read an answer that is one ``kind``."""
    return lambda answer: structured(body_of(answer), kind)


def page_of(kind: type[T]) -> Callable[[Answer], Page[T]]:
    """How to read a page of ``kind``."""

    def read(answer: Answer) -> Page[T]:
        body = body_of(answer)
        if not isinstance(body, dict) or not isinstance(body.get("items"), list):
            raise ProtocolError(f"the answer is no page of {kind.__name__}: it has no items")
        items = tuple(structured(item, kind) for item in body["items"])
        return Page(items=items, cursor=body.get("cursor"))

    return read


def nothing(answer: Answer) -> None:
    """An answer whose content does not matter."""
    body_of(answer)


def raw(answer: Answer) -> JsonValue:
    """The JSON of an answer; None if it is empty."""
    return body_of(answer)


def body_of(answer: Answer) -> Any:
    """The JSON of an answer that is no refusal; `ApiError` or `ProtocolError` otherwise."""
    if answer.status >= 400:
        raise refused(answer)
    if not 200 <= answer.status < 300:
        raise ProtocolError(
            f"the server answered {answer.status}, which these clients do not follow"
            + (
                f" (to {answer.headers['location'][:MAX_SHOWN]})"
                if "location" in answer.headers
                else ""
            )
            + "; is the address that of the API?"
        )
    if not answer.body:
        return None
    try:
        return json.loads(answer.body)
    except ValueError as error:
        raise ProtocolError(
            f"the answer is no JSON but {answer.body[:MAX_SHOWN]!r}; is the address that of the "
            "API?"
        ) from error


def refused(answer: Answer) -> ApiError:
    """The exception of a refusal, also of one that some proxy made up."""
    found: Any = None
    with suppress(ValueError):  # a proxy's page: the status alone must do
        found = json.loads(answer.body)
    if not isinstance(found, dict):
        found = {}
    flaws = found.get("errors")
    return refusal(
        Problem(
            status=answer.status,
            code=str(found.get("code") or f"http_{answer.status}"),
            title=str(found.get("title") or "refused without a reason"),
            detail=str(found.get("detail") or ""),
            errors=tuple(
                FieldFlaw(str(flaw.get("field", "")), str(flaw.get("reason", "")))
                for flaw in (flaws if isinstance(flaws, list) else ())
                if isinstance(flaw, dict)
            ),
            hint=str(found.get("hint") or ""),
            retry_after_s=retry_after_s(answer),
        )
    )


def retry_after_s(answer: Answer) -> float | None:
    """The seconds of a ``Retry-After``; dates are not read."""
    text = answer.headers.get("retry-after", "").strip()
    return float(text) if text.isdecimal() and len(text) < 10 else None


def structured(body: Any, kind: type[T]) -> T:
    """A value from JSON; `ProtocolError` if it cannot be one."""
    try:
        return _CONVERTER.structure(body, kind)
    except (BaseValidationError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(
            f"the answer is no {kind.__name__}: {type(error).__name__}: {str(error)[:MAX_SHOWN]}; "
            "is the server of another version?"
        ) from error
