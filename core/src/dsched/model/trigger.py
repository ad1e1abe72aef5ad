"""When a config is due: four kinds of trigger, as plain values. `dsched.planning` reads them."""

from datetime import timedelta
from enum import StrEnum
from typing import TypeAlias

import attrs


class DstGap(StrEnum):
    """What a fixed-time cron does when its local time does not exist on a day."""

    NEXT = "next"  # the first instant after the gap
    SKIP = "skip"


class DstOverlap(StrEnum):
    """What a fixed-time cron does when its local time exists twice on a day."""

    FIRST = "first"
    LAST = "last"
    BOTH = "both"


@attrs.frozen(kw_only=True)
class CronTrigger:
    """A cron expression of 5 fields, or 6 with seconds first, in a named zone.

    ``seed`` spreads ``H`` fields: it is the config's id.
    """

    expression: str
    timezone: str = "UTC"
    dst_gap: DstGap = DstGap.NEXT
    dst_overlap: DstOverlap = DstOverlap.FIRST
    seed: str = ""


@attrs.frozen(kw_only=True)
class EveryTrigger:
    """Fixed rate: ``anchor_ms + k x period`` for k = 0, 1, 2, ..."""

    period: timedelta
    anchor_ms: int


@attrs.frozen(kw_only=True)
class FixedDelayTrigger:
    """The next run is due ``delay`` after the last one ended; the first at ``first_ms``."""

    delay: timedelta
    first_ms: int


@attrs.frozen(kw_only=True)
class AtTrigger:
    """One instant."""

    at_ms: int


Trigger: TypeAlias = CronTrigger | EveryTrigger | FixedDelayTrigger | AtTrigger
