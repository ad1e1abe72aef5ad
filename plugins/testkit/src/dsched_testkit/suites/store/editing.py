"""Named tests: an edit may leave what is owed where it is."""

import attrs

from dsched.contracts.store.configs import PutConfig
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched_testkit.suites.store.arrange import AUTHOR, MINUTE_MS, OPERATOR, Arranging, a_config


class EditTests(Arranging):
    """Changing a config that owes instants."""

    async def test_a_put_may_leave_a_due_that_has_come_where_it_was(self) -> None:
        await self.lead()
        stored = await self.config()
        due_ms = stored.due_ms
        assert due_ms is not None
        await self.clock.advance(5 * MINUTE_MS)
        edited = await self.put(a_config(name="new"), next_due_ms=due_ms)
        assert (due_ms, stored.last_fired_ms) == (edited.due_ms, edited.last_fired_ms)
        (found,) = (await self.store.due(self.fence, 10)).configs
        assert found == edited
        answer = await self.fire("c", due_ms)
        assert answer.runs == (RunOutcome.FIRED,)
        task = await self.task(f"c@{due_ms}")
        assert task.spec is not None
        assert (task.spec.name, task.spec.revision) == ("new", edited.config.revision)

    async def test_a_put_may_leave_the_gap_of_a_pause_where_it_began(self) -> None:
        stored = await self.config()
        began_ms = self.clock.ms
        outcome = await self.store.pause("c", self.rearm(stored), by=OPERATOR, why="")
        assert outcome == Outcome.OK
        paused = await self.stored()
        await self.clock.advance(MINUTE_MS)
        rearm = attrs.evolve(self.rearm(paused), upto_ms=began_ms)
        put = PutConfig(config=a_config(name="new"), rearm=rearm)
        (answer,) = await self.store.put([put], by=AUTHOR)
        assert answer.outcome == Outcome.OK
        after = await self.stored()
        assert after.paused is not None
        assert (began_ms, None) == (after.paused.gap_from_ms, after.due_ms)
