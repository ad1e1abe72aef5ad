"""Go-style durations, both ways."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsched.config import InvalidDurationError, format_duration, parse_duration

GOOD = {
    "10s": timedelta(seconds=10),
    "5m": timedelta(minutes=5),
    "1h30m": timedelta(hours=1, minutes=30),
    "500ms": timedelta(milliseconds=500),
    "7d": timedelta(days=7),
    "1d12h": timedelta(days=1, hours=12),
    "1.5h": timedelta(minutes=90),
    "0.001s": timedelta(milliseconds=1),
    "2000us": timedelta(milliseconds=2),
    "0s": timedelta(0),
    "+3s": timedelta(seconds=3),
    " 3s ": timedelta(seconds=3),
}


@pytest.mark.parametrize("text", GOOD)
def test_a_duration_is_read(text: str) -> None:
    assert parse_duration(text) == GOOD[text]


BAD = {
    5: "5 has no unit; add a unit, such as 5s or 5ms",
    0: "0 has no unit; add a unit",
    1.5: "1.5 has no unit; add a unit",
    "5": "5 has no unit; add a unit",
    "-5": "-5 has no unit; add a unit",
    "": "'' is not a duration; write it like 500ms, 10s",
    "5M": "'5M' is not a duration",
    "5 s": "'5 s' is not a duration",
    "1y": "'1y' is not a duration",
    "1mm": "'1mm' is not a duration",
    "s": "'s' is not a duration",
    "1h-3m": "'1h-3m' is not a duration",
    "٣s": "'٣s' is not a duration",
    "1e3s": "'1e3s' is not a duration",
    "-3s": "-3s is negative; only 0s and more is possible here",
    "1us": "1us is finer than a millisecond",
    "1.0005s": "1.0005s is finer than a millisecond",
    "9" * 60 + "d": "is longer than can be counted",
    "9" * 70 + "d": "is too long for a duration",
    True: "must be a duration; write it like",
    None: "must be a duration; write it like",
}


@pytest.mark.parametrize("value", BAD)
def test_what_is_no_duration_is_refused_with_what_to_write(value: object) -> None:
    with pytest.raises(InvalidDurationError) as caught:
        parse_duration(value)
    assert BAD[value] in str(caught.value)


def test_a_negative_duration_is_read_where_it_is_meant() -> None:
    assert parse_duration("-1h30m", negative=True) == timedelta(minutes=-90)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(days=7), "7d"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(milliseconds=500), "500ms"),
        (timedelta(seconds=1.5), "1s500ms"),
        (timedelta(0), "0s"),
        (timedelta(days=400, hours=1), "400d1h"),
        (timedelta(seconds=-90), "-1m30s"),
    ],
)
def test_a_duration_is_written_as_people_write_it(span: timedelta, text: str) -> None:
    assert format_duration(span) == text


@given(st.integers(min_value=-(10**12), max_value=10**12))
def test_every_whole_number_of_milliseconds_survives_writing_and_reading(ms: int) -> None:
    span = timedelta(milliseconds=ms)
    assert parse_duration(format_duration(span), negative=True) == span


@given(st.text(max_size=80))
def test_any_text_is_either_read_or_refused(text: str) -> None:
    with suppress(InvalidDurationError):
        assert parse_duration(text) >= timedelta(0)
