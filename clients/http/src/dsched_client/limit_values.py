"""Limits, as the API tells them."""

import attrs


@attrs.frozen(kw_only=True)
class LimitUse:
    """By name of a limit or an instance: how many tasks hold a place, how many wait for one, and
    how many may hold one (None: any number). Where a rate bounds it also how many tokens there are,
    and in how many ms there is one more (None: it has all)."""

    name: str
    held: int
    waiting: int
    max_running: int | None
    tokens: int | None = None
    next_token_in_ms: int | None = None


@attrs.frozen(kw_only=True)
class LimitDetail:
    """A limit and a page of what is in use of it and its instances; ``cursor`` continues that,
    None at its end. ``origin``: who declares it."""

    id: str
    max_running: int | None = None
    rate: str | None = None
    burst: int | None = None
    origin: str = "api"
    uses: tuple[LimitUse, ...] = ()
    cursor: str | None = None


@attrs.frozen(kw_only=True)
class PutLimit:
    """A limit as it holds now, and whether that changed anything."""

    id: str
    max_running: int | None = None
    rate: str | None = None
    burst: int | None = None
    changed: bool
