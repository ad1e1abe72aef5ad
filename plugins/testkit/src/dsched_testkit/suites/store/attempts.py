"""Named tests: the attempts of a task that are remembered."""

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.working import Release
from dsched.model import KEPT_ATTEMPTS, Attempt, Home
from dsched_testkit.suites.store.arrange import CLIENT, HEARTBEAT_MS, SECOND_MS, Arranging

ODD_ERROR = 'boom "quoted" \\ back\ttab\nline\u2028sep 💥 é' + "x" * 30


class AttemptTests(Arranging):
    """Each task keeps its latest attempts: who, from when to when, how, code and error."""

    async def ready_with_worker(self) -> None:
        """A leader and a worker whose leases are short enough to run out."""
        await self.lead()
        await self.worker()

    async def retry_now(self, task_id: str, token: str, error: str = "boom") -> None:
        """Fail an attempt so that the task is ready again."""
        assert await self.fail(task_id, token, error=error, retry_delay_ms=SECOND_MS) == Outcome.OK
        await self.clock.advance(SECOND_MS)
        await self.store.promote(self.fence, 100)

    async def attempts(self, task_id: str = "a") -> list[tuple[int, str, str, str]]:
        """Number, how, code and error of what is remembered."""
        found = (await self.task(task_id)).attempts
        return [(one.number, one.how, one.code, one.error) for one in found]

    async def test_a_task_that_was_never_claimed_has_no_attempts(self) -> None:
        await self.submit("a")
        assert await self.attempts() == []

    async def test_the_one_attempt_of_a_plain_task_is_told_by_the_task(self) -> None:
        await self.ready_with_worker()
        start_ms = self.clock.ms
        token = await self.running("a")
        running = Attempt(number=1, worker_id="w1", start_ms=start_ms, how="running")
        assert (await self.task("a")).attempts == (running,)
        await self.clock.advance(70)
        assert await self.finish("a", token) == Outcome.OK
        task = await self.task("a")
        assert task.past == ()
        assert task.attempts == (
            Attempt(
                number=1,
                worker_id="w1",
                start_ms=start_ms,
                end_ms=start_ms + 70,
                how="success",
                code="ok",
            ),
        )

    async def test_a_failed_attempt_is_remembered_with_worker_times_code_and_error(self) -> None:
        await self.ready_with_worker()
        start_ms = self.clock.ms
        token = await self.running("a")
        await self.clock.advance(40)
        await self.retry_now("a", token, ODD_ERROR)
        assert (await self.task("a")).attempts == (
            Attempt(
                number=1,
                worker_id="w1",
                start_ms=start_ms,
                end_ms=start_ms + 40,
                how="failed",
                code="failed",
                error=ODD_ERROR,
            ),
        )
        await self.queue("a")
        assert [one[:2] for one in await self.attempts()] == [(1, "failed")]
        token = (await self.claim()).token
        await self.finish("a", token)
        assert await self.attempts() == [
            (1, "failed", "failed", ODD_ERROR),
            (2, "success", "ok", ""),
        ]

    async def test_a_crashed_and_a_released_attempt_say_so(self) -> None:
        await self.ready_with_worker()
        token = await self.running("a")
        await self.clock.advance(HEARTBEAT_MS)
        reap = Reap(task_id="a", token=token, error="lease ran out")
        assert await self.store.reap(self.fence, [reap]) == (Outcome.OK,)
        await self.beat("w1")
        token = await self.start("a")
        release = Release(task_id="a", token=token, reason="drain")
        assert await self.store.release([release], by="w1") == (Outcome.OK,)
        token = await self.start("a")
        await self.clock.advance(HEARTBEAT_MS)
        again = Reap(task_id="a", token=token, delay_ms=SECOND_MS, error="again")
        assert await self.store.reap(self.fence, [again]) == (Outcome.OK,)
        assert await self.attempts() == [
            (1, "crashed", "", "lease ran out"),
            (2, "released", "", ""),
            (3, "crashed", "", "again"),
        ]

    async def test_the_last_failure_is_told_once_and_with_the_error_of_the_task(self) -> None:
        await self.ready_with_worker()
        await self.retry_now("a", await self.running("a"), "first")
        await self.fail("a", await self.start("a"), error="second")
        assert await self.attempts() == [
            (1, "failed", "failed", "first"),
            (2, "failed", "failed", "second"),
        ]

    async def test_a_cancel_between_attempts_makes_no_attempt(self) -> None:
        await self.ready_with_worker()
        await self.retry_now("a", await self.running("a"), "first")
        await self.store.cancel(["a"], by=CLIENT, reason="enough")
        assert await self.attempts() == [(1, "failed", "failed", "first")]

    async def test_only_the_latest_attempts_are_kept(self) -> None:
        await self.ready_with_worker()
        await self.submit("a")
        for number in range(1, KEPT_ATTEMPTS + 4):
            await self.retry_now("a", await self.start("a"), f"error {number}")
            await self.beat("w1")
        await self.finish("a", await self.start("a"))
        numbers = [one[0] for one in await self.attempts()]
        assert numbers == list(range(5, KEPT_ATTEMPTS + 5))

    async def test_of_a_long_error_the_end_is_remembered(self) -> None:
        await self.ready_with_worker()
        await self.retry_now("a", await self.running("a"), "💥" * 4000 + "the cause")
        ((_, _, _, error),) = await self.attempts()
        assert (len(error), error[0], error[-9:]) == (500, "…", "the cause")
        assert len((await self.task("a")).error) == 4009

    async def test_attempts_are_left_out_of_lists_and_short_answers(self) -> None:
        await self.ready_with_worker()
        await self.retry_now("a", await self.running("a"))
        (short,) = await self.store.get(["a"])
        listed = await self.store.list_tasks(TaskQuery(home=Home.READY), None, 10)
        assert short is not None
        assert [short.past, *(task.past for task in listed.tasks)] == [(), ()]
        assert short.error == "boom"

    async def test_attempts_go_with_their_task(self) -> None:
        await self.fresh(result_ttl_ms=SECOND_MS)
        await self.ready_with_worker()
        await self.retry_now("a", await self.running("a"))
        await self.finish("a", await self.start("a"))
        await self.clock.advance(2 * SECOND_MS)
        await self.store.prune(self.fence, 40)
        await self.submit("a")
        await self.beat("w1")
        await self.finish("a", await self.start("a"))
        assert await self.attempts() == [(1, "success", "ok", "")]
