"""What a cron expression may say, and how fast a bad one is refused (F22, F29, F30)."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsched.model import CronTrigger
from dsched.planning import InvalidTriggerError, compile_trigger
from dsched.planning.cron.fields import CronExpression

# 5 ms is about 40,000 calls of this kind on the slowest machine that we know.
CALLS_IN_5_MS = 20_000

REFUSED = {
    "": "found 0",
    "   ": "found 0",
    "* * * *": "found 4",
    "* * * * * * *": "no field for years",
    "8-8 * * * *": "to itself",
    "* * * * 0-0": "to itself",
    "* * * JAN-JAN *": "to itself",
    "5-1 * * * *": "upwards",
    "* 22-3 * * *": "upwards",
    "* * * * FRI-MON": "ends with SUN: write two, such as FRI-SUN,MON for FRI to MON",
    "* * * * 6-1": "ends with SUN: write two, such as FRI-SUN,MON for FRI to MON",
    "* * * * SUN-SUN": "to itself",
    "* * * * FRI-0": "upwards",
    "0 0 L-3W * *": "15W and LW have a W; L-3 is the third day before the last",
    "0 0 LW-3 * *": "15W and LW have a W; L-3 is the third day before the last",
    "* * * NOV-FEB *": "upwards",
    "0 0 30 2 *": "no date ever matches",
    "0 0 31 2,4,6,9,11 *": "no date ever matches",
    "0 0 31W 4 *": "no date ever matches",
    "0 0 L-30 2 *": "no date ever matches",
    "0 0 29 2 */6": "28 years apart",
    "0 0 * 2 1#6": "1 to 5",
    "60 * * * * *": "values are 0 to 59",
    "60 * * * *": "values are 0 to 59",
    "* 24 * * *": "values are 0 to 23",
    "* * 0 * *": "values are 1 to 31",
    "* * 32 * *": "values are 1 to 31",
    "* * * 0 *": "values are 1 to 12",
    "* * * 13 *": "values are 1 to 12",
    "* * * * 8": "values are 0 to 7",
    "FOO * * * *": "values are 0 to 59",
    "* * * FOO *": "or JAN and so on",
    "* * * MON *": "or JAN and so on",
    "* * * * JAN": "or SUN and so on",
    "*/0 * * * *": "the step is 1 to 60",
    "*/90 * * * *": "the step is 1 to 60",
    "* */25 * * *": "the step is 1 to 24",
    "-1 * * * *": "expected",
    "1- * * * *": "expected",
    "1-2-3 * * * *": "expected",
    "1/2/3 * * * *": "expected",
    "*-5 * * * *": "each side",
    "1,,2 * * * *": "empty place",
    ",1 * * * *": "empty place",
    "1.5 * * * *": "expected",
    "+1 * * * *": "expected",
    "007 * * * *": "expected",
    "0 0 ? * MON": "write * for ?",
    "0 0 * * L": "such as 5L",
    "0 0 * * 1-5#2": "one weekday",
    "0 0 * * MON#0": "1 to 5",
    "0 0 * * 9#1": "values are 0 to 7",
    "0 0 * * 8L": "values are 0 to 7",
    "0 0 0W * *": "values are 1 to 31",
    "0 0 L-31 * *": "1 to 30 days back",
    "0 0 WL * *": "expected",
    "L * * * *": "expected",
    "0 L * * *": "expected",
    "H(5-2) * * * *": "run upwards within 0 to 59",
    "H(0-60) * * * *": "run upwards within 0 to 59",
    "H/61 * * * *": "the step is 1 to 60",
    "HH * * * *": "expected H",
    "* * * * THU-H": "expected",
    "@reboot": "@hourly",
    "@every 5m": "found 2",
    "0 0 * * *\n": "printable",
    "0\t0 * * *": "printable",
    "\x00": "printable",
    "0 0 * * *\u00a0": "printable",
    "\u0661 * * * *": "printable",
    ",,,,,,,,,,," * 1000: "at most 256",
    "0 " * 127: "found 127",
    "* * * * " + "1," * 120 + "9": "values are 0 to 7",
}


def _cron(expression: str, **more: str) -> CronTrigger:
    return CronTrigger(expression=expression, **more)


@pytest.mark.parametrize("expression", REFUSED, ids=lambda text: repr(text[:20]))
def test_a_bad_expression_is_refused_at_once_with_field_and_reason(expression, work):
    compile_trigger(_cron("1 1 1 1 1"))  # the import of croniter is nobody's fault
    with pytest.raises(InvalidTriggerError) as caught, work.measure():
        compile_trigger(_cron(expression))

    assert caught.value.field == "cron_expr"
    assert REFUSED[expression] in caught.value.reason
    assert len(str(caught.value)) < 250
    assert work.calls < CALLS_IN_5_MS


@pytest.mark.parametrize(
    "name",
    ["", "Nope/Zone", "Mars", "America", "../etc/passwd", "/etc/localtime", "right/UTC", "a\x00b",
     "localtime", "posixrules", "Europe/Berlin ", "Europe//Berlin", "leapseconds", "zone.tab",
     "x" * 10_000, "Europe/" * 500, "\u00c9urope/Paris", "UTC\n"],
)  # fmt: skip
def test_an_unknown_zone_is_refused_by_name(name, work):
    compile_trigger(_cron("1 1 1 1 1"))
    with pytest.raises(InvalidTriggerError) as caught, work.measure():
        compile_trigger(_cron("0 0 * * *", timezone=name))

    assert caught.value.field == "timezone"
    assert "Europe/Berlin" in caught.value.reason
    assert work.calls < CALLS_IN_5_MS


@pytest.mark.parametrize("value", [None, 5, ["0 0 * * *"], b"0 0 * * *"])
def test_what_is_not_text_is_refused_like_any_other_bad_value(value):
    with pytest.raises(InvalidTriggerError, match="cron_expr: must be text"):
        compile_trigger(_cron(value))
    with pytest.raises(InvalidTriggerError, match="timezone: must be text"):
        compile_trigger(_cron("0 0 * * *", timezone=value))


_TERM = st.text(alphabet="0123456789*/-,LWH#@()?JANFEBSUNMO. ", max_size=12)
_GARBAGE = st.one_of(
    st.text(max_size=300),
    st.lists(_TERM, min_size=4, max_size=7).map(" ".join),
    st.lists(st.sampled_from([*"*LH?", "1", "59", "*/7", "1-5", "MON", "LW", "31W", "5L", "1#5",
                              "JAN", "H/9", "H(1-7)", "2-1", "L-2", "FRI#5", "29", "2"]),
             min_size=5, max_size=6).map(" ".join),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(text=_GARBAGE, seed=st.text(max_size=20))
def test_garbage_is_refused_or_has_a_next_instant_within_bounded_work(work, text, seed):
    trigger = _cron(text, seed=seed)

    def act() -> None:
        try:
            instants = compile_trigger(trigger)
        except InvalidTriggerError:
            return
        now_ms = 1_750_000_000_000
        following = instants.next_after(now_ms)
        assert following is not None, text
        assert following > now_ms

    assert work.of(act) < CALLS_IN_5_MS


def test_case_and_surrounding_spaces_do_not_matter():
    assert compile_trigger(_cron("  0 9 * jan  mon ")) == compile_trigger(_cron("0 9 * JAN MON"))


def test_a_shared_expression_is_parsed_once_whatever_the_config(work):
    compile_trigger(_cron("11 11 11 11 *", seed="one"))

    assert work.of(lambda: compile_trigger(_cron("11 11 11 11 *", seed="two"))) < 50


@pytest.mark.parametrize(
    ("alias", "meaning"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * SUN"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 JAN *"),
    ],
)
def test_an_alias_means_its_classic_expression_whatever_the_seed(alias, meaning):
    assert compile_trigger(_cron(alias, seed="spread")) == compile_trigger(_cron(meaning))


def _values(expression: str, seed: str, field: int) -> tuple[int, ...]:
    pattern = CronExpression.parse(expression, seed).pattern()
    return (pattern.seconds, pattern.minutes, pattern.hours)[field]


def test_h_spreads_configs_over_the_whole_hour_and_never_moves_one():
    minutes = [_values("H * * * *", f"config-{n}", 1)[0] for n in range(600)]

    assert set(minutes) == set(range(60))
    assert max(minutes.count(minute) for minute in range(60)) <= 30
    assert minutes == [_values("H * * * *", f"config-{n}", 1)[0] for n in range(600)]


def test_h_lands_where_it_always_landed():
    # Pinned: if this changes, every H schedule in the world moves on upgrade.
    pattern = CronExpression.parse("H H H H H H", "report").pattern()
    assert (pattern.seconds, pattern.minutes, pattern.hours) == ((0,), (33,), (9,))


@given(seed=st.text(max_size=30))
def test_h_within_a_range_or_step_stays_there(seed):
    assert 10 <= _values("H(10-29) * * * *", seed, 1)[0] <= 29
    quarter = _values("H/15 * * * *", seed, 1)
    assert len(quarter) == 4
    assert {b - a for a, b in itertools.pairwise(quarter)} == {15}
    part = _values("H(3-33)/10 * * * *", seed, 1)
    assert 3 <= part[0] <= 12
    assert max(part) <= 33
    assert _values("H,H(40-50) * * * *", seed, 1)[-1] >= 40


def test_h_for_a_day_of_month_falls_on_a_day_that_every_month_has():
    days = set()
    for number in range(300):
        pattern = CronExpression.parse("0 0 H * *", f"config-{number}").pattern()
        days.add(pattern.days_of(2026, 2).bit_length() - 1)

    assert days == set(range(1, 29))


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("0 9 * * FRI-SUN", "0 9 * * 5-7"),
        ("0 9 * * MON-SUN", "0 9 * * *"),
        ("0 9 * * 5-SUN", "0 9 * * 0,5,6"),
        ("0 9 * * MON-SUN/3", "0 9 * * 1,4,7"),
        ("0 9 * * SUN-TUE", "0 9 * * 0-2"),
        ("0 9 * * 7/2", "0 9 * * 0/2"),
    ],
)
def test_a_range_may_end_with_sunday_which_then_ends_the_week(written, same):
    ours, theirs = (CronExpression.parse(one, "").pattern() for one in (written, same))
    assert ours.days == theirs.days


@pytest.mark.parametrize("field", ["*/15", "5/15", "*"])
def test_an_open_step_counts_as_a_wildcard_and_a_step_within_a_range_does_not(field):
    assert not CronExpression.parse(f"{field} 2 * * *", "").pattern().fixed_time
    assert CronExpression.parse("5-50/15 2 * * *", "").pattern().fixed_time
