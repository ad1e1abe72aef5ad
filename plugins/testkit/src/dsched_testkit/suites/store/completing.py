"""Named tests: how attempts end, by completion, release or progress; tokens decide."""

from typing import Any

import pytest

from dsched.contracts.outcomes import Outcome
from dsched.contracts.steps import (
    MAX_BATCH,
    Completion,
    EventKind,
    Progress,
    Reap,
    Release,
)
from dsched.contracts.store import LEADER_BELL
from dsched.model import Overlap, TaskResult
from dsched_testkit.suites.store.arrange import (
    BELL_S,
    CANCELLED,
    CLIENT,
    FAILED,
    HEARTBEAT_MS,
    HOUR_MS,
    MINUTE_MS,
    READY,
    RETRYING,
    RUNNING,
    SUCCESS,
    Arranging,
    ms,
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

    async def test_freed_room_rings_the_leaders_bell_while_tasks_are_ready(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.submit("waiting")
        await self.hush(LEADER_BELL)
        await self.finish("a", token)
        assert await self.store.bell(LEADER_BELL, BELL_S)

    def _failure(self, task_id: str, token: str, **fields: Any) -> Completion:
        result = TaskResult(code="oops")
        return Completion(task_id=task_id, token=token, success=False, result=result, **fields)


class ReleaseTests(Arranging):
    """An attempt that is given back."""

    async def test_a_released_task_is_ready_again_without_a_crash(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.news()
        assert await self._release("a", token) == Outcome.OK
        task = await self.task("a")
        assert (*READY, None, 0, 0, 1, "drain") == (
            task.status,
            task.home,
            task.worker_id,
            task.crash_count,
            task.retry_count,
            task.attempt,
            task.reason,
        )
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.RELEASED, "w1")
        assert [dict(item) for item in event.items] == [
            {"task": "a", "status": "pending", "reason": "drain"}
        ]
        assert (await self.worker_now()).running == 0

    async def test_a_released_attempt_completes_nothing_and_is_released_once(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self._release("a", token)
        await self.news()
        assert await self._release("a", token) == Outcome.STALE
        assert await self.finish("a", token) == Outcome.STALE
        assert await self.news() == []

    async def test_a_release_may_fail_the_task(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.news()
        assert await self._release("a", token, fail=True) == Outcome.OK
        task = await self.task("a")
        assert (*FAILED, "released", self.clock.ms) == (
            task.status,
            task.home,
            task.reason,
            task.end_ms,
        )
        (item,) = (await self.the_news()).items
        assert (item["status"], item["reason"]) == ("failed", "released")

    async def test_a_released_task_whose_cancel_was_asked_for_is_cancelled(self) -> None:
        await self.lead()
        await self.worker()
        for name, fail in (("a", False), ("b", True)):
            token = await self.running(name)
            await self.store.cancel([name], by=CLIENT, reason="asked")
            await self.news()
            assert await self._release(name, token, fail=fail) == Outcome.OK
            task = await self.task(name)
            assert (*CANCELLED, "asked") == (task.status, task.home, task.reason)
            (item,) = (await self.the_news()).items
            assert item["status"] == "cancelled"

    async def test_a_release_with_another_token_is_stale(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        assert await self._release("a", token + "0") == Outcome.STALE
        assert await self._release("unknown", token) == Outcome.STALE
        assert await self.state("a") == RUNNING

    async def test_a_finished_task_is_not_released(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.finish("a", token)
        assert await self._release("a", token) == Outcome.STALE
        assert await self.state("a") == SUCCESS

    async def test_a_released_task_rings_the_leaders_bell(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.hush(LEADER_BELL)
        await self._release("a", token)
        assert await self.store.bell(LEADER_BELL, BELL_S)

    async def _release(self, task_id: str, token: str, *, fail: bool = False) -> Outcome:
        release = Release(task_id=task_id, token=token, reason="drain", fail=fail)
        (outcome,) = await self.store.release([release], by="w1")
        return outcome


class ProgressTests(Arranging):
    """How far an attempt is."""

    async def test_the_latest_progress_of_a_running_attempt_is_kept(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.news()
        for value in ({"done": 1, "note": "é"}, {"done": 2**60, "list": []}):
            assert await self.store.progress([Progress("a", token, value)]) == (Outcome.OK,)
            assert value == (await self.task("a")).progress
        assert await self.news() == []

    async def test_progress_with_another_token_or_of_what_does_not_run_is_stale(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        items = [Progress("a", token + "0", 1), Progress("unknown", token, 1)]
        assert await self.store.progress(items) == (Outcome.STALE, Outcome.STALE)
        await self.finish("a", token)
        assert await self.store.progress([Progress("a", token, 1)]) == (Outcome.STALE,)
        assert (await self.task("a")).progress is None

    async def test_a_new_attempt_starts_without_progress(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.store.progress([Progress("a", token, 50)])
        await self.fail("a", token, retry_delay_ms=0)
        await self.store.promote(self.fence, 10)
        await self.start("a")
        assert (await self.task("a")).progress is None


class FixedDelayEndTests(Arranging):
    """Every way in which a fixed-delay config's task ends makes the next run due."""

    async def test_success_arms_the_next_run(self) -> None:
        task_id, token = await self._running()
        await self.finish(task_id, token)
        await self._assert_armed()

    async def test_failure_arms_the_next_run_and_a_retry_does_not(self) -> None:
        task_id, token = await self._running()
        await self.fail(task_id, token, retry_delay_ms=0)
        assert await self.due_of() is None
        await self.store.promote(self.fence, 10)
        await self.fail(task_id, await self.start(task_id))
        await self._assert_armed()

    async def test_a_cancel_arms_the_next_run(self) -> None:
        task_id, token = await self._running()
        await self.store.release([Release(task_id=task_id, token=token, reason="x")], by="w1")
        assert await self.due_of() is None
        await self.store.cancel([task_id], by=CLIENT, reason="asked")
        await self._assert_armed()

    async def test_a_release_that_fails_arms_the_next_run(self) -> None:
        task_id, token = await self._running()
        release = Release(task_id=task_id, token=token, reason="x", fail=True)
        await self.store.release([release], by="w1")
        await self._assert_armed()

    async def test_a_reap_that_fails_arms_the_next_run(self) -> None:
        task_id, token = await self._running()
        await self.clock.advance(HEARTBEAT_MS + 1)
        await self.store.reap(
            self.fence, [Reap(task_id=task_id, token=token, fail_reason="poison")]
        )
        await self._assert_armed()

    async def test_an_expiry_arms_the_next_run(self) -> None:
        await self.lead()
        await self.worker()
        await self.config(fixed_delay=ms(MINUTE_MS), start_deadline=ms(5000))
        task_id = await self.fired()
        await self.clock.advance(5001)
        assert await self.choose(task_id) == Outcome.EXPIRED
        await self._assert_armed()

    async def test_nothing_is_armed_for_a_paused_or_a_disabled_config(self) -> None:
        for config_id, enabled in (("paused", True), ("disabled", False)):
            await self.fresh()
            await self.lead()
            await self.worker()
            await self.config(config_id, fixed_delay=ms(MINUTE_MS), enabled=enabled)
            task_id, token = await self.fired_and_running(config_id)
            if enabled:
                rearm = self.rearm(await self.stored(config_id))
                await self.store.pause(config_id, rearm, by=CLIENT, why="")
            await self.finish(task_id, token)
            assert await self.due_of(config_id) is None

    async def test_the_end_of_a_task_run_by_hand_arms_nothing(self) -> None:
        await self.lead()
        await self.worker()
        await self.config(due_in_ms=None, fixed_delay=ms(MINUTE_MS))
        await self.finish("c@manual-1", await self.running("c@manual-1"))
        assert await self.due_of() is None

    async def test_nothing_is_armed_while_another_task_of_the_config_lives(self) -> None:
        await self.lead()
        await self.worker()
        await self.config(due_in_ms=-1000, fixed_delay=ms(MINUTE_MS), overlap=Overlap.ALLOW)
        first, second = self.clock.ms - 1000, self.clock.ms
        await self.fired("c", first, second)
        token = await self.start(f"c@{first}", f"c@{second}")
        await self.finish(f"c@{first}", token)
        assert await self.due_of() is None
        await self.finish(f"c@{second}", token)
        await self._assert_armed()

    async def test_the_next_run_rings_the_leaders_bell(self) -> None:
        task_id, token = await self._running()
        await self.hush(LEADER_BELL)
        await self.finish(task_id, token)
        assert await self.store.bell(LEADER_BELL, BELL_S)

    async def _running(self) -> tuple[str, str]:
        await self.lead()
        await self.worker()
        await self.config(fixed_delay=ms(MINUTE_MS))
        task_id, token = await self.fired_and_running()
        await self.clock.advance(1500)
        return task_id, token

    async def _assert_armed(self) -> None:
        assert self.clock.ms + MINUTE_MS == await self.due_of()
