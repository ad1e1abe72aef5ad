"""Zones as stretches of constant offset, against the zone database's own files."""

import importlib.resources
import itertools
import struct
import zoneinfo
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import tzdata

from dsched.planning import zone_rules_version
from dsched.planning.zone import load_zone, year_start_s

ZONES = sorted(
    name
    for name in zoneinfo.available_timezones()
    if name not in ("Factory", "localtime", "posixrules")
)


def _file_of(name: str) -> bytes:
    for folder in zoneinfo.TZPATH:
        if (path := Path(folder, name)).is_file():
            return path.read_bytes()
    return importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()


def _transitions(name: str) -> list[tuple[int, int]]:
    """(instant, offset from then on) wherever the offset changes, by RFC 8536."""
    data = _file_of(name)

    def counts(block: bytes) -> tuple[int, ...]:
        return struct.unpack(">6l", block[20:44])

    isut, isstd, leap, times, types, chars = counts(data)
    data = data[44 + times * 5 + types * 6 + chars + leap * 8 + isstd + isut :]
    _, _, _, times, types, _ = counts(data)
    instants = struct.unpack(f">{times}q", data[44 : 44 + 8 * times])
    kinds = data[44 + 8 * times : 44 + 9 * times]
    at = 44 + 9 * times
    offsets = [struct.unpack(">l", data[at + 6 * n : at + 6 * n + 4])[0] for n in range(types)]
    found, before = [], offsets[0]
    for instant, kind in zip(instants, kinds, strict=True):
        if offsets[kind] != before:
            found.append((instant, offsets[kind]))
        before = offsets[kind]
    return found


def test_no_two_changes_of_a_zone_lie_so_close_that_sampling_could_miss_them():
    closest = min(
        later - earlier
        for name in ZONES
        for (earlier, _), (later, _) in zip(
            _transitions(name), _transitions(name)[1:], strict=False
        )
    )

    assert closest > 3 * 86_400


def test_the_stretches_of_every_zone_change_exactly_where_its_file_says():
    low_s, high_s = year_start_s(2010), year_start_s(2038)
    for name in ZONES:
        segments = list(load_zone(name).segments(low_s, high_s))

        found = [(segment.start_s, segment.offset_s) for segment in segments[1:]]
        listed = [change for change in _transitions(name) if low_s < change[0] < high_s]
        # After a file's last entry its rule goes on; what the file lists is the ground truth.
        until_s = listed[-1][0] if listed else low_s
        assert [c for c in found if low_s < c[0] <= until_s] == listed, name
        assert segments[0].start_s < low_s
        assert segments[-1].end_s > high_s
        for earlier, later in itertools.pairwise(segments):
            assert earlier.end_s == later.start_s
            assert earlier.after_s == later.offset_s
            assert later.before_s == earlier.offset_s


@pytest.mark.parametrize("name", ["Europe/Berlin", "Asia/Gaza", "Africa/Casablanca", "UTC"])
def test_each_stretch_has_the_offset_that_zoneinfo_tells(name):
    info = ZoneInfo(name)
    for segment in load_zone(name).segments(year_start_s(2024), year_start_s(2045)):
        for at_s in (segment.start_s, (segment.start_s + segment.end_s) // 2, segment.end_s - 1):
            told = datetime.fromtimestamp(at_s, UTC).astimezone(info).utcoffset()
            assert told.total_seconds() == segment.offset_s


def test_every_zone_of_the_database_can_be_loaded():
    assert len(ZONES) > 400
    assert [load_zone(name).name for name in ZONES] == ZONES


def test_the_edition_of_the_zone_rules_is_the_hosts_else_that_of_the_distribution(tmp_path):
    zone_rules_version.cache_clear()
    before = zoneinfo.TZPATH
    try:
        zoneinfo.reset_tzpath([str(tmp_path)])
        assert zone_rules_version() == tzdata.IANA_VERSION

        (tmp_path / "UTC").write_bytes(_file_of("UTC"))
        zone_rules_version.cache_clear()
        assert zone_rules_version() == "unknown"

        (tmp_path / "tzdata.zi").write_text("# version 2031c\nR x\n")
        zone_rules_version.cache_clear()
        assert zone_rules_version() == "2031c"
    finally:
        zoneinfo.reset_tzpath(before)
        zone_rules_version.cache_clear()
