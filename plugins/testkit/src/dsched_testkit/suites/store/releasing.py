"""Named tests: attempts that are given back, and how far an attempt is."""

import pytest

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.working import Progress, Release
from dsched_testkit.suites.store.arrange import (
    CANCELLED,
    CLIENT,
    FAILED,
    QUEUED,
    READY,
    RUNNING,
    SUCCESS,
    WAKEUP_S,
    Arranging,
)


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

    async def test_a_released_attempt_completes_nothing_of_its_workers_next_one(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self._release("a", token)
        await self.queue("a")
        assert await self.finish("a", token) == Outcome.STALE
        assert await self.state("a") == QUEUED

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

    async def test_a_released_task_wakes_the_leader(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.hush(LEADER_WAKEUP)
        await self._release("a", token)
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)

    async def test_more_attempts_than_the_bound_are_refused_whole(self) -> None:
        await self.lead()
        await self.worker(capacity=MAX_HEAVY_BATCH + 1)
        tokens = {
            f"t{number}": await self.running(f"t{number}") for number in range(MAX_HEAVY_BATCH + 1)
        }
        items = [Release(task_id=key, token=token, reason="drain") for key, token in tokens.items()]
        with pytest.raises(ValueError, match=r"."):
            await self.store.release(items, by="w1")
        assert await self.state("t0") == RUNNING
        assert set(await self.store.release(items[1:], by="w1")) == {Outcome.OK}
        assert await self.state("t1") == READY

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
