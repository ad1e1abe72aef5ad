"""What the API asks and answers about limits."""

import attrs

from dsched.contracts.store.limits import LimitUse
from dsched.model import Limit
from dsched_api_http.requests import OptionalReason, Page, between

MAX_USES = 20


@attrs.frozen(kw_only=True)
class LimitUseView:
    """By name of a limit or an instance: how many tasks hold a place, how many wait for one, and
    how many may hold one, by the instance's own number if it has one."""

    name: str
    held: int
    waiting: int
    max_running: int


@attrs.frozen(kw_only=True)
class LimitSum:
    """Over all instances in use of a limit, ``names``, that have no number of their own: how many
    tasks hold a place and wait for one, how many names are ``full``, and the ``fullest``, those
    with most waiting first. Not ``complete``: so many names are in use that not all were read;
    the limit itself tells all of them."""

    held: int
    waiting: int
    names: int
    full: int
    fullest: tuple[LimitUseView, ...]
    complete: bool


@attrs.frozen(kw_only=True)
class LimitView:
    """A limit, or one instance with a number of its own: ``max_running`` tasks may be queued at
    workers or run at once. ``use``: how full it is, if that was asked for."""

    id: str
    max_running: int
    use: LimitSum | None = attrs.field(default=None, metadata={"optional": True})


@attrs.frozen(kw_only=True)
class PutLimitView:
    """A limit as it holds now, and whether that changed anything."""

    id: str
    max_running: int
    changed: bool


@attrs.frozen(kw_only=True)
class LimitDetail:
    """A limit and a page of what is in use of it and of its instances, by name; ``cursor``
    continues that, null at its end."""

    id: str
    max_running: int
    uses: tuple[LimitUseView, ...]
    cursor: str | None


@attrs.frozen(kw_only=True)
class PutLimit(OptionalReason):
    """How many tasks may be queued at workers or run at once; 0: nothing new begins. Why, if there
    is something to say."""

    max_running: int


@attrs.frozen(kw_only=True)
class LimitList(Page):
    """``uses``: each limit comes with how full it is, and that many of its fullest names."""

    uses: int = attrs.field(
        default=0, validator=between(0, MAX_USES), metadata={"minimum": 0, "maximum": MAX_USES}
    )


@attrs.frozen(kw_only=True)
class GetLimit(Page):
    """Where its uses go on, and how many of them."""


@attrs.frozen(kw_only=True)
class DeleteLimit(OptionalReason):
    """``force``: although tasks run or wait under it, which are bounded no more; and why."""

    force: bool = False


def limit_view_of(limit: Limit) -> LimitView:
    """A limit as answered."""
    return LimitView(id=limit.id, max_running=limit.max_running)


def use_of(use: LimitUse, max_running: int) -> LimitUseView:
    """What is in use, as answered."""
    return LimitUseView(name=use.name, held=use.held, waiting=use.waiting, max_running=max_running)
