"""What clients and workers do to tasks."""

from collections.abc import Sequence
from typing import Any

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.checks import check_batch, check_limit
from dsched.contracts.store.codec import readable_spec, write_result, write_spec
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.working import (
    CancelAnswer,
    Claimed,
    Completion,
    Progress,
    Release,
    Submission,
    Working,
    claim_token,
)
from dsched.model import Home, Task, TaskStatus, error_to_keep
from dsched.model.json import dumps
from dsched_store_redis.base import OnRedis
from dsched_store_redis.configs import route, span_ms
from dsched_store_redis.wire import (
    decode,
    ids,
    known,
    lines,
    load_json,
    outcome,
    outcomes,
    safe_id,
    text,
)


class RedisWorking(OnRedis, Working):
    """Working."""

    async def submit(
        self, items: Sequence[Submission], *, by: str, fence: str | None = None
    ) -> tuple[Outcome, ...]:
        """Create tasks."""
        check_batch([item.task_id for item in items])
        if not items:
            return ()
        answer = await self._step(
            "submit",
            fence or "",
            by,
            lines(map(_submit_row, items)),
            lines(write_spec(item.spec) for item in items),
            durable=True,
        )
        return outcomes(answer[1])

    async def claim(
        self, worker_id: str, incarnation: str, lane: int, number: int, limit: int
    ) -> Claimed:
        """Start attempts."""
        check_limit(limit)
        answer = await self._step("claim", worker_id, incarnation, lane, number, limit, self._ttl)
        return _claim(answer, worker_id, claim_token(worker_id, incarnation, lane, number))

    async def claim_when_woken(
        self,
        worker_id: str,
        incarnation: str,
        lane: int,
        number: int,
        limit: int,
        timeout_s: float,
    ) -> tuple[bool, Claimed]:
        """The same, as soon as the worker is woken."""
        check_limit(limit)
        claim = (worker_id, incarnation, lane, number, limit, self._ttl)
        woken, answer = await self._step_when_woken(worker_id, timeout_s, "claim", *claim)
        token = claim_token(worker_id, incarnation, lane, number)
        return woken, _claim(answer, worker_id, token)

    async def complete(self, items: Sequence[Completion], *, by: str) -> tuple[Outcome, ...]:
        """Record how attempts ended."""
        check_batch([item.task_id for item in items])
        if not items:
            return ()
        answer = await self._step(
            "complete",
            by,
            lines(map(_complete_row, items)),
            lines(write_result(item.result) for item in items),
            self._ttl,
            durable=True,
        )
        return outcomes(answer[1])

    async def release(self, items: Sequence[Release], *, by: str) -> tuple[Outcome, ...]:
        """Give attempts back."""
        check_batch([item.task_id for item in items], MAX_HEAVY_BATCH)
        rows = (
            f"{known(item.task_id)}\t{item.token}\t{int(item.fail)}\t{text(item.reason)}"
            for item in items
        )
        return outcomes((await self._step("release", by, lines(rows), self._ttl))[1])

    async def cancel(
        self, task_ids: Sequence[str], *, by: str, reason: str, fence: str | None = None
    ) -> tuple[CancelAnswer, ...]:
        """Cancel tasks."""
        check_batch(task_ids)
        answer = await self._step(
            "cancel", fence or "", by, text(reason), ids(task_ids), self._ttl, durable=True
        )
        found = (word.partition(":") for word in decode(answer[1]).split())
        return tuple(
            CancelAnswer(outcome=Outcome(word), status=TaskStatus(status) if status else None)
            for word, _, status in found
        )

    async def progress(self, items: Sequence[Progress]) -> tuple[Outcome, ...]:
        """Set the progress of running attempts."""
        check_batch([item.task_id for item in items])
        rows = (f"{known(item.task_id)}\t{item.token}\t{dumps(item.value)}" for item in items)
        return outcomes((await self._step("progress", lines(rows)))[1])


def _submit_row(item: Submission) -> str:
    spec = item.spec
    deadline = "" if spec.start_deadline is None else str(span_ms(spec.start_deadline))
    if spec.workflow is not None:
        sources = () if spec.resumes is None else spec.resumes.sources
        deadline = " ".join(["run", *(safe_id(source, "run id") for source in sources)])
    delay = item.delay_ms if item.at_ms is None else f"@{item.at_ms}"
    return (
        f"{safe_id(item.task_id, 'task id')}\t{spec.priority}\t{delay}"
        f"\t{deadline}\t{route(spec)}\t{text(item.why)}"
    )


def _complete_row(item: Completion) -> str:
    delay = ""
    if item.retry_delay_ms is not None:  # an attempt that is to be remembered
        delay = f"{item.retry_delay_ms} {text(error_to_keep(item.error))}"
    return (
        f"{known(item.task_id)}\t{item.token}\t{int(item.success)}\t{delay}"
        f"\t{text(item.reason)}\t{text(item.result.code)}\t{text(item.error)}"
    )


def _claim(answer: list[Any], worker_id: str, token: str) -> Claimed:
    verdict = outcome(answer[0])
    if verdict not in {Outcome.OK, Outcome.EMPTY}:
        return Claimed(outcome=verdict)
    tasks: tuple[Task, ...] = ()
    if verdict is Outcome.OK:
        rows = zip(decode(answer[2]).split("\n"), decode(answer[3]).split("\n"), strict=True)
        tasks = tuple(_claimed(row, body, worker_id) for row, body in rows)
    return Claimed(outcome=verdict, tasks=tasks, token=token, epoch=int(answer[1]))


def _claimed(row: str, body: str, worker_id: str) -> Task:
    """A task as it was claimed. Most have no error and no progress yet."""
    key, scheduled, start, attempt, retries, crashes, priority, cancel, error, progress = row.split(
        "\t"
    )
    return Task(
        id=key,
        status=TaskStatus.RUNNING,
        home=Home.LEASE,
        worker_id=worker_id,
        scheduled_ms=int(scheduled),
        start_ms=int(start),
        attempt=int(attempt),
        retry_count=int(retries),
        crash_count=int(crashes),
        priority=int(priority),
        error=load_json(error) if error else "",
        cancel_requested=cancel == "1",
        progress=load_json(progress) if progress else None,
        spec=readable_spec(body),
    )
