"""Calendars in task files: names, dates, countries, `.ics` files, and what is refused."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from dsched.config import ConfigError, TaskSettings
from dsched.config.ics import MAX_ICS_BYTES, ics_days
from dsched.config.intake import CatalogueIntake
from dsched.config.task_file import read_entries, read_tasks
from dsched.contracts.service import EntryError
from dsched.loading import Catalogue
from dsched.model import Calendar, TaskConfig

FIRST, LAST = date(2025, 1, 1), date(2031, 12, 31)
TASK = "tasks:\n  - {id: a, cron_expr: '0 9 * * *', executor: local, payload: {function: f}, "


@pytest.fixture
def read(write: Any, catalogue: Catalogue) -> Any:
    def read_text(text: str) -> list[TaskConfig]:
        path = write(text, "tasks.yaml")
        return read_tasks(path, defaults=TaskSettings(), catalogue=catalogue)

    return read_text


def calendar_of(read: Any, definition: str, said: str = "{skip: [it]}") -> Calendar:
    (config,) = read(f"calendars:\n  it: {definition}\n{TASK}calendar: {said}}}\n")
    assert config.calendar is not None
    return config.calendar


def test_names_are_replaced_by_their_days(read: Any) -> None:
    (config,) = read(f"""
calendars:
  workdays: {{weekdays: mon-fri}}
  shutdown:
    dates: {{2026-12-24: Christmas Eve, 2026-12-28/2026-12-30: Between the years}}
    until: 2026-12-31
{TASK}calendar: {{only: [workdays], skip: [shutdown]}}}}
""")
    assert config.calendar.record() == {
        "skip": [
            {
                "name": "shutdown",
                "dates": {
                    "2026-12-24": "Christmas Eve",
                    "2026-12-28/2026-12-30": "Between the years",
                },
                "until": "2026-12-31",
            }
        ],
        "only": [{"name": "workdays", "weekdays": ["mon", "tue", "wed", "thu", "fri"]}],
    }


def test_a_country_has_its_holidays_in_its_own_language_or_in_one_that_is_said(read: Any) -> None:
    year = datetime.now(UTC).year
    (days,) = calendar_of(read, "{holidays: DE, subdivision: BY}").skip
    named = {one.first: one.name for one in days.dates}
    assert named[date(year, 12, 25)] == "Erster Weihnachtstag"
    assert named[date(year, 1, 6)] == "Heilige Drei Könige"
    assert days.until == date(year + 5, 12, 31)
    (english,) = calendar_of(read, "{holidays: DE, language: en_US}").skip
    assert "Christmas Day" in {one.name for one in english.dates}
    (market,) = calendar_of(read, "{holidays: XNYS}").skip
    assert len(market.dates) > 40


def test_what_a_file_says_and_what_an_entry_says_is_one_shape(
    read: Any, write: Any, catalogue: Catalogue
) -> None:
    text = (
        f"calendars:\n  it: {{holidays: DE, weekdays: [sun]}}\n{TASK}calendar: {{skip: [it]}}}}\n"
    )
    (config,) = read(text)
    intake = CatalogueIntake(defaults=TaskSettings(), catalogue=catalogue)
    entry = intake.entry(config)
    assert intake.config("a", entry).calendar == config.calendar
    _, (raw,) = read_entries(write(text, "tasks.yaml"))
    assert raw.content["calendar"] == entry["calendar"]


def test_an_entry_cannot_name_a_calendar_or_read_a_file(catalogue: Catalogue) -> None:
    intake = CatalogueIntake(defaults=TaskSettings(), catalogue=catalogue)
    entry = {"every": "1h", "executor": "local", "payload": {"function": "f"}}
    for said, reason in (
        ("it", "is a name, which only a task file can define"),
        ({"name": "it", "ics": "/etc/passwd"}, "ics names a file, which only a task file can"),
    ):
        with pytest.raises(EntryError, match=reason):
            intake.config("a", {**entry, "calendar": {"skip": [said]}})
    found = intake.config("a", {**entry, "calendar": {"skip": [{"name": "it", "holidays": "FR"}]}})
    assert found.calendar is not None


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ("{holidays: GERMANY}", "'GERMANY' is no country or market that is known"),
        ("{holidays: NO}", "must be text, such as DE; put it in quotes"),
        ("{holidays: DE, subdivision: XX}", "'XX' is no subdivision of DE"),
        ("{holidays: DE, language: xx}", "'xx' is not spoken of DE; there is de"),
        ("{subdivision: BY}", "go together with holidays"),
        ("{weekdays: [someday]}", "someday is no weekday; write mon, tue"),
        ("{dates: [2026-02-30]}", "2026-02-30 is no date"),
        ("{dates: [2026-12-31/2026-12-24]}", "ends before it begins"),
        ("{dates: [2026-12-24T10:00:00Z]}", "is no date"),
        ("{dates: {2026-12-24: 5}}", "must be text; put it in quotes"),
        ("{}", "has no day; give it weekdays or dates"),
        ("{weekday: mon}", "'weekday' is not a known key; did you mean 'weekdays'?"),
        ("[mon]", "must be a mapping with one of weekdays"),
        ("{ics: nowhere.ics}", "cannot be read: No such file or directory"),
        ('{dates: {2026-12-24: "a\\e[31m"}}', "without control characters"),
    ],
)
def test_a_wrong_definition_is_refused_once_at_its_place(
    read: Any, definition: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        calendar_of(read, definition)
    (problem,) = caught.value.problems
    assert problem.path == "calendars.it"
    assert reason in problem.reason


@pytest.mark.parametrize(
    ("said", "path", "reason"),
    [
        ("{skip: [other]}", "tasks[0].calendar.skip[0]", "is not defined under `calendars:`"),
        ("{skip: it}", "tasks[0].calendar.skip", "must be a list"),
        ("it", "tasks[0].calendar", "must be a mapping with skip, only, or both"),
        ("{omit: [it]}", "tasks[0].calendar.omit", "known are skip, only"),
        ("{}", "tasks[0].calendar", "says nothing"),
        ("{only: [it], skip: [it]}", "tasks[0].calendar", "leaves nothing of the schedule"),
    ],
)
def test_a_task_that_says_it_wrong_is_refused(read: Any, said: str, path: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        calendar_of(read, "{weekdays: [sat]}", said)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert reason in problem.reason


def test_too_much_is_refused_with_its_bound(read: Any) -> None:
    many = ", ".join(f"{1000 + n}-01-01" for n in range(2_001))
    with pytest.raises(ConfigError, match="has 2001 dates; at most 2000"):
        calendar_of(read, f"{{dates: [{many}]}}")
    long = ", ".join(f"{1000 + n}-01-01: {'n' * 90}" for n in range(900))
    with pytest.raises(ConfigError, match="bytes of text; at most 65536"):
        calendar_of(read, f"{{dates: {{{long}}}}}")


def ics(*events: str) -> str:
    made = [f"BEGIN:VEVENT\r\nUID:{n}\r\n{one}\r\nEND:VEVENT\r\n" for n, one in enumerate(events)]
    head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x\r\n"
    return f"{head}{''.join(made)}END:VCALENDAR\r\n"


def days_of(folder: Path, *events: str) -> dict[str, str]:
    path = folder / "it.ics"
    path.write_text(ics(*events), newline="")
    return {one.text: one.name for one in ics_days(str(path), first=FIRST, last=LAST).dates}


@pytest.mark.parametrize(
    ("event", "days"),
    [
        ("DTSTART;VALUE=DATE:20260501\r\nSUMMARY:Fair", {"2026-05-01": "Fair"}),
        (
            "DTSTART;VALUE=DATE:20260501\r\nDTEND;VALUE=DATE:20260504\r\nSUMMARY:Fair",
            {"2026-05-01/2026-05-03": "Fair"},
        ),
        (
            "DTSTART;TZID=Europe/Berlin:20260501T220000\r\nDURATION:PT3H\r\nSUMMARY:Night",
            {"2026-05-01/2026-05-02": "Night"},
        ),
        ("DTSTART:20260501T220000Z\r\nDTEND:20260502T000000Z", {"2026-05-01": ""}),
        ("DTSTART;VALUE=DATE:20260501\r\nSTATUS:CANCELLED", {}),
        (
            "DTSTART;VALUE=DATE:20280229\r\nRRULE:FREQ=YEARLY;INTERVAL=4;COUNT=3\r\nSUMMARY:Leap",
            {"2028-02-29": "Leap"},
        ),
        (
            (
                "DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=WEEKLY;BYDAY=TH;UNTIL=20260122\r\n"
                "EXDATE;VALUE=DATE:20260108\r\nRDATE;VALUE=DATE:20260303"
            ),
            {"2026-01-01": "", "2026-01-15": "", "2026-01-22": "", "2026-03-03": ""},
        ),
        (
            (
                "DTSTART;TZID=America/New_York:20260101T230000\r\nRRULE:FREQ=DAILY;"
                "UNTIL=20260103T040000Z"
            ),
            {"2026-01-01": "", "2026-01-02": ""},
        ),
    ],
)
def test_the_days_of_an_event(tmp_path: Path, event: str, days: dict[str, str]) -> None:
    assert days_of(tmp_path, event) == days


def test_one_time_of_a_recurring_event_that_was_moved_counts_where_it_is(tmp_path: Path) -> None:
    series = "DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=MONTHLY;COUNT=3\r\nSUMMARY:Audit"
    moved = "UID:0\r\nRECURRENCE-ID;VALUE=DATE:20260201\r\nDTSTART;VALUE=DATE:20260205"
    path = tmp_path / "it.ics"
    path.write_text(ics(series, moved).replace("UID:1\r\n", ""), newline="")
    found = ics_days(str(path), first=FIRST, last=LAST)
    assert [one.text for one in found.dates] == ["2026-01-01", "2026-02-05", "2026-03-01"]


def test_what_recurs_without_end_is_cut_at_the_horizon_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "it.ics"
    event = "DTSTART;VALUE=DATE:19700501\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:May Day"
    path.write_text(ics(event), newline="")
    found = ics_days(str(path), first=FIRST, last=LAST)
    assert [one.first.year for one in found.dates] == list(range(2025, 2032))
    assert found.until == LAST
    path.write_text(ics("DTSTART;VALUE=DATE:20260501"), newline="")
    assert ics_days(str(path), first=FIRST, last=LAST).until == date(2026, 5, 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * (10 * 1024 * 1024), f"has 10485760 bytes; at most {MAX_ICS_BYTES} are read"),
        ("no calendar", "is no iCalendar file"),
        ("", "has no event"),
        (ics(), "has no event"),
        (ics("SUMMARY:no begin"), "is no iCalendar file"),
        (ics("DTSTART:20260101T000000Z\r\nRRULE:FREQ=SECONDLY"), "days recur daily, weekly"),
        (
            ics("DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"),
            "which may never come",
        ),
        (
            ics(*["DTSTART;VALUE=DATE:20200101\r\nRRULE:FREQ=DAILY"] * 2),
            "has more than 2000 days in the years 2025 to 2031",
        ),
        ("BEGIN:VEVENT\r\n" * 6_000, "has more than 5000 events"),
    ],
)
@pytest.mark.timeout(30)
def test_a_file_that_is_too_much_or_nothing_is_refused(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "it.ics"
    path.write_text(text, newline="")
    with pytest.raises(ValueError, match=reason):
        ics_days(str(path), first=FIRST, last=LAST)


def test_a_missing_library_is_named_with_its_remedy(read: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(__import__("sys").modules, "icalendar", None)
    with pytest.raises(ConfigError, match=r"needs the library icalendar; pip install 'dsched\["):
        calendar_of(read, "{ics: it.ics}")
