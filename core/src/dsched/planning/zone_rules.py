"""Which edition of the zone database this process plans with, to be shown beside its decisions.

Governments change rules and hosts update at different times, so two leaders may see different
instants for one config. Nothing fires twice because of it (an id is an instant), but people must
be able to see it.
"""

import zoneinfo
from functools import lru_cache
from importlib import import_module
from pathlib import Path

_MARK = "# version "


@lru_cache(maxsize=1)
def zone_rules_version() -> str:
    """The edition, such as ``2025b``; ``unknown`` where the host's files do not tell.

    zoneinfo prefers the host's files to the tzdata distribution, and so does this.
    """
    for folder in zoneinfo.TZPATH:
        if Path(folder, "UTC").is_file():
            return _edition_of(Path(folder, "tzdata.zi"))
    try:
        return str(import_module("tzdata").IANA_VERSION)
    except ImportError:
        return "unknown"


def _edition_of(index: Path) -> str:
    try:
        with index.open(encoding="ascii", errors="replace") as lines:
            first = lines.readline(200).strip()
    except OSError:
        return "unknown"
    return first.removeprefix(_MARK) if first.startswith(_MARK) else "unknown"
