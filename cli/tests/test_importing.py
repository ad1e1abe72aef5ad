"""Imports of crontabs, Celery beat and APScheduler: with the real packages, read back by dsched."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.triggers.cron import CronTrigger as TheirCron
from celery.schedules import crontab as celery_crontab
from hypothesis import given, settings
from hypothesis import strategies as st

from dsched.config import TaskSettings
from dsched.config.task_file import read_tasks
from dsched.functions.registry import REGISTRY
from dsched.loading import load_catalogue
from dsched.model import CronTrigger, TaskConfig, to_ms
from dsched.planning import compile_trigger
from dsched_cli.importers import apscheduler as from_apscheduler
from dsched_cli.importers import fields
from dsched_cli.importers.crontab import read_crontab

if TYPE_CHECKING:
    from conftest import Done


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of its own: other tests register functions, and then names are judged."""
    monkeypatch.setattr(REGISTRY, "_functions", {})


def read_back(text: str, folder: Path) -> dict[str, TaskConfig]:
    path = folder / "imported.yaml"
    path.write_text(text)
    configs = read_tasks(str(path), defaults=TaskSettings(), catalogue=load_catalogue())
    return {one.id: one for one in configs}


CRONTAB = """\
MAILTO=""
# Nightly report
30 2 * * * curl -fsS -X POST -H 'X-Key: a' -d 'day=1' https://reports.example.com/run > /dev/null
CRON_TZ=Asia/Tokyo
*/5 * * * * curl -s https://ping.example.com/
"""


def test_a_crontab_that_dsched_can_say_exits_with_0_and_reads_back(
    dsched: "Callable[..., Done]", tmp_path: Path
):
    (tmp_path / "crontab").write_text(CRONTAB)
    done = dsched("import", "crontab", str(tmp_path / "crontab"), "--tz", "Europe/Berlin")
    assert (done.code, "0 things" in done.err) == (0, True)
    report, ping = read_back(done.out, tmp_path).values()
    assert (report.name, report.cron_expr, report.timezone) == (
        "Nightly report",
        "30 2 * * *",
        "Europe/Berlin",
    )
    assert report.payload == {
        "method": "POST",
        "url": "https://reports.example.com/run",
        "headers": {"X-Key": "a", "Content-Type": "application/x-www-form-urlencoded"},
        "body": "day=1",
    }
    assert (ping.timezone, ping.overlap, ping.retry.max_retries) == ("Asia/Tokyo", "allow", 0)


def test_what_a_crontab_says_and_dsched_cannot_is_told_line_by_line(
    dsched: "Callable[..., Done]", tmp_path: Path
):
    text = (
        "MAILTO=ops@example.com\n"
        "@reboot /bin/start\n"
        "0 1 * * * /usr/local/bin/backup.sh --all | logger\n"
        "61 * * * * broken\n"
        "too short\n"
    )
    done = dsched("import", "crontab", "-", "--tz", "UTC", given=text)
    assert done.code == 8
    said = [line.partition(":")[0] for line in done.err.splitlines()[:-1]]
    assert said == ["line 1", "line 2", "line 3", "line 4", "line 5"]
    (backup,) = read_back(done.out, tmp_path).values()
    assert (backup.id, backup.executor) == ("backup", "local")
    assert backup.payload == {"function": "backup"}


def test_a_system_crontab_has_a_user_column():
    found = read_crontab(
        "17 * * * * root run-parts\n0 1 * * * bob job\n", timezone="UTC", with_user=True
    )
    assert [one["payload"]["function"] for one in found.entries] == ["run-parts", "job"]
    assert any("user bob" in one.what for one in found.unsaid)


def test_curl_through_a_pipe_or_with_unknown_options_is_no_plain_call():
    lines = "0 1 * * * curl https://a.example | sh\n0 2 * * * curl --retry 3 https://b.example\n"
    found = read_crontab(lines, timezone="UTC", with_user=False)
    assert [one["executor"] for one in found.entries] == ["local", "local"]
    assert len(found.unsaid) == 2


CELERY = """\
from datetime import timedelta
from celery import Celery
from celery.schedules import crontab, schedule

app = Celery("celery_of_the_tests")
app.conf.timezone = "Europe/Berlin"

@app.task(name="jobs.add", time_limit=60, autoretry_for=(OSError,), max_retries=2,
          default_retry_delay=7)
def add(x, y=1):
    return x + y

@app.task(name="other")
def other():
    pass

app.conf.beat_schedule = {
    "every": {"task": "jobs.add", "schedule": 30.0, "args": (1,), "kwargs": {"y": 2}},
    "delta": {"task": "jobs.add", "schedule": timedelta(minutes=5), "kwargs": {"x": 1}},
    "weekdays": {
        "task": "jobs.add",
        "schedule": crontab(minute="*/15", hour="8-17", day_of_week="mon-fri"),
        "args": (1, 2),
        "options": {"expires": 60},
    },
    "queued": {"task": "other", "schedule": schedule(60), "options": {"queue": "slow"}},
    "both": {"task": "other", "schedule": crontab(0, 0, day_of_month="1-7", day_of_week="mon")},
    "quick": {"task": "other", "schedule": 0.5},
}
"""


def test_a_celery_beat_schedule_reads_back(dsched: "Callable[..., Done]", tmp_path: Path):
    (tmp_path / "celery_of_the_tests.py").write_text(CELERY)
    done = dsched("import", "celery", "celery_of_the_tests", cwd=tmp_path)
    assert done.code == 8, done.err
    found = read_back(done.out, tmp_path)
    assert list(found) == ["every", "delta", "weekdays", "queued"]
    assert found["every"].payload == {"function": "jobs.add", "args": {"x": 1, "y": 2}}
    assert found["every"].every == timedelta(seconds=30)
    assert (found["every"].timeout, found["every"].retry.max_retries) == (timedelta(minutes=1), 2)
    weekdays = found["weekdays"]
    assert (weekdays.cron_expr, weekdays.timezone) == ("*/15 8-17 * * 1-5", "Europe/Berlin")
    assert weekdays.start_deadline == timedelta(minutes=1)
    assert found["delta"].every == timedelta(minutes=5)
    for name, word in (("queued", "queue"), ("both", "either"), ("quick", "1 s is the least")):
        (line,) = [one for one in done.err.splitlines() if f"[{name!r}]" in one]
        assert word in line


@settings(max_examples=30, deadline=None)
@given(
    minute=st.sampled_from(["*", "*/7", "0", "5,35", "10-20/3"]),
    hour=st.sampled_from(["*", "*/6", "8-17", "3,15", "22"]),
    month=st.sampled_from(["*", "*/3", "1-6"]),
    weekday=st.sampled_from(["*", "mon-fri", "sun", "sat,sun", "0,3"]),
)
def test_fields_made_of_celerys_sets_have_exactly_those_values(
    minute: str, hour: str, month: str, weekday: str
):
    theirs = celery_crontab(minute=minute, hour=hour, month_of_year=month, day_of_week=weekday)
    text = " ".join(
        fields.field_text(values, bounds)
        for values, bounds in (
            (theirs.minute, fields.MINUTE),
            (theirs.hour, fields.HOUR),
            (theirs.day_of_month, fields.DAY),
            (theirs.month_of_year, fields.MONTH),
            (theirs.day_of_week, fields.WEEKDAY),
        )
    )
    instants = compile_trigger(CronTrigger(expression=text))
    first = datetime(2026, 1, 1, tzinfo=UTC)
    for step in range(0, 400 * 24 * 60, 4999):
        at = first + timedelta(minutes=step)
        matches = (
            at.minute in theirs.minute
            and at.hour in theirs.hour
            and at.month in theirs.month_of_year
            and at.isoweekday() % 7 in theirs.day_of_week
        )
        ms = to_ms(at)
        assert instants.count_between(ms, ms) == matches, (text, at)


APSCHEDULER = """\
from apscheduler.schedulers.background import BackgroundScheduler

scheduler = BackgroundScheduler(timezone="Europe/Berlin")

def job(a=1, b=2):
    pass

scheduler.add_job(job, "cron", hour="9-17/2", day_of_week="mon-fri", args=["x"], kwargs={"b": 3},
                  jitter=5, id="weekdays")
scheduler.add_job(job, "cron", day="2nd mon,last", id="monthly", misfire_grace_time=None)
scheduler.add_job(job, "interval", minutes=5, id="interval", max_instances=3, args=[1])
scheduler.add_job(job, "date", run_date="2031-01-01 00:00:00", id="once")
scheduler.add_job(lambda: 1, "interval", minutes=5, id="nameless")
scheduler.add_job(job, "cron", year="2027", id="year")
scheduler.add_job(job, "cron", day="1-7", day_of_week="mon", id="both")
"""


def test_apscheduler_jobs_read_back(dsched: "Callable[..., Done]", tmp_path: Path):
    (tmp_path / "aps_of_the_tests.py").write_text(APSCHEDULER)
    done = dsched("import", "apscheduler", "aps_of_the_tests:scheduler", cwd=tmp_path)
    assert done.code == 8, done.err
    found = read_back(done.out, tmp_path)
    assert list(found) == ["weekdays", "monthly", "interval", "once"]
    weekdays = found["weekdays"]
    assert (weekdays.cron_expr, weekdays.timezone) == ("0 9-17/2 * * 1-5", "Europe/Berlin")
    assert weekdays.payload == {"function": "aps_of_the_tests:job", "args": {"a": "x", "b": 3}}
    assert (weekdays.misfire, weekdays.misfire_grace) == ("skip", timedelta(seconds=1))
    assert found["monthly"].cron_expr == "0 0 L * 1#2"
    assert found["interval"].every == timedelta(minutes=5)
    assert found["interval"].start_at is not None
    for name in ("interval", "nameless", "year", "both"):
        assert any(f"job {name!r}" in line for line in done.err.splitlines())


@settings(max_examples=25, deadline=None)
@given(
    minute=st.sampled_from(["*/20", "0", "5,35", "10-50/15"]),
    hour=st.sampled_from(["*", "*/6", "8-17", "3,15"]),
    day=st.sampled_from(["*", "last", "1,15", "last fri", "2nd mon", "*/10"]),
    zone=st.sampled_from(["UTC", "Asia/Tokyo"]),
)
def test_instants_are_those_of_apscheduler(minute: str, hour: str, day: str, zone: str):
    theirs = TheirCron(minute=minute, hour=hour, day=day, timezone=zone)
    entry = from_apscheduler._cron(theirs)
    ours = compile_trigger(
        CronTrigger(expression=entry["cron_expr"], timezone=entry.get("timezone", "UTC"))
    )
    at: Any = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(20):
        following = theirs.get_next_fire_time(at, at + timedelta(microseconds=1))
        ms = ours.next_after(to_ms(at))
        assert ms == to_ms(following)
        at = following


def test_a_module_that_cannot_be_imported_is_told(dsched: "Callable[..., Done]", tmp_path: Path):
    (tmp_path / "broken_of_the_tests.py").write_text("raise RuntimeError('no database')")
    done = dsched("import", "celery", "broken_of_the_tests", cwd=tmp_path)
    assert (done.code, "RuntimeError: no database" in done.err) == (1, True)
    missing = dsched("import", "celery", "os", cwd=tmp_path)
    assert (missing.code, os.linesep in missing.err) == (2, True)
