"""An import reports what it cannot express; a pod accepts what it writes, and runs it as before."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from dsched.functions.registry import REGISTRY
from dsched.model import RetryPolicy
from dsched_cli.importers.crontab import read_crontab

if TYPE_CHECKING:
    from conftest import Done

Import = Callable[..., "Done"]

HEAD = """\
from datetime import datetime, timedelta
from celery import Celery
from celery.schedules import crontab

app = Celery("app_of_the_tests")
"""


@pytest.fixture(name="from_celery")
def from_celery_app(dsched: Import, tmp_path: Path) -> Callable[[str], "Done"]:
    """Imports an app of this text; ``task(...)`` in it is a beat entry."""

    def run(text: str) -> "Done":
        (tmp_path / "honest_app.py").write_text(HEAD + text)
        return dsched("import", "celery", "honest_app", cwd=tmp_path)

    return run


def entries(done: "Done") -> dict[str, dict[str, object]]:
    return {one["id"]: one for one in yaml.safe_load(done.out)["tasks"]}


@pytest.fixture(autouse=True)
def _nothing_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the command's process; other tests of this one have registered functions."""
    monkeypatch.setattr(REGISTRY, "_functions", {})


def accepted(done: "Done", folder: Path) -> None:
    """What was written passes `dsched-run --check`."""
    path = folder / "imported.yaml"
    path.write_text(done.out)
    # In a process of its own, where no other test has registered a function; there is no store.
    command = [sys.executable, "-m", "dsched.launcher.run", "--tasks", str(path), "--check"]
    checked = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stderr


def said_of(done: "Done", name: str) -> list[str]:
    mark = f"beat_schedule[{name!r}]: "
    return [line.removeprefix(mark) for line in done.err.splitlines() if line.startswith(mark)]


def one_entry(options: str = "", task: str = "", body: str = "return x", extra: str = "") -> str:
    self = "self, " if "bind" in task else ""
    return f"""
{extra}
@app.task(name="jobs.one", {task})
def one({self}x=1, y=2, *more):
    {body}

app.conf.beat_schedule = {{"one": {{"task": "jobs.one", "schedule": 60, {options}}}}}
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (one_entry(task='rate_limit="10/m"'), "rate_limit '10/m'"),
        (one_entry(extra='app.conf.task_default_rate_limit = "9/s"'), "rate_limit '9/s'"),
        (one_entry(task="soft_time_limit=30"), "soft_time_limit 30 s"),
        (one_entry(extra="app.conf.task_soft_time_limit = 40"), "soft_time_limit 40 s"),
        (one_entry(extra='app.conf.task_routes = {"jobs.*": {"queue": "slow"}}'), "queue 'slow'"),
        (one_entry(task='queue="own"'), "queue 'own'"),
        (one_entry(options='"options": {"queue": "given"}'), "queue 'given'"),
        (one_entry(options='"options": {"routing_key": "a.b"}'), "routing_key"),
        (one_entry(options='"options": {"expires": datetime(2030, 1, 1)}'), "expires 2030-01-01"),
        (one_entry(options='"options": {"expires": 0}'), "expires 0"),
        (one_entry(options='"options": {"link": None}'), "the option link"),
        (one_entry(options='"options": {"priority": 42}'), "priority 42"),
        (one_entry(task="autoretry_for=(OSError,)"), "retries only after OSError"),
        (
            one_entry(task="autoretry_for=(Exception,), dont_autoretry_for=(KeyError,)"),
            "does not retry after KeyError",
        ),
        (one_entry(task="autoretry_for=(Exception,), retry_backoff=True"), "retry_jitter draws"),
        (one_entry(task="bind=True"), "is bound"),
        (
            one_entry(task="bind=True", body="raise self.retry(countdown=3)"),
            "calls retry by itself",
        ),
        (one_entry(task="max_retries=3"), "max_retries 3 without autoretry_for"),
        (one_entry(task="max_retries=5"), "max_retries 5 without autoretry_for"),
        (one_entry(task="bind=True, max_retries=5"), "max_retries 5 without autoretry_for"),
        (one_entry(task="max_retries=None"), "max_retries None without autoretry_for"),
        (
            one_entry(task="default_retry_delay=9, retry_backoff=True"),
            "default_retry_delay 9, retry_backoff True without autoretry_for",
        ),
        (
            one_entry(extra='app.conf.task_annotations = {"jobs.one": {"max_retries": 8}}'),
            "max_retries 8 without autoretry_for",
        ),
        (
            one_entry(extra="app.Task.on_failure = lambda self, *a, **b: None"),
            "on_failure is not called",
        ),
        (
            one_entry(extra='app.conf.task_routes = {"jobs.*": {"exchange": "x"}}'),
            "exchange: there are no routes",
        ),
        (
            one_entry(extra='app.conf.task_routes = {"jobs.*": {"priority": 77}}'),
            "priority 77",
        ),
        (
            one_entry(extra='app.conf.task_routes = {"jobs.*": {"headers": {"a": 1}}}'),
            "the option headers",
        ),
        (
            one_entry(
                options='"options": {"queue": "unknown"}',
                extra="app.conf.task_create_missing_queues = False",
            ),
            "its route is unknown",
        ),
        (one_entry(options='"relative": True').replace("jobs.one", "jobs.none", 1), "has no task"),
    ],
)
def test_what_celery_has_and_dsched_has_not_is_said(
    from_celery: Callable[[str], "Done"], text: str, told: str
):
    done = from_celery(text)
    assert done.code == 8, done.err
    assert any(told in line for line in said_of(done, "one")), done.err
    assert list(entries(done)) == ["one"]


def test_an_entry_without_anything_special_says_nothing(from_celery: Callable[[str], "Done"]):
    done = from_celery(one_entry(options='"args": (1,)'))
    assert (done.code, said_of(done, "one")) == (0, []), done.err


@pytest.mark.parametrize("task", ["max_retries=0", "autoretry_for=(Exception,), max_retries=5"])
def test_retries_that_come_as_they_are_say_nothing_of_themselves(
    from_celery: Callable[[str], "Done"], task: str
):
    said = said_of(from_celery(one_entry(task=task)), "one")
    assert [line for line in said if "without autoretry_for" in line] == []


def test_entries_that_are_added_once_the_app_is_complete_are_imported_too(
    from_celery: Callable[[str], "Done"],
):
    text = one_entry(
        extra="""
@app.on_after_finalize.connect
def more(sender, **_):
    sender.add_periodic_task(30, one.s(), name="late", expires=9)
"""
    )
    found = entries(from_celery(text))
    assert (list(found), found["late"]["start_deadline"]) == (["one", "late"], "9s")


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (
            'app.conf.beat_scheduler = "django_celery_beat.schedulers:DatabaseScheduler"',
            "app.beat_scheduler: what django_celery_beat.schedulers:DatabaseScheduler keeps",
        ),
        ("app.conf.beat_cron_starting_deadline = 60", "app.beat_cron_starting_deadline: 60"),
    ],
)
def test_what_beat_itself_is_told_and_the_file_cannot_say_is_said(
    from_celery: Callable[[str], "Done"], extra: str, told: str
):
    done = from_celery(one_entry(extra=extra))
    assert done.code == 8
    assert any(line.startswith(told) for line in done.err.splitlines()), done.err


def test_a_note_says_that_a_run_whose_worker_died_is_run_again_here(
    from_celery: Callable[[str], "Done"],
):
    assert "on_crash: fail" in from_celery(one_entry()).err
    assert (
        "on_crash: fail"
        not in from_celery(one_entry(task="acks_late=True, reject_on_worker_lost=True")).err
    )


@pytest.mark.parametrize(
    ("task", "policy"),
    [
        (
            "default_retry_delay=7",
            {"max_retries": 3, "retry_delay": 7, "backoff_rate": 1.0, "jitter": 0.0},
        ),
        (
            "retry_kwargs={'max_retries': 9, 'countdown': 5}",
            {"max_retries": 9, "retry_delay": 5, "backoff_rate": 1.0, "jitter": 0.0},
        ),
        (
            "default_retry_delay=7200, max_retries=None",
            {
                "max_retries": 1_000_000,
                "retry_delay": 7200,
                "backoff_rate": 1.0,
                "jitter": 0.0,
                "max_delay": 7200,
            },
        ),
        (
            "retry_backoff=3, retry_backoff_max=60, retry_jitter=False",
            {"retry_delay": 3, "backoff_rate": 2.0, "jitter": 0.0, "max_delay": 60},
        ),
    ],
)
def test_a_constant_delay_stays_constant_and_a_back_off_stays_one(
    from_celery: Callable[[str], "Done"],
    tmp_path: Path,
    task: str,
    policy: dict[str, float],
):
    from dsched.config import TaskSettings
    from dsched.config.task_file import read_tasks
    from dsched.loading import load_catalogue

    done = from_celery(one_entry(task=f"autoretry_for=(Exception,), {task}"))
    accepted(done, tmp_path)
    path = str(tmp_path / "imported.yaml")
    (config,) = read_tasks(path, defaults=TaskSettings(), catalogue=load_catalogue())
    spans = {"retry_delay", "max_delay"}
    expected = RetryPolicy(
        **{key: timedelta(seconds=v) if key in spans else v for key, v in policy.items()}
    )
    assert config.retry == expected


@pytest.mark.parametrize(
    ("broker", "given", "ours"),
    [("amqp://", 7, 7), ("redis://", 7, 2), ("redis://", 0, 9), ("amqp://", 0, 0)],
)
def test_a_priority_goes_by_what_the_broker_makes_of_it(
    from_celery: Callable[[str], "Done"], broker: str, given: int, ours: int
):
    extra = f"app.conf.broker_url = '{broker}'"
    done = from_celery(one_entry(options=f'"options": {{"priority": {given}}}', extra=extra))
    assert (done.code, entries(done)["one"]["priority"]) == (0, ours), done.err
    by_task = from_celery(one_entry(task=f"priority={given}", extra=extra))
    assert entries(by_task)["one"]["priority"] == ours


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ('"args": (1, 2, 3), "kwargs": {"z": 1}', "by position and by name"),
        ('"args": (1,), "kwargs": {"x": 1}', "by position and by name"),
        ('"args": (datetime(2030, 1, 1),)', "no JSON"),
        ('"kwargs": {"x": {1, 2}}', "no JSON"),
        ('"kwargs": {"x": float("nan")}', "no JSON"),
    ],
)
def test_a_job_whose_arguments_cannot_be_said_is_imported_disabled_and_said_to_be(
    from_celery: Callable[[str], "Done"],
    tmp_path: Path,
    options: str,
    told: str,
):
    done = from_celery(one_entry(options=options))
    entry = entries(done)["one"]
    assert (entry["enabled"], entry["payload"]) == (False, {"function": "jobs.one"})
    (line,) = said_of(done, "one")
    assert told in line
    assert "imported disabled and without them" in line
    assert "1 tasks, 1 of them disabled; 1 things" in done.err
    accepted(done, tmp_path)


def test_mixed_arguments_whose_names_are_known_are_kept_and_tuples_become_lists(
    from_celery: Callable[[str], "Done"], tmp_path: Path
):
    done = from_celery(one_entry(options='"args": ((1, (2,)),), "kwargs": {"y": 3}'))
    assert done.code == 0, done.err
    assert entries(done)["one"]["payload"]["args"] == {"x": [1, [2]], "y": 3}  # type: ignore[index]
    accepted(done, tmp_path)


APSCHEDULER = """\
from datetime import datetime
from apscheduler.schedulers.background import BackgroundScheduler

scheduler = BackgroundScheduler(timezone="UTC")

def only(a, /, b=2, **more):
    pass

scheduler.add_job(only, "interval", minutes=5, id="mixed", args=[1], kwargs={"b": 3})
scheduler.add_job(only, "interval", minutes=5, id="date", args=[datetime(2030, 1, 1)])
scheduler.add_job(only, "interval", seconds=0.5, id="quick", args=[1])
scheduler.add_job(only, "interval", minutes=5, id="strict", args=[1], misfire_grace_time=10**9)
scheduler.add_job(only, "cron", hour=1, id="all", args=[1], misfire_grace_time=None, coalesce=False)
"""


def test_jobs_of_apscheduler_are_disabled_or_left_out_rather_than_changed(
    dsched: Import, tmp_path: Path
):
    (tmp_path / "honest_aps.py").write_text(APSCHEDULER)
    done = dsched("import", "apscheduler", "honest_aps", cwd=tmp_path)
    found = entries(done)
    assert list(found) == ["mixed", "date", "all"]
    assert [one.get("enabled", True) for one in found.values()] == [False, False, True]
    lines = done.err.splitlines()
    assert any("job 'quick': runs every 0.5 s; 1 s is the least; left out" in one for one in lines)
    (strict,) = [one for one in lines if one.startswith("strict: misfire_grace: ")]
    assert strict.endswith("; left out")
    assert any("the latest 100 missed instants" in one for one in lines)
    assert "3 tasks, 2 of them disabled; 2 left out; 5 things" in lines[-1]
    accepted(done, tmp_path)


KEPT = """\
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler

class KeptStore(MemoryJobStore):
    pass

scheduler = BackgroundScheduler(timezone="UTC")
scheduler.add_jobstore(KeptStore(), alias="kept")
scheduler.add_job(print, "interval", minutes=1, id="a", jobstore="kept", args=["x"])
"""


def test_jobs_in_a_store_that_has_not_been_started_are_not_passed_over_in_silence(
    dsched: Import, tmp_path: Path
):
    (tmp_path / "asleep_aps.py").write_text(KEPT)
    asleep = dsched("import", "apscheduler", "asleep_aps", cwd=tmp_path)
    assert (asleep.code, list(entries(asleep))) == (8, ["a"])
    (told,) = [one for one in asleep.err.splitlines() if one.startswith("job store 'kept'")]
    assert "scheduler.start(paused=True)" in told
    (tmp_path / "awake_aps.py").write_text(KEPT + "scheduler.start(paused=True)\n")
    awake = dsched("import", "apscheduler", "awake_aps", cwd=tmp_path)
    assert (awake.code, list(entries(awake))) == (0, ["a"]), awake.err


# --- crontabs
# ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    ["TZ=Asia/Tokyo\nCRON_TZ=America/New_York\n", "CRON_TZ=America/New_York\nTZ=Asia/Tokyo\n"],
)
def test_the_zone_of_a_crontab_is_cron_tz_whatever_tz_says(settings: str):
    found = read_crontab(settings + "0 1 * * * job\n", timezone="UTC", with_user=False)
    assert found.entries[0]["timezone"] == "America/New_York"
    (told,) = [one for one in found.unsaid if "TZ" in one.what]
    assert "gives it to the commands" in told.what


def test_tz_alone_does_not_move_a_crontab_and_is_told():
    found = read_crontab(
        "TZ=Asia/Tokyo\n0 1 * * * job\n", timezone="Europe/Berlin", with_user=False
    )
    assert found.entries[0]["timezone"] == "Europe/Berlin"
    assert "say --tz" in found.unsaid[0].what


def test_what_a_crontab_loses_is_called_left_out_and_counted(dsched: Import):
    text = "@reboot start\n61 * * * * broken\ntoo short\n0 1 * * * fine\n"
    done = dsched("import", "crontab", "-", "--tz", "UTC", given=text)
    said = done.err.splitlines()
    assert [line.endswith("; left out") for line in said[:3]] == [True, True, True]
    assert said[-1].startswith("1 tasks; 3 left out; ")


def test_two_calls_of_one_script_are_two_functions_and_one_call_twice_is_one():
    text = "0 1 * * * backup.sh --all\n0 2 * * * backup.sh --new\n0 3 * * * backup.sh --all\n"
    found = read_crontab(text, timezone="UTC", with_user=False)
    functions = [one["payload"]["function"] for one in found.entries]
    assert functions == ["backup", "backup-2", "backup"]
    assert len({one["id"] for one in found.entries}) == 3


def test_whatever_a_crontab_holds_the_file_passes_the_check(dsched: Import, tmp_path: Path):
    text = (
        "#\ttabs\tand \x1b[31mcolours " + "long " * 80 + "\n"
        "0 1 * * * curl -X NONSENSE http://a.example/\n"
        "0 2 * * * curl -H 'bad header: x' http://a.example/\n"
        "0 3 * * * curl http://\n"
        "0 4 * * * /opt/ü/ß --flag\n"
        "H H * * FRI-SUN job\n"
    )
    done = dsched("import", "crontab", "-", "--tz", "UTC", given=text)
    accepted(done, tmp_path)
    assert "job" in entries(done)
