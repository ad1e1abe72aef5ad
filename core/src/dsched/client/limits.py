"""Limits: put, dropped, listed, and whether those that tasks name are there."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from dsched.client.asking import ConflictError, NotFoundError, RefusedError, answered
from dsched.client.limit_origins import LimitOrigins
from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.limits import LimitPage, LimitUsePage
from dsched.contracts.store.outcomes import Outcome
from dsched.model import API_ORIGIN, InvalidConfigError, Limit, limit_of
from dsched.model.limits import owner_of
from dsched.wording import did_you_mean


class Limits(LimitOrigins):
    """The acts on limits."""

    async def put_limit(
        self, limit: Limit, *, origin: str = API_ORIGIN, adopt: bool = False
    ) -> bool:
        """Store a limit, which holds at once; whether anything changed.

        One that another ``origin`` declares raises `ConflictError` with the code
        ``origin_conflict``, unless it is to be ``adopt``ed. `RefusedError` where the store has too
        many, or a format without limits.
        """
        _refuse_own(limit.id)
        taken = await self._take_limit(limit, origin, adopt=adopt)
        outcome = await self._answered(lambda: self._store.put_limit(limit))
        if outcome is Outcome.OLDER:
            raise RefusedError(
                outcome,
                "the format of the store has no limits; run `dsched store migrate` when all pods "
                "run this version",
            )
        if outcome is Outcome.FULL:
            raise RefusedError(outcome, "the store has as many limits as it takes; delete some")
        return taken or outcome is Outcome.OK

    async def delete_limit(
        self, limit_id: str, *, force: bool = False, origin: str | None = None
    ) -> None:
        """Remove a limit; `NotFoundError`, and `ConflictError` while it is in use.

        With ``origin``: only if it is of this one (``origin_conflict``).
        """
        _refuse_own(limit_id)
        known = await self.limit_origin(limit_id)
        if origin is not None and known.origin != origin:
            raise ConflictError(
                "origin_conflict",
                f"limit {limit_id} is declared by {known.origin}, not by {origin}",
            )
        outcome = await self._answered(lambda: self._store.drop_limit(limit_id, force=force))
        if outcome is Outcome.UNKNOWN:
            raise NotFoundError("UNKNOWN", f"there is no limit {limit_id}")
        if outcome is Outcome.TAKEN:
            raise ConflictError(
                outcome,
                f"limit {limit_id} is in use: tasks run or wait under it; delete it with force, "
                "and they are bounded no more",
            )
        await self._forget_origin(limit_id, known.version)

    async def get_limit(self, limit_id: str) -> Limit:
        """A limit; `NotFoundError`."""
        (found,) = await self._answered(lambda: self._store.get_limits([limit_id]))
        if found is None:
            raise NotFoundError("UNKNOWN", f"there is no limit {limit_id}")
        return found

    async def get_limits(self, limit_ids: Sequence[str]) -> tuple[Limit | None, ...]:
        """Any number of limits in the order of the ids, None where there is none."""
        found: list[Limit | None] = []
        for start in range(0, len(limit_ids), MAX_BATCH):
            some = limit_ids[start : start + MAX_BATCH]
            found += await self._answered(partial(self._store.get_limits, some))
        return tuple(found)

    async def list_limits(self, *, cursor: str | None = None, limit: int = 100) -> LimitPage:
        """A page of limits by id."""
        return await self._answered(lambda: self._store.list_limits(cursor, limit))

    async def limit_uses(
        self, *, of: str | None = None, cursor: str | None = None, limit: int = 100
    ) -> LimitUsePage:
        """How many tasks hold places and how many wait, by name; of one limit and its instances,
        if it is given."""
        return await self._answered(lambda: self._store.limit_uses(cursor, limit, of=of))


_OWN = (
    "what bounds the runs of config {owner} is max_running of that config, and only its own tasks "
    "take its places; name a limit of `dsched limit list`"
)


def _refuse_own(limit_id: str) -> None:
    owner = owner_of(limit_id)
    if owner is not None:
        raise InvalidConfigError("id", f"is max_running of config {owner}; change it there")


async def unknown_limits(store: Store, names: Iterable[str]) -> dict[str, InvalidConfigError]:
    """What is wrong with each of the limits that tasks name, by the limit's id; most often
    nothing. One reading serves up to `MAX_BATCH` of them."""
    ids = sorted({limit_of(name) for name in names if owner_of(name) is None})
    missing: list[str] = []
    for start in range(0, len(ids), MAX_BATCH):
        some = ids[start : start + MAX_BATCH]
        found = await answered(partial(store.get_limits, some))
        missing += [one for one, limit in zip(some, found, strict=True) if limit is None]
    if not missing:
        return {}
    known = [one.id for one in (await answered(lambda: store.list_limits(None, MAX_BATCH))).limits]
    return {
        one: InvalidConfigError(
            "limits", f"there is no limit {one!r}; {did_you_mean(one, known)}; or put it first"
        )
        for one in missing
    }


def first_wrong(
    names: Iterable[str], unknown: Mapping[str, InvalidConfigError]
) -> InvalidConfigError | None:
    """What is wrong with the limits of one task that somebody else than its config names, if
    anything is."""
    names = tuple(names)
    owner = next((owner for one in names if (owner := owner_of(one)) is not None), None)
    if owner is not None:
        return InvalidConfigError("limits", _OWN.format(owner=owner))
    return next((unknown[one] for one in map(limit_of, names) if one in unknown), None)
