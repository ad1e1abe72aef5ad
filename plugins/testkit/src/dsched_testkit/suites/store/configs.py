"""Named tests: putting, deleting, pausing and resuming configs; everything is compared first."""

from datetime import UTC, datetime

import attrs
import pytest

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm, StoredConfig
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.model import RetryPolicy, SkipReason
from dsched_testkit.suites.store.arrange import (
    AUTHOR,
    MINUTE_MS,
    OPERATOR,
    Arranging,
    a_config,
    a_range,
    items_of,
    kinds_of,
    ms,
)


class ConfigTests(Arranging):
    """Create, change, read, delete."""

    async def test_a_new_config_is_stored_with_revision_instants_and_due(self) -> None:
        stored = await self.config(due_in_ms=5000)
        assert a_config() == stored.config
        assert self.clock.ms <= stored.config.revision
        assert (self.clock.ms, self.clock.ms) == (
            stored.config.created_ms,
            stored.config.updated_ms,
        )
        assert (self.clock.ms + 5000, None, None) == (
            stored.due_ms,
            stored.last_fired_ms,
            stored.paused,
        )
        await self.unchanged(stored)

    async def test_a_put_is_one_entry_in_the_log_for_all_that_changed(self) -> None:
        await self.config("same")
        await self.news()
        puts = [self._put(a_config(name)) for name in ("a", "same", "b")]
        answers = await self.store.put(puts, by=AUTHOR)
        assert [answer.outcome for answer in answers] == [Outcome.OK, Outcome.DUP, Outcome.OK]
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.CONFIG, AUTHOR)
        expected = [
            {"config": name, "act": "put", "revision": (await self.stored(name)).config.revision}
            for name in ("a", "b")
        ]
        assert expected == [dict(item) for item in event.items]

    async def test_every_field_of_a_config_reads_back(self) -> None:
        config = a_config(
            "all.of:it",
            name="Bericht für Łódź",
            payload={"n": 2**70, "f": 0.1, "empty": [], "none": None, "deep": [{"a": [1, "😀"]}]},
            at=datetime(2030, 1, 1, tzinfo=UTC),
            timeout=ms(1500),
            retry=RetryPolicy(max_retries=7, backoff_rate=1.5),
            start_deadline=ms(60_000),
            priority=9,
            labels={"team": "ü"},
            required_labels={"zone": "b"},
            affinity_key="k",
            owner="me",
            enabled=False,
            jitter=ms(250),
        )
        stored = await self.put(config, next_due_ms=None)
        assert config == stored.config
        assert config == (await self.stored("all.of:it")).config

    async def test_equal_content_changes_nothing_whatever_was_read(self) -> None:
        before = await self.config(due_in_ms=5000)
        await self.news()
        await self.clock.advance(1000)
        stale = Rearm(read=ConfigVersion(revision=1), upto_ms=self.clock.ms + MINUTE_MS)
        (answer,) = await self.store.put([PutConfig(config=a_config(), rearm=stale)], by="b")
        assert (Outcome.DUP, before) == (answer.outcome, answer.stored)
        await self.unchanged(before)
        assert await self.news() == []

    async def test_a_repeated_put_is_dup(self) -> None:
        put = self._put(a_config())
        await self.store.put([put], by=AUTHOR)
        (answer,) = await self.store.put([put], by=AUTHOR)
        assert (Outcome.DUP, await self.stored()) == (answer.outcome, answer.stored)

    async def test_changed_content_gets_a_new_revision_and_due_and_keeps_created(self) -> None:
        first = await self.config(due_in_ms=0)
        await self.clock.advance(7000)
        second = await self.put(a_config(name="new"), next_due_ms=self.clock.ms + MINUTE_MS)
        assert first.config.revision < second.config.revision
        assert self.clock.ms <= second.config.revision
        assert (first.config.created_ms, self.clock.ms) == (
            second.config.created_ms,
            second.config.updated_ms,
        )
        assert self.clock.ms + MINUTE_MS == second.due_ms

    async def test_revisions_grow_within_a_call_and_are_never_given_twice(self) -> None:
        answers = await self.store.put([self._put(a_config(n)) for n in "abc"], by=AUTHOR)
        given = [answer.stored.config.revision for answer in answers if answer.stored]
        assert sorted(set(given)) == given
        await self.store.delete("c", self.rearm(await self.stored("c")), by=AUTHOR)
        again = await self.put(a_config("c"), next_due_ms=None)
        assert given[-1] < again.config.revision

    async def test_an_edit_keeps_what_was_fired_last(self) -> None:
        await self.lead()
        await self.config()
        fired_ms = await self.due_of()
        await self.fired()
        await self.put(a_config(name="new"), next_due_ms=None)
        assert fired_ms == (await self.stored()).last_fired_ms

    async def test_a_put_planned_from_something_else_is_moved(self) -> None:
        stored = await self.config()
        version = stored.version
        for other in (
            ConfigVersion(),
            attrs.evolve(version, revision=version.revision + 1),
            attrs.evolve(version, due_ms=self.clock.ms - 1),
            attrs.evolve(version, due_ms=None),
            attrs.evolve(version, last_fired_ms=5),
            attrs.evolve(version, paused=True),
        ):
            put = PutConfig(
                config=a_config(name="new"), rearm=Rearm(read=other, upto_ms=self.clock.ms)
            )
            (answer,) = await self.store.put([put], by=AUTHOR)
            assert (Outcome.MOVED, stored) == (answer.outcome, answer.stored)
        await self.unchanged(stored)

    async def test_a_put_planned_from_a_config_that_is_gone_is_moved(self) -> None:
        rearm = Rearm(read=ConfigVersion(revision=5), upto_ms=self.clock.ms)
        (answer,) = await self.store.put([PutConfig(config=a_config(), rearm=rearm)], by=AUTHOR)
        assert (answer.outcome, answer.stored) == (Outcome.MOVED, None)
        assert await self.store.get_configs(["c"]) == (None,)

    async def test_a_put_that_accounts_for_the_future_is_early(self) -> None:
        stored = await self.config()
        late = self.clock.ms + 1
        for rearm in (
            attrs.evolve(self.rearm(stored), upto_ms=late),
            self.rearm(stored, skipped=a_range(late, late, 1)),
        ):
            put = PutConfig(config=a_config(name="new"), rearm=rearm)
            (answer,) = await self.store.put([put], by=AUTHOR)
            assert answer.outcome == Outcome.EARLY
        await self.unchanged(stored)

    async def test_a_new_config_may_say_when_it_was_created_but_not_in_the_future(self) -> None:
        put = self._put(attrs.evolve(a_config("old"), created_ms=self.clock.ms - 5))
        (answer,) = await self.store.put([put], by=AUTHOR)
        assert answer.stored is not None
        assert self.clock.ms - 5 == answer.stored.config.created_ms
        put = self._put(attrs.evolve(a_config("new"), created_ms=self.clock.ms + 1))
        (answer,) = await self.store.put([put], by=AUTHOR)
        assert answer.outcome == Outcome.EARLY
        assert await self.store.get_configs(["new"]) == (None,)

    async def test_what_an_edit_skips_is_recorded_before_it(self) -> None:
        stored = await self.config()
        await self.news()
        due = self.clock.ms
        rearm = self.rearm(stored, skipped=a_range(due, due, 1, SkipReason.EDITED))
        put = PutConfig(config=a_config(name="new"), rearm=rearm)
        (answer,) = await self.store.put([put], by=AUTHOR)
        assert answer.outcome == Outcome.OK
        events = await self.news()
        assert kinds_of(events) == [EventKind.SKIPPED, EventKind.CONFIG]
        expected = {"config": "c", "first": due, "last": due, "count": 1, "reason": "edited"}
        assert [expected] == items_of(events, EventKind.SKIPPED)
        assert {AUTHOR} == {event.by for event in events}

    async def test_one_refused_put_refuses_no_other(self) -> None:
        await self.config("a")
        moved = PutConfig(
            config=a_config("a", name="new"), rearm=Rearm(read=ConfigVersion(), upto_ms=0)
        )
        answers = await self.store.put([moved, self._put(a_config("b"))], by=AUTHOR)
        assert [answer.outcome for answer in answers] == [Outcome.MOVED, Outcome.OK]
        assert (await self.stored("a")).config.name == ""

    async def test_configs_are_listed_by_ascending_id_page_by_page(self) -> None:
        names = ["B", "a", "a.1", "a:2", "b", "c"]
        for name in reversed(names):
            await self.config(name)
        found: list[StoredConfig] = []
        cursor: str | None = None
        for _ in range(10):
            page = await self.store.list_configs(cursor, 4)
            assert len(page.configs) <= 4
            found.extend(page.configs)
            cursor = page.cursor
            if cursor is None:
                break
        assert names == [stored.config.id for stored in found]
        assert await self.stored("b") in found

    async def test_an_empty_store_lists_no_configs(self) -> None:
        page = await self.store.list_configs(None, 10)
        assert (page.configs, page.cursor) == ((), None)

    async def test_configs_are_read_in_the_order_asked_for(self) -> None:
        await self.config("a")
        await self.config("b")
        b, nothing, a = await self.store.get_configs(["b", "x", "a"])
        assert (await self.stored("b"), None, await self.stored("a")) == (b, nothing, a)

    async def test_configs_over_the_bound_or_with_an_id_twice_are_refused_whole(self) -> None:
        many = [self._put(a_config(f"c{index}")) for index in range(MAX_HEAVY_BATCH + 1)]
        twice = [self._put(a_config("c")), self._put(a_config("c", name="other"))]
        for batch in (many, twice):
            with pytest.raises(ValueError, match=r"."):
                await self.store.put(batch, by=AUTHOR)
        assert (await self.store.list_configs(None, 10)).configs == ()

    async def test_a_full_batch_of_configs_is_put(self) -> None:
        many = [self._put(a_config(f"c{index}")) for index in range(MAX_HEAVY_BATCH)]
        answers = await self.store.put(many, by=AUTHOR)
        assert {Outcome.OK} == {answer.outcome for answer in answers}
        assert (await self.store.counts()).configs == MAX_HEAVY_BATCH

    def _put(self, config: object) -> PutConfig:
        return PutConfig(config=config, rearm=self.rearm(None))  # type: ignore[arg-type]


class DeletingTests(Arranging):
    """A config goes; what it started stays."""

    async def test_a_deleted_config_is_gone_and_due_no_more(self) -> None:
        await self.lead()
        stored = await self.config()
        await self.news()
        assert await self.store.delete("c", self.rearm(stored), by=AUTHOR) == Outcome.OK
        assert await self.store.get_configs(["c"]) == (None,)
        assert (await self.store.due(self.fence, 10)).configs == ()
        assert (await self.store.counts()).configs == 0
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.CONFIG, AUTHOR)
        (item,) = event.items
        assert ("c", "deleted", stored.config.revision) == (
            item["config"],
            item["act"],
            item["revision"],
        )

    async def test_a_repeated_delete_is_unknown(self) -> None:
        rearm = self.rearm(await self.config())
        await self.store.delete("c", rearm, by=AUTHOR)
        await self.news()
        assert await self.store.delete("c", rearm, by=AUTHOR) == Outcome.UNKNOWN
        assert await self.news() == []

    async def test_a_delete_planned_from_something_else_is_moved_or_early(self) -> None:
        stored = await self.config()
        moved = self.rearm(None)
        early = attrs.evolve(self.rearm(stored), upto_ms=self.clock.ms + 1)
        assert await self.store.delete("c", moved, by=AUTHOR) == Outcome.MOVED
        assert await self.store.delete("c", early, by=AUTHOR) == Outcome.EARLY
        await self.unchanged(stored)

    async def test_what_was_due_at_the_deletion_is_recorded(self) -> None:
        stored = await self.config()
        await self.news()
        due = self.clock.ms
        rearm = self.rearm(stored, skipped=a_range(due, due, 1, SkipReason.DELETED))
        await self.store.delete("c", rearm, by=AUTHOR)
        events = await self.news()
        assert kinds_of(events) == [EventKind.SKIPPED, EventKind.CONFIG]
        assert items_of(events, EventKind.SKIPPED)[0]["reason"] == "deleted"

    async def test_the_tasks_of_a_deleted_config_live_on_with_their_snapshot(self) -> None:
        await self.lead()
        await self.worker()
        await self.config(payload={"n": 1})
        task_id = await self.fired()
        await self.store.delete("c", self.rearm(await self.stored()), by=AUTHOR)
        token = await self.start(task_id)
        task = await self.task(task_id)
        assert task.spec is not None
        assert task.spec.payload == {"n": 1}
        assert await self.finish(task_id, token) == Outcome.OK


class PausingTests(Arranging):
    """The operator's pause."""

    async def test_a_paused_config_is_not_due_and_says_who_and_why(self) -> None:
        await self.lead()
        stored = await self.config()
        await self.news()
        rearm = attrs.evolve(self.rearm(stored), upto_ms=self.clock.ms - 5)
        outcome = await self.store.pause("c", rearm, by=OPERATOR, why="upkeep")
        assert outcome == Outcome.OK
        after = await self.stored()
        assert (None, stored.config.revision) == (after.due_ms, after.config.revision)
        assert after.paused is not None
        assert (OPERATOR, "upkeep", self.clock.ms, self.clock.ms - 5) == (
            after.paused.who,
            after.paused.why,
            after.paused.since_ms,
            after.paused.gap_from_ms,
        )
        assert (await self.store.due(self.fence, 10)).configs == ()
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.CONFIG, OPERATOR)
        item = dict(event.items[0])
        assert (item["config"], item["act"], item["why"]) == ("c", "paused", "upkeep")

    async def test_pausing_twice_and_resuming_twice_is_already(self) -> None:
        await self._paused()
        before = await self.stored()
        await self.news()
        stale = Rearm(read=ConfigVersion(), upto_ms=self.clock.ms + MINUTE_MS)
        assert await self.store.pause("c", stale, by=OPERATOR, why="other") == Outcome.ALREADY
        await self.unchanged(before)
        await self.store.resume("c", self.rearm(before), by=OPERATOR)
        await self.news()
        assert await self.store.resume("c", stale, by=OPERATOR) == Outcome.ALREADY
        assert await self.news() == []

    async def test_pausing_and_resuming_what_is_not_there_is_unknown(self) -> None:
        rearm = self.rearm(None)
        assert await self.store.pause("c", rearm, by=OPERATOR, why="") == Outcome.UNKNOWN
        assert await self.store.resume("c", rearm, by=OPERATOR) == Outcome.UNKNOWN

    async def test_pausing_and_resuming_compare_what_was_read(self) -> None:
        stored = await self.config()
        early = attrs.evolve(self.rearm(stored), upto_ms=self.clock.ms + 1)
        moved = self.rearm(None)
        assert await self.store.pause("c", moved, by=OPERATOR, why="") == Outcome.MOVED
        assert await self.store.pause("c", early, by=OPERATOR, why="") == Outcome.EARLY
        await self.unchanged(stored)
        await self.store.pause("c", self.rearm(stored), by=OPERATOR, why="")
        paused = await self.stored()
        early = attrs.evolve(self.rearm(paused), upto_ms=self.clock.ms + 1)
        assert await self.store.resume("c", self.rearm(stored), by=OPERATOR) == Outcome.MOVED
        assert await self.store.resume("c", early, by=OPERATOR) == Outcome.EARLY
        assert paused == await self.stored()

    async def test_a_resumed_config_is_due_when_the_caller_says(self) -> None:
        await self._paused()
        await self.news()
        next_ms = self.clock.ms + MINUTE_MS
        rearm = self.rearm(await self.stored(), next_due_ms=next_ms)
        assert await self.store.resume("c", rearm, by=OPERATOR) == Outcome.OK
        after = await self.stored()
        assert (next_ms, None) == (after.due_ms, after.paused)
        (item,) = await self.new_items(EventKind.CONFIG)
        assert (item["config"], item["act"]) == ("c", "resumed")

    async def test_what_pause_and_resume_skip_is_recorded(self) -> None:
        stored = await self.config()
        due = self.clock.ms
        await self.news()
        rearm = self.rearm(stored, skipped=a_range(due, due, 1, SkipReason.PAUSED))
        await self.store.pause("c", rearm, by=OPERATOR, why="")
        assert kinds_of(await self.news()) == [EventKind.SKIPPED, EventKind.CONFIG]
        await self.clock.advance(5 * MINUTE_MS)
        gap = a_range(due + MINUTE_MS, self.clock.ms, 5, SkipReason.PAUSED)
        rearm = self.rearm(await self.stored(), skipped=gap)
        await self.store.resume("c", rearm, by=OPERATOR)
        (item,) = await self.new_items(EventKind.SKIPPED)
        assert (item["count"], item["reason"]) == (5, "paused")

    async def test_a_put_leaves_the_pause_and_moves_its_gap(self) -> None:
        await self._paused()
        before = await self.stored()
        assert before.paused is not None
        await self.clock.advance(MINUTE_MS)
        after = await self.put(a_config(name="new"), next_due_ms=self.clock.ms)
        expected = attrs.evolve(before.paused, gap_from_ms=self.clock.ms)
        assert (None, expected) == (after.due_ms, after.paused)

    async def test_a_paused_config_can_be_deleted(self) -> None:
        await self._paused()
        rearm = self.rearm(await self.stored())
        assert await self.store.delete("c", rearm, by=OPERATOR) == Outcome.OK

    async def _paused(self) -> None:
        stored = await self.config()
        outcome = await self.store.pause("c", self.rearm(stored), by=OPERATOR, why="upkeep")
        assert outcome == Outcome.OK
