"""Limits in task files: read through the limit's own fields, refused with line and key."""

from typing import Any

import pytest

from dsched.config import ConfigError, TaskSettings
from dsched.config.limits import (
    KEYS,
    limit_content,
    limit_from,
    named_by,
    read_limits,
    unknown_names,
)
from dsched.config.task_file import TaskFile, read_task_file
from dsched.config.yaml_reader import read_yaml
from dsched.loading import Catalogue
from dsched.model import Limit

TASKS = """
tasks:
  - id: a
    cron_expr: '0 9 * * *'
    executor: local
    payload: {function: f}
    limits: [crm-api, "tenant:acme"]
"""


@pytest.fixture
def read(write: Any, catalogue: Catalogue) -> Any:
    def read_text(text: str) -> TaskFile:
        path = write(text, "tasks.yaml")
        return read_task_file(path, defaults=TaskSettings(), catalogue=catalogue)

    return read_text


def refused(read: Any, limits: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(f"limits: {limits}{TASKS}")
    return [str(one).partition("tasks.yaml:")[2] for one in caught.value.problems]


def test_limits_stand_beside_tasks_in_their_order_and_names_are_stored_ones(read: Any) -> None:
    found = read(
        "limits:\n  tenant: {max_running: 2}\n  crm-api: {max_running: 5}\n"
        f'  "tenant:a b": {{max_running: 0}}\n{TASKS}'
    )
    assert [one.max_running for one in found.limits] == [2, 5, 0]
    assert found.limits[1] == Limit(id="crm-api", max_running=5)
    assert found.limits[2].id.startswith("tenant:~")
    assert found.configs[0].limits == ("crm-api", "tenant:acme")


def test_a_file_without_limits_has_none(read: Any) -> None:
    assert read(TASKS).limits == ()


def test_a_limit_that_is_wrong_is_refused_with_its_line_and_key(read: Any) -> None:
    (line,) = refused(read, "\n  crm-api:\n    max_running: -1")
    assert line.startswith("3: limits.crm-api.max_running: ")
    (line,) = refused(read, "\n  crm-api:\n    max_runing: 1\n    max_running: 2")
    assert line.startswith("3: limits.crm-api.max_runing: is not a known key; ")
    assert "max_running" in line
    (line,) = refused(read, "{a b: {max_running: 1}}")
    assert line.startswith("1: limits.a b: ")
    assert "names no limit" in line
    (line,) = refused(read, "{crm: 5}")
    assert "limits.crm: must be a mapping with max_running" in line
    (line,) = refused(read, "{crm: {id: other, max_running: 5}}")
    assert "limits.crm.id: is the key above it" in line


def test_what_is_no_mapping_or_names_one_limit_twice_is_refused(read: Any) -> None:
    (line,) = refused(read, "[crm]")
    assert "limits: must be a mapping of at most 1000 names" in line
    hashed = limit_from("tenant:a b", {"max_running": 1}).id
    (line,) = refused(read, f'{{"tenant:a b": {{max_running: 1}}, "{hashed}": {{max_running: 1}}}}')
    assert "is limit tenant:~" in line
    many = ", ".join(f"l{number}: {{max_running: 1}}" for number in range(1001))
    (line,) = refused(read, f"{{{many}}}")
    assert "at most 1000 names" in line


def test_all_that_is_wrong_with_limits_and_tasks_is_in_one_report(read: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        read("limits: {crm: {max_running: many}}\ntasks:\n  - {id: a}\n")
    assert len(caught.value.problems) > 1
    assert "limits.crm.max_running" in str(caught.value)


def test_what_a_file_says_of_a_limit_is_read_back_as_it_was() -> None:
    limit = Limit(id="crm", max_running=5)
    assert limit_content(limit) == {"max_running": 5}
    assert limit_from("crm", limit_content(limit)) == limit
    assert "id" not in KEYS


def test_a_limit_that_nobody_has_put_is_told_with_line_key_and_what_was_meant(read: Any) -> None:
    found = read(f"limits: {{crm_api: {{max_running: 5}}}}{TASKS}")
    known = {one.id for one in found.limits}
    problems = unknown_names(found.document, named_by(found.configs), known)
    assert [(one.path, one.line) for one in problems] == [
        ("tasks[0].limits[0]", 7),
        ("tasks[0].limits[1]", 7),
    ]
    assert "there is no limit 'crm-api'; did you mean 'crm_api'?" in problems[0].reason
    assert not unknown_names(found.document, named_by(found.configs), {"crm-api", "tenant"})


def test_a_file_that_is_no_mapping_has_no_limits(write: Any) -> None:
    assert read_limits(read_yaml(write("- a\n", "tasks.yaml"))) == ((), [])
