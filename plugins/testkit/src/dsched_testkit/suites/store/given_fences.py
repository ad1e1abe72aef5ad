"""Named tests: steps that anybody may take, taken by a leader with its fence."""

import pytest

from dsched.contracts.store.outcomes import FencedError, Outcome
from dsched.contracts.store.working import Submission
from dsched.model import TaskStatus
from dsched_testkit.suites.store.arrange import CLIENT, Arranging, a_spec

KIND = "kind"


class GivenFenceTests(Arranging):
    """Submit, cancel, and documents that are put and dropped."""

    async def test_a_leader_submits_cancels_puts_and_drops_with_its_fence(self) -> None:
        fence = await self.lead()
        item = Submission(task_id="t", spec=a_spec())
        assert await self.store.submit([item], by=CLIENT, fence=fence) == (Outcome.OK,)
        (answer,) = await self.store.cancel(["t"], by=CLIENT, reason="r", fence=fence)
        assert (answer.outcome, answer.status) == (Outcome.OK, TaskStatus.CANCELLED)
        put = await self.store.put_document(KIND, "d", 1, read=0, fence=fence)
        assert put.outcome is Outcome.OK
        assert put.stored is not None
        dropped = await self.store.drop_document(KIND, "d", read=put.stored.version, fence=fence)
        assert dropped is Outcome.OK

    async def test_of_a_fence_that_is_over_a_given_fence_step_changes_nothing(self) -> None:
        await self.submit("waits")
        put = await self.store.put_document(KIND, "d", 1, read=0)
        assert put.stored is not None
        version = put.stored.version
        old = await self.lead()
        assert await self.store.resign(old) is Outcome.OK
        for led_by_another in (False, True):
            if led_by_another:
                await self.lead("pod2")
            await self._fenced_off(old, version)
        assert (await self.task("waits")).status is TaskStatus.PENDING
        assert await self.store.get(["new"]) == (None,)
        assert put.stored == await self.store.get_document(KIND, "d")
        assert await self.store.get_document(KIND, "new") is None

    async def _fenced_off(self, fence: str, version: int) -> None:
        item = Submission(task_id="new", spec=a_spec())
        with pytest.raises(FencedError):
            await self.store.submit([item], by=CLIENT, fence=fence)
        with pytest.raises(FencedError):
            await self.store.cancel(["waits"], by=CLIENT, reason="r", fence=fence)
        with pytest.raises(FencedError):
            await self.store.put_document(KIND, "d", 2, read=version, fence=fence)
        with pytest.raises(FencedError):
            await self.store.put_document(KIND, "new", 2, read=0, fence=fence)
        with pytest.raises(FencedError):
            await self.store.drop_document(KIND, "d", read=version, fence=fence)
