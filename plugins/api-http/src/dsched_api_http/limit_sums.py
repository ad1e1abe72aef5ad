"""How full limits are: what holds their places and waits for them, summed over their instances."""

from collections.abc import Container, Iterable, Sequence

import attrs

from dsched.client import Client, answered
from dsched.contracts.store import Store
from dsched.contracts.store.limits import LimitUse
from dsched.model import Limit, limit_of
from dsched_api_http.limit_views import LimitSum, use_of

PAGE = 100
MAX_NAMES = 500  # names in use that are looked at for one answer
_AFTER_INSTANCES = ";"  # sorts after ":", so that no name of a limit's instances comes after it


@attrs.frozen(kw_only=True)
class Used:
    """What is in use, by name; ``seen`` is the last name looked at, None: there are no more."""

    uses: tuple[LimitUse, ...]
    seen: str | None

    def covers(self, limit_id: str) -> bool:
        """Whether a limit and all its instances have been looked at."""
        return self.seen is None or self.seen >= limit_id + _AFTER_INSTANCES


async def sums_of(
    client: Client, store: Store, limits: Sequence[Limit], *, whole: bool, most: int
) -> dict[str, LimitSum]:
    """By id the sum of each limit, with its ``most`` fullest names; ``whole``: there are no
    other limits.

    What has a record of its own counts as that, not as an instance. A few calls of the store.
    """
    used = await _used(client)
    own = {one.id for one in limits}
    if not whole:
        own |= (await own_records(store, (one.name for one in used.uses), known=own)).keys()
    by_limit: dict[str, list[LimitUse]] = {one.id: [] for one in limits}
    for use in used.uses:
        owner = use.name if use.name in own else limit_of(use.name)
        if owner in by_limit:
            by_limit[owner].append(use)
    return {
        one.id: _sum(by_limit[one.id], one.max_running, complete=used.covers(one.id), most=most)
        for one in limits
    }


async def _used(client: Client) -> Used:
    found: list[LimitUse] = []
    cursor: str | None = None
    while len(found) < MAX_NAMES:
        page = await client.limit_uses(cursor=cursor, limit=PAGE)
        found += page.uses
        cursor = page.cursor
        if cursor is None:
            return Used(uses=tuple(found), seen=None)
    return Used(uses=tuple(found), seen=found[-1].name)


async def own_records(
    store: Store, names: Iterable[str], *, known: Container[str] = ()
) -> dict[str, Limit]:
    """Of the instances among these names, the stored records of their own; of ``known`` ones
    none."""
    asked = [one for one in names if ":" in one and one not in known]
    found: dict[str, Limit] = {}
    for start in range(0, len(asked), PAGE):
        some = asked[start : start + PAGE]
        stored = await answered(lambda: store.get_limits(some))  # noqa: B023
        found |= {one.id: one for one in stored if one is not None}
    return found


def _sum(
    uses: Iterable[LimitUse], max_running: int | None, *, complete: bool, most: int
) -> LimitSum:
    fullest = sorted(uses, key=lambda one: (-one.waiting, -one.held, one.name))
    return LimitSum(
        held=sum(one.held for one in fullest),
        waiting=sum(one.waiting for one in fullest),
        names=len(fullest),
        full=sum(_is_full(one, max_running) for one in fullest),
        fullest=tuple(use_of(one, max_running) for one in fullest[:most]),
        complete=complete,
    )


def _is_full(use: LimitUse, max_running: int | None) -> bool:
    """Whether no more may begin now."""
    no_token = use.tokens is not None and use.tokens < 1
    return no_token or (max_running is not None and use.held >= max_running)
