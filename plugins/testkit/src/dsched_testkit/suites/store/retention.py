"""Named tests: how long, and how many, ended tasks of each outcome are kept."""

from dsched.contracts.store.settings import Kept
from dsched.model import TaskStatus
from dsched_testkit.suites.store.arrange import DAY_MS, HOUR_MS, Arranging

SUCCESS, FAILED, CANCELLED = TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED


class RetentionTests(Arranging):
    """Retention by age and by number, outcome by outcome."""

    async def fresh_keeping(self, retention: dict[TaskStatus, Kept], **settings: int) -> None:
        """A store with this retention, a leader and a worker."""
        await self.fresh(retention=retention, **settings)
        await self.lead()
        await self.worker(heartbeat_timeout_ms=60 * DAY_MS)

    async def end(self, task_id: str, status: TaskStatus) -> str:
        """Let a task end so, and a little time pass."""
        if status is CANCELLED:
            await self.submit(task_id)
            await self.store.cancel([task_id], by="me", reason="why")
        else:
            token = await self.running(task_id)
            await (self.finish if status is SUCCESS else self.fail)(task_id, token)
        await self.clock.advance(10)
        return task_id

    async def kept(self, *task_ids: str) -> list[str]:
        """Those of these tasks that are there."""
        found = await self.store.get(task_ids)
        return [task.id for task in found if task is not None]

    async def test_each_outcome_has_its_own_age_and_the_others_the_default(self) -> None:
        await self.fresh_keeping(
            {SUCCESS: Kept(age_ms=HOUR_MS), FAILED: Kept(age_ms=3 * HOUR_MS)},
            result_ttl_ms=2 * HOUR_MS,
        )
        names = [await self.end(status.value, status) for status in (SUCCESS, FAILED, CANCELLED)]
        await self.clock.advance(HOUR_MS - 100)
        assert (await self.store.prune(self.fence, 40)).count == 0
        for gone in ("success", "cancelled", "failed"):
            await self.clock.advance(100)
            names.remove(gone)
            assert (await self.store.prune(self.fence, 40)).count == 1
            assert await self.kept("success", "failed", "cancelled") == names
            await self.clock.advance(HOUR_MS - 100)

    async def test_an_age_counts_whether_it_was_pruned_or_not(self) -> None:
        await self.fresh_keeping({FAILED: Kept(age_ms=3 * HOUR_MS)}, result_ttl_ms=HOUR_MS)
        names = [await self.end(status.value, status) for status in (SUCCESS, FAILED, CANCELLED)]
        await self.clock.advance(HOUR_MS)
        assert await self.kept(*names) == ["failed"]
        await self.clock.advance(2 * HOUR_MS)
        assert await self.kept(*names) == []

    async def test_only_the_newest_of_an_outcome_are_kept_where_a_number_is_set(self) -> None:
        await self.fresh_keeping({SUCCESS: Kept(count=2), CANCELLED: Kept(count=1)})
        done = [await self.end(f"s{number}", SUCCESS) for number in range(4)]
        failed = [await self.end(f"f{number}", FAILED) for number in range(3)]
        dropped = [await self.end(f"c{number}", CANCELLED) for number in range(2)]
        await self.collected()
        assert await self.kept(*done) == done
        pruned = await self.store.prune(self.fence, 40)
        assert (pruned.count, pruned.more) == (3, False)
        assert await self.kept(*done, *failed, *dropped) == ["s2", "s3", *failed, "c1"]
        counts = (await self.store.counts()).by_status
        assert (counts[SUCCESS], counts[FAILED], counts[CANCELLED]) == (2, 3, 1)
        assert (await self.store.prune(self.fence, 40)).count == 0

    async def test_a_surplus_goes_a_part_at_a_time_and_the_answer_says_that_there_is_more(
        self,
    ) -> None:
        await self.fresh_keeping({SUCCESS: Kept(count=1)})
        done = [await self.end(f"s{number}", SUCCESS) for number in range(4)]
        first = await self.store.prune(self.fence, 2)
        assert (first.count, first.more) == (2, True)
        second = await self.store.prune(self.fence, 2)
        assert (second.count, second.more) == (1, False)
        assert await self.kept(*done) == ["s3"]

    async def test_age_and_number_hold_together(self) -> None:
        await self.fresh_keeping({FAILED: Kept(age_ms=HOUR_MS, count=2)})
        old = await self.end("old", FAILED)
        await self.clock.advance(HOUR_MS)
        young = [await self.end(f"f{number}", FAILED) for number in range(2)]
        assert (await self.store.prune(self.fence, 40)).count == 1
        assert await self.kept(old, *young) == young

    async def test_what_has_not_ended_counts_for_no_number(self) -> None:
        await self.fresh_keeping({status: Kept(count=1) for status in (SUCCESS, FAILED)})
        for number in range(3):
            await self.submit(f"waiting{number}")
        await self.running("runs")
        await self.end("done", SUCCESS)
        assert (await self.store.prune(self.fence, 40)).count == 0
        assert await self.kept("runs", "done", "waiting0") == ["runs", "done", "waiting0"]
