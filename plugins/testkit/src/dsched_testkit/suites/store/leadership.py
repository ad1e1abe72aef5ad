"""Named tests: the leader lock, and that every leader step compares the fence."""

from collections.abc import Awaitable, Callable

import pytest

from dsched.contracts.store import Store
from dsched.contracts.store.collecting import Projection
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.leadership import fence_epoch
from dsched.contracts.store.outcomes import FencedError, Outcome
from dsched.contracts.store.timing import ELECTION_WAKEUP
from dsched_testkit.suites.store.arrange import SECOND_MS, WAKEUP_S, Arranging

TTL_MS = 10 * SECOND_MS

LEADER_STEPS: dict[str, Callable[[Store, str], Awaitable[object]]] = {
    "due": lambda store, fence: store.due(fence, 10),
    "fire": lambda store, fence: store.fire(fence, []),
    "replan": lambda store, fence: store.replan(fence, []),
    "poll": lambda store, fence: store.poll(fence, 10),
    "promote": lambda store, fence: store.promote(fence, 10),
    "ready": lambda store, fence: store.ready(fence, 0, 10),
    "dispatch": lambda store, fence: store.dispatch(fence, [], [], skip=0, limit=10),
    "recall": lambda store, fence: store.recall(fence, [], 0),
    "overdue": lambda store, fence: store.overdue(fence, 10, 0),
    "reap": lambda store, fence: store.reap(fence, []),
    "prune": lambda store, fence: store.prune(fence, 10),
    "collect": lambda store, fence: store.collect(fence, 10),
    "project": lambda store, fence: store.project(fence, Projection(after="", upto="")),
}


class LeadershipTests(Arranging):
    """The lock has at most one holder, known by its fence."""

    async def test_a_free_lock_gives_a_fence_of_epoch_token_and_pod(self) -> None:
        acquired = await self.store.acquire("pod1", "tok", TTL_MS)
        assert acquired.outcome == Outcome.OK
        epoch = fence_epoch(acquired.fence)
        assert f"{epoch}:tok:pod1" == acquired.fence
        assert self.clock.ms <= epoch
        assert acquired.fence == await self.store.leader()

    async def test_nobody_leads_a_new_store(self) -> None:
        assert await self.store.leader() is None

    async def test_a_new_term_is_one_entry_in_the_log(self) -> None:
        fence = await self.lead()
        event = await self.the_news()
        assert (EventKind.LEADER, fence) == (event.kind, event.by)
        assert [dict(item) for item in event.items] == [{"act": "acquired"}]
        assert self.clock.ms == event.at_ms

    async def test_a_repeated_acquire_gets_the_same_fence_and_changes_nothing(self) -> None:
        first = await self.store.acquire("pod1", "tok", TTL_MS)
        await self.news()
        await self.clock.advance(6 * SECOND_MS)
        assert first == await self.store.acquire("pod1", "tok", TTL_MS)
        assert await self.news() == []

    async def test_a_held_lock_is_not_given_to_another(self) -> None:
        fence = await self.lead("pod1", TTL_MS)
        await self.news()
        taken = await self.store.acquire("pod2", "other", TTL_MS)
        assert (Outcome.TAKEN, fence) == (taken.outcome, taken.fence)
        assert fence == await self.store.leader()
        assert await self.news() == []

    async def test_the_same_pod_with_another_token_is_another(self) -> None:
        fence = await self.lead("pod1", TTL_MS)
        taken = await self.store.acquire("pod1", "other", TTL_MS)
        assert (Outcome.TAKEN, fence) == (taken.outcome, taken.fence)

    async def test_an_expired_lock_is_free_and_its_fence_worth_nothing(self) -> None:
        old = await self.lead("pod1", TTL_MS)
        await self.clock.advance(TTL_MS + 1)
        assert await self.store.leader() is None
        assert await self.store.renew(old, TTL_MS) == Outcome.FENCED
        new = await self.lead("pod2")
        assert fence_epoch(old) < fence_epoch(new)

    async def test_epochs_grow_even_when_the_clock_stands_still(self) -> None:
        first = await self.lead()
        assert await self.store.resign(first) == Outcome.OK
        second = await self.lead()
        assert fence_epoch(first) + 1 == fence_epoch(second)

    async def test_epochs_grow_even_when_the_clock_goes_back(self) -> None:
        first = await self.lead()
        await self.store.resign(first)
        await self.clock.advance(-5000)
        assert fence_epoch(first) < fence_epoch(await self.lead())

    async def test_a_renewed_lock_lives_on(self) -> None:
        fence = await self.lead(ttl_ms=TTL_MS)
        for _ in range(3):
            await self.clock.advance(8 * SECOND_MS)
            assert await self.store.renew(fence, TTL_MS) == Outcome.OK
        assert fence == await self.store.leader()

    async def test_a_renewed_lock_ends_as_long_after_its_renewal_as_was_asked(self) -> None:
        fence = await self.lead(ttl_ms=TTL_MS)
        await self.clock.advance(SECOND_MS)
        await self.store.renew(fence, TTL_MS)
        await self.clock.advance(TTL_MS - 1)
        assert await self.store.leader() == fence
        await self.clock.advance(1)
        assert await self.store.leader() is None

    async def test_renewing_writes_nothing_into_the_log(self) -> None:
        fence = await self.lead()
        await self.news()
        await self.store.renew(fence, TTL_MS)
        assert await self.news() == []

    async def test_only_the_exact_fence_renews(self) -> None:
        fence = await self.lead("pod1", TTL_MS)
        epoch, token, pod = fence.split(":")
        for other in (f"{int(epoch) + 1}:{token}:{pod}", f"{epoch}:x:{pod}", f"{epoch}:{token}:x"):
            assert await self.store.renew(other, 60 * TTL_MS) == Outcome.FENCED
        await self.clock.advance(TTL_MS + 1)
        assert await self.store.leader() is None

    async def test_resigning_frees_the_lock_and_a_repeat_is_fenced(self) -> None:
        fence = await self.lead()
        await self.news()
        assert await self.store.resign(fence) == Outcome.OK
        assert await self.store.leader() is None
        event = await self.the_news()
        assert (EventKind.LEADER, fence) == (event.kind, event.by)
        assert [dict(item) for item in event.items] == [{"act": "resigned"}]
        assert await self.store.resign(fence) == Outcome.FENCED
        assert await self.news() == []

    async def test_resigning_with_another_fence_leaves_the_lock_alone(self) -> None:
        old = await self.lead("pod1", TTL_MS)
        await self.clock.advance(TTL_MS + 1)
        new = await self.lead("pod2")
        assert await self.store.resign(old) == Outcome.FENCED
        assert new == await self.store.leader()

    async def test_resigning_wakes_those_who_wait_to_lead(self) -> None:
        fence = await self.lead()
        await self.hush(ELECTION_WAKEUP)
        await self.store.resign(fence)
        assert await self.store.wakeup(ELECTION_WAKEUP, WAKEUP_S)

    async def test_a_lock_that_would_live_too_long_is_shortened_by_who_wants_it(self) -> None:
        fence = await self.lead("pod1", 60 * TTL_MS)
        taken = await self.store.acquire("pod2", "b", TTL_MS)
        assert (Outcome.TAKEN, fence) == (taken.outcome, taken.fence)
        await self.clock.advance(TTL_MS - 1)
        assert fence == await self.store.leader()
        await self.clock.advance(2)
        assert (await self.store.acquire("pod2", "b", TTL_MS)).outcome == Outcome.OK

    async def test_a_lock_at_most_a_second_too_long_is_left_alone(self) -> None:
        fence = await self.lead("pod1", TTL_MS + SECOND_MS)
        await self.store.acquire("pod2", "b", TTL_MS)
        await self.clock.advance(TTL_MS + SECOND_MS - 1)
        assert fence == await self.store.leader()

    async def test_an_ended_term_cannot_be_taken_up_again_by_its_token(self) -> None:
        first = await self.store.acquire("pod1", "tok", TTL_MS)
        await self.clock.advance(TTL_MS + 1)
        second = await self.store.acquire("pod1", "tok", TTL_MS)
        assert fence_epoch(first.fence) < fence_epoch(second.fence)

    async def test_no_leader_step_is_taken_without_the_lock(self) -> None:
        for fence in ("", "1:tok:pod1"):
            await self._assert_fenced(fence)

    async def test_no_leader_step_is_taken_with_an_expired_lock(self) -> None:
        fence = await self.lead(ttl_ms=TTL_MS)
        await self.clock.advance(TTL_MS + 1)
        await self._assert_fenced(fence)

    async def test_no_leader_step_is_taken_after_resigning(self) -> None:
        fence = await self.lead()
        await self.store.resign(fence)
        await self._assert_fenced(fence)

    async def test_no_leader_step_is_taken_with_a_fence_of_an_earlier_term(self) -> None:
        old = await self.lead("pod1", TTL_MS)
        await self.clock.advance(TTL_MS + 1)
        await self.lead("pod2")
        await self._assert_fenced(old)

    async def test_no_leader_step_is_taken_with_a_fence_that_is_nearly_right(self) -> None:
        epoch, token, pod = (await self.lead()).split(":")
        for fence in (
            f"{int(epoch) - 1}:{token}:{pod}",
            f"{epoch}:other:{pod}",
            f"{epoch}:{token}:",
        ):
            await self._assert_fenced(fence)

    async def test_every_leader_step_is_taken_with_the_lock(self) -> None:
        fence = await self.lead()
        for name, step in LEADER_STEPS.items():
            try:
                await step(self.store, fence)
            except FencedError:
                pytest.fail(f"{name} refused the leader")

    async def _assert_fenced(self, fence: str) -> None:
        await self.news()
        for name, step in LEADER_STEPS.items():
            try:
                await step(self.store, fence)
            except FencedError:
                continue
            pytest.fail(f"{name} took the fence {fence!r}")
        assert await self.news() == []

    async def test_a_fenced_fire_dispatch_and_reap_change_nothing(self) -> None:
        old = await self.lead("pod1", TTL_MS)
        await self.worker()
        await self.config()
        await self.submit("a")
        await self.clock.advance(TTL_MS + 1)
        fire = await self.a_fire()
        with pytest.raises(FencedError):
            await self.store.fire(old, [fire])
        with pytest.raises(FencedError):
            await self.choose("a")
        await self.lead("pod2")
        assert fire.due_ms == await self.due_of()
        assert await self.ready_ids() == ["a"]
