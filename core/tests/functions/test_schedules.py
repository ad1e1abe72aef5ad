"""`@dsched.schedule`: registering schedules of functions, which stay as they are."""

import functools
from datetime import timedelta
from typing import Any

import attrs
import pytest

import dsched
from dsched.functions.registry import REGISTRY, Registry
from dsched.functions.schedules import FIELDS, SCHEDULES, ScheduleError, Schedules
from dsched.model import TaskConfig


@pytest.fixture
def functions() -> Registry:
    return Registry()


@pytest.fixture
def schedules(functions: Registry) -> Schedules:
    return Schedules(functions)


@pytest.mark.parametrize("task_first", [True, False])
def test_the_decorators_go_in_any_order_and_leave_the_function_as_it_is(
    functions: Registry, schedules: Schedules, task_first: bool
) -> None:
    def tidy(days: int) -> int:
        return days + 1

    marks: list[Any] = [functions.task("tidy"), schedules.schedule("0 2 * * *", args=[7])]
    for mark in marks if task_first else reversed(marks):
        assert mark(tidy) is tidy
    assert tidy(1) == 2
    (scheduled,) = schedules
    function = schedules.named(scheduled)
    assert function is not None
    assert (function.name, scheduled.args) == ("tidy", [7])
    assert scheduled.fields == {"cron_expr": "0 2 * * *"}


def test_a_function_wrapped_between_the_two_is_still_found(
    functions: Registry, schedules: Schedules
) -> None:
    def logged(call: Any) -> Any:
        @functools.wraps(call)
        def wrapper(*args: Any) -> Any:
            return call(*args)

        return wrapper

    @schedules.schedule(every="10m")
    @logged
    @functions.task("inner")
    def inner() -> None: ...

    (scheduled,) = schedules
    function = schedules.named(scheduled)
    assert function is not None
    assert function.name == "inner"


def test_a_function_without_a_task_has_no_name(schedules: Schedules) -> None:
    @schedules.schedule("@daily")
    def forgotten() -> None: ...

    (scheduled,) = schedules
    assert schedules.named(scheduled) is None


def test_one_function_may_have_several_schedules_with_ids_of_their_own(
    functions: Registry, schedules: Schedules
) -> None:
    @schedules.schedule("0 2 * * *", id="nightly")
    @schedules.schedule(every=timedelta(minutes=5))
    @functions.task
    def sweep() -> None: ...

    assert {one.config_id for one in schedules} == {"nightly", None}
    with pytest.raises(ScheduleError, match=r"sweep at .*: two|two schedules of one id"):
        schedules.schedule("0 3 * * *", id="nightly")(sweep)


def test_a_reload_replaces_the_schedules_of_the_functions_it_defines_anew(
    functions: Registry, schedules: Schedules
) -> None:
    def define(cron: str) -> None:
        @schedules.schedule(cron)
        @functions.task
        def job() -> None: ...

    define("0 1 * * *")
    define("0 2 * * *")
    assert [one.fields for one in schedules] == [{"cron_expr": "0 2 * * *"}]


@pytest.mark.parametrize(
    ("arguments", "fields", "reason"),
    [
        ((), {}, "exactly one of cron_expr, every, fixed_delay, at; found none"),
        (("@daily",), {"every": "10m"}, "found cron_expr, every"),
        (("@daily",), {"cron_expr": "@hourly"}, "two cron expressions"),
        (
            ("@daily",),
            {"time_zone": "UTC"},
            "time_zone is not a known key; did you mean 'timezone'",
        ),
        (("@daily",), {"payload": {}}, "payload is not a known key"),
        (("@daily",), {"id": "a b"}, "id 'a b' is not valid"),
    ],
)
def test_what_cannot_be_a_schedule_is_refused_where_it_stands(
    schedules: Schedules, arguments: Any, fields: Any, reason: str
) -> None:
    with pytest.raises(ScheduleError, match=reason):
        schedules.schedule(*arguments, **fields)
    assert len(schedules) == 0


def test_the_bare_decorator_and_other_things_than_functions_are_refused(
    schedules: Schedules,
) -> None:
    with pytest.raises(ScheduleError, match="needs to know when"):

        @schedules.schedule  # type: ignore[arg-type]
        def job() -> None: ...

    with pytest.raises(ScheduleError, match="takes a plain function"):
        schedules.schedule("@daily")(print)


def test_a_schedule_may_say_whatever_a_task_file_may_but_what_the_function_says() -> None:
    said = {"id", "executor", "type", "payload", "origin", "workflow"}
    stores = {"revision", "created_ms", "updated_ms", "reserved"}
    assert {field.name for field in attrs.fields(TaskConfig)} - said - stores == FIELDS


def test_the_public_decorator_fills_the_global_schedules() -> None:
    assert dsched.schedule == SCHEDULES.schedule
    assert SCHEDULES.functions is REGISTRY
