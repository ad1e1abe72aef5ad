"""What needs a person: configs that fail, are late or were missed, workers that are gone."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from dsched.client import Client
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.reading import TaskQuery
from dsched.model import Decision, Task, TaskStatus, Verdict, Worker, rfc3339_ms
from dsched_api_http.standing import ProblemNow
from dsched_api_http.wire import optional_time

LATE_AFTER_MS = 60_000
FRESH_S = 30.0
DAY_MS = 24 * 3_600_000
MAX_FAILED = 100  # ended tasks that are looked at
MAX_FAILING = 12  # configs whose last tasks are looked at
MAX_MISSED = 50  # configs whose decisions are looked at, where something was missed at all
IN_A_ROW = 20
MAX_DETAIL = 300


@attrs.frozen(kw_only=True)
class _Found:
    until_s: float
    problems: tuple[ProblemNow, ...]


class Attention:
    """Finds what needs a person; it asks the store only now and then."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._found: _Found | None = None

    async def problems(
        self,
        configs: Sequence[StoredConfig],
        workers: Iterable[Worker],
        *,
        late: Iterable[StoredConfig],
        day: Any,
        now_ms: int,
    ) -> tuple[ProblemNow, ...]:
        """The problems, the worst first: failing, missed, late, workers."""
        if self._found is None or time.monotonic() >= self._found.until_s:
            failing = await self._failing(now_ms) if day.failed else ()
            missed = await self._missed(configs, now_ms) if day.missed else ()
            self._found = _Found(until_s=time.monotonic() + FRESH_S, problems=(*failing, *missed))
        return (
            *self._found.problems,
            *(_late(one) for one in late),
            *(_gone(one) for one in workers if one.gone),
        )

    async def _failing(self, now_ms: int) -> tuple[ProblemNow, ...]:
        """Configs whose newest ended task failed, with how many did in a row."""
        page = await self._client.list(TaskQuery(status=TaskStatus.FAILED), limit=MAX_FAILED)
        names = dict.fromkeys(
            one.config_id
            for one in page.tasks
            if one.config_id is not None and (one.end_ms or 0) > now_ms - DAY_MS
        )
        found = []
        for config_id in list(names)[:MAX_FAILING]:
            ended = await self._client.list(TaskQuery(config_id=config_id), limit=IN_A_ROW)
            row = _row(ended.tasks)
            if row:
                found.append(_failed(config_id, row, more=len(row) == IN_A_ROW))
        return tuple(found)

    async def _missed(self, configs: Sequence[StoredConfig], now_ms: int) -> tuple[ProblemNow, ...]:
        """Configs of which an instant of the last day was missed, and has not been fired since."""
        found = []
        for one in configs[:MAX_MISSED]:
            page = await self._client.decisions(one.config.id, limit=IN_A_ROW)
            missed = [
                decision
                for decision in page.decisions
                if decision.verdict is Verdict.MISSED and decision.last_ms > now_ms - DAY_MS
            ]
            if missed:
                found.append(_missing(one.config.id, missed))
        return tuple(found)


def _row(tasks: Iterable[Task]) -> list[Task]:
    """The newest tasks that failed, down to the first that did not."""
    found: list[Task] = []
    for task in tasks:
        if task.status is not TaskStatus.FAILED:
            break
        found.append(task)
    return found


def _failed(config_id: str, row: Sequence[Task], *, more: bool) -> ProblemNow:
    text = row[0].error or row[0].reason
    return ProblemNow(
        kind="failing",
        config_id=config_id,
        worker_id=row[0].worker_id,
        task_id=row[0].id,
        since=optional_time(row[-1].end_ms),
        count=len(row),
        more=more,
        detail=line_of(text),
    )


def _missing(config_id: str, missed: Sequence[Decision]) -> ProblemNow:
    return ProblemNow(
        kind="missed",
        config_id=config_id,
        worker_id=None,
        task_id=None,
        since=rfc3339_ms(missed[0].first_ms),
        count=sum(one.count for one in missed),
        more=False,
        detail=line_of(missed[0].account or missed[0].reason),
    )


def _late(one: StoredConfig) -> ProblemNow:
    return ProblemNow(
        kind="late",
        config_id=one.config.id,
        worker_id=None,
        task_id=None,
        since=optional_time(one.due_ms),
        count=1,
        more=False,
        detail="",
    )


def _gone(worker: Worker) -> ProblemNow:
    return ProblemNow(
        kind="worker",
        config_id=None,
        worker_id=worker.id,
        task_id=None,
        since=rfc3339_ms(worker.last_heartbeat_ms),
        count=1,
        more=False,
        detail=line_of(worker.address),
    )


def line_of(text: str) -> str:
    """The most telling line: the last of a traceback, the first of anything else."""
    lines = [line for line in text.strip().splitlines() if line.strip()] or [""]
    told = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    return told.strip()[:MAX_DETAIL]
