"""Calendars at the command line: expanded where the file is, compared in fires, told by doctor."""

from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from conftest import Served

pytestmark = pytest.mark.slow

DAILY = {"executor": "local", "payload": {"function": "hello"}, "cron_expr": "0 5 * * *"}


def write(served: "Served", calendars: Any, calendar: Any) -> str:
    path = served.folder / "days.yaml"
    tasks = [{"id": "one", **DAILY, **({"calendar": calendar} if calendar else {})}]
    path.write_text(yaml.safe_dump({"calendars": calendars, "tasks": tasks}, sort_keys=False))
    return str(path)


def test_a_calendar_is_applied_compared_exported_and_told_of(own_pod: "Served"):
    plain = write(own_pod, {}, None)
    own_pod.ok("apply", "-f", plain)
    path = write(own_pod, {"weekend": {"weekdays": "sat-sun"}}, {"skip": ["weekend"]})
    diff = own_pod.run("diff", "-f", path, "--horizon", "28d")
    assert diff.code == 6
    assert "(8 runs removed)" in diff.out
    own_pod.ok("apply", "-f", path)
    assert own_pod.ok("diff", "-f", path).out.startswith("1 unchanged")
    (record,) = own_pod.ok("config", "list", "-o", "json").data
    days = {"name": "weekend", "weekdays": ["sat", "sun"]}
    assert record["spec"]["calendar"] == {"skip": [days]}
    exported = yaml.safe_load(own_pod.ok("export").out)
    assert exported["tasks"][0]["calendar"] == {"skip": [days]}

    found = own_pod.ok("next", "one", "-n", "7", "-o", "json").data
    assert any("left out before" in one["note"] for one in found)

    calendar = {"skip": ["old"]}
    ended = write(own_pod, {"old": {"dates": ["2020-01-01"], "until": "2020-12-31"}}, calendar)
    own_pod.ok("apply", "-f", ended)
    doctor = own_pod.run("doctor", "-o", "json")
    (finding,) = (one for one in doctor.data if one["check"] == "calendars")
    assert finding["state"] == "warning"
    assert "old has covered nothing since 2020-12-31" in finding["detail"]
    assert finding["detail"].endswith("(one)")
    assert "calendar: old has covered nothing since 2020-12-31" in own_pod.run("status").out
    status = own_pod.run("status", "-o", "json").data
    assert status["calendars"] == [finding["detail"]]
    assert status["problems"] == ["there is no worker: nothing runs"], "it is nothing wrong yet"


def test_a_file_with_a_wrong_calendar_is_refused_before_anything_is_sent(own_pod: "Served"):
    path = write(own_pod, {"it": {"holidays": "ATLANTIS"}}, {"skip": ["it", "other"]})
    done = own_pod.run("apply", "-f", path)
    assert done.code != 0
    assert "calendars.it" in done.err
    assert "tasks[0].calendar.skip[1]" in done.err
    assert own_pod.ok("config", "list", "-o", "json").data == []
