"""Named tests: reports that nobody fires, and that nobody leads."""

import pytest

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.leadership import fence_epoch
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.watching import MissedInstant
from dsched_testkit.suites.store.arrange import HOUR_MS, MINUTE_MS, Arranging

OTHER = "pod2"


class MissedTests(Arranging):
    """Configs that are overdue are reported once for each due."""

    async def raised(self, late_ms: int = MINUTE_MS, skip: int = 0, limit: int = 100) -> list[str]:
        """The configs that a look reports."""
        watched = await self.store.raise_missed(late_ms, skip, limit, by=OTHER)
        return [one.config_id for one in watched.missed]

    async def test_what_is_overdue_is_reported_once_by_due_and_id(self) -> None:
        due_ms = self.clock.ms
        await self.config("b")
        await self.config("a")
        await self.config("c", due_in_ms=1)
        await self.config("never", due_in_ms=None)
        await self.clock.advance(MINUTE_MS)
        await self.news()
        watched = await self.store.raise_missed(MINUTE_MS, 0, 100, by=OTHER)
        assert watched.missed == (MissedInstant("a", due_ms), MissedInstant("b", due_ms))
        assert (watched.looked, watched.fence) == (2, None)
        assert watched.time.wall_ms == self.clock.ms
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.MISSED, OTHER)
        assert [dict(item) for item in event.items] == [
            {"config": config_id, "ms": due_ms, "late": MINUTE_MS, "term": 0}
            for config_id in ("a", "b")
        ]

    async def test_a_repeat_reports_nothing_and_still_sees_it(self) -> None:
        await self.config()
        await self.clock.advance(MINUTE_MS)
        assert await self.raised() == ["c"]
        await self.news()
        again = await self.store.raise_missed(MINUTE_MS, 0, 100, by="pod3")
        assert (again.looked, again.missed) == (1, ())
        assert await self.news() == []

    async def test_another_due_of_the_same_config_is_reported_again(self) -> None:
        await self.lead()
        await self.config(overlap="allow")
        await self.clock.advance(2 * MINUTE_MS)
        assert await self.raised() == ["c"]
        await self.fire()
        assert await self.raised() == ["c"]
        assert await self.raised() == []
        await self.fire()
        assert await self.raised() == []

    async def test_the_term_that_holds_the_lock_and_does_not_fire_is_named(self) -> None:
        await self.config()
        fence = await self.lead()
        await self.clock.advance(MINUTE_MS)
        watched = await self.store.raise_missed(MINUTE_MS, 0, 100, by=OTHER)
        assert watched.fence == fence
        (item,) = await self.new_items(EventKind.MISSED)
        assert item["term"] == fence_epoch(fence)

    async def test_a_report_changes_nothing_that_a_leader_decides_on(self) -> None:
        await self.config()
        before = await self.stored()
        await self.clock.advance(MINUTE_MS)
        assert await self.raised() == ["c"]
        await self.unchanged(before)
        await self.lead()
        assert (await self.fire()).outcome == Outcome.OK

    async def test_a_look_goes_on_where_it_is_told_and_no_further(self) -> None:
        for name in ("a", "b", "c"):
            await self.config(name)
        await self.clock.advance(MINUTE_MS)
        assert await self.raised(skip=1, limit=1) == ["b"]
        assert await self.raised(skip=3) == []
        assert await self.raised() == ["a", "c"]
        for skip, limit in ((-1, 1), (0, 0), (0, 101)):
            with pytest.raises(ValueError, match=r"."):
                await self.raised(skip=skip, limit=limit)

    async def test_what_is_paused_or_deleted_is_not_missed(self) -> None:
        paused, deleted = await self.config("paused"), await self.config("deleted")
        await self.store.pause("paused", self.rearm(paused), by="op", why="")
        await self.store.delete("deleted", self.rearm(deleted), by="op")
        await self.clock.advance(MINUTE_MS)
        assert await self.raised() == []

    async def test_a_mark_is_forgotten_when_its_due_is_past_the_result_ttl(self) -> None:
        await self.fresh(result_ttl_ms=HOUR_MS)
        await self.config()
        await self.clock.advance(MINUTE_MS)
        assert await self.raised() == ["c"]
        await self.lead()
        await self.clock.advance(HOUR_MS - MINUTE_MS - 1)
        await self.store.prune(self.fence, 40)
        assert await self.raised() == []
        await self.clock.advance(1)
        assert (await self.store.prune(self.fence, 40)).count == 0
        assert await self.raised() == ["c"]


class LeaderlessTests(Arranging):
    """That nobody leads is reported once after each term."""

    async def leaderless(self, idle_ms: int = MINUTE_MS) -> Outcome:
        """Report it."""
        return await self.store.raise_leaderless(idle_ms, by=OTHER)

    async def test_before_the_first_term_there_is_nothing_to_report(self) -> None:
        assert await self.leaderless(0) == Outcome.EMPTY

    async def test_while_somebody_leads_there_is_nothing_to_report(self) -> None:
        await self.lead()
        assert await self.leaderless(0) == Outcome.TAKEN

    async def test_a_lock_that_ran_out_long_enough_ago_is_reported_once(self) -> None:
        fence = await self.lead(ttl_ms=5000)
        await self.clock.advance(5000 + MINUTE_MS - 1)
        await self.news()
        assert await self.leaderless() == Outcome.EARLY
        await self.clock.advance(1)
        assert await self.leaderless() == Outcome.OK
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.LEADERLESS, OTHER)
        assert dict(event.items[0]) == {"epoch": fence_epoch(fence), "idle": MINUTE_MS}
        assert await self.leaderless() == Outcome.ALREADY
        assert await self.news() == []

    async def test_a_resigned_lock_counts_from_the_resignation(self) -> None:
        fence = await self.lead()
        await self.clock.advance(1000)
        assert await self.store.resign(fence) == Outcome.OK
        await self.clock.advance(MINUTE_MS - 1)
        assert await self.leaderless() == Outcome.EARLY
        await self.clock.advance(1)
        assert await self.leaderless() == Outcome.OK

    async def test_the_end_of_the_next_term_is_reported_again(self) -> None:
        await self.store.resign(await self.lead())
        assert await self.leaderless(0) == Outcome.OK
        await self.store.resign(await self.lead())
        assert await self.leaderless(0) == Outcome.OK
