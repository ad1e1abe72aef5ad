"""Cleaning, tables, times and spans."""

import json
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dsched_cli.cleaning import clean, clean_json
from dsched_cli.errors import UsageError
from dsched_cli.output import yaml_text
from dsched_cli.table import bar, cut, join, layout, width_of
from dsched_cli.times import (
    ms_of,
    parse_instant,
    parse_span,
    show_span_ms,
    show_time,
)
from dsched_client.instants import rfc3339

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("dirty", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("a\x1b]52;c;aGk=\x07b", "ab"),
        ("a\x1b]0;title\x1b\\b", "ab"),
        ("one\nfake: entry", "one\\nfake: entry"),
        ("tab\there", "tab here"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("naïve 日本語 ✓", "naïve 日本語 ✓"),
        ("unfinished \x1b[", "unfinished "),
    ],
)
def test_no_escape_survives_and_text_stays(dirty: str, expected: str):
    assert clean(dirty) == expected


MARKS = "\u061c\u200e\u200f\u202a\u202e\u2066\u2069\x85\x9b\x7f"


@pytest.mark.parametrize("mark", MARKS)
def test_yaml_escapes_what_turns_a_text_around_and_stays_the_same_value(mark: str):
    value = {
        f"key{mark}": [mark, f"{mark}gnp: exe\n# no comment", {"b": f"word {mark} " * 60}],
        "plain": f"\\{mark}",
    }
    text = yaml_text(value)
    assert mark not in text
    assert yaml.safe_load(text) == value


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.text(st.sampled_from(MARKS + " a:#\n\\\"'-")),
    )
)
def test_yaml_is_the_same_value_without_raw_marks(value: dict[str, str]):
    text = yaml_text(value)
    assert not set(MARKS) & set(text)
    assert yaml.safe_load(text) == value


@given(st.text())
def test_cleaned_text_is_one_line_without_controls(text: str):
    found = clean(text)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", found)
    assert clean(found) == found


@given(st.text())
def test_cleaned_json_is_the_same_value_without_raw_controls(text: str):
    dumped = clean_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(dumped) == text
    assert not re.search("[\x00-\x1f\x7f-\x9f]", dumped)


def test_wide_characters_keep_the_columns_in_line():
    rows = [["日本", "1"], ["ab", "22"]]
    lines = [join(one) for one in layout(["N", "C"], rows, right=[False, True], max_cells=None)]
    assert [width_of(line) for line in lines] == [8, 8, 8]


@given(st.text(alphabet="ab日本\u0301", max_size=30), st.integers(1, 20))
def test_what_is_cut_fits(text: str, cells: int):
    assert width_of(cut(text, cells)) <= max(cells, 1)


def test_a_terminal_cuts_the_widest_column_first():
    (_, row) = layout(["A", "B"], [["x" * 50, "short"]], right=[False] * 2, max_cells=30)
    assert len(join(row)) == 30
    assert row[1] == "short"


def test_a_bar_is_in_proportion_and_never_nothing_for_something():
    assert bar(10, 10, 4) == "████"
    assert bar(5, 10, 4) == "██"
    assert bar(0.001, 10, 4) == "▏"
    assert bar(0, 10, 4) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T09:00:00Z", "2026-01-31T09:00:00.000Z"),
        ("2026-07-31 09:00", "2026-07-31T07:00:00.000Z"),
        ("2026-01-31", "2026-01-30T23:00:00.000Z"),
        ("-2h", "2026-11-26T10:00:00.000Z"),
        ("+30m", "2026-11-26T12:30:00.000Z"),
        ("now", "2026-11-26T12:00:00.000Z"),
    ],
)
def test_an_instant_is_read_in_the_zone_of_the_reader(text: str, expected: str):
    assert rfc3339(parse_instant(text, BERLIN, NOW)) == expected


@pytest.mark.parametrize("text", ["yesterday", "", "12:00", "-2", "2026-13-01"])
def test_an_instant_that_is_none_is_refused(text: str):
    with pytest.raises(UsageError):
        parse_instant(text, BERLIN, NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("30d", timedelta(days=30)),
    ],
)
def test_a_span_is_read(text: str, expected: timedelta):
    assert parse_span(text) == expected


@pytest.mark.parametrize("text", ["10", "", "5M", "ten", "-5s", "99999d", "1h 30m"])
def test_a_span_without_unit_or_sense_is_refused(text: str):
    with pytest.raises(UsageError):
        parse_span(text)


def test_a_time_shows_its_offset_and_what_is_no_time_is_cleaned():
    assert show_time("2026-07-01T00:00:00.000Z", BERLIN) == "2026-07-01 02:00:00+02:00"
    assert show_time("2026-07-01T00:00:00.250Z", UTC) == "2026-07-01 00:00:00.250+00:00"
    assert show_time(None, UTC) == "-"
    assert show_time("\x1b[31mnever", UTC) == "never"


@pytest.mark.parametrize(
    ("ms", "expected"),
    [(40, "40ms"), (2_500, "2.5s"), (60_000, "1m"), (5_400_000, "1h30m"), (90_061_000, "1d1h")],
)
def test_a_span_is_shown_in_its_two_largest_units(ms: int, expected: str):
    assert show_span_ms(ms) == expected


def test_milliseconds_are_exact():
    assert ms_of(datetime(2026, 1, 1, microsecond=999_999, tzinfo=UTC)) % 1000 == 999


@pytest.mark.parametrize("text", ["2026-03-29 02:30", "2026-03-29T02:00", "2026-03-29 02:59:59"])
def test_a_local_time_that_does_not_exist_is_not_moved_but_refused_with_its_neighbours(text: str):
    with pytest.raises(UsageError, match="does not exist in Europe/Berlin") as refused:
        parse_instant(text, BERLIN, NOW)
    assert "2026-03-29 01:" in (refused.value.todo or "")
    assert "2026-03-29 03:" in (refused.value.todo or "")


@pytest.mark.parametrize("text", ["2026-03-29 03:00", "2026-03-29 01:59", "2026-10-25 02:30"])
def test_a_local_time_that_exists_once_or_twice_is_taken(text: str):
    assert parse_instant(text, BERLIN, NOW).isoformat(sep=" ").startswith(text)
