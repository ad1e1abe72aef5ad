"""The fires of a config known only by its entry: which it has in a span, and how two differ."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from dsched.config.structuring import FlawedError, structure
from dsched.model import TaskConfig, to_ms
from dsched.planning import InvalidTriggerError, config_instants
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
    "jitter",
    "overlap",
    "timeout",
]


def config_of(record: Mapping[str, Any]) -> TaskConfig:
    """The schedule of the API's Config record; what it runs is left out.

    A config that anchors at its creation does so at the record's ``created``.
    """
    entry = record.get("spec") or {}
    given = {key: entry[key] for key in _KEYS if entry.get(key) is not None}
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
    created = record.get("created")
    created_ms = to_ms(datetime.fromisoformat(created)) if isinstance(created, str) else 0
    return attrs.evolve(config, created_ms=created_ms)


@attrs.frozen(kw_only=True)
class FireDifference:
    """How many fires of a span only the old or only the new schedule has, and how many both."""

    removed: int = 0
    added: int = 0
    kept: int = 0


def compare(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, *, first_ms: int, last_ms: int
) -> FireDifference:
    """The fires in ``[first_ms, last_ms]`` before and after a change; None: there is no config."""
    before, after = (_fires(one, first_ms, last_ms) for one in (old, new))
    both = len(before & after)
    return FireDifference(removed=len(before) - both, added=len(after) - both, kept=both)


# A span of a month of a config that fires each second would be 2.6 million instants.
MAX_FIRES = 200_000


def _fires(record: Mapping[str, Any] | None, first_ms: int, last_ms: int) -> set[int]:
    if record is None or record.get("paused") or not record.get("enabled", True):
        return set()
    config = config_of(record)
    instants = config_instants(config)
    if instants.count_between(first_ms, last_ms) > MAX_FIRES:
        raise CliError(
            f"{config.id} fires more than {MAX_FIRES} times in this horizon",
            why="its fires are compared one by one",
            todo="choose a shorter --horizon",
            code=ExitCode.USAGE,
        )
    return set(instants.all_between(first_ms, last_ms))
