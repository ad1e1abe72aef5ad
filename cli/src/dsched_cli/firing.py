"""The fires of a config known only by its entry: those in a span, and how two entries differ."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from dsched.config.structuring import FlawedError, structure
from dsched.model import TaskConfig, to_ms
from dsched.planning import Instants, InvalidTriggerError, config_instants
from dsched_cli.errors import CliError, ExitCode

_KEYS = [
    "cron_expr",
    "every",
    "fixed_delay",
    "at",
    "timezone",
    "dst_gap",
    "dst_overlap",
    "start_at",
    "end_at",
    "calendar",
    "jitter",
    "overlap",
    "misfire_cap",
    "timeout",
]


def config_of(record: Mapping[str, Any]) -> TaskConfig:
    """The schedule of the API's Config record; what it runs is left out.

    A config that anchors at its creation does so at the record's ``created``.
    """
    entry = record.get("spec") or {}
    given = {key: entry[key] for key in _KEYS if entry.get(key) is not None}
    created = record.get("created")
    created_ms = to_ms(datetime.fromisoformat(created)) if isinstance(created, str) else 0
    try:
        config = structure(TaskConfig, {**given, "id": record["id"], "executor": "any"})
        config_instants(config)
    except (FlawedError, InvalidTriggerError) as error:
        raise CliError(
            f"the schedule of {record['id']} cannot be read here",
            why=str(error),
            todo="bring this command to the version of the server",
            code=ExitCode.FAILED,
        ) from error
    return config.stamped(created_ms=created_ms)


@attrs.frozen(kw_only=True)
class FireDifference:
    """How many fires of a span only the old or only the new schedule has, and how many both."""

    removed: int = 0
    added: int = 0
    kept: int = 0


# If two schedules differ, each fire of the rarer one is looked up in the other.
MAX_FIRES = 600_000


def compare(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, *, first_ms: int, last_ms: int
) -> FireDifference:
    """The fires in ``[first_ms, last_ms]`` before and after a change; None: there is no config."""
    span = (first_ms, last_ms)
    before, removed = _instants(old, span)
    after, added = _instants(new, span)
    if before is None or after is None:
        return FireDifference(removed=removed, added=added)
    if before == after:
        return FireDifference(kept=removed)
    rarer, other = (before, after) if removed <= added else (after, before)
    if min(removed, added) > MAX_FIRES:
        raise CliError(
            f"{(new or {}).get('id')} fires more than {MAX_FIRES} times in this horizon",
            why="its schedule changes, and the fires are compared one by one",
            todo="choose a shorter --horizon, such as 1d",
            code=ExitCode.USAGE,
        )
    both = sum(other.count_between(at, at) for at in rarer.all_between(first_ms, last_ms))
    return FireDifference(removed=removed - both, added=added - both, kept=both)


# Many configs have few schedules: what one fires in a span is counted once.
_MOST_KNOWN = 10_000
_known: dict[tuple[str, tuple[int, int]], tuple[Instants, int]] = {}


def _instants(
    record: Mapping[str, Any] | None, span: tuple[int, int]
) -> tuple[Instants | None, int]:
    """What it fires, and how often in the span; None: it fires nothing."""
    if record is None or record.get("paused") or not record.get("enabled", True):
        return None, 0
    key = (_schedule(record), span)
    found = _known.get(key)
    if found is None:
        instants = config_instants(config_of(record))
        found = (instants, instants.count_between(*span))
        if len(_known) < _MOST_KNOWN:
            _known[key] = found
    return found


def _schedule(record: Mapping[str, Any]) -> str:
    """All that the instants of a config depend on, as text."""
    entry = record.get("spec") or {}
    cron = entry.get("cron_expr")
    # The id counts only where an H may stand for a value of each config's own, and the creation
    # where there is no expression.
    own = record["id"] if isinstance(cron, str) and "H" in cron.upper() else None
    created = None if isinstance(cron, str) else record.get("created")
    return repr((own, created, [entry.get(key) for key in _KEYS]))
