"""The collector's walk over the reference store's log, and what it keeps of it."""

from collections.abc import Iterable

import attrs

from dsched.contracts.store.bounds import MAX_BATCH, MAX_EVENT_PAGE
from dsched.contracts.store.checks import check_limit, check_projection
from dsched.contracts.store.collecting import Collecting, Projection, Streak
from dsched.contracts.store.events import EventPage
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.statistics import Rollup
from dsched.model import Decision, DecisionUpdate, Verdict
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.configs import name_if_counted
from dsched_testkit.memory.state import DecisionKey, Step

MAX_REPLACED = 10 * MAX_BATCH


class MemoryCollecting(OnState, Collecting):
    """Collecting."""

    async def collect(self, fence: str, limit: int) -> EventPage:
        """What the collector has not read."""
        check_limit(limit, MAX_EVENT_PAGE)
        with self._state.step() as step:
            step.check_fence(fence)
            after = self._state.collected
            events = [event for event in self._state.log if event.cursor > after][:limit]
            cursor = events[-1].cursor if events else after
            more = len(events) == limit
            return EventPage(events=tuple(events), cursor=cursor, after=after, more=more)

    async def project(self, fence: str, projection: Projection) -> Outcome:
        """Add what the collector made of it, and move its cursor."""
        check_projection(projection)
        with self._state.step() as step:
            step.check_fence(fence)
            if projection.after != self._state.collected:
                return Outcome.MOVED
            for decision in projection.decisions:
                self._decide(decision)
            for update in projection.updates:
                self._follow(update)
            for item in projection.finished:
                self._state.finished.setdefault(item.task_id, (item.end_ms, item.status))
            for rollup in projection.rollups:
                self._add(rollup)
            for streak in projection.streaks:
                self._count(step, streak)
            self._trim({decision.config_id for decision in projection.decisions})
            self._state.collected = projection.upto
            return Outcome.OK

    def _decide(self, decision: Decision) -> None:
        kept = self._state.decisions[decision.config_id]
        key = _key(decision)
        if key in kept:
            return
        if decision.verdict is Verdict.MISSED:
            if (decision.first_ms, Verdict.FIRED.value, "") not in kept:
                kept[key] = decision
            return
        missed = sorted(
            other
            for other, found in kept.items()
            if found.verdict is Verdict.MISSED
            and decision.first_ms <= found.first_ms <= decision.last_ms
        )[:MAX_REPLACED]
        if missed:
            decision = attrs.evolve(
                decision, missed_at_ms=max(kept.pop(other).at_ms for other in missed)
            )
        kept[key] = decision

    def _follow(self, update: DecisionUpdate) -> None:
        kept = self._state.decisions[update.config_id]
        key = (update.first_ms, Verdict.FIRED.value, "")
        if key not in kept:
            return
        if update.worker_id is not None:
            kept[key] = attrs.evolve(
                kept[key], worker_id=update.worker_id, worker_why=update.worker_why
            )
        if update.ended:
            kept[key] = attrs.evolve(kept[key], ended=update.ended)

    def _add(self, rollup: Rollup) -> None:
        adds, tops = self._state.stats[rollup.config_id, rollup.hour_ms]
        for name, number in rollup.adds.items():
            adds[name] = adds.get(name, 0) + number
        for name, number in rollup.tops.items():
            tops[name] = max(tops.get(name, 0), number)

    def _count(self, step: Step, streak: Streak) -> None:
        row = self._state.configs.get(streak.config_id)
        if row is None or row.config.pause_after_failures is None:
            return
        before = 0 if streak.anew else row.counted.failures
        row.counted = attrs.evolve(
            row.counted,
            failures=before + streak.failures,
            last=streak.last or ("" if streak.anew else row.counted.last),
        )
        if row.paused is None:
            name_if_counted(step, row)

    def _trim(self, config_ids: Iterable[str]) -> None:
        for config_id in config_ids:
            kept = self._state.decisions[config_id]
            surplus = max(0, len(kept) - self._state.settings.max_decisions)
            for key in sorted(kept)[: min(surplus, 10 * MAX_BATCH)]:
                del kept[key]


def _key(decision: Decision) -> DecisionKey:
    return decision.first_ms, decision.verdict.value, decision.reason
