"""`dsched next`: offline answers of the planner."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Done

SPRING = ("--tz", "Europe/Berlin", "--from", "2026-03-28T12:00:00Z")


def test_a_cron_expression_is_answered_without_a_server_and_oddities_are_marked(
    dsched: "Callable[..., Done]",
):
    done = dsched("next", "30 2 * * *", "-n", "2", *SPRING)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[1].startswith("2026-03-29 03:00:00+02:00")
    assert "moved by the gap of 1h" in lines[1]
    assert lines[2].startswith("2026-03-30 02:30:00+02:00")


def test_json_has_the_fields_of_the_api(dsched: "Callable[..., Done]"):
    done = dsched("next", "@daily", "-n", "1", "--from", "2026-01-01T12:00:00Z", "-o", "json")
    assert done.data == [
        {"time": "2026-01-02T00:00:00.000Z", "local": "2026-01-02T00:00:00+00:00", "note": ""}
    ]


def test_explaining_says_what_each_field_means_and_what_clock_changes_do(
    dsched: "Callable[..., Done]",
):
    done = dsched("next", "*/15 8-17 * * MON-FRI", "-n", "1", "--explain", *SPRING)
    assert "minute        0 to 45 in steps of 15" in done.out
    assert "hour          8 to 17" in done.out
    assert "day of week   MON-FRI" in done.out
    assert "it runs straight through clock changes" in done.out


def test_an_expression_that_cannot_be_meant_is_a_usage_error_of_three_lines(
    dsched: "Callable[..., Done]",
):
    done = dsched("next", "61 * * * *")
    assert (done.code, done.out) == (2, "")
    assert [line.split(":")[0] for line in done.err.splitlines()] == ["dsched", "because", "try"]
    assert "values are 0 to 59" in done.err


def test_until_ends_the_list(dsched: "Callable[..., Done]"):
    span = ("--from", "2026-01-01T00:00:00Z", "--until", "2026-01-01T03:00:00Z")
    done = dsched("next", "0 * * * *", *span, "-o", "name")
    assert [line[11:16] for line in done.out.split()] == ["00:00", "01:00", "02:00", "03:00"]


def test_a_config_of_a_file_is_answered_without_a_server(
    dsched: "Callable[..., Done]", tmp_path: Path
):
    path = tmp_path / "tasks.yaml"
    path.write_text(
        "tasks:\n  - {id: report, cron_expr: '0 9 * * *', timezone: Asia/Tokyo,\n"
        "     executor: local, payload: {function: f}}\n"
    )
    args = ("-n", "1", "--from", "2026-01-01T12:00:00Z")
    done = dsched("next", "report", "-f", str(path), *args)
    assert "2026-01-02 09:00:00+09:00" in done.out
    wrong = dsched("next", "reprot", "-f", str(path))
    assert (wrong.code, "did you mean 'report'?" in wrong.err) == (2, True)


def test_an_h_is_spread_by_the_id(dsched: "Callable[..., Done]"):
    answers = {dsched("next", "H H * * *", "--id", one, "-n", "1").out for one in ("a", "b", "a")}
    assert len(answers) == 2


def test_a_zone_that_does_not_exist_is_named(dsched: "Callable[..., Done]"):
    done = dsched("next", "@daily", "--tz", "Mars/Base")
    assert (done.code, "'Mars/Base' is no time zone" in done.err) == (2, True)
