"""Calendars: the named days that configs skip, or are due on alone."""

from dsched.contracts.store.configs import StoredConfig
from dsched.model import from_ms
from dsched_api_http.calendar_views import Calendars, calendars_of
from dsched_api_http.call import STORE_PAGE, Answer, Call, Route
from dsched_api_http.cursors import Cursors
from dsched_api_http.requests import Page
from dsched_api_http.scopes import Scope

NAME = "calendars"
MAX_CONFIGS = 2000  # that are looked at for one answer


async def list_calendars(call: Call) -> Answer:
    """What configs go by, by name."""
    after = Cursors.read(NAME, call.query.cursor)
    configs, complete = await _configs(call)
    today = from_ms((await call.store.now()).wall_ms).date()
    items, more = calendars_of(configs, today, after=after, limit=call.query.limit)
    cursor = Cursors.write(NAME, more)
    return Answer(body=Calendars(items=items, cursor=cursor, complete=complete))


async def _configs(call: Call) -> tuple[list[StoredConfig], bool]:
    """The first configs, and whether these are all."""
    found: list[StoredConfig] = []
    cursor: str | None = None
    while len(found) < MAX_CONFIGS:
        page = await call.client.list_configs(cursor=cursor, limit=STORE_PAGE)
        found += page.configs
        cursor = page.cursor
        if cursor is None:
            return found, True
    return found, False


ROUTES = (
    Route(
        method="GET",
        path="/calendars",
        name="calendar.list",
        shared=True,
        scope=Scope.READ,
        handle=list_calendars,
        summary="List the calendars that configs go by",
        query=Page,
        answer=Calendars,
    ),
)
