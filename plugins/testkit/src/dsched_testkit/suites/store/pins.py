"""Named tests: a task that is for one worker says so wherever it waits, whatever put it there.

The leader chooses the worker; a store has to tell it, each time, whom the task is for.
"""

from collections.abc import Mapping

from dsched.contracts.store.classes import Blocked, Let, Shut, class_text
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.runs import Birth
from dsched.contracts.store.working import Release
from dsched.model import Member
from dsched.model.pins import WORKER_LABEL
from dsched_testkit.suites.store.arrange import (
    HEARTBEAT_MS,
    READY,
    RETRYING,
    RUNNING,
    SECOND_MS,
    a_spec,
)
from dsched_testkit.suites.store.arrange_runs import RunSteps

PINNED = {WORKER_LABEL: "w1", "zone": "eu"}


class PinTests(RunSteps):
    """A pin is a label that is demanded; it stays with the task for as long as that lives."""

    async def pinned(self) -> str:
        """A leader, two workers, and a member of a run that is for the first of them."""
        await self.lead()
        for worker_id in ("w1", "w2"):
            await self.worker(worker_id)
        await self.open_run()
        spec = a_spec(member=Member(step="a", index=0, total=2), required_labels=PINNED)
        answer = await self.advance_run(births=(Birth(name="a~0", spec=spec),))
        assert answer.outcome is Outcome.OK
        return "r~a~0"

    async def demanded(self) -> Mapping[str, str]:
        """What the one ready task demands, as the leader is told; it is for its worker still."""
        (task,) = (await self.store.ready(self.fence, 0, 10)).tasks
        assert task.id == "r~a~0"
        return dict(task.required_labels)

    async def test_a_member_that_is_born_is_for_its_worker(self) -> None:
        member = await self.pinned()
        assert await self.demanded() == PINNED
        spec = (await self.task(member)).spec
        assert spec is not None
        assert dict(spec.required_labels) == PINNED
        await self.queue(member)
        (entry,) = (await self.store.overdue(self.fence, 10, 0)).queued
        assert (entry.worker_id, dict(entry.required_labels)) == ("w1", PINNED)

    async def test_a_retry_is_for_the_same_worker(self) -> None:
        member = await self.pinned()
        await self.fail(member, await self.start(member), retry_delay_ms=SECOND_MS)
        assert await self.state(member) == RETRYING
        await self.clock.advance(SECOND_MS)
        assert (await self.store.promote(self.fence, 10)).count == 1
        assert await self.demanded() == PINNED

    async def test_what_is_reaped_is_for_the_same_worker(self) -> None:
        member = await self.pinned()
        token = await self.start(member)
        await self.clock.advance(HEARTBEAT_MS + 1)
        (outcome,) = await self.store.reap(
            self.fence, [Reap(task_id=member, token=token, error="fell silent")]
        )
        assert outcome is Outcome.OK
        assert await self.state(member) == READY
        assert await self.demanded() == PINNED

    async def test_what_is_recalled_or_put_off_is_for_the_same_worker(self) -> None:
        member = await self.pinned()
        await self.queue(member)
        assert await self.store.recall(self.fence, [member], 0) == (Outcome.OK,)
        assert await self.demanded() == PINNED
        assert await self.defer(member, delay_ms=SECOND_MS) is Outcome.OK
        await self.clock.advance(SECOND_MS)
        await self.store.promote(self.fence, 10)
        assert await self.demanded() == PINNED

    async def test_what_a_drain_puts_back_is_for_the_same_worker(self) -> None:
        member = await self.pinned()
        await self.queue(member)
        assert await self.store.drain("w1", None) is Outcome.OK
        assert await self.demanded() == PINNED

    async def test_what_a_worker_that_leaves_had_is_for_the_same_worker(self) -> None:
        member = await self.pinned()
        await self.queue(member)
        assert await self.store.deregister("w1", "0100-a") is Outcome.OK
        assert await self.demanded() == PINNED
        await self.worker("w1", incarnation="0200-b")
        await self.queue(member)
        claimed = await self.claim("w1", incarnation="0200-b")
        assert [task.id for task in claimed.tasks] == [member]

    async def test_what_is_given_back_is_for_the_same_worker(self) -> None:
        member = await self.pinned()
        token = await self.start(member)
        release = Release(task_id=member, token=token, reason="stopping")
        assert await self.store.release([release], by="w1") == (Outcome.OK,)
        assert await self.demanded() == PINNED

    async def test_a_restart_of_the_worker_gives_back_what_is_for_it(self) -> None:
        member = await self.pinned()
        await self.queue(member)
        await self.worker("w1", incarnation="0200-b")
        assert await self.demanded() == PINNED
        await self.queue(member)
        claimed = await self.claim("w1", incarnation="0200-b")
        assert [task.id for task in claimed.tasks] == [member]
        assert await self.state(member) == RUNNING

    async def test_it_waits_under_a_class_of_its_worker_alone(self) -> None:
        member = await self.pinned()
        ready = (await self.store.ready(self.fence, 0, 10)).tasks[0]
        own = class_text(ready.required_labels, ready.need) or ""
        other = class_text({**PINNED, WORKER_LABEL: "w2"}, ready.need) or ""
        await self.store.dispatch(
            self.fence, [], [], skip=0, limit=10, shuts=[Shut(other, Blocked.FULL)]
        )
        assert await self.demanded() == PINNED
        await self.store.dispatch(
            self.fence, [], [], skip=0, limit=10, shuts=[Shut(own, Blocked.NOBODY)]
        )
        assert await self.ready_ids() == []
        lets = [Let((own, other), 10)]
        await self.store.dispatch(self.fence, [], [], skip=0, limit=10, lets=lets)
        assert await self.demanded() == PINNED
        assert await self.choose(member, "w1") is Outcome.OK
