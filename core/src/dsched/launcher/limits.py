"""What is wrong with the limits that files declare and tasks name, seen before a pod starts."""

from collections.abc import Collection, Sequence

import attrs

from dsched.client import Client
from dsched.config import Problem
from dsched.config.limits import named_by, unknown_names
from dsched.config.yaml_reader import Document
from dsched.declaring import Source
from dsched.model import limit_of


@attrs.frozen(kw_only=True)
class FileSource(Source):
    """What a task file declares; ``document`` tells at which line."""

    document: Document = attrs.field(repr=False, eq=False)


def limits_of_two(sources: Sequence[Source]) -> list[Problem]:
    """A problem for each limit that two files define."""
    first: dict[str, str] = {}
    problems = []
    for source in sources:
        for limit in source.limits:
            other = first.setdefault(limit.id, source.origin)
            if other != source.origin and isinstance(source, FileSource):
                reason = f"is a limit of {other} too; keep one of them"
                problems.append(source.document.problem(("limits", limit.id), reason))
    return problems


def unknown_limits_of(sources: Sequence[Source], stored: Collection[str]) -> list[Problem]:
    """A problem for each limit that a task names and that is neither declared nor stored."""
    known = {*stored, *(limit.id for source in sources for limit in source.limits)}
    problems: list[Problem] = []
    for source in sources:
        if isinstance(source, FileSource):
            problems += unknown_names(source.document, named_by(source.configs), known)
            continue
        problems += [
            Problem(source.origin, f"{task.id}.limits", f"there is no limit {name!r}")
            for task in source.configs
            for name in map(limit_of, task.limits)
            if name not in known
        ]
    return problems


async def stored_among(client: Client, sources: Sequence[Source]) -> set[str]:
    """Those of the limits that tasks name which are stored."""
    named = {
        limit_of(name) for source in sources for task in source.configs for name in task.limits
    }
    return {one.id for one in await client.get_limits(sorted(named)) if one is not None}
