"""What the lists of tasks and of configs may be asked for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from dsched.wording import printable
from dsched_api_http.problems import Problem, invalid
from dsched_api_http.requests import MAX_RECENT, Page, between

MAX_LABELS = 64


def _labels(_: object, field: Any, value: tuple[str, ...]) -> None:
    if len(value) > MAX_LABELS:
        raise ValueError(f"{field.name} may be given {MAX_LABELS} times at most")


@attrs.frozen(kw_only=True)
class _Selecting(Page):
    """``config``: an id, or the beginning of ids and a star. ``label``: KEY=VALUE, which a config
    must have; each one that is given. ``owner``: whose configs."""

    config: str | None = None
    label: tuple[str, ...] = attrs.field(
        default=(), validator=_labels, metadata={"maxItems": MAX_LABELS}
    )
    owner: str | None = None


@attrs.frozen(kw_only=True)
class ConfigList(_Selecting):
    """Which configs; ``recent``: with how many of its last ended tasks each comes."""

    recent: int = attrs.field(
        default=0, validator=between(0, MAX_RECENT), metadata={"minimum": 0, "maximum": MAX_RECENT}
    )


@attrs.frozen(kw_only=True)
class TaskList(_Selecting):
    """By ``home`` (``queue`` with ``worker``), or of configs by ``config`` (what ended) or
    ``live_of`` (what waits or runs), ``label``, ``owner`` and ``status``; none: those that run,
    then those that ended, the latest first. ``since`` and ``until``: what ended between them."""

    home: str | None = None
    worker: str | None = None
    status: str | None = None
    live_of: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def labels_of(given: tuple[str, ...]) -> Mapping[str, str]:
    """The labels that were given as KEY=VALUE; raises `Problem`."""
    found: dict[str, str] = {}
    for text in given:
        key, mark, value = text.partition("=")
        if not mark or not key:
            raise invalid("label", f"{printable(text)!r} is no label; write KEY=VALUE")
        if found.setdefault(key, value) != value:
            raise _two_values(key)
    return found


def _two_values(key: str) -> Problem:
    return invalid(
        "label", f"{printable(key)!r} is given with two values, and no config has both; keep one"
    )
