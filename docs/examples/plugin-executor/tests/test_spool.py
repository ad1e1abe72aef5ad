"""Tests of the spool executor as its author would write them."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from dsched_executor_spool.plugin import SpoolOptions, check_payload, open_spool

from dsched.contracts import TaskFailed
from dsched.loading import load_catalogue
from dsched.model import Task, TaskSpec, TaskStatus

CONTEXT = SimpleNamespace(idempotency_key="note@1000", logger=logging.getLogger("note"))


def note(text: str) -> Task:
    spec = TaskSpec(executor="spool", payload={"text": text})
    return Task(id="note@1000", status=TaskStatus.RUNNING, scheduled_ms=1000, spec=spec)


def test_it_is_installed() -> None:
    assert (
        load_catalogue(enabled=["dsched-executor-spool"]).executors["spool"].distribution
        == "dsched-executor-spool"
    )


def test_a_payload_without_text_is_refused_before_anything_runs() -> None:
    assert check_payload({"text": "fine"}) == []
    assert check_payload({"txt": "typo"})


async def test_a_second_attempt_replaces_the_file_and_adds_none(tmp_path: Path) -> None:
    async with open_spool(SpoolOptions(folder=str(tmp_path))) as executor:
        await executor.execute(CONTEXT, note("first"))
        await executor.execute(CONTEXT, note("second"))
    assert [path.name for path in tmp_path.iterdir()] == ["note@1000.txt"]
    assert (tmp_path / "note@1000.txt").read_text() == "second"


async def test_a_text_that_is_too_large_is_not_tried_again(tmp_path: Path) -> None:
    async with open_spool(SpoolOptions(folder=str(tmp_path), max_bytes=3)) as executor:
        with pytest.raises(TaskFailed) as failure:
            await executor.execute(CONTEXT, note("four"))
    assert not failure.value.retryable
