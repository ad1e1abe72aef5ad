"""Answers of the API into values: pure; an answer that is no such value raises."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import attrs
from cattrs import Converter
from cattrs.errors import BaseValidationError
from cattrs.gen import make_dict_structure_fn

from dsched.model import JsonValue, TaskStatus
from dsched_client.answers import MAX_SHOWN, Answer, body_of
from dsched_client.errors import ProtocolError
from dsched_client.stream import Event
from dsched_client.values import LogLine, Page

T = TypeVar("T")


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


def structured(body: Any, kind: type[T]) -> T:
    """A value from JSON; `ProtocolError` if it cannot be one."""
    try:
        return _CONVERTER.structure(body, kind)
    except (BaseValidationError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(
            f"the answer is no {kind.__name__}: {type(error).__name__}: {str(error)[:MAX_SHOWN]}; "
            "is the server of another version?"
        ) from error


def line_of(event: Event) -> LogLine | None:
    """The line of an event of a task's log; None for one without a line."""
    return None if event.kind != "line" else structured(event.data, LogLine)
