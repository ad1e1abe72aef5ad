"""What the API asks and answers about limits."""

import attrs

from dsched.contracts.store.limits import LimitUse
from dsched.model import API_ORIGIN, Limit
from dsched_api_http.requests import OptionalReason, Page, between, origin_only

MAX_USES = 20


@attrs.frozen(kw_only=True)
class LimitUseView:
    """By name of a limit or an instance: how many tasks hold a place, how many wait for one, and
    how many may hold one, by the instance's own number if it has one (null: any number). Where a
    rate bounds it also how many tokens there are, and in how many ms there is one more (null: it
    has all)."""

    name: str
    held: int
    waiting: int
    max_running: int | None
    tokens: int | None
    next_token_in_ms: int | None


@attrs.frozen(kw_only=True)
class LimitSum:
    """Over all instances in use of a limit, ``names``, that have no number of their own: how many
    tasks hold a place and wait for one, how many names are ``full``, out of places or of tokens,
    and the ``fullest``, those with most waiting first. Not ``complete``: so many names are in use
    that not all were read; the limit itself tells all of them."""

    held: int
    waiting: int
    names: int
    full: int
    fullest: tuple[LimitUseView, ...]
    complete: bool


@attrs.frozen(kw_only=True)
class LimitView:
    """A limit, or one instance with numbers of its own: ``max_running`` tasks may be queued at
    workers or run at once, and as many may begin as ``rate`` says, ``burst`` of them at once; null
    for what is not bounded. ``origin``: who declares it; ``use``: how full it is, if that was
    asked for."""

    id: str
    max_running: int | None
    rate: str | None
    burst: int | None
    origin: str
    use: LimitSum | None = attrs.field(default=None, metadata={"optional": True})


@attrs.frozen(kw_only=True)
class PutLimitView:
    """A limit as it holds now, and whether that changed anything."""

    id: str
    max_running: int | None
    rate: str | None
    burst: int | None
    changed: bool


@attrs.frozen(kw_only=True)
class LimitDetail:
    """A limit and a page of what is in use of it and of its instances, by name; ``cursor``
    continues that, null at its end. ``origin``: who declares it."""

    id: str
    max_running: int | None
    rate: str | None
    burst: int | None
    origin: str
    uses: tuple[LimitUseView, ...]
    cursor: str | None


@attrs.frozen(kw_only=True)
class PutLimit(OptionalReason):
    """``max_running``: how many tasks may be queued at workers or run at once; 0: nothing new
    begins. ``rate``: how many may begin in a span of time, as in ``100/1m``; ``burst``: how many of
    these at once, after a pause. One of ``max_running`` and ``rate``, or both. And why, if there
    is something to say."""

    max_running: int | None = None
    rate: str | None = None
    burst: int | None = None


@attrs.frozen(kw_only=True)
class LimitList(Page):
    """``uses``: each limit comes with how full it is, and that many of its fullest names."""

    uses: int = attrs.field(
        default=0, validator=between(0, MAX_USES), metadata={"minimum": 0, "maximum": MAX_USES}
    )


@attrs.frozen(kw_only=True)
class PutLimitQuery:
    """Who declares the limit, and whether it may be taken over."""

    origin: str = attrs.field(default=API_ORIGIN, validator=origin_only)
    adopt: bool = False


@attrs.frozen(kw_only=True)
class GetLimit(Page):
    """Where its uses go on, and how many of them."""


@attrs.frozen(kw_only=True)
class DeleteLimit(OptionalReason):
    """``force``: although tasks run or wait under it, which are bounded no more; ``origin``: whose
    it must be; and why."""

    force: bool = False
    origin: str | None = attrs.field(default=None, validator=attrs.validators.optional(origin_only))


def limit_view_of(limit: Limit, origin: str) -> LimitView:
    """A limit as answered."""
    return LimitView(**attrs.asdict(limit), origin=origin)


def use_of(use: LimitUse, max_running: int | None) -> LimitUseView:
    """What is in use, as answered."""
    told = attrs.asdict(use, filter=lambda field, _: field.name != "oldest_ms")
    return LimitUseView(**told, max_running=max_running)
