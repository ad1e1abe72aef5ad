"""Named tests: what a store knows of its own past."""

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.history import (
    MAX_BREAKS,
    MAX_WHY,
    Break,
    History,
    Loss,
    Lost,
    Mark,
)
from dsched.contracts.store.leadership import fence_epoch
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import ELECTION_WAKEUP
from dsched_testkit.suites.store.arrange import DAY_MS, HOUR_MS, SECOND_MS, WAKEUP_S, Arranging

POD = "pod7"


class HistoryTests(Arranging):
    """Where the history stands, and whether an entry is still in it."""

    async def test_a_store_has_one_identity_for_all_its_handles_and_another_has_another(
        self,
    ) -> None:
        first = await self.store.history(None)
        again = await (await self.another_handle()).history(None)
        assert len(first.identity) >= 16
        assert first.identity == again.identity
        await self.fresh()
        assert first.identity != (await self.store.history(None)).identity

    async def test_the_history_of_a_new_store_is_whole_and_empty(self) -> None:
        found = await self.store.history(None)
        assert (found.generation, found.epoch, found.revision, found.breaks) == (0, 0, 0, ())
        assert found.end is None
        assert found.known is None
        assert found.time.wall_ms == self.clock.ms

    async def test_the_highest_epoch_and_revision_outlive_terms_and_configs(self) -> None:
        fence = await self.lead()
        stored = await self.config()
        await self.store.delete("c", self.rearm(stored), by="x")
        await self.store.resign(fence)
        found = await self.store.history(None)
        assert found.epoch == fence_epoch(fence)
        assert found.revision == stored.config.revision

    async def test_the_end_is_the_newest_entry_and_it_is_known(self) -> None:
        await self.lead()
        await self.clock.advance(SECOND_MS)
        await self.submit("a")
        event = (await self.news())[-1]
        end = Mark(event.cursor, event.at_ms)
        assert (await self.store.history(None)).end == end
        assert (await self.store.history(end)).known is True

    async def test_an_older_entry_is_known_as_long_as_the_log_keeps_it(self) -> None:
        await self.submit("a")
        mark = (await self.store.history(None)).end
        await self.clock.advance(HOUR_MS)
        await self.submit("b")
        assert (await self.store.history(mark)).known is True

    async def test_an_entry_of_the_same_place_and_another_time_is_not_known(self) -> None:
        """The log was cut off, and has grown again since."""
        await self.submit("a")
        kept_ms = self.clock.ms
        await self.clock.advance(HOUR_MS)
        await self.submit("b")
        end = (await self.store.history(None)).end
        assert end is not None
        found = await self.store.history(Mark(end.cursor, end.at_ms - 1))
        assert found.known is False
        assert found.kept_ms in (kept_ms, end.at_ms)

    async def test_asking_changes_nothing(self) -> None:
        await self.lead()
        await self.news()
        found = await self.store.history(None)
        assert found == await self.store.history(None)
        assert await self.news() == []


class BreakTests(Arranging):
    """A loss is recorded once, and what only grows goes on growing."""

    async def broken(self, *, read: int = 0, by: str = POD, **fields: object) -> Outcome:
        """Record that an older state of the store was put in its place."""
        known: dict[str, object] = {"loss": Loss.RESTORED, "identity": "i"}
        return await self.store.raise_break(read, Lost(**(known | fields)), by=by)  # type: ignore[arg-type]

    async def stands(self) -> History:
        """Where the history stands."""
        return await self.store.history(None)

    async def test_a_break_raises_the_generation_and_is_remembered_with_all_that_was_said(
        self,
    ) -> None:
        assert await self.broken(from_ms=5, why='the "disk"\tbroke', by="Ann ë") == Outcome.OK
        found = await self.stands()
        assert found.generation == 1
        assert found.breaks == (
            Break(
                generation=1,
                at_ms=self.clock.ms,
                from_ms=5,
                loss=Loss.RESTORED,
                lost="i",
                by="Ann ë",
                why='the "disk"\tbroke',
            ),
        )

    async def test_a_break_is_an_entry_of_the_log(self) -> None:
        await self.broken(from_ms=5, why="a test")
        await self.broken(read=1, loss=Loss.REPLACED)
        first, second = await self.news()
        assert (first.kind, first.by) == (EventKind.HISTORY, POD)
        assert [dict(item) for item in first.items] == [
            {"generation": 1, "loss": "restored", "from": 5, "why": "a test"}
        ]
        assert [dict(item) for item in second.items] == [
            {"generation": 2, "loss": "replaced", "from": None}
        ]

    async def test_a_loss_that_was_recorded_is_not_recorded_again(self) -> None:
        await self.broken()
        await self.news()
        before = await self.stands()
        assert await self.broken(epoch=2**50, revision=2**50) == Outcome.MOVED
        assert await self.stands() == before
        assert await self.news() == []

    async def test_the_generation_rises_above_every_one_that_was_seen(self) -> None:
        """The break that a pod has seen may be gone, too."""
        await self.broken(generation=7)
        assert (await self.stands()).generation == 8

    async def test_no_epoch_that_was_seen_is_given_again(self) -> None:
        seen = self.clock.ms + DAY_MS
        await self.broken(epoch=seen)
        assert (await self.stands()).epoch == seen
        assert fence_epoch(await self.lead()) == seen + 1

    async def test_no_revision_that_was_seen_is_given_again(self) -> None:
        seen = self.clock.ms + DAY_MS
        await self.broken(revision=seen)
        assert (await self.config()).config.revision > seen

    async def test_a_lower_epoch_or_revision_takes_nothing_back(self) -> None:
        await self.lead()
        await self.config()
        before = await self.stands()
        await self.broken(epoch=1, revision=1)
        after = await self.stands()
        assert (after.epoch, after.revision) == (before.epoch, before.revision)

    async def test_a_term_with_an_epoch_that_is_too_low_ends(self) -> None:
        fence = await self.lead()
        await self.hush(ELECTION_WAKEUP)
        await self.broken(epoch=fence_epoch(fence) + 1)
        assert await self.store.leader() is None
        assert await self.store.renew(fence, SECOND_MS) == Outcome.FENCED
        assert await self.store.wakeup(ELECTION_WAKEUP, WAKEUP_S)

    async def test_a_term_with_the_highest_epoch_goes_on(self) -> None:
        fence = await self.lead()
        await self.broken(epoch=fence_epoch(fence))
        assert await self.store.leader() == fence

    async def test_the_newest_breaks_are_kept_and_reasons_are_bounded(self) -> None:
        for read in range(MAX_BREAKS + 2):
            assert await self.broken(read=read, why="x" * (MAX_WHY + 1)) == Outcome.OK
        breaks = (await self.stands()).breaks
        newest = MAX_BREAKS + 2
        assert [one.generation for one in breaks] == list(range(newest, newest - MAX_BREAKS, -1))
        assert {len(one.why) for one in breaks} == {MAX_WHY}

    async def test_a_term_begins_above_the_floor_that_its_pod_knows(self) -> None:
        floor = self.clock.ms + DAY_MS
        acquired = await self.store.acquire("pod", "token", 10 * SECOND_MS, floor=floor)
        assert fence_epoch(acquired.fence) == floor
        await self.store.resign(acquired.fence)
        later = await self.store.acquire("pod", "other", 10 * SECOND_MS, floor=5)
        assert fence_epoch(later.fence) == floor + 1
