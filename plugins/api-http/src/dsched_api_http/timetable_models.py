"""What `GET /load` and `GET /timetable` answer with: the shapes of the contract."""

import attrs

from dsched_api_http.models import TIME


@attrs.frozen(kw_only=True)
class LoadCell:
    """How many fires are due in a cell, and the most tasks at one time if each takes as long as 95
    of 100 did in the last day. ``fires`` is null for what is over: there ``slots`` were measured;
    ``coarse``: on the average of the hour."""

    fires: int | None
    slots: int | None
    coarse: bool = False


@attrs.frozen(kw_only=True)
class LoadView:
    """The load of a span against the slots that there are now; ``cells`` ascend from ``start``,
    each ``cell_s`` long. Not ``complete``: too many configs or fires to count all of them."""

    time: str = attrs.field(metadata=TIME)
    start: str = attrs.field(metadata=TIME)
    cell_s: int
    capacity: int
    cells: tuple[LoadCell, ...]
    complete: bool


@attrs.frozen(kw_only=True)
class Mark:
    """What a config did, or is due to do, in a cell: the worst word, how many, and in how many more
    cells the longest run lasted. ``coarse``: only the hour is known that begins with this cell."""

    cell: int
    kind: str
    count: int
    lasted: int = 0
    coarse: bool = False


@attrs.frozen(kw_only=True)
class TimetableRow:
    """A config in a timetable: how many of its tasks and fires are in it, and the cells that have
    any."""

    id: str
    count: int
    marks: tuple[Mark, ...]
    complete: bool


@attrs.frozen(kw_only=True)
class AtOnce:
    """A config that fires in a cell. ``spread``: its expression with `H` for its minute, which
    would put it at ``spread_at``; null where that cannot be said of it."""

    id: str
    at: str = attrs.field(metadata=TIME)
    cron_expr: str | None
    origin: str
    spread: str | None
    spread_at: str | None = attrs.field(metadata=TIME)


@attrs.frozen(kw_only=True)
class Crowd:
    """Who fires in one minute, the minutes of that hour as they are, and as they would be with each
    ``spread`` in place."""

    minute: str = attrs.field(metadata=TIME)
    capacity: int
    configs: tuple[AtOnce, ...]
    hour: tuple[LoadCell, ...]
    hour_spread: tuple[LoadCell, ...]
    complete: bool
