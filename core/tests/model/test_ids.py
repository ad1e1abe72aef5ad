"""Ids: what may be chosen, and what the scheduler forms from them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsched.model import (
    InvalidIdError,
    Task,
    TaskStatus,
    backfill_instant_of,
    backfill_task_id,
    check_id,
    config_of,
    fire_task_id,
    from_ms,
    manual_task_id,
    member_id,
    member_name,
    name_in_run,
    run_of,
    step_of_name,
)
from dsched.model.ids import fire_instant_of

_VALID = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}", fullmatch=True)


@given(_VALID)
def test_every_id_of_the_documented_shape_is_accepted(value):
    assert check_id(value) == value


@given(st.text(max_size=300))
def test_any_other_text_is_refused(value):
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}", value):
        assert check_id(value) == value
    else:
        with pytest.raises(InvalidIdError):
            check_id(value)


@pytest.mark.parametrize(
    "value",
    ["", "-a", ".a", "a b", "a\n", "a{b}", "a}", "a/b", "\x00", "é", "a" * 129, "a" * 300, "１"],
)
def test_a_bad_id_is_refused_with_a_short_message(value):
    with pytest.raises(InvalidIdError, match="must start with a letter or digit") as caught:
        check_id(value, "task id")
    assert str(caught.value).startswith("task id ")
    assert len(str(caught.value)) < 250


def test_an_at_sign_is_refused_as_the_schedulers_own():
    with pytest.raises(InvalidIdError, match="reserved for the scheduler"):
        check_id("report@123")


@pytest.mark.parametrize("value", [None, 5, b"a", ["a"], 10**5_000], ids=lambda v: type(v).__name__)
def test_what_is_not_text_is_no_id(value):
    with pytest.raises(InvalidIdError, match="must be text"):
        check_id(value)


@given(config_id=_VALID, at_ms=st.integers(-(10**15) + 1, 10**15 - 1))
def test_a_fires_task_id_tells_its_config_and_instant(config_id, at_ms):
    task_id = fire_task_id(config_id, at_ms)

    assert config_of(task_id) == config_id
    assert fire_instant_of(task_id) == at_ms
    with pytest.raises(InvalidIdError):
        check_id(task_id)


@given(config_id=_VALID, unique=_VALID)
def test_a_manual_task_id_tells_its_config_and_no_instant(config_id, unique):
    task_id = manual_task_id(config_id, unique)

    assert config_of(task_id) == config_id
    assert fire_instant_of(task_id) is None


@given(_VALID)
def test_a_submitted_task_belongs_to_no_config(task_id):
    assert config_of(task_id) is None
    assert fire_instant_of(task_id) is None


@pytest.mark.parametrize("key", ["", "k", "v2.1:a-b"])
def test_a_backfills_task_id_tells_its_config_and_instant_and_is_no_fire(key):
    task_id = backfill_task_id("report", 1_700_000_000_000, key)
    assert config_of(task_id) == "report"
    assert backfill_instant_of(task_id) == 1_700_000_000_000
    assert fire_instant_of(task_id) is None
    task = Task(id=task_id, status=TaskStatus.PENDING, scheduled_ms=1_800_000_000_000)
    assert task.scheduled_time == from_ms(1_700_000_000_000)


@pytest.mark.parametrize("task_id", ["a@5", "a@manual-backfill-5", "backfill-5", "a@backfill-x"])
def test_no_other_id_is_a_backfills(task_id):
    assert backfill_instant_of(task_id) is None


@pytest.mark.parametrize(
    "run_id", ["nightly@1795700000000", "abc123", "n@manual-7", "n@backfill--5"]
)
@pytest.mark.parametrize(("step", "index"), [("load", None), ("tables", 3), ("", 17)])
def test_a_member_is_told_from_its_run_and_its_step(
    run_id: str, step: str, index: int | None
) -> None:
    task_id = member_id(run_id, member_name(step, index))
    assert run_of(task_id) == run_id
    assert step_of_name(name_in_run(task_id)) == (step, index)
    assert config_of(task_id) == config_of(run_id)
    assert fire_instant_of(task_id) is None  # a fire made the run, not the member
    assert backfill_instant_of(task_id) is None
    assert run_of(run_id) is None
