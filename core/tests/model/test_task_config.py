"""Configs: what is refused and by which field, what a task's snapshot carries, what equality is."""

from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsched.model import (
    AtTrigger,
    CronTrigger,
    EveryTrigger,
    FixedDelayTrigger,
    InvalidConfigError,
    InvalidIdError,
    NotJsonError,
    Reserved,
    Task,
    TaskConfig,
    TaskSpec,
    TaskStatus,
    Worker,
    WorkerStatus,
    from_ms,
    to_ms,
)

NOON = datetime(2025, 6, 16, 12, tzinfo=UTC)


def _config(**fields: object) -> TaskConfig:
    if not {"cron_expr", "every", "fixed_delay", "at"} & set(fields):
        fields["cron_expr"] = "0 * * * *"
    return TaskConfig(**{"id": "report", "executor": "http", **fields})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"cron_expr": None}, "trigger"),
        ({"cron_expr": "* * * * *", "every": timedelta(seconds=5)}, "trigger"),
        ({"at": NOON, "fixed_delay": timedelta(seconds=5)}, "trigger"),
        ({"every": timedelta(milliseconds=999)}, "every"),
        ({"every": timedelta(days=3651)}, "every"),
        ({"fixed_delay": timedelta(0)}, "fixed_delay"),
        ({"at": NOON.replace(tzinfo=None)}, "at"),
        ({"start_at": NOON.replace(tzinfo=None)}, "start_at"),
        ({"end_at": NOON.replace(tzinfo=None)}, "end_at"),
        ({"start_at": NOON, "end_at": NOON}, "end_at"),
        ({"jitter": timedelta(seconds=-1)}, "jitter"),
        ({"misfire_grace": timedelta(seconds=-1)}, "misfire_grace"),
        ({"misfire_cap": 0}, "misfire_cap"),
        ({"misfire_cap": 101}, "misfire_cap"),
        ({"executor": ""}, "executor"),
        ({"executor": None}, "executor"),
        ({"name": "x" * 257}, "name"),
        ({"name": "a\x1bb"}, "name"),
        ({"priority": 10}, "priority"),
        ({"priority": -1}, "priority"),
        ({"max_crashes": -1}, "max_crashes"),
        ({"timeout": timedelta(0)}, "timeout"),
        ({"start_deadline": timedelta(0)}, "start_deadline"),
        ({"labels": {"a": 1}}, "labels.a"),
        ({"labels": {"": "x"}}, "labels."),
        ({"required_labels": {"a": "x" * 129}}, "required_labels.a"),
        ({"labels": {f"k{n}": "v" for n in range(65)}}, "labels"),
        ({"owner": "x" * 257}, "owner"),
        ({"affinity_key": "x" * 257}, "affinity_key"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused_by_field(fields, field):
    with pytest.raises(InvalidConfigError) as caught:
        _config(**fields)
    assert caught.value.field == field
    assert str(caught.value) == f"{field}: {caught.value.reason}"


def test_id_and_payload_are_checked_too():
    with pytest.raises(InvalidIdError):
        _config(id="a@b")
    with pytest.raises(NotJsonError, match=r"^payload\.x"):
        _config(payload={"x": object()})
    with pytest.raises(NotJsonError, match=r"^payload\.x"):
        TaskSpec(executor="http", payload={"x": object()})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("parents", ("other",)),
        ("shard_index", 0),
        ("shard_total", 2),
        ("namespace", ""),
        ("concurrency_key", "k"),
    ],
)
def test_a_reserved_field_is_an_error_and_never_ignored(name, value):
    with pytest.raises(InvalidConfigError, match="reserved for a later version") as caught:
        _config(reserved=Reserved(**{name: value}))
    assert caught.value.field == name


def test_what_the_store_fills_in_is_no_content():
    assert _config() == _config(revision=5, created_ms=6, updated_ms=7)
    assert _config() != _config(payload=1)


def test_the_trigger_carries_everything_its_instants_depend_on():
    assert _config(timezone="Europe/Berlin").trigger == CronTrigger(
        expression="0 * * * *", timezone="Europe/Berlin", seed="report"
    )
    every = _config(every=timedelta(seconds=5), created_ms=17)
    assert every.trigger == EveryTrigger(period=timedelta(seconds=5), anchor_ms=17)
    started = _config(every=timedelta(seconds=5), created_ms=17, start_at=NOON)
    assert started.trigger.anchor_ms == to_ms(NOON)
    delayed = _config(fixed_delay=timedelta(seconds=5), created_ms=17)
    assert delayed.trigger == FixedDelayTrigger(delay=timedelta(seconds=5), first_ms=17)
    assert _config(at=NOON).trigger == AtTrigger(at_ms=to_ms(NOON))


def test_the_snapshot_has_every_field_that_running_needs():
    config = _config(
        name="n", type="http", payload={"a": 1}, timeout=timedelta(seconds=9), priority=9,
        labels={"a": "b"}, required_labels={"c": "d"}, affinity_key="k", owner="o", revision=7,
        max_crashes=1, start_deadline=timedelta(seconds=3),
    )  # fmt: skip
    spec = config.spec
    for attribute in attrs.fields(TaskSpec):
        # A config's task belongs to no run, goes on from none, and has a zone only for references.
        if attribute.name not in ("member", "param_values", "timezone", "resumes"):
            assert getattr(spec, attribute.name) == getattr(config, attribute.name)
    assert (spec.member, spec.resumes) == (None, None)
    assert (spec.timezone, dict(spec.param_values)) == ("UTC", {})


def test_labels_cannot_be_changed_behind_a_config():
    labels = {"a": "b"}
    config = _config(labels=labels)
    labels["a"] = "c"

    assert config.labels == {"a": "b"}
    with pytest.raises(TypeError):
        config.labels["a"] = "c"


@given(st.integers(-(10**12), 10**14))
def test_milliseconds_and_datetimes_are_the_same_instants(ms):
    assert to_ms(from_ms(ms)) == ms
    shifted = from_ms(ms).astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert to_ms(shifted) == ms


def test_a_task_tells_its_config_instant_and_times():
    task = Task(
        id="report@1750075200000", status=TaskStatus.PENDING, scheduled_ms=1_750_075_200_000
    )

    assert (task.config_id, task.fire_ms) == ("report", 1_750_075_200_000)
    assert task.scheduled_time == NOON
    assert (task.start_time, task.end_time) == (None, None)
    ended = attrs.evolve(task, start_ms=task.scheduled_ms, end_ms=task.scheduled_ms)
    assert ended.start_time == ended.end_time == NOON


def test_a_worker_is_idle_busy_or_draining_and_matches_by_all_labels():
    worker = Worker(id="w", incarnation="1", capacity=2, backlog=3, labels={"zone": "a", "gpu": ""})

    assert worker.status is WorkerStatus.IDLE
    assert attrs.evolve(worker, running=1).status is WorkerStatus.BUSY
    assert attrs.evolve(worker, running=2).status is WorkerStatus.BUSY
    assert attrs.evolve(worker, running=2, draining=True).status is WorkerStatus.DRAINING
    assert (attrs.evolve(worker, running=1, queued=3).load, worker.limit) == (4, 5)
    assert worker.matches({})
    assert worker.matches({"zone": "a"})
    assert not worker.matches({"zone": "b"})
    assert not worker.matches({"zone": "a", "disk": "ssd"})
