"""When the next token of a limit lets something go that waits for it."""

import math
from collections.abc import Callable


class NextToken:
    """What the store's latest answer said, by the runtime's monotonic clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.at_s = math.inf

    def told(self, in_ms: int | None) -> None:
        """The store has just answered that it will be in so long; None: nothing waits for one."""
        self.at_s = math.inf if in_ms is None else self._monotonic() + in_ms / 1000
