"""What the API says of the cluster as a whole."""

from collections.abc import Mapping
from datetime import datetime

import attrs


@attrs.frozen(kw_only=True)
class SteppedDown:
    """The pod that led until now."""

    pod: str


@attrs.frozen(kw_only=True)
class Leader:
    """The pod that leads, and the number of its term."""

    pod: str
    epoch: int


@attrs.frozen(kw_only=True)
class Counts:
    """How many tasks there are, and since when the oldest ready one has waited."""

    by_status: Mapping[str, int] = attrs.field(factory=dict)
    by_home: Mapping[str, int] = attrs.field(factory=dict)
    oldest_ready: datetime | None = None


@attrs.frozen(kw_only=True)
class StoreState:
    """Whether the store takes writes; else a word for why, and the store's own words."""

    writable: bool = True
    reason: str = ""
    words: str = ""


@attrs.frozen(kw_only=True)
class Unrunnable:
    """Tasks that no worker can run, for one reason: how many at least, and since when."""

    reason: str = ""
    tasks: int = 0
    since: datetime | None = None


@attrs.frozen(kw_only=True)
class Full:
    """Tasks whose workers are all full while others have room: what they demand of a worker, and
    since when the oldest has waited for that."""

    demands: str = ""
    tasks: int = 0
    since: datetime | None = None


@attrs.frozen(kw_only=True)
class WaitingUnder:
    """A limit or an instance under which tasks wait: how many, and since when the oldest does; and
    how many of how many places are held (None: any number, and a rate bounds it)."""

    limit: str = ""
    tasks: int = 0
    since: datetime | None = None
    held: int = 0
    max_running: int | None = None


@attrs.frozen(kw_only=True)
class Demand:
    """How much could run now, in slots, and how many workers of their mean size that would fill."""

    slots: int = 0
    waiting: int = 0
    capacity: int = 0
    wanted_workers: int = 0


@attrs.frozen(kw_only=True)
class Cluster:
    """The cluster at a glance."""

    leader: Leader | None = None
    counts: Counts = attrs.field(factory=Counts)
    configs: int = 0
    workers: int = 0
    store: StoreState = attrs.field(factory=StoreState)
    unrunnable: tuple[Unrunnable, ...] = ()
    full: tuple[Full, ...] = ()
    limits: tuple[WaitingUnder, ...] = ()
    demand: Demand = attrs.field(factory=Demand)
    store_time: datetime | None = None
    clock_gen: int = 0
    version: str = ""
