"""`limits:` of a task file, and which limits its tasks name that nobody has put."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs

from dsched.config.problems import Place, Problem, tidy
from dsched.config.structuring import Flaw, FlawedError, structure
from dsched.config.yaml_reader import Document
from dsched.model import InvalidConfigError, JsonValue, Limit, TaskConfig, limit_of
from dsched.model.limits import limit_name
from dsched.wording import did_you_mean

MAX_DEFINITIONS = 1_000  # of one file
KEYS = tuple(field.name for field in attrs.fields(Limit) if field.name != "id")
_EXAMPLE = "limits: {crm-api: {max_running: 5}}"


def read_limits(document: Document) -> tuple[tuple[Limit, ...], list[Problem]]:
    """The key ``limits`` of a task file, in its order, and what is wrong with it."""
    data = document.data
    raw = data.get("limits") if isinstance(data, dict) else None
    place: Place = ("limits",)
    if raw is None:
        return (), []
    if not isinstance(raw, Mapping) or len(raw) > MAX_DEFINITIONS:
        reason = f"must be a mapping of at most {MAX_DEFINITIONS} names to limits: {_EXAMPLE}"
        return (), [document.problem(place, reason)]
    found: dict[str, Limit] = {}
    problems = []
    for name, content in raw.items():
        here = (*place, str(name))
        try:
            limit = limit_from(name, content)
        except FlawedError as error:
            problems += [document.problem((*here, *one.place), one.reason) for one in error.flaws]
            continue
        if found.setdefault(limit.id, limit) is not limit:
            problems.append(document.problem(here, f"is limit {limit.id} once more; keep one"))
    return tuple(found.values()), problems


def limit_from(name: object, content: object) -> Limit:
    """A limit of its id and what a file says of it; raises `FlawedError`."""
    try:
        limit_id = limit_name(name)
    except InvalidConfigError as error:
        raise FlawedError([Flaw((), tidy(error.reason))]) from error
    if not isinstance(content, Mapping):
        raise FlawedError([Flaw((), f"must be a mapping with {', '.join(KEYS)}: {_EXAMPLE}")])
    if "id" in content:
        raise FlawedError([Flaw(("id",), "is the key above it; remove it")])
    return structure(Limit, {"id": limit_id, **content})


def limit_content(limit: Limit) -> dict[str, JsonValue]:
    """What a file says of a limit: each key that is given, but for its id."""
    given: dict[str, Any] = {name: getattr(limit, name) for name in KEYS}
    return {name: value for name, value in given.items() if value is not None}


def unknown_names(
    document: Document, named: Sequence[tuple[Place, object]], known: Collection[str]
) -> list[Problem]:
    """A problem for each limit that is named and not ``known``, at its line. ``named``: where the
    names of a task stand, and what stands there."""
    return [
        document.problem(
            place,
            f"there is no limit {limit!r}; {did_you_mean(limit, known)}; or define it under "
            "`limits:` of a task file, or put it with `dsched limit set`",
        )
        for places, given in named
        for place, limit in _named(places, given)
        if limit not in known
    ]


def named_by(configs: Sequence[TaskConfig]) -> list[tuple[Place, object]]:
    """The limits that the tasks of a file name, in its order."""
    return [(("tasks", at, "limits"), one.limits) for at, one in enumerate(configs)]


def _named(place: Place, given: object) -> Iterator[tuple[Place, str]]:
    if not isinstance(given, list | tuple):
        return  # is refused elsewhere
    for at, name in enumerate(given):
        if isinstance(name, str):
            yield (*place, at), limit_of(name)
