"""Named tests: the next run of a fixed-delay config is due when the last one has ended."""

from dsched.contracts.store.firing import Replan
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.working import Release
from dsched.model import Overlap
from dsched_testkit.suites.store.arrange import (
    CLIENT,
    HEARTBEAT_MS,
    MINUTE_MS,
    OPERATOR,
    WAKEUP_S,
    Arranging,
    a_config,
    ms,
)


class FixedDelayTests(Arranging):
    """The next run of a fixed-delay config is due when the last one has ended."""

    async def test_nothing_is_due_while_its_task_lives(self) -> None:
        await self.lead()
        await self.config(fixed_delay=ms(MINUTE_MS))
        await self.fired()
        assert await self.due_of() is None

    async def test_a_fire_whose_task_had_ended_makes_the_next_one_due(self) -> None:
        await self.lead()
        await self.worker()
        stored = await self.config(fixed_delay=ms(MINUTE_MS))
        fire = await self.a_fire()
        task_id, token = await self.fired_and_running()
        await self.finish(task_id, token)
        replan = Replan(
            config_id="c",
            revision=stored.config.revision,
            due_ms=await self.due_of(),
            next_due_ms=fire.due_ms,
            last_fired_ms=None,
        )
        await self.store.replan(self.fence, [replan])
        await self.clock.advance(500)
        (answer,) = await self.store.fire(self.fence, [fire])
        assert answer.runs == (RunOutcome.DUP,)
        assert self.clock.ms + MINUTE_MS == await self.due_of()

    async def test_an_edit_while_its_task_lives_makes_nothing_due(self) -> None:
        await self.lead()
        await self.config(fixed_delay=ms(MINUTE_MS))
        await self.fired()
        edited = a_config(fixed_delay=ms(2 * MINUTE_MS))
        stored = await self.put(edited, next_due_ms=self.clock.ms + 5)
        assert stored.due_ms is None

    async def test_a_resume_while_its_task_lives_makes_nothing_due(self) -> None:
        await self.lead()
        await self.config(fixed_delay=ms(MINUTE_MS))
        await self.fired()
        await self.store.pause("c", self.rearm(await self.stored()), by=OPERATOR, why="")
        rearm = self.rearm(await self.stored(), next_due_ms=self.clock.ms + 5)
        assert await self.store.resume("c", rearm, by=OPERATOR) == Outcome.OK
        assert await self.due_of() is None

    async def test_an_edit_without_a_living_task_is_due_as_planned(self) -> None:
        stored = await self.config(fixed_delay=ms(MINUTE_MS))
        assert self.clock.ms == stored.due_ms


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

    async def test_the_next_run_wakes_the_leader(self) -> None:
        task_id, token = await self._running()
        await self.hush(LEADER_WAKEUP)
        await self.finish(task_id, token)
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)

    async def _running(self) -> tuple[str, str]:
        await self.lead()
        await self.worker()
        await self.config(fixed_delay=ms(MINUTE_MS))
        task_id, token = await self.fired_and_running()
        await self.clock.advance(1500)
        return task_id, token

    async def _assert_armed(self) -> None:
        assert self.clock.ms + MINUTE_MS == await self.due_of()
