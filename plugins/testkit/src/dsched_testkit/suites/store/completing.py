"""Named tests: how attempts end; tokens decide."""

from typing import Any

import pytest

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.working import Completion
from dsched.model import TaskResult
from dsched_testkit.suites.store.arrange import (
    CANCELLED,
    CLIENT,
    FAILED,
    HEARTBEAT_MS,
    HOUR_MS,
    QUEUED,
    READY,
    RETRYING,
    RUNNING,
    SUCCESS,
    WAKEUP_S,
    Arranging,
)


class CompleteTests(Arranging):
    """Completions are accepted with the current token, whatever the lease says."""

    async def test_a_success_ends_the_task_and_keeps_result_and_snapshot(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        spec = (await self.task("a")).spec
        await self.clock.advance(1500)
        result = TaskResult(code="200", message="fine", data={"n": 2**70, "s": "😀", "e": []})
        assert await self.finish("a", token, result=result) == Outcome.OK
        task = await self.task("a")
        assert (*SUCCESS, result, spec) == (task.status, task.home, task.result, task.spec)
        assert (self.clock.ms, self.clock.ms - 1500, "w1", 1) == (
            task.end_ms,
            task.start_ms,
            task.worker_id,
            task.attempt,
        )
        assert (await self.worker_now()).running == 0

    async def test_what_is_done_to_a_result_later_is_not_stored(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        data: list[int] = [1]
        assert await self.finish("a", token, result=TaskResult(data=data)) == Outcome.OK
        data.append(2)
        kept = (await self.task("a")).result
        assert kept == TaskResult(data=[1])
        kept.data.append(3)
        assert (await self.task("a")).result == TaskResult(data=[1])

    async def test_a_completion_is_one_entry_for_its_batch(self) -> None:
        await self.lead()
        await self.worker()
        await self.submit("a")
        await self.submit("b")
        await self.submit("c")
        token = await self.start("a", "b", "c")
        await self.clock.advance(1500)
        await self.news()
        completions = [
            Completion(task_id="a", token=token, success=True, result=TaskResult()),
            self._failure("b", token, reason="timeout"),
            self._failure("c", token, retry_delay_ms=700),
        ]
        assert await self.store.complete(completions, by="w1") == (Outcome.OK,) * 3
        event = await self.the_news()
        assert (EventKind.COMPLETED, "w1", self.clock.ms) == (event.kind, event.by, event.at_ms)
        common = {"attempt": 1, "run": 1500}
        expected: list[dict[str, Any]] = [
            common | {"task": "a", "status": "success", "code": "ok"},
            common | {"task": "b", "status": "failed", "code": "oops", "reason": "timeout"},
            common | {"task": "c", "status": "retrying", "code": "oops", "delay": 700},
        ]
        assert expected == [dict(item) for item in event.items]

    async def test_a_failure_ends_the_task_failed_with_its_error(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        result = TaskResult(code="500", data=[1])
        await self.finish(
            "a", token, success=False, result=result, error="boom: é", reason="not retryable"
        )
        task = await self.task("a")
        assert (*FAILED, "boom: é", "not retryable", result) == (
            task.status,
            task.home,
            task.error,
            task.reason,
            task.result,
        )

    async def test_a_failure_that_is_tried_again_waits_and_is_counted(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        assert await self.fail("a", token, retry_delay_ms=3000, error="boom") == Outcome.OK
        task = await self.task("a")
        assert (*RETRYING, 1, 0, "boom", None) == (
            task.status,
            task.home,
            task.retry_count,
            task.crash_count,
            task.error,
            task.end_ms,
        )
        assert (await self.worker_now()).running == 0
        await self.clock.advance(2999)
        assert (await self.store.promote(self.fence, 10)).count == 0
        await self.clock.advance(1)
        assert (await self.store.promote(self.fence, 10)).count == 1

    async def test_a_retry_without_delay_still_waits_for_promotion(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.fail("a", token, retry_delay_ms=0)
        assert await self.state("a") == RETRYING
        assert (await self.store.promote(self.fence, 10)).count == 1

    async def test_a_success_ends_the_task_whatever_delay_comes_with_it(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        assert await self.finish("a", token, retry_delay_ms=1000) == Outcome.OK
        assert await self.state("a") == SUCCESS

    async def test_a_success_clears_the_error_of_an_earlier_failure(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.fail("a", token, retry_delay_ms=0, error="boom")
        await self.store.promote(self.fence, 10)
        await self.finish("a", await self.start("a"))
        task = await self.task("a")
        assert (task.error, task.retry_count, task.attempt) == ("", 1, 2)

    async def test_a_repeated_completion_is_already_and_changes_nothing(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.finish("a", token)
        before = await self.task("a")
        await self.clock.advance(100)
        await self.news()
        assert await self.finish("a", token) == Outcome.ALREADY
        assert await self.fail("a", token, retry_delay_ms=1) == Outcome.ALREADY
        assert (before, []) == (await self.task("a"), await self.news())

    async def test_a_repeated_failure_is_counted_once(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.fail("a", token, retry_delay_ms=1000)
        assert await self.fail("a", token, retry_delay_ms=1000) == Outcome.ALREADY
        assert (await self.task("a")).retry_count == 1
        await self.clock.advance(1000)
        await self.store.promote(self.fence, 10)
        assert await self.fail("a", token, retry_delay_ms=1000) == Outcome.ALREADY
        assert await self.state("a") == READY

    async def test_a_completion_with_another_token_is_stale(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.news()
        for other in ("", token + "0", token[:-1] + "9", "w2.0100-a.0.1"):
            assert await self.finish("a", other) == Outcome.STALE
        assert await self.state("a") == RUNNING
        assert await self.news() == []

    async def test_a_completion_of_what_does_not_run_is_stale(self) -> None:
        await self.lead()
        await self.worker()
        await self.submit("ready")
        await self.queued("queued")
        for name in ("ready", "queued", "unknown"):
            assert await self.finish(name, "w1.0100-a.0.1") == Outcome.STALE
        assert await self.state("ready") == READY

    async def test_a_superseded_attempt_completes_nothing(self) -> None:
        await self.lead()
        await self.worker("w1")
        await self.worker("w2")
        old = await self.running("a")
        await self.fail("a", old, retry_delay_ms=0)
        await self.store.promote(self.fence, 10)
        new = await self.start("a", worker_id="w2")
        assert await self.finish("a", old) == Outcome.STALE
        assert await self.state("a") == RUNNING
        assert await self.finish("a", new) == Outcome.OK

    async def test_a_lost_lease_completes_nothing(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.clock.advance(HEARTBEAT_MS + 1)
        await self.store.reap(self.fence, [Reap(task_id="a", token=token)])
        assert await self.finish("a", token) == Outcome.STALE
        assert await self.state("a") == READY

    async def test_a_lost_lease_completes_nothing_of_its_workers_next_attempt(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.clock.advance(HEARTBEAT_MS + 1)
        await self.store.reap(self.fence, [Reap(task_id="a", token=token)])
        await self.beat()
        await self.queue("a")
        assert await self.finish("a", token) == Outcome.STALE
        assert await self.state("a") == QUEUED

    async def test_a_lease_that_is_over_but_not_reaped_still_completes(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.clock.advance(HOUR_MS)
        assert await self.finish("a", token) == Outcome.OK
        assert (await self.store.overdue(self.fence, 10, 0)).leases == ()

    async def test_a_requested_cancel_wins_over_success_and_keeps_the_result(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.store.cancel(["a"], by=CLIENT, reason="asked")
        await self.news()
        assert await self.finish("a", token, result=TaskResult(data=7)) == Outcome.OK
        task = await self.task("a")
        assert (*CANCELLED, "asked", TaskResult(data=7)) == (
            task.status,
            task.home,
            task.reason,
            task.result,
        )
        (item,) = (await self.the_news()).items
        assert (item["status"], item["reason"]) == ("cancelled", "asked")

    async def test_a_requested_cancel_wins_over_a_retry(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.store.cancel(["a"], by=CLIENT, reason="asked")
        assert await self.fail("a", token, retry_delay_ms=1000) == Outcome.OK
        task = await self.task("a")
        assert (*CANCELLED, 0) == (task.status, task.home, task.retry_count)

    async def test_one_stale_completion_refuses_no_other(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        stale = Completion(task_id="x", token=token, success=True, result=TaskResult())
        good = Completion(task_id="a", token=token, success=True, result=TaskResult())
        outcomes = await self.store.complete([stale, good], by="w1")
        assert outcomes == (Outcome.STALE, Outcome.OK)

    async def test_completions_over_the_bound_or_with_an_id_twice_are_refused_whole(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        good = Completion(task_id="a", token=token, success=True, result=TaskResult())
        many = [good, *(self._failure(f"t{index}", token) for index in range(MAX_BATCH))]
        for batch in (many, [good, self._failure("a", token)]):
            with pytest.raises(ValueError, match=r"."):
                await self.store.complete(batch, by="w1")
        assert await self.state("a") == RUNNING

    async def test_freed_room_wakes_the_leader_while_tasks_are_ready(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.submit("waiting")
        await self.hush(LEADER_WAKEUP)
        await self.finish("a", token)
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)

    def _failure(self, task_id: str, token: str, **fields: Any) -> Completion:
        result = TaskResult(code="oops")
        return Completion(task_id=task_id, token=token, success=False, result=result, **fields)
