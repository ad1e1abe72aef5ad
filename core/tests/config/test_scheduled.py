"""What code declares: as configs equal to a task file's, by app, with every problem in one
report."""

from datetime import UTC, datetime, timedelta

import pytest

from dsched.config.scheduled import app_of, code_sources
from dsched.config.settings import PodSettings, Settings, TaskSettings
from dsched.config.task_file import task_from_mapping
from dsched.functions.registry import Registry
from dsched.functions.schedules import Schedules
from dsched.model import Overlap

SETTINGS = Settings(task=TaskSettings(default_timeout=timedelta(seconds=77)))


@pytest.fixture
def schedules():
    return Schedules(Registry())


def declare(schedules, name="job", module="shop.jobs", **more):
    def job(*args):
        return args

    job.__qualname__, job.__module__ = name, module
    schedules.functions.task(name)(job)
    schedules.schedule(**more)(job)


def test_a_schedule_is_the_config_that_a_task_file_would_give(schedules, catalogue):
    declare(
        schedules,
        every=timedelta(minutes=10),
        args=[1, {"a": None}],
        overlap="allow",
        jitter="5s",
        retry={"max_retries": 1},
        start_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    (source,) = code_sources(schedules, apps=(), settings=SETTINGS, catalogue=catalogue)
    wanted = task_from_mapping(
        {
            "id": "job",
            "every": "10m",
            "executor": "local",
            "payload": {"function": "job", "args": [1, {"a": None}]},
            "overlap": "allow",
            "jitter": "5s",
            "retry": {"max_retries": 1},
            "start_at": "2026-01-01T00:00:00Z",
        },
        defaults=SETTINGS.task,
        catalogue=catalogue,
    )
    (config,) = source.configs
    assert (source.origin, config.origin, source.orphans) == ("code:shop", "code:shop", True)
    assert (config.timeout, config.overlap) == (timedelta(seconds=77), Overlap.ALLOW)
    assert config.spec == wanted.spec
    assert config.trigger == wanted.trigger


def test_every_problem_is_reported_with_the_place_of_its_function(schedules, catalogue, refused):
    declare(schedules, "a", cron_expr="0 0 30 2 *")
    declare(schedules, "b", cron_expr="@daily", timezone="Mars/Base")
    declare(schedules, "c", every="soon")
    declare(schedules, "d", every="1h", id="twice")
    declare(schedules, "e", every="1h", id="twice")
    schedules.schedule("@daily")(lambda: None)
    problems = refused(code_sources, schedules, apps=(), settings=SETTINGS, catalogue=catalogue)
    assert all("test_scheduled.py:" in file for file, _, _ in problems)
    assert [(file.partition(" ")[0], path) for file, path, _ in problems[:4]] == [
        ("a", "cron_expr"),
        ("b", "timezone"),
        ("c", "every"),
        ("e", "id"),
    ]
    assert "is the id of the schedule of d at" in problems[3][2]
    assert "put @dsched.task on it too" in problems[4][2]


@pytest.mark.parametrize(
    ("module", "apps", "app"),
    [
        ("shop", ["shop"], "shop"),
        ("shop.jobs", ["shop"], "shop"),
        ("shop.jobs.night", ["shop", "shop.jobs"], "shop.jobs"),
        ("shopping", ["web", "shop"], "web"),
        ("lib.common", ["web", "shop"], "web"),
        ("shop.jobs", [], "shop"),
    ],
)
def test_a_schedule_belongs_to_the_nearest_app_above_its_module(module, apps, app):
    assert app_of(module, apps) == app


def test_an_app_that_declares_nothing_any_more_is_a_source_with_nothing(schedules, catalogue):
    sources = code_sources(schedules, apps=["shop"], settings=SETTINGS, catalogue=catalogue)
    assert [(one.origin, one.configs) for one in sources] == [("code:shop", ())]
    assert code_sources(schedules, apps=(), settings=SETTINGS, catalogue=catalogue) == []


def test_the_setting_names_the_app_of_all_schedules(schedules, catalogue):
    declare(schedules, "a", module="web.jobs", cron_expr="@daily")
    declare(schedules, "b", module="shop.jobs", cron_expr="@daily")
    settings = Settings(pod=PodSettings(app="store-front"))
    (source,) = code_sources(schedules, apps=["web"], settings=settings, catalogue=catalogue)
    assert source.origin == "code:store-front"
    assert [one.id for one in source.configs] == ["a", "b"]
