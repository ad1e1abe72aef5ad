"""The step of acts on many tasks: what is in hand is done, and what comes next is written down."""

import logging
from collections import Counter

import attrs

from dsched.bulk.acting import Results, act
from dsched.bulk.asking import per_second
from dsched.bulk.keeping import Kept, open_one, open_operations, put, put_away
from dsched.bulk.matching import Matches, TooManyError, Walk, walk_of
from dsched.bulk.operation import (
    MAX_EXAMPLES,
    MAX_IN_HAND,
    MAX_TOUCHED,
    BulkAct,
    BulkOperation,
    BulkState,
)
from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import FencedError, StoreUnavailableError
from dsched.engine.leader.term import Term, TermOverError
from dsched.engine.runtime import Runtime
from dsched.wording import printable

log = logging.getLogger("dsched.leader")

STEP_EVERY_S = 0.5
# A pause of the leader must not be made up for in one go.
SAVED_UP_S = 1.0
MISSES_ALLOWED = 2
MOVED_TRIES = 5
MAX_NOTE = 300


@attrs.define
class _Pace:
    """How many tasks an operation may take in hand by now, and since when it is known."""

    per_s: float
    seen_s: float
    filled_s: float
    room: float
    misses: int = 0

    def fill(self, now_s: float) -> None:
        """What has come in since it was filled last."""
        most = max(1.0, self.per_s * SAVED_UP_S)
        self.room = min(most, self.room + self.per_s * (now_s - self.filled_s))
        self.filled_s = now_s


class BulkStep:
    """Carries out the operations that are stored, each at its own rate; ``busy`` while there are
    any. What it remembers is of one term; an operation goes on from its document."""

    def __init__(self, store: Store, term: Term, runtime: Runtime) -> None:
        self._store = store
        self._term = term
        self._runtime = runtime
        self._paces: dict[str, _Pace] = {}
        self._walks: dict[str, tuple[int, Walk]] = {}
        self._collected_s: float | None = None
        self.busy = False

    def collected(self, began_s: float) -> None:
        """All that had ended at this instant is in the lists of what ended."""
        self._collected_s = began_s

    async def step(self) -> bool:
        """Go on with each operation, once; whether there is any."""
        kept = await open_operations(self._store)
        here = {one.operation.id for one in kept}
        self._paces = {key: one for key, one in self._paces.items() if key in here}
        self._walks = {key: one for key, one in self._walks.items() if key in here}
        for one in kept:
            self._term.check()
            await self._guarded(one)
        self.busy = bool(kept)
        return self.busy

    async def _guarded(self, kept: Kept) -> None:
        """One that cannot go on ends: it must end neither the others nor this term."""
        pace = self._pace(kept.operation)
        try:
            await self._go_on(kept, pace)
        except (FencedError, StoreUnavailableError, TermOverError):
            raise
        except TooManyError as error:
            await self._fail(kept, str(error))
        except Exception as error:
            pace.misses += 1
            log.exception("the bulk operation %s failed", kept.operation.id)
            if pace.misses > MISSES_ALLOWED:
                await self._fail(kept, f"{type(error).__name__}: {error}")
        else:
            pace.misses = 0

    def _pace(self, operation: BulkOperation) -> _Pace:
        now_s = self._runtime.monotonic()
        pace = self._paces.get(operation.id)
        if pace is None:
            per_s = per_second(operation.rate)
            pace = _Pace(per_s, now_s, now_s, max(1.0, per_s * STEP_EVERY_S))
            self._paces[operation.id] = pace
        pace.fill(now_s)
        return pace

    async def _go_on(self, kept: Kept, pace: _Pace) -> None:
        operation = kept.operation
        if operation.state.ended:
            await put_away(self._store, kept, self._term.fence)
            return
        version, walk = self._walks.pop(operation.id, (0, None))
        if walk is None or version != kept.version:
            walk = walk_of(self._store, operation)
        results = Results()
        if operation.in_hand:
            results = await act(self._store, operation, self._term.fence)
        # After the act: what it has changed must not be found again.
        after = _with_results(operation, results)
        matches = await self._next(after, walk, pace)
        if matches is not None:
            after = attrs.evolve(
                after, in_hand=matches.ids, cursor=matches.cursor, walked=matches.over
            )
        after = await self._dated(_ended_or_not(after))
        if after == operation:
            self._walks[operation.id] = (kept.version, walk)
            return
        new = await self._put(kept, after)
        if new is None:
            return
        if new.operation.state.ended:
            await put_away(self._store, new, self._term.fence)
            _say_ended(new.operation)
        else:
            self._walks[operation.id] = (new.version, walk)

    async def _next(self, operation: BulkOperation, walk: Walk, pace: _Pace) -> Matches | None:
        """What to take in hand next, as far as the rate has room; None: nothing is looked for."""
        if operation.state is not BulkState.RUNNING or operation.walked:
            return None
        if operation.act is BulkAct.RETRY and not self._all_ended_known(pace):
            return None
        room = min(int(pace.room), MAX_IN_HAND, MAX_TOUCHED - operation.touched)
        if room <= 0:
            return None
        matches = await walk.next(room)
        pace.room -= len(matches.ids)
        return matches

    def _all_ended_known(self, pace: _Pace) -> bool:
        """Whether the lists of what ended have all that had ended when the operation was seen, and
        so when it was made: they are written a little later than the ends."""
        return self._collected_s is not None and self._collected_s >= pace.seen_s

    async def _dated(self, operation: BulkOperation) -> BulkOperation:
        begins = operation.begun_ms is None and (operation.in_hand or operation.state.ended)
        ends = operation.state.ended
        if not (begins or ends):
            return operation
        wall_ms = (await self._store.now()).wall_ms
        return attrs.evolve(
            operation,
            begun_ms=wall_ms if operation.begun_ms is None else operation.begun_ms,
            ended_ms=wall_ms if ends else None,
        )

    async def _put(self, kept: Kept, after: BulkOperation) -> Kept | None:
        """Write how far it is. Who asked meanwhile to stop it is not overwritten: nobody else
        writes."""
        for _ in range(MOVED_TRIES):
            new = await put(self._store, after, read=kept.version, fence=self._term.fence)
            if new is not None:
                return new
            stored = await open_one(self._store, after.id)
            if stored is None:
                return None
            kept = stored
            asked = stored.operation
            state = after.state if after.state.ended else asked.state
            after = attrs.evolve(
                after, state=state, stopped_by=asked.stopped_by, stop_reason=asked.stop_reason
            )
        return None

    async def _fail(self, kept: Kept, note: str) -> None:
        # Without what only a leader needs: its size may be what is wrong.
        failed = attrs.evolve(
            kept.operation,
            state=BulkState.FAILED,
            note=printable(note, MAX_NOTE),
            config_ids=(),
            in_hand=(),
        )
        new = await self._put(kept, await self._dated(failed))
        if new is not None:
            await put_away(self._store, new, self._term.fence)
            _say_ended(new.operation)


def _with_results(operation: BulkOperation, results: Results) -> BulkOperation:
    """The same once what was in hand is counted."""
    left_out = {**results.skipped, **results.failed}
    skips = Counter(operation.skips)
    skips.update(results.skipped.values())
    examples = (*operation.examples, *left_out.items())
    return attrs.evolve(
        operation,
        in_hand=(),
        done=operation.done + len(results.done),
        skipped=operation.skipped + len(results.skipped),
        failed=operation.failed + len(results.failed),
        skips=dict(skips),
        examples=examples[:MAX_EXAMPLES],
    )


def _ended_or_not(operation: BulkOperation) -> BulkOperation:
    """The same, ended if nothing is in hand and nothing more comes."""
    if operation.in_hand:
        return operation
    if operation.state is BulkState.STOPPING:
        return attrs.evolve(operation, state=BulkState.STOPPED)
    if operation.walked:
        return attrs.evolve(operation, state=BulkState.DONE)
    if operation.touched >= MAX_TOUCHED:
        note = f"it has dealt with {MAX_TOUCHED} tasks, which is the most; another one can go on"
        return attrs.evolve(operation, state=BulkState.DONE, note=note)
    return operation


def _say_ended(operation: BulkOperation) -> None:
    log.info(
        "the bulk operation %s ended %s: %d done, %d skipped, %d failed",
        *(operation.id, operation.state, operation.done, operation.skipped, operation.failed),
    )
