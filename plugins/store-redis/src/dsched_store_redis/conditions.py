"""Lasting troubles are logged once in a process when they begin, and once when they are over.

A pod has several handles, in several threads, that meet the same trouble: one line is enough for
all of them.
"""

import logging
import threading
from collections.abc import Hashable

log = logging.getLogger("dsched.store.redis")

_MAX = 1000


class Conditions:
    """What is the matter now, and who has met it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._standing: dict[Hashable, set[Hashable]] = {}

    def begins(
        self, what: Hashable, who: Hashable, text: str, *args: object, level: int = logging.ERROR
    ) -> None:
        """``who`` has met the trouble; the first one has it logged."""
        with self._lock:
            met = self._standing.get(what)
            if met is None and len(self._standing) < _MAX:
                self._standing[what] = {who}
            elif met is not None:
                met.add(who)
        if met is None:
            log.log(level, text, *args)

    def over(self, what: Hashable, who: Hashable, text: str, *args: object) -> None:
        """``who`` does not meet it any more; the last one has that logged."""
        with self._lock:
            met = self._standing.get(what)
            if met is None or who not in met:
                return
            met.discard(who)
            if met:
                return
            del self._standing[what]
        log.warning(text, *args)

    def leave(self, who: Hashable) -> None:
        """``who`` is closed, and will not say that anything is over."""
        with self._lock:
            for what in [what for what, met in self._standing.items() if who in met]:
                self._standing[what].discard(who)
                if not self._standing[what]:
                    del self._standing[what]


CONDITIONS = Conditions()
