"""What configs did and will do by cell of time, the load of that, and who fires in one minute."""

from datetime import timedelta

from dsched.contracts.store.configs import StoredConfig
from dsched.model import to_ms
from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.occupancy import Span
from dsched_api_http.problems import invalid
from dsched_api_http.requests import MinuteQuery, SpanQuery, TimetableQuery
from dsched_api_http.scopes import Scope
from dsched_api_http.timetable_models import Crowd, LoadView, TimetableRow

MAX_CELLS = 1000
MAX_SPAN = timedelta(days=32)
MIN_CELL = timedelta(minutes=1)


def span_of(asked: SpanQuery) -> Span:
    """The cells that a query names; raises `Problem` for what cannot be cut into them."""
    if asked.to <= asked.from_:
        raise invalid("to", "must be later than from")
    if asked.to - asked.from_ > MAX_SPAN:
        raise invalid("to", f"must be at most {MAX_SPAN.days} days after from")
    if asked.cell < MIN_CELL:
        raise invalid("cell", "must be at least 1m")
    cell_ms = asked.cell // timedelta(milliseconds=1)
    length_ms = to_ms(asked.to) - to_ms(asked.from_)
    cells = -(-length_ms // cell_ms)
    if cells > MAX_CELLS:
        raise invalid("cell", f"makes {cells} cells of this span; at most {MAX_CELLS} are told")
    return Span(from_ms=to_ms(asked.from_), cell_ms=cell_ms, cells=cells)


async def get_load(call: Call) -> Answer:
    """The load of a span."""
    return Answer(body=await call.api.timetable.load(span_of(call.query)))


async def list_rows(call: Call) -> Answer:
    """What configs did and will do, in the order of their ids."""
    span = span_of(call.query)

    async def fetch(cursor: str | None, limit: int) -> tuple[list[StoredConfig], str | None]:
        page = await call.client.list_configs(cursor=cursor, limit=limit)
        return list(page.configs), page.cursor

    stored, cursor = await call.page("timetable", fetch)
    rows = await call.api.timetable.rows(stored, span)
    return Answer(body={"items": list(rows), "cursor": cursor})


async def get_minute(call: Call) -> Answer:
    """Who fires in a minute, and what `H` would do."""
    return Answer(body=await call.api.timetable.minute(to_ms(call.query.at)))


ROUTES = (
    Route(
        method="GET",
        path="/load",
        name="load",
        shared=True,
        scope=Scope.READ,
        handle=get_load,
        summary="How many slots a span of time takes, by cell",
        query=SpanQuery,
        answer=LoadView,
    ),
    Route(
        method="GET",
        path="/load/minute",
        name="load.minute",
        scope=Scope.READ,
        handle=get_minute,
        summary="Who fires in a minute, and what H would do",
        query=MinuteQuery,
        answer=Crowd,
    ),
    Route(
        method="GET",
        path="/timetable",
        name="timetable",
        shared=True,
        scope=Scope.READ,
        handle=list_rows,
        summary="What configs did and will do, by cell of time",
        query=TimetableQuery,
        answer=TimetableRow,
        listed=True,
    ),
)
