"""What the reference store knows of its own past."""

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.history import (
    MAX_BREAKS,
    MAX_WHY,
    Break,
    History,
    Lost,
    Mark,
    Remembering,
)
from dsched.contracts.store.leadership import fence_epoch
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import ELECTION_WAKEUP
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.state import State, Step


class MemoryRemembering(OnState, Remembering):
    """Remembering."""

    async def history(self, mark: Mark | None) -> History:
        """Where the history stands."""
        with self._state.step() as step:
            state = self._state
            known = None if mark is None else _known(state, mark)
            end = state.log[-1] if state.log else None
            return History(
                identity=state.identity,
                generation=state.generation,
                epoch=state.epoch,
                revision=state.last_revision,
                end=None if end is None else Mark(end.cursor, end.at_ms),
                known=known,
                kept_ms=_kept_ms(state, mark) if mark is not None and known is False else None,
                breaks=tuple(reversed(state.breaks)),
                time=step.time,
            )

    async def raise_break(self, read: int, lost: Lost, *, by: str) -> Outcome:
        """Record that a part of the past is gone."""
        with self._state.step() as step:
            state = self._state
            if state.generation != read:
                return Outcome.MOVED
            state.generation = max(read, lost.generation) + 1
            state.epoch = max(state.epoch, lost.epoch)
            state.last_revision = max(state.last_revision, lost.revision)
            _end_lower_term(step, lost.epoch)
            broken = Break(
                generation=state.generation,
                at_ms=step.wall_ms,
                from_ms=lost.from_ms,
                loss=lost.loss,
                lost=lost.identity,
                by=by,
                why=lost.why[:MAX_WHY],
            )
            state.breaks = [*state.breaks, broken][-MAX_BREAKS:]
            item = {"generation": broken.generation, "loss": broken.loss, "from": broken.from_ms}
            step.note(EventKind.HISTORY, by, item | ({"why": broken.why} if broken.why else {}))
            return Outcome.OK


def _known(state: State, mark: Mark) -> bool | None:
    if int(mark.cursor) > state.last_cursor:
        return False
    if not state.log or state.log[0].cursor > mark.cursor:
        return None
    return any(one.cursor == mark.cursor and one.at_ms == mark.at_ms for one in state.log)


def _kept_ms(state: State, mark: Mark) -> int | None:
    kept = (one.at_ms for one in reversed(state.log) if one.at_ms <= mark.at_ms)
    return next(kept, None)


def _end_lower_term(step: Step, epoch: int) -> None:
    holder = step.holder()
    if holder is not None and fence_epoch(holder) < epoch:
        step.state.fence, step.state.lock_until_ms = None, step.now_ms
        step.state.wakeups.wake(ELECTION_WAKEUP)
