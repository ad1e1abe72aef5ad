"""The zones of simulated runs: rules of their own, so that a seed is the same run on every machine.

Each machine has another edition of the zone database, and governments change rules: a run in a real
zone would differ after an update. The rules below are those of real places, as the edition 2025b
has them for 2027.
"""

import struct
import tempfile
import zoneinfo
from pathlib import Path
from zoneinfo import ZoneInfo

# Changes of an hour, of half an hour, of two hours, at midnight, around Ramadan, of a far shore;
# written as POSIX writes TZ.
RULES = {
    "Simulated/Berlin": "CET-1CEST,M3.5.0,M10.5.0/3",
    "Simulated/New_York": "EST5EDT,M3.2.0,M11.1.0",
    "Simulated/Lord_Howe": "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    "Simulated/Troll": "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3",
    "Simulated/Havana": "CST5CDT,M3.2.0/0,M11.1.0/1",
    "Simulated/Casablanca": "<+01>-1<+00>0,J38/3,J73/2",
    "Simulated/Chatham": "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45",
}
ZONES = tuple(RULES)

# zoneinfo forgets a zone that nobody holds, and would then look for its file again.
_held: dict[str, ZoneInfo] = {}


def simulated_zone(name: str) -> ZoneInfo:
    """That zone (UTC is one, too); from then on `ZoneInfo` of its name is this very object.

    Nothing of it stays behind, neither a file nor another search path.
    """
    if name not in RULES:
        return ZoneInfo(name)
    zone = _held.get(name)
    if zone is None or not _is_known(zone):
        zone = _held[name] = _made(name)
    return zone


def _is_known(zone: ZoneInfo) -> bool:
    """False once somebody has cleared the cache of zoneinfo."""
    try:
        return ZoneInfo(zone.key) is zone
    except zoneinfo.ZoneInfoNotFoundError:
        return False


def _made(name: str) -> ZoneInfo:
    before = zoneinfo.TZPATH
    with tempfile.TemporaryDirectory(prefix="dsched-zones-") as folder:
        file = Path(folder, name)
        file.parent.mkdir()
        file.write_bytes(_compiled(RULES[name]))
        try:
            zoneinfo.reset_tzpath([folder])
            return ZoneInfo(name)
        finally:
            zoneinfo.reset_tzpath(before)


def _compiled(rule: str) -> bytes:
    """The rule as a file of the zone database (RFC 9636): no transition listed, all by the rule."""
    abbreviation = b"-00\0"
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, len(abbreviation))
    header = b"TZif2" + bytes(15) + counts
    body = struct.pack(">lBB", 0, 0, 0) + abbreviation
    return header + body + header + body + b"\n" + rule.encode("ascii") + b"\n"
