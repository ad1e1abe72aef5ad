"""Named tests: what becomes of decisions, how many are kept, and the statistics by hour."""

from typing import Any

import pytest

from dsched.contracts.store.collecting import Projection
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.statistics import HOUR_MS as HOUR
from dsched.contracts.store.statistics import MAX_STATS_HOURS, Rollup, worker_key
from dsched.model import Decision, DecisionUpdate, Verdict
from dsched_testkit.suites.store.arrange import DAY_MS, HOUR_MS, Arranging
from dsched_testkit.suites.store.collecting import a_decision


class Projecting(Arranging):
    """Projects things by hand."""

    async def project(self, **made: object) -> None:
        """Project this, after an entry of its own in the log."""
        self._made = getattr(self, "_made", 0) + 1
        await self.submit(f"entry{self._made}")
        page = await self.store.collect(self.fence, 1000)
        projection = Projection(after=page.after, upto=page.cursor, **made)  # type: ignore[arg-type]
        assert await self.store.project(self.fence, projection) == Outcome.OK

    async def decisions(self, config_id: str = "c") -> tuple[Decision, ...]:
        """The decisions kept of a config, newest first."""
        return (await self.store.decisions(config_id, None, 100)).decisions


def a_miss(first_ms: int, **fields: Any) -> Decision:
    """A report that an instant was missed."""
    missed: dict[str, Any] = {"verdict": Verdict.MISSED, "reason": "leaderless"}
    return a_decision(first_ms=first_ms, **(missed | fields))


def a_skip(first_ms: int, last_ms: int, **fields: Any) -> Decision:
    """A skipped range."""
    skipped: dict[str, Any] = {"verdict": Verdict.SKIPPED, "reason": "misfire"}
    return a_decision(first_ms=first_ms, **(skipped | {"last_ms": last_ms} | fields))


class FateTests(Projecting):
    """What became of a fire is told by its decision."""

    async def test_a_fire_tells_its_worker_and_why_once_it_was_dispatched(self) -> None:
        await self.lead()
        await self.project(decisions=(a_decision(first_ms=5, late_ms=3),))
        update = DecisionUpdate(config_id="c", first_ms=5, worker_id="w1", worker_why='least 0/"é"')
        await self.project(updates=(update,))
        assert await self.decisions() == (
            a_decision(first_ms=5, late_ms=3, worker_id="w1", worker_why='least 0/"é"'),
        )

    async def test_a_fire_that_is_projected_again_keeps_what_became_of_it(self) -> None:
        await self.lead()
        await self.project(decisions=(a_decision(first_ms=5, worker_id="w1", ended="success"),))
        await self.project(decisions=(a_decision(first_ms=5),))
        assert await self.decisions() == (a_decision(first_ms=5, worker_id="w1", ended="success"),)

    async def test_the_last_dispatch_counts_and_the_end_leaves_the_worker_alone(self) -> None:
        await self.lead()
        await self.project(decisions=(a_decision(first_ms=5, worker_id="w1", worker_why="a"),))
        await self.project(updates=(DecisionUpdate(config_id="c", first_ms=5, worker_id="w2"),))
        await self.project(
            updates=(DecisionUpdate(config_id="c", first_ms=5, ended="cancelled: expired"),)
        )
        (decision,) = await self.decisions()
        assert (decision.worker_id, decision.worker_why) == ("w2", "")
        assert decision.ended == "cancelled: expired"

    async def test_fates_reach_the_fire_of_their_instant_only(self) -> None:
        await self.lead()
        skip = a_skip(5, 5)
        await self.project(decisions=(a_decision(first_ms=6), skip, a_decision("d", first_ms=5)))
        await self.project(
            updates=(DecisionUpdate(config_id="c", first_ms=5, worker_id="w", ended="failed"),)
        )
        assert await self.decisions() == (a_decision(first_ms=6), skip)
        assert await self.decisions("d") == (a_decision("d", first_ms=5),)

    async def test_a_fate_without_its_decision_is_kept_nowhere(self) -> None:
        await self.lead()
        await self.project(updates=(DecisionUpdate(config_id="c", first_ms=5, ended="failed"),))
        await self.project(decisions=(a_decision(first_ms=5),))
        assert await self.decisions() == (a_decision(first_ms=5),)

    async def test_a_miss_is_a_decision_until_there_is_a_better_one(self) -> None:
        await self.lead()
        await self.project(decisions=(a_miss(5, at_ms=90, term=0),))
        assert await self.decisions() == (a_miss(5, at_ms=90, term=0),)
        await self.project(decisions=(a_decision(first_ms=5, late_ms=200, at_ms=205),))
        assert await self.decisions() == (
            a_decision(first_ms=5, late_ms=200, at_ms=205, missed_at_ms=90),
        )

    async def test_a_skipped_range_takes_the_place_of_the_misses_in_it(self) -> None:
        await self.lead()
        misses = (a_miss(4, at_ms=70), a_miss(5, at_ms=90), a_miss(7, at_ms=80), a_miss(8))
        await self.project(decisions=misses)
        await self.project(decisions=(a_skip(5, 7, count=3),))
        assert await self.decisions() == (
            a_miss(8),
            a_skip(5, 7, count=3, missed_at_ms=90),
            a_miss(4, at_ms=70),
        )

    async def test_a_decision_keeps_its_trigger_and_what_it_was_behind(self) -> None:
        await self.lead()
        ranged = a_skip(5, 7, count=3, trigger='{"cron":"*/5 * * * *","zone":"UTC"}')
        behind = a_skip(9, 9, reason="overlap", behind="c@5")
        await self.project(decisions=(ranged, behind))
        assert await self.decisions() == (behind, ranged)

    async def test_an_instant_that_was_fired_is_not_missed_any_more(self) -> None:
        await self.lead()
        await self.project(decisions=(a_decision(first_ms=5),))
        await self.project(decisions=(a_miss(5),))
        assert await self.decisions() == (a_decision(first_ms=5),)

    async def test_a_miss_and_its_fire_in_one_projection_are_one_decision(self) -> None:
        await self.lead()
        await self.project(decisions=(a_miss(5, at_ms=90), a_decision(first_ms=5)))
        assert await self.decisions() == (a_decision(first_ms=5, missed_at_ms=90),)

    async def test_no_more_decisions_than_the_latest_are_kept_of_a_config(self) -> None:
        await self.fresh(max_decisions=3)
        await self.lead()
        now = self.clock.ms
        await self.project(
            decisions=[a_decision(first_ms=now + ms) for ms in (4, 1, 3)]
            + [a_decision("d", first_ms=now)]
        )
        await self.project(
            updates=(DecisionUpdate(config_id="c", first_ms=now + 1, ended="success"),)
        )
        await self.project(decisions=(a_decision(first_ms=now + 2), a_miss(now + 5)))
        assert [d.first_ms - now for d in await self.decisions()] == [5, 4, 3]
        assert len(await self.decisions("d")) == 1
        await self.project(decisions=(a_decision(first_ms=now),))
        assert [d.first_ms - now for d in await self.decisions()] == [5, 4, 3]

    async def test_the_page_tells_from_which_instant_on_nothing_is_missing(self) -> None:
        await self.fresh(max_decisions=2, result_ttl_ms=HOUR_MS)
        await self.lead()
        now = self.clock.ms
        page = await self.store.decisions("c", None, 10)
        assert page.kept_from_ms == now - HOUR_MS
        await self.project(decisions=(a_decision(first_ms=now - 20),))
        page = await self.store.decisions("c", None, 10)
        assert page.kept_from_ms == now - HOUR_MS
        await self.project(decisions=(a_decision(first_ms=now - 10),))
        page = await self.store.decisions("c", None, 10)
        assert page.kept_from_ms == now - 20

    async def test_a_removed_decision_takes_what_became_of_it_along(self) -> None:
        await self.fresh(result_ttl_ms=HOUR_MS)
        await self.lead()
        old = a_decision(first_ms=5, at_ms=self.clock.ms)
        await self.project(decisions=(old,))
        await self.project(updates=(DecisionUpdate(config_id="c", first_ms=5, ended="failed"),))
        await self.clock.advance(HOUR_MS + 1)
        await self.store.prune(self.fence, 40)
        assert await self.decisions() == ()
        young = a_decision(first_ms=5, at_ms=self.clock.ms)
        await self.project(decisions=(young,))
        assert await self.decisions() == (young,)


class StatsTests(Projecting):
    """Totals by config and hour."""

    async def test_rollups_add_up_by_config_and_hour(self) -> None:
        await self.lead()
        hour = self.clock.ms - self.clock.ms % HOUR
        one = Rollup(config_id="c", hour_ms=hour, adds={"fires": 2, "w3": 1}, tops={"w": 30})
        more = Rollup(
            config_id="c", hour_ms=hour, adds={"fires": 1, "r5": 2}, tops={"w": 7, "r": 9}
        )
        other = Rollup(config_id="", hour_ms=hour, adds={"fires": 7})
        later = Rollup(config_id="c", hour_ms=hour + HOUR, adds={"failed": 1})
        await self.project(rollups=(one, other))
        await self.project(rollups=(later, more))
        total = Rollup(
            config_id="c",
            hour_ms=hour,
            adds={"fires": 3, "w3": 1, "r5": 2},
            tops={"w": 30, "r": 9},
        )
        assert await self.store.stats("c", hour, hour + 2 * HOUR) == (total, later)
        assert await self.store.stats(None, hour, hour + 2 * HOUR) == (other,)
        assert await self.store.stats("d", hour, hour + 2 * HOUR) == ()

    async def test_workers_are_counted_apart_from_configs_and_pruned_like_them(self) -> None:
        await self.lead()
        hour = self.clock.ms - self.clock.ms % HOUR
        longest = "w" * 128
        named = [Rollup(config_id=key, hour_ms=hour, adds={"runs": 1}) for key in ("w", "")]
        workers = [
            Rollup(config_id=worker_key(one), hour_ms=hour, adds={"runs": 2}, tops={"r": 9})
            for one in ("w", longest)
        ]
        await self.project(rollups=(*named, *workers))
        for rollup in (*named, *workers):
            found = await self.store.stats(rollup.config_id or None, hour, hour + 1)
            assert found == (rollup,)
        await self.clock.advance(31 * DAY_MS)
        await self.store.prune(self.fence, 40)
        assert await self.store.stats(worker_key("w"), hour, hour + 1) == ()

    async def test_a_repeated_projection_counts_nothing_twice(self) -> None:
        await self.lead()
        hour = self.clock.ms - self.clock.ms % HOUR
        rollup = Rollup(config_id="c", hour_ms=hour, adds={"fires": 2})
        page = await self.store.collect(self.fence, 1000)
        projection = Projection(after=page.after, upto=page.cursor, rollups=(rollup,))
        assert await self.store.project(self.fence, projection) == Outcome.OK
        assert await self.store.project(self.fence, projection) == Outcome.MOVED
        assert await self.store.stats("c", hour, hour + 1) == (rollup,)

    async def test_the_hours_that_overlap_the_span_are_answered(self) -> None:
        await self.lead()
        hour = self.clock.ms - self.clock.ms % HOUR
        rollups = [
            Rollup(config_id="c", hour_ms=hour + k * HOUR, adds={"fires": 1}) for k in range(-2, 3)
        ]
        await self.project(rollups=rollups)
        asked = await self.store.stats("c", hour - 1, hour + HOUR + 1)
        assert [one.hour_ms for one in asked] == [hour - HOUR, hour, hour + HOUR]
        assert await self.store.stats("c", hour, hour) == ()

    async def test_more_hours_than_one_call_may_ask_for_are_refused(self) -> None:
        await self.lead()
        assert await self.store.stats(None, 0, MAX_STATS_HOURS * HOUR) == ()
        with pytest.raises(ValueError, match="hours"):
            await self.store.stats(None, 0, MAX_STATS_HOURS * HOUR + 1)

    async def test_statistics_past_their_time_are_not_answered_pruned_or_not(self) -> None:
        await self.fresh(stats_ttl_ms=DAY_MS)
        await self.lead()
        hour = self.clock.ms - self.clock.ms % HOUR
        old = Rollup(config_id="c", hour_ms=hour, adds={"fires": 1})
        young = Rollup(config_id="c", hour_ms=hour + HOUR, adds={"fires": 1})
        await self.project(rollups=(old, young))
        await self.clock.advance(hour + DAY_MS - self.clock.ms)
        assert await self.store.stats("c", hour, hour + DAY_MS) == (young,)
        assert (await self.store.prune(self.fence, 40)).count == 0
        assert await self.store.stats("c", hour, hour + DAY_MS) == (young,)
