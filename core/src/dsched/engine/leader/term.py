"""One holding of the leader lock: its fence, and how long it may be trusted."""

from dsched.contracts.store.leadership import fence_epoch
from dsched.engine.runtime import Runtime

MARGIN_S = 1.5
MARGIN_SHARE = 0.15


def trust_s(ttl_s: float) -> float:
    """For how long after the start of a renewal a leader may trust its lock."""
    return ttl_s - min(MARGIN_S, MARGIN_SHARE * ttl_s)


class TermOverError(Exception):
    """This pod is not leader any more, or must not act as one. The message says why."""


class Term:
    """A leader trusts itself until *start of its last successful renewal + TTL - margin*.

    The lock's TTL gives liveness, the fence in every write gives safety; this window only keeps
    a leader that lost its lock from trying for long.
    """

    def __init__(self, fence: str, ttl_s: float, started_s: float, runtime: Runtime) -> None:
        self.fence = fence
        self.epoch = fence_epoch(fence)
        self._runtime = runtime
        self._window_s = trust_s(ttl_s)
        self._until_s = started_s + self._window_s
        self._steady_since_s = started_s
        self._answered_s = started_s

    def renewed(self, started_s: float) -> None:
        """A renewal that began at ``started_s`` was answered ``OK``."""
        self._until_s = started_s + self._window_s

    def answered(self) -> None:
        """A loop's tick got all its answers."""
        self._answered_s = self._runtime.monotonic()

    def remaining_s(self) -> float:
        """Seconds for which this term may still be trusted."""
        return self._until_s - self._runtime.monotonic()

    def check(self) -> None:
        """Raise `TermOverError` when the term may not be trusted any more."""
        if self.remaining_s() <= 0:
            raise TermOverError("the lock was not renewed in time")

    def disturbed(self) -> float:
        """A store call failed: live workers may have been cut off too, so reaping waits anew.

        Answers with the seconds since a loop last got all its answers.
        """
        self._steady_since_s = self._runtime.monotonic()
        return self._steady_since_s - self._answered_s

    def steady_s(self) -> float:
        """For how long every store call of this term has been answered."""
        return self._runtime.monotonic() - self._steady_since_s


def first_error(errors: BaseException) -> BaseException:
    """The first exception at the bottom of nested groups."""
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors
