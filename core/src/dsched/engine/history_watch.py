"""A pod checks now and then that the past that it has seen is still there, and says if it is
not."""

import logging

from dsched.contracts.observer import HistoryBroken, InvariantViolated
from dsched.contracts.store.history import Break, Loss, Remembering
from dsched.contracts.store.outcomes import StoreEmptiedError, StoreUnavailableError
from dsched.engine.observers import Announcer
from dsched.engine.past import Past, loss_of, recorded_break
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import answered_within
from dsched.model import from_ms

log = logging.getLogger("dsched.history")

# While the log grows there is something to lose; while it does not, a check costs and finds
# nothing.
LOOK_EVERY_S = 2.0
IDLE_LOOK_EVERY_S = 10.0
ANSWER_S = 10.0

_WHAT = {
    Loss.RESTORED: "the store is an older state of itself than this pod has seen: a backup was put "
    "in its place, or a replica that lagged",
    Loss.REPLACED: "the store is not the one that this pod has seen: it was emptied and made anew, "
    "or another was put in its place",
    Loss.DECLARED: "an operator says that a backup was put in the store's place",
}


class HistoryWatch:
    """Compares the store with what this pod remembers of it. The first to see a loss records it."""

    def __init__(
        self,
        pod: str,
        store: Remembering,
        *,
        runtime: Runtime,
        announcer: Announcer,
        past: Past,
    ) -> None:
        self._pod = pod
        self._store = store
        self._runtime = runtime
        self._announcer = announcer
        self._past = past
        self._emptied = False

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            before = self._past.mark
            try:
                async with answered_within(ANSWER_S):
                    await self._look()
            except StoreEmptiedError as error:
                self._is_empty(error)
            except StoreUnavailableError:
                pass  # the other parts of the pod say so
            except Exception as error:
                log.exception("checking the store's history failed; it is checked again")
                self._announcer.tell(InvariantViolated(name="history", detail=f"{error}"))
            idle = self._past.mark == before
            await self._runtime.sleep(IDLE_LOOK_EVERY_S if idle else LOOK_EVERY_S)

    async def _look(self) -> None:
        past = self._past
        found = await self._store.history(past.mark)
        self._emptied = False
        seen = past.seen
        if seen is None:
            past.adopt(found)
            return
        told = recorded_break(seen, found)
        loss = loss_of(seen, found)
        if told is None and loss is not None:
            lost = past.lost(loss, found)
            await self._store.raise_break(found.generation, lost, by=self._pod)
            # Whatever came of it: somebody has recorded a break by now, and it is read.
            found = await self._store.history(None)
            told = recorded_break(seen, found)
        if told is not None:
            self._say(told)
        if told is not None or loss is None:
            past.adopt(found)

    def _say(self, told: Break) -> None:
        log.error(
            "the history of the store is broken (generation %d, recorded by %s): %s; what happened "
            "%s may be forgotten, and may happen again: `dsched why` names it",
            told.generation,
            told.by,
            _WHAT[told.loss],
            "before" if told.from_ms is None else f"since {from_ms(told.from_ms).isoformat()}",
        )
        if told.by == self._pod:
            self._tell(told.loss, told.generation, told.from_ms)

    def _is_empty(self, error: StoreEmptiedError) -> None:
        """Nothing is there to record it in, so it is told at once, and again when a store is
        back."""
        if self._emptied or self._past.seen is None:
            return
        self._emptied = True
        log.error("the store that this pod has worked on is gone: %s", error)
        mark = self._past.mark
        self._tell(Loss.EMPTIED, 0, None if mark is None else mark.at_ms)

    def _tell(self, loss: Loss, generation: int, from_ms: int | None) -> None:
        self._announcer.tell(
            HistoryBroken(pod=self._pod, loss=loss, generation=generation, from_ms=from_ms)
        )
