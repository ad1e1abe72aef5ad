"""How pods that do not lead report what is overdue: the reference store."""

from dsched.contracts.store.checks import check_limit, check_skip
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.leadership import fence_epoch
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.watching import MissedInstant, Watched, Watching
from dsched_testkit.memory.base import OnState


class MemoryWatching(OnState, Watching):
    """Watching."""

    async def raise_missed(self, late_ms: int, skip: int, limit: int, *, by: str) -> Watched:
        """Report what is overdue."""
        check_limit(limit)
        check_skip(skip)
        with self._state.step() as step:
            state, fence = self._state, step.holder()
            term = 0 if fence is None else fence_epoch(fence)
            overdue = state.due.upto(step.wall_ms - late_ms, skip + limit)[skip:]
            missed = []
            for config_id in overdue:
                due_ms = state.configs[config_id].due_ms
                # Paused until an instant that has come; or it is to pause itself, and is named
                # before anything is due.
                if due_ms is None or due_ms > step.wall_ms - late_ms:
                    continue
                if state.missed.get(config_id) == due_ms:
                    continue
                state.missed[config_id] = due_ms
                missed.append(MissedInstant(config_id, due_ms))
                late = step.wall_ms - due_ms
                step.note(
                    EventKind.MISSED,
                    by,
                    {"config": config_id, "ms": due_ms, "late": late, "term": term},
                )
            return Watched(time=step.time, fence=fence, looked=len(overdue), missed=tuple(missed))

    async def raise_leaderless(self, idle_ms: int, *, by: str) -> Outcome:
        """Report that nobody leads."""
        with self._state.step() as step:
            state = self._state
            if step.holder() is not None:
                return Outcome.TAKEN
            if not state.epoch:
                return Outcome.EMPTY
            if state.leaderless == state.epoch:
                return Outcome.ALREADY
            idle = step.now_ms - (state.lock_until_ms or 0)
            if idle < idle_ms:
                return Outcome.EARLY
            state.leaderless = state.epoch
            step.note(EventKind.LEADERLESS, by, {"epoch": state.epoch, "idle": idle})
            return Outcome.OK
