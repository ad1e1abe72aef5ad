"""Limits, as the API tells them."""

import attrs


@attrs.frozen(kw_only=True)
class LimitUse:
    """By name of a limit or an instance: how many tasks hold a place, how many wait for one, and
    how many may hold one."""

    name: str
    held: int
    waiting: int
    max_running: int


@attrs.frozen(kw_only=True)
class LimitDetail:
    """A limit and a page of what is in use of it and its instances; ``cursor`` continues that,
    None at its end."""

    id: str
    max_running: int
    uses: tuple[LimitUse, ...] = ()
    cursor: str | None = None


@attrs.frozen(kw_only=True)
class PutLimit:
    """A limit as it holds now, and whether that changed anything."""

    id: str
    max_running: int
    changed: bool
