"""Refuses, one by one, the items of a batch whose limits are not there."""

from collections.abc import Sequence

from dsched.contracts.store import Store
from dsched.model.limits import limit_of
from dsched_api_http.problems import invalid


async def refuse_unknown_limits(store: Store, names: Sequence[str]) -> None:
    """Raise the problem of one item, which the others of its batch do not have."""
    if not names:
        return
    ids = sorted(set(map(limit_of, names)))
    for limit_id, found in zip(ids, await store.get_limits(ids), strict=True):
        if found is None:
            raise invalid(
                "limits", f"there is no limit {limit_id!r}; put it first, or name one that is there"
            )
