"""Coming instants: of a config, and of a trigger that is no config yet."""

from collections.abc import Mapping
from datetime import datetime

import attrs

from dsched.contracts.store.configs import StoredConfig
from dsched.model import InvalidConfigError, InvalidIdError, TaskConfig, rfc3339_ms, to_ms
from dsched.planning import InvalidTriggerError, compile_trigger, config_upcoming
from dsched.planning import Upcoming as PlannedUpcoming
from dsched.planning.upcoming import MAX_UPCOMING, UpcomingInstant
from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.models import Instant, Upcoming
from dsched_api_http.problems import FieldError, invalid, of_errors
from dsched_api_http.requests import Preview, UpcomingQuery
from dsched_api_http.routes.asking import named
from dsched_api_http.scopes import Scope

_NO_TRIGGER = frozenset({"from_", "limit"})


async def get_upcoming(call: Call) -> Answer:
    """When a config is due next, paused or not; an instant that somebody skipped says so.

    Of one with `max_runs` only as many as it has left; while it is paused, as many as it has after
    a resume.
    """
    stored = await call.client.get_config(named(call, "config"))
    skips = {one.at_ms: f"skipped: {one.why}" for one in stored.skips}
    query: UpcomingQuery = call.query
    if query.to is not None and query.from_ is None:
        raise invalid("to", "goes together with from")
    after_ms = await _after(call, query.from_)
    until_ms = None if query.to is None else to_ms(query.to)
    limit = query.limit if query.to is None else MAX_UPCOMING
    found = config_upcoming(stored.config, after_ms=after_ms, limit=limit, until_ms=until_ms)
    return _shown(_left_of(stored, found), skips)


def _left_of(stored: StoredConfig, found: PlannedUpcoming) -> PlannedUpcoming:
    """Those that come before the config has fired as often as it may. Skipped ones count not."""
    most = stored.config.max_runs
    if most is None:
        return found
    left = most if stored.paused is not None else most - stored.counted.runs
    skipped = {one.at_ms for one in stored.skips}
    shown: list[UpcomingInstant] = []
    for one in found.items:
        if left <= 0:
            return attrs.evolve(found, items=tuple(shown), truncated=False)
        shown.append(one)
        left -= one.at_ms not in skipped
    return attrs.evolve(found, truncated=found.truncated and left > 0)


def _shown(found: PlannedUpcoming, skips: Mapping[int, str]) -> Answer:
    items = (
        Instant(
            time=rfc3339_ms(one.at_ms),
            local=one.local,
            note="; ".join(filter(None, (skips.get(one.at_ms), one.note))),
        )
        for one in found.items
    )
    return Answer(body=Upcoming(items=tuple(items), truncated=found.truncated))


async def preview(call: Call) -> Answer:
    """When a trigger would be due."""
    asked: Preview = call.body
    after_ms = await _after(call, asked.from_)
    fields = attrs.asdict(asked, recurse=False)
    given = {name: value for name, value in fields.items() if name not in _NO_TRIGGER}
    try:
        config = TaskConfig(executor="preview", created_ms=after_ms, **given)
        compile_trigger(config.trigger)
    except (InvalidConfigError, InvalidTriggerError) as error:
        raise of_errors([FieldError(error.field, error.reason)]) from error
    except InvalidIdError as error:
        raise invalid("id", str(error)) from error
    return _shown(config_upcoming(config, after_ms=after_ms, limit=asked.limit), {})


async def _after(call: Call, start: datetime | None) -> int:
    """The instant before the first one asked for, since ``from`` itself is included."""
    if start is not None:
        return to_ms(start) - 1
    return (await call.store.now()).wall_ms


ROUTES = (
    Route(
        method="GET",
        path="/configs/{id}/upcoming",
        name="config.upcoming",
        shared=True,
        scope=Scope.READ,
        handle=get_upcoming,
        summary="When a config is due next",
        query=UpcomingQuery,
        answer=Upcoming,
        problems=("not_found",),
    ),
    Route(
        method="POST",
        path="/preview",
        name="preview",
        scope=Scope.READ,
        handle=preview,
        summary="When a trigger would be due",
        body=Preview,
        answer=Upcoming,
    ),
)
