"""What the cluster's answer says of work that waits for workers."""

import attrs

from dsched_api_http.wire import TIME


@attrs.frozen(kw_only=True)
class UnrunnableView:
    """Tasks that no worker can run, for one reason: how many at least, and since when."""

    reason: str
    tasks: int
    since: str = attrs.field(metadata=TIME)


@attrs.frozen(kw_only=True)
class FullView:
    """Tasks whose workers are all full while others have room: what they demand of a worker, and
    since when the oldest has waited for that."""

    demands: str
    tasks: int
    since: str = attrs.field(metadata=TIME)


@attrs.frozen(kw_only=True)
class WaitingUnderView:
    """A limit or an instance under which tasks wait: how many, and since when the oldest does; and
    how many of how many places are held (null: any number, and a rate bounds it)."""

    limit: str
    tasks: int
    since: str = attrs.field(metadata=TIME)
    held: int
    max_running: int | None


@attrs.frozen(kw_only=True)
class StoreView:
    """Whether the store takes the writes of the pod that answers; else a word for why, and the
    store's own words."""

    writable: bool
    reason: str
    words: str


@attrs.frozen(kw_only=True)
class DemandView:
    """How much could run now, in slots, and how many workers of their mean size that would fill."""

    slots: int
    waiting: int
    capacity: int
    wanted_workers: int
