"""Configs that a dry run has just judged: the put that follows needs not judge them again."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from dsched.contracts import Intake
from dsched.model import TaskConfig
from dsched.model.json import NotJsonError, check_json

MOST_BYTES = 8_000_000
LASTS_S = 120.0
# The largest entry is refused before it gets here; this only keeps the work of writing it bounded.
_LARGEST = 1_100_000


class Judged:
    """Judges entries, and remembers those of dry runs until they are put, for two minutes at most.

    A command that declares many configs sends each entry twice: to see what would change, and to
    change it. What is judged depends on the entry, and on plugins and settings of this pod, which
    do not change while it runs: functions are only ever added. So what was accepted still is.
    """

    def __init__(self, intake: Intake, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._intake = intake
        self._clock_s = clock_s
        self._kept: OrderedDict[str, tuple[TaskConfig, float]] = OrderedDict()
        self._bytes = 0

    def config(self, config_id: str, entry: Mapping[str, Any], *, dry_run: bool) -> TaskConfig:
        """The config of an entry; raises what `Intake.config` raises."""
        self._forget_old()
        try:
            text = check_json([config_id, entry], "entry", _LARGEST)
        except NotJsonError:
            return self._intake.config(config_id, entry)  # which says what is wrong
        known = self._taken(text)
        config = self._intake.config(config_id, entry) if known is None else known
        if dry_run:
            self._keep(text, config)
        return config

    @property
    def size(self) -> int:
        """Bytes of the entries that are remembered."""
        return self._bytes

    def _taken(self, text: str) -> TaskConfig | None:
        kept = self._kept.pop(text, None)
        if kept is None:
            return None
        self._bytes -= len(text)
        return kept[0]

    def _keep(self, text: str, config: TaskConfig) -> None:
        self._kept[text] = (config, self._clock_s() + LASTS_S)
        self._bytes += len(text)
        while self._bytes > MOST_BYTES:
            self._taken(next(iter(self._kept)))

    def _forget_old(self) -> None:
        now_s = self._clock_s()
        while self._kept:
            text, (_, until_s) = next(iter(self._kept.items()))
            if until_s > now_s:
                return
            self._taken(text)
