"""Instants as text: one form for everything, also at the ends of the calendar."""

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsched.model import from_ms, rfc3339, rfc3339_ms, to_ms, whole_ms

ROOT = Path(__file__).parents[3]
# Who writes it: the core, and the HTTP side, whose command starts without the core's values.
HOMES = {"core/src/dsched/model/instants.py", "clients/http/src/dsched_client/instants.py"}


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_the_text_of_an_instant_reads_as_the_same_instant(ms):
    text = rfc3339_ms(ms)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert to_ms(datetime.fromisoformat(text)) == ms
    assert rfc3339(from_ms(ms)) == text


def test_beyond_the_calendar_stands_its_end():
    assert rfc3339_ms(10**18) == "9999-12-31T23:59:59.999Z"
    assert rfc3339_ms(-(10**18)) == "0001-01-01T00:00:00.000Z"
    west, east = timezone(timedelta(hours=-14)), timezone(timedelta(hours=14))
    assert rfc3339(datetime(9999, 12, 31, 23, tzinfo=west)) == "9999-12-31T23:59:59.999Z"
    assert rfc3339(datetime(1, 1, 1, tzinfo=east)) == "0001-01-01T00:00:00.000Z"


def test_a_zone_is_left_behind():
    berlin = timezone(timedelta(hours=2))
    assert rfc3339(datetime(2026, 7, 1, 1, 2, 3, 4567, berlin)) == "2026-06-30T23:02:03.004Z"
    assert rfc3339(datetime(2026, 7, 1, tzinfo=UTC)) == "2026-07-01T00:00:00.000Z"


def test_nobody_spells_it_anew():
    spelled = re.compile(r"""replace\(["']\+00:00["']|strftime\(["']%Y-%m-%dT""")
    found = {
        str(path.relative_to(ROOT))
        for path in ROOT.glob("**/src/**/*.py")
        if ".venv" not in path.parts and spelled.search(path.read_text(encoding="utf-8"))
    }
    assert found <= HOMES


@pytest.mark.parametrize(
    ("micros", "ms"), [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2), (999_001, 1000)]
)
def test_what_is_to_start_at_an_instant_is_not_early_by_a_part_of_a_millisecond(micros, ms):
    second = from_ms(1_700_000_000_000)
    found = whole_ms(second + timedelta(microseconds=micros))
    assert to_ms(found) == 1_700_000_000_000 + ms
    assert found.microsecond % 1000 == 0


def test_the_last_instant_of_all_is_left_as_it_is():
    assert whole_ms(datetime.max.replace(tzinfo=UTC)) == datetime.max.replace(tzinfo=UTC)
