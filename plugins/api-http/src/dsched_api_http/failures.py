"""Failures in groups: those of one config that say the same are one matter."""

import re
from collections.abc import Iterable, Sequence

import attrs

from dsched.contracts.store.configs import StoredConfig
from dsched.model import ORPHAN, Task, rfc3339_ms
from dsched_api_http.attention import line_of
from dsched_api_http.models import TIME
from dsched_api_http.standing import ProblemNow

_VARYING = re.compile(r"0x[0-9a-fA-F]+|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|\d+")


@attrs.frozen(kw_only=True)
class FailureGroup:
    """Failures of a config (null: of tasks without one) that say the same but for numbers: how
    many, from when to when, the line of the newest, and its task."""

    config_id: str | None
    line: str
    count: int
    first: str = attrs.field(metadata=TIME)
    last: str = attrs.field(metadata=TIME)
    task_id: str


@attrs.frozen(kw_only=True)
class Orphan:
    """A config whose origin declares it no longer: it is paused until somebody decides."""

    config_id: str
    origin: str
    since: str = attrs.field(metadata=TIME)
    why: str


@attrs.frozen(kw_only=True)
class ProblemsView:
    """What needs a person now, and what has failed in the last ``hours``. Not ``complete``: more
    has failed than is looked at. ``last_problem``: the hour of the last failure or miss in a
    month."""

    time: str = attrs.field(metadata=TIME)
    hours: int
    problems: tuple[ProblemNow, ...]
    groups: tuple[FailureGroup, ...]
    orphans: tuple[Orphan, ...]
    last_problem: str | None = attrs.field(metadata=TIME)
    complete: bool


def groups_of(failed: Iterable[Task]) -> tuple[FailureGroup, ...]:
    """Ended tasks that failed, the newest first, as groups, the newest first."""
    found: dict[tuple[str | None, str], list[Task]] = {}
    for task in failed:
        line = line_of(task.error or task.reason)
        found.setdefault((task.config_id, _VARYING.sub("#", line)), []).append(task)
    return tuple(_group(tasks) for tasks in found.values())


def _group(tasks: Sequence[Task]) -> FailureGroup:
    newest = tasks[0]
    ends = [task.end_ms or 0 for task in tasks]
    return FailureGroup(
        config_id=newest.config_id,
        line=line_of(newest.error or newest.reason),
        count=len(tasks),
        first=rfc3339_ms(min(ends)),
        last=rfc3339_ms(max(ends)),
        task_id=newest.id,
    )


def orphans_of(configs: Iterable[StoredConfig]) -> tuple[Orphan, ...]:
    """The configs that nobody declares any more."""
    return tuple(
        Orphan(
            config_id=one.config.id,
            origin=one.config.origin,
            since=rfc3339_ms(one.paused.since_ms),
            why=one.paused.why,
        )
        for one in configs
        if one.paused is not None and one.paused.who == ORPHAN
    )
