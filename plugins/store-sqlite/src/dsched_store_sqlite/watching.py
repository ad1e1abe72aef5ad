"""How pods that do not lead report what is overdue."""

from dsched.contracts.store.checks import check_limit, check_skip
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.leadership import fence_epoch
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.watching import MissedInstant, Watched, Watching
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.rows import PARKED
from dsched_store_sqlite.step import Step

OVERDUE = (
    f"SELECT config.id, coalesce({PARKED}, config.due_ms), missed.due_ms, "  # noqa: S608
    "config.paused_who FROM config "
    "LEFT JOIN missed ON missed.config_id = config.id "
    "WHERE config.due_ms IS NOT NULL AND config.due_ms <= ? "
    "ORDER BY config.due_ms, config.id LIMIT ? OFFSET ?"
)
MARK = "INSERT OR REPLACE INTO missed VALUES (?, ?)"
OLD_MARKS = "SELECT config_id FROM missed WHERE due_ms <= ? ORDER BY due_ms, config_id LIMIT ?"
DELETE_MARK = "DELETE FROM missed WHERE config_id = ?"


class SqliteWatching(OnSqlite, Watching):
    """Watching."""

    async def raise_missed(self, late_ms: int, skip: int, limit: int, *, by: str) -> Watched:
        """Report what is overdue."""
        check_limit(limit)
        check_skip(skip)

        def run(step: Step) -> Watched:
            fence = step.holder()
            term = 0 if fence is None else fence_epoch(fence)
            scope = (step.wall_ms - late_ms, limit, skip)
            found = step.db.execute(OVERDUE, scope).fetchall()
            missed = [
                MissedInstant(config_id, due_ms)
                for config_id, due_ms, marked_ms, paused in found
                # One that is to pause itself is named before anything is due.
                if paused is None and marked_ms != due_ms and due_ms <= scope[0]
            ]
            for one in missed:
                step.db.execute(MARK, (one.config_id, one.due_ms))
                late = step.wall_ms - one.due_ms
                step.note(
                    EventKind.MISSED,
                    by,
                    {"config": one.config_id, "ms": one.due_ms, "late": late, "term": term},
                )
            return Watched(time=step.time, fence=fence, looked=len(found), missed=tuple(missed))

        return await self._step(run)

    async def raise_leaderless(self, idle_ms: int, *, by: str) -> Outcome:
        """Report that nobody leads."""

        def run(step: Step) -> Outcome:
            meta = step.meta
            if step.holder() is not None:
                return Outcome.TAKEN
            if not meta.epoch:
                return Outcome.EMPTY
            if meta.leaderless == meta.epoch:
                return Outcome.ALREADY
            idle = step.now_ms - (meta.lock_until_ms or 0)
            if idle < idle_ms:
                return Outcome.EARLY
            meta.leaderless = meta.epoch
            step.note(EventKind.LEADERLESS, by, {"epoch": meta.epoch, "idle": idle})
            return Outcome.OK

        return await self._step(run)


def prune_marks(step: Step, limit: int) -> None:
    """Forget that misses were reported which were due long ago."""
    scope = (step.wall_ms - step.settings.result_ttl_ms, limit)
    step.db.executemany(DELETE_MARK, step.db.execute(OLD_MARKS, scope).fetchall())
