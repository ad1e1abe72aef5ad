"""A ration of log lines: thousands of tasks a second must not spend their time on being told."""

import logging

from dsched.engine.runtime import Runtime

LINES_A_SECOND = 20


class Ration:
    """Lets so many lines a second through, and then says how many it kept back.

    At level debug every line passes: whoever asks for all gets all.
    """

    def __init__(
        self, log: logging.Logger, what: str, runtime: Runtime, *, most: int = LINES_A_SECOND
    ) -> None:
        self._log = log
        self._what = what
        self._runtime = runtime
        self._most = most
        self._second = float("-inf")
        self._lines = 0

    def allows(self) -> bool:
        """Whether one more line may be written now; False if nobody would read it."""
        if not self._log.isEnabledFor(logging.INFO):
            return False
        second = self._runtime.monotonic() // 1.0
        if second != self._second:
            self._turn(second)
        self._lines += 1
        return self._lines <= self._most or self._log.isEnabledFor(logging.DEBUG)

    def _turn(self, second: float) -> None:
        kept_back, self._lines, self._second = self._lines - self._most, 0, second
        if kept_back > 0 and not self._log.isEnabledFor(logging.DEBUG):
            self._log.info(
                "%d more lines about %s were left out within a second (log.level debug shows all)",
                kept_back,
                self._what,
            )
