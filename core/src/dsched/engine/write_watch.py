"""Whether the store takes this pod's writes: said once when it does not, and once when it does."""

import logging
from collections.abc import Callable

import attrs

from dsched.contracts.observer import StoreWrites
from dsched.contracts.store.outcomes import StoreReadOnlyError, StoreUnavailableError
from dsched.engine.runtime import Runtime

log = logging.getLogger("dsched.store")

# Longer than the longest pause between two tries of a step: one small write that still fits must
# not end the trouble while larger ones are refused.
IDLE_S = 6.0
UNANSWERED_S = 10.0
NO_ANSWER = "no_answer"


@attrs.frozen(kw_only=True)
class WriteTrouble:
    """Why nothing can be written: a word for figures, and the store's own words."""

    reason: str
    words: str


class WriteWatch:
    """Hears of each refused write of a pod, and of the pod's own regular one (`Presence`).

    A refusal counts at once. A regular write without an answer counts once it has been so for
    `UNANSWERED_S`. Both are over with a regular write that is taken, `CALM_S` after the last
    refusal at the earliest.
    """

    def __init__(self, runtime: Runtime, pod: str, tell: Callable[[StoreWrites], None]) -> None:
        self._runtime = runtime
        self._pod = pod
        self._tell = tell
        self._since_s = 0.0
        self._refused_s: float | None = None
        self._silent_since_s: float | None = None
        self.trouble: WriteTrouble | None = None

    def refused(self, error: StoreReadOnlyError) -> None:
        """A step was refused because the store takes no writes."""
        self._refused_s = self._runtime.monotonic()
        self._begin(WriteTrouble(reason=error.reason, words=str(error)))

    def unanswered(self, error: StoreUnavailableError) -> None:
        """The regular write got no answer."""
        if isinstance(error, StoreReadOnlyError):
            self.refused(error)
            return
        now_s = self._runtime.monotonic()
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        elif now_s - self._silent_since_s >= UNANSWERED_S:
            self._begin(WriteTrouble(reason=NO_ANSWER, words=str(error)))

    def accepted(self) -> None:
        """The regular write was taken."""
        self._silent_since_s = None
        if self.trouble is None or not self._idle():
            return
        lasted_s = self._runtime.monotonic() - self._since_s
        log.warning("the store takes writes again, after %.0f s", lasted_s)
        self.trouble = None
        self._tell(StoreWrites(pod=self._pod, taken=True, lasted_s=lasted_s))

    def _idle(self) -> bool:
        return self._refused_s is None or self._runtime.monotonic() - self._refused_s >= IDLE_S

    def _begin(self, trouble: WriteTrouble) -> None:
        before, self.trouble = self.trouble, trouble
        if before is None:
            self._since_s = self._runtime.monotonic()
            log.error(
                "the store takes no writes, so nothing fires, starts or ends until it does: %s",
                trouble.words,
            )
        if before is None or before.reason != trouble.reason:
            self._tell(
                StoreWrites(pod=self._pod, taken=False, reason=trouble.reason, words=trouble.words)
            )
