"""A rate limit for log lines: with thousands of tasks a second, logging each would cost too
much."""

import logging

from dsched.engine.runtime import Runtime

LINES_A_SECOND = 20


class LogRate:
    """Lets so many lines a second through, and then says how many it kept back.

    At level debug every line passes.
    """

    def __init__(
        self, log: logging.Logger, what: str, runtime: Runtime, *, most: int = LINES_A_SECOND
    ) -> None:
        self._log = log
        self._what = what
        self._runtime = runtime
        self._most = most
        self._until_s = float("-inf")
        self._allowed: float = 0
        self._lines = 0

    def allows(self) -> bool:
        """Whether one more line may be written now; False if nobody would read it."""
        now_s = self._runtime.monotonic()
        if now_s >= self._until_s:
            self._turn(now_s)
        self._lines += 1
        return self._lines <= self._allowed

    def _turn(self, now_s: float) -> None:
        """A new second. Each task asks twice, so the log's level is looked up here, not each
        time."""
        kept_back, self._lines = self._lines - self._allowed, 0
        was_rationed = self._allowed == self._most
        self._until_s = now_s // 1.0 + 1.0
        if self._log.isEnabledFor(logging.DEBUG):
            self._allowed = float("inf")
        else:
            self._allowed = self._most if self._log.isEnabledFor(logging.INFO) else 0
        if kept_back > 0 and was_rationed and self._allowed == self._most:
            self._log.info(
                "%d more lines about %s were left out within a second (log.level debug shows all)",
                kept_back,
                self._what,
            )
