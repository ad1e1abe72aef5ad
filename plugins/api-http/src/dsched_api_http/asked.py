"""What the routes of reasons, statistics, lines and operators' verbs take."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import attrs

from dsched.client.backfilling import MAX_BACKFILL
from dsched_api_http.requests import MAX_LIMIT, Reason, some

MAX_SPAN = timedelta(days=366)


class BucketSpan(StrEnum):
    """How much time a bucket of statistics covers."""

    HOUR = "hour"
    DAY = "day"


@attrs.frozen(kw_only=True)
class WhyQuery:
    """The instant that is meant; without one, the latest that is recorded or overdue."""

    at: datetime | None = None


@attrs.frozen(kw_only=True)
class StatsQuery:
    """Of which config (all, without one), of which span, by hour or by day (UTC)."""

    config: str | None = None
    from_: datetime | None = None
    to: datetime | None = None
    bucket: BucketSpan = BucketSpan.HOUR


@attrs.frozen(kw_only=True)
class LinesQuery:
    """Lines after a cursor, of one attempt or all; ``follow``: as server-sent events."""

    attempt: int | None = None
    after: str | None = None
    limit: int = some(MAX_LIMIT, 100)
    follow: bool = False


@attrs.frozen(kw_only=True)
class Skip(Reason):
    """An instant (``at``), or those of a span (``from``, ``to``), that are not to be fired."""

    at: datetime | None = None
    from_: datetime | None = None
    to: datetime | None = None


@attrs.frozen(kw_only=True)
class BackfillBody(Reason):
    """Which past instants to run: see the README of the service."""

    from_: datetime
    to: datetime
    dry_run: bool = False
    limit: int = some(MAX_BACKFILL, MAX_BACKFILL)
    again: bool = False
    key: str = attrs.field(default="", metadata={"maxLength": 40})

    @key.validator
    def _check_key(self, _: Any, value: str) -> None:
        if len(value) > 40:
            raise ValueError("key must be at most 40 characters")
