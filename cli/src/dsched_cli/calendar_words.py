"""Which calendars end soon, or leave nothing: what `status` and `doctor` say of them; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from dsched_cli.cleaning import clean
from dsched_cli.errors import CliError

_SHOWN_IDS = 5


def calendar_words(records: Iterable[Mapping[str, Any]], *, now_ms: int) -> list[str]:
    """A sentence for each thing to say of the calendars of configs, with the configs' ids."""
    named: dict[str, list[str]] = {}
    for record in records:
        if not (record.get("spec") or {}).get("calendar"):
            continue
        for words in _warnings(record, now_ms):
            named.setdefault(words.removeprefix("calendar: "), []).append(clean(record["id"]))
    return [f"{clean(words)} ({_shown(ids)})" for words, ids in named.items()]


def _warnings(record: Mapping[str, Any], now_ms: int) -> tuple[str, ...]:
    # Most clusters have no calendars, and a command of theirs need not load the planner.
    from dsched.planning import calendar_warnings
    from dsched_cli.firing import config_of

    try:
        return calendar_warnings(config_of(record), now_ms=now_ms)
    except CliError as error:  # of a server that is newer than this command
        return (f"calendar: {error.what}: {error.why}",)


def _shown(ids: list[str]) -> str:
    more = f" and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else ""
    return ", ".join(ids[:_SHOWN_IDS]) + more
