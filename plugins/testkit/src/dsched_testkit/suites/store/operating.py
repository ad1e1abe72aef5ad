"""Named tests: the end of a drain, stepping down, terms of leadership, the pods that run."""

from typing import Any

import attrs

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.leadership import fence_epoch
from dsched.contracts.store.operating import MAX_PODS, MAX_TERMS, PodRecord, Term
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import ELECTION_WAKEUP, LEADER_WAKEUP
from dsched.contracts.store.working import Submission
from dsched_testkit.suites.store.arrange import (
    OPERATOR,
    READY,
    SECOND_MS,
    WAKEUP_S,
    Arranging,
    a_spec,
)

TTL_MS = 10 * SECOND_MS
REST_MS = 15 * SECOND_MS
WHY = "to see\nwhether\tit works"


class UndrainTests(Arranging):
    """An operator may undo an operator's drain, and no other."""

    async def test_a_drained_worker_takes_tasks_again(self) -> None:
        await self.lead()
        await self.worker()
        assert await self.store.drain("w1", None) == Outcome.OK
        assert await self.store.undrain("w1", by=OPERATOR) == Outcome.OK
        assert not (await self.worker_now()).draining
        await self.queued("t")
        assert [task.id for task in (await self.claim()).tasks] == ["t"]

    async def test_the_end_of_a_drain_is_an_entry_and_a_repeat_is_none(self) -> None:
        await self.worker()
        await self.store.drain("w1", None)
        await self.news()
        assert await self.store.undrain("w1", by=OPERATOR) == Outcome.OK
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.WORKER, OPERATOR)
        assert [dict(item) for item in event.items] == [{"worker": "w1", "act": "undrained"}]
        assert await self.store.undrain("w1", by=OPERATOR) == Outcome.ALREADY
        assert await self.news() == []

    async def test_a_worker_that_leaves_by_itself_is_not_called_back(self) -> None:
        await self.worker()
        assert await self.store.drain("w1", "0100-a") == Outcome.OK
        assert await self.store.undrain("w1", by=OPERATOR) == Outcome.DRAINING
        assert (await self.worker_now()).draining

    async def test_a_drained_worker_that_then_leaves_is_not_called_back(self) -> None:
        await self.worker()
        await self.store.drain("w1", None)
        assert await self.store.drain("w1", "0100-a") == Outcome.ALREADY
        assert await self.store.undrain("w1", by=OPERATOR) == Outcome.DRAINING

    async def test_a_successor_of_a_leaving_worker_starts_afresh(self) -> None:
        await self.worker()
        await self.store.drain("w1", "0100-a")
        await self.worker("w1", incarnation="0200-b")
        assert await self.store.undrain("w1", by=OPERATOR) == Outcome.ALREADY
        await self.store.drain("w1", None)
        assert await self.store.undrain("w1", by=OPERATOR) == Outcome.OK

    async def test_an_unknown_worker_cannot_be_called_back(self) -> None:
        assert await self.store.undrain("w1", by=OPERATOR) == Outcome.NO_WORKER

    async def test_the_leader_hears_of_new_room_while_tasks_are_ready(self) -> None:
        await self.lead()
        await self.worker()
        await self.store.drain("w1", None)
        await self.submit()
        assert await self.state() == READY
        await self.hush(LEADER_WAKEUP)
        await self.store.undrain("w1", by=OPERATOR)
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)


class StepDownTests(Arranging):
    """A term can be ended from outside, and its pod waits for another."""

    async def step_down(self, fence: str) -> Outcome:
        """Ask the term with this fence to end."""
        return await self.store.step_down(fence, by=OPERATOR, why=WHY, rest_ms=REST_MS)

    async def test_a_term_ends_at_once_and_another_pod_may_lead(self) -> None:
        fence = await self.lead("pod1", TTL_MS)
        assert await self.step_down(fence) == Outcome.OK
        assert await self.store.leader() is None
        assert await self.store.renew(fence, TTL_MS) == Outcome.FENCED
        other = await self.store.acquire("pod2", "t2", TTL_MS)
        assert other.outcome == Outcome.OK
        assert fence_epoch(fence) < fence_epoch(other.fence)

    async def test_the_pod_that_led_rests_until_another_has_led(self) -> None:
        fence = await self.lead("pod1", TTL_MS)
        await self.step_down(fence)
        resting = await self.store.acquire("pod1", "t2", TTL_MS)
        assert (resting.outcome, resting.fence) == (Outcome.RESTING, "")
        second = await self.store.acquire("pod2", "t3", TTL_MS)
        await self.store.resign(second.fence)
        assert (await self.store.acquire("pod1", "t4", TTL_MS)).outcome == Outcome.OK

    async def test_a_pod_that_is_alone_leads_again_after_its_rest(self) -> None:
        await self.step_down(await self.lead("pod1", TTL_MS))
        await self.clock.advance(REST_MS - 1)
        assert (await self.store.acquire("pod1", "t2", TTL_MS)).outcome == Outcome.RESTING
        await self.clock.advance(1)
        assert (await self.store.acquire("pod1", "t2", TTL_MS)).outcome == Outcome.OK

    async def test_a_stale_fence_ends_no_term(self) -> None:
        fence = await self.lead("pod1", TTL_MS)
        await self.step_down(fence)
        second = (await self.store.acquire("pod2", "t2", TTL_MS)).fence
        await self.news()
        assert await self.step_down(fence) == Outcome.FENCED
        assert second == await self.store.leader()
        assert await self.news() == []

    async def test_stepping_down_is_an_entry_and_wakes_for_an_election_and_for_the_leader(
        self,
    ) -> None:
        fence = await self.lead()
        await self.hush(ELECTION_WAKEUP, LEADER_WAKEUP)
        await self.news()
        await self.step_down(fence)
        event = await self.the_news()
        assert (EventKind.LEADER, fence) == (event.kind, event.by)
        assert [dict(item) for item in event.items] == [
            {"act": "stepped_down", "who": OPERATOR, "why": WHY}
        ]
        assert await self.store.wakeup(ELECTION_WAKEUP, WAKEUP_S)
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)

    async def test_a_pods_name_may_hold_a_colon(self) -> None:
        fence = await self.lead("host:8080", TTL_MS)
        await self.step_down(fence)
        resting = await self.store.acquire("host:8080", "t2", TTL_MS)
        assert resting.outcome == Outcome.RESTING


class TermTests(StepDownTests):
    """Each term is remembered, with its end."""

    async def terms(self) -> tuple[Term, ...]:
        """All terms, newest first."""
        return (await self.store.terms(None, 100)).terms

    async def test_a_store_without_a_leader_has_no_terms(self) -> None:
        page = await self.store.terms(None, 10)
        assert (page.terms, page.cursor) == ((), None)

    async def test_a_term_under_way_has_no_end(self) -> None:
        fence = await self.lead("pod 1:x")
        term = Term(epoch=fence_epoch(fence), pod="pod 1:x", began_ms=self.clock.ms)
        assert (term,) == await self.terms()

    async def test_a_term_says_how_it_ended(self) -> None:
        start_ms = self.clock.ms
        first = await self.lead("pod1", TTL_MS)
        await self.clock.advance(SECOND_MS)
        await self.store.resign(first)
        second = await self.lead("pod2", TTL_MS)
        await self.clock.advance(SECOND_MS)
        await self.step_down(second)
        await self.lead("pod3", TTL_MS)
        await self.clock.advance(TTL_MS + SECOND_MS)
        await self.lead("pod4", TTL_MS)
        said = [
            (term.pod, term.began_ms - start_ms, (term.ended_ms or 0) - start_ms, term.how)
            for term in await self.terms()
        ]
        assert said[1:] == [
            ("pod3", 2000, 3000 + TTL_MS, "expired"),
            ("pod2", 1000, 2000, "stepped_down"),
            ("pod1", 0, 1000, "resigned"),
        ]
        assert ((await self.terms())[2].who, (await self.terms())[2].why) == (OPERATOR, WHY)

    async def test_a_repeated_acquire_begins_no_second_term(self) -> None:
        for _ in range(2):
            await self.store.acquire("pod1", "tok", TTL_MS)
        assert len(await self.terms()) == 1

    async def test_terms_come_in_pages(self) -> None:
        for _ in range(5):
            await self.store.resign(await self.lead())
        first = await self.store.terms(None, 2)
        second = await self.store.terms(first.cursor, 2)
        last = await self.store.terms(second.cursor, 2)
        assert [len(page.terms) for page in (first, second, last)] == [2, 2, 1]
        assert last.cursor is None
        assert (*first.terms, *second.terms, *last.terms) == await self.terms()

    async def test_the_oldest_terms_make_room(self) -> None:
        for _ in range(MAX_TERMS + 2):
            await self.store.resign(await self.lead())
        cursor, count = None, 0
        while True:
            page = await self.store.terms(cursor, 100)
            count, cursor = count + len(page.terms), page.cursor
            if cursor is None:
                break
        assert count == MAX_TERMS


class PodTests(Arranging):
    """Pods are known as long as they say so."""

    def a_pod(self, pod_id: str = "p1", **fields: Any) -> PodRecord:
        """What a pod says."""
        defaults: dict[str, Any] = {
            "id": pod_id,
            "name": "host",
            "roles": ("api", "worker"),
            "version": "1.2.3",
            "started_ms": self.clock.ms,
        }
        return PodRecord(**(defaults | fields))

    async def ids(self) -> list[str]:
        """The pods that run."""
        return [pod.id for pod in await self.store.pods()]

    async def test_a_pod_is_known_as_it_describes_itself(self) -> None:
        pod = self.a_pod(name='ho"st\tü', ready=False, leading=True, draining=True)
        await self.store.pod_seen(pod, TTL_MS)
        (found,) = await self.store.pods()
        assert found.seen_ms == self.clock.ms
        assert attrs.evolve(pod, seen_ms=self.clock.ms) == found

    async def test_what_a_pod_says_last_counts(self) -> None:
        await self.store.pod_seen(self.a_pod(), TTL_MS)
        await self.clock.advance(SECOND_MS)
        await self.store.pod_seen(self.a_pod(leading=True), TTL_MS)
        (found,) = await self.store.pods()
        assert (found.leading, found.seen_ms) == (True, self.clock.ms)

    async def test_a_pod_that_is_silent_for_its_time_is_gone(self) -> None:
        await self.store.pod_seen(self.a_pod("p1"), TTL_MS)
        await self.store.pod_seen(self.a_pod("p2"), TTL_MS + 1)
        await self.clock.advance(TTL_MS)
        assert await self.ids() == ["p2"]

    async def test_a_pod_that_leaves_is_gone_at_once(self) -> None:
        await self.store.pod_seen(self.a_pod(), TTL_MS)
        await self.store.pod_left("p1")
        await self.store.pod_left("p1")
        assert await self.ids() == []

    async def test_pods_come_by_name_and_id(self) -> None:
        for pod_id, name in (("p1", "b"), ("p3", "a"), ("p2", "a")):
            await self.store.pod_seen(self.a_pod(pod_id, name=name), TTL_MS)
        assert await self.ids() == ["p2", "p3", "p1"]

    async def test_the_pod_unseen_for_longest_makes_room(self) -> None:
        for index in range(MAX_PODS + 1):
            await self.store.pod_seen(self.a_pod(f"p{index:04d}"), TTL_MS + index)
        ids = await self.ids()
        assert (len(ids), ids[0]) == (MAX_PODS, "p0001")

    async def test_presence_writes_no_entry(self) -> None:
        await self.store.pod_seen(self.a_pod(), TTL_MS)
        await self.store.pod_left("p1")
        assert await self.news() == []


class ReasonedSubmitTests(Arranging):
    """A submission may say why, for the log."""

    async def test_the_reason_of_a_submission_is_in_the_log_and_nowhere_else(self) -> None:
        spec = a_spec()
        items = [
            Submission(task_id="a", spec=spec, why=WHY),
            Submission(task_id="b", spec=spec),
        ]
        assert await self.store.submit(items, by=OPERATOR) == (Outcome.OK, Outcome.OK)
        event = await self.the_news()
        assert [dict(item) for item in event.items] == [{"task": "a", "why": WHY}, {"task": "b"}]
        assert (await self.task("a")).reason == ""
