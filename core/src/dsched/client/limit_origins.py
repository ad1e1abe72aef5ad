"""Who declares each limit: kept beside it, so that a limit itself is what it always was."""

import hashlib

import attrs

from dsched.client.asking import Asking, ConflictError
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.documents import Document
from dsched.contracts.store.outcomes import Outcome
from dsched.model import API_ORIGIN, Limit
from dsched.model.ids import InvalidIdError, check_id

KIND = "limit-origin"
MOVED_TRIES = 20


@attrs.frozen(kw_only=True)
class LimitOrigin:
    """The origin of a limit, and the version of the document that says so (0: none does)."""

    origin: str = API_ORIGIN
    version: int = 0


class LimitOrigins(Asking):
    """The documents that say who declares a limit. One that nothing is said of is of ``api``; of
    one that is not there, nothing counts."""

    async def limit_origins(self) -> dict[str, str]:
        """The origins of all limits that are not of ``api``, by the limit's id."""
        found: dict[str, str] = {}
        cursor: str | None = None
        while True:
            page = await self._answered(
                lambda: self._store.list_documents(KIND, cursor, MAX_BATCH)  # noqa: B023
            )
            for document in page.documents:
                if isinstance(value := document.value, dict):
                    found[str(value.get("limit"))] = str(value.get("origin"))
            cursor = page.cursor
            if cursor is None:
                return found

    async def limit_origin(self, limit_id: str) -> LimitOrigin:
        """Who declares a limit."""
        key = document_id(limit_id)
        return _read(await self._answered(lambda: self._store.get_document(KIND, key)))

    async def _take_limit(self, limit: Limit, origin: str, *, adopt: bool) -> bool:
        """Note that a limit is of this origin, before it is put; whether another one had it.

        `ConflictError` ``origin_conflict`` if another one declares it, unless with ``adopt``.
        """
        for _ in range(MOVED_TRIES):
            known = await self.limit_origin(limit.id)
            if known.origin == origin:
                return False
            (stored,) = await self._answered(lambda: self._store.get_limits([limit.id]))
            free = stored is None or (known.origin == API_ORIGIN and stored == limit)
            if not free and not adopt:
                raise ConflictError(
                    "origin_conflict",
                    f"limit {limit.id} is declared by {known.origin}, not by {origin}; change it "
                    "there, or take it over: adopt=True of put_limit, ?adopt=true of the HTTP "
                    "API, --adopt of dsched limit set, dsched apply and dsched-run",
                )
            if await self._noted(limit.id, origin, known.version):
                return stored is not None
        raise ConflictError(
            Outcome.MOVED, f"others change who declares limit {limit.id} all the time; repeat it"
        )

    async def _noted(self, limit_id: str, origin: str, version: int) -> bool:
        """Write it down, if nobody else did since ``version`` was read."""
        key = document_id(limit_id)
        if origin == API_ORIGIN:
            return await self._forget_origin(limit_id, version)
        value = {"limit": limit_id, "origin": origin}
        answer = await self._answered(
            lambda: self._store.put_document(KIND, key, value, read=version)
        )
        return answer.outcome is not Outcome.MOVED

    async def _forget_origin(self, limit_id: str, version: int) -> bool:
        """Nobody declares it any more; False if somebody else said otherwise meanwhile."""
        key = document_id(limit_id)
        if version == 0:
            return True
        outcome = await self._answered(lambda: self._store.drop_document(KIND, key, read=version))
        return outcome is not Outcome.MOVED


def document_id(limit_id: str) -> str:
    """The id of the document of a limit; what is too long, or hashed, has a digest for it."""
    try:
        return check_id(limit_id)
    except InvalidIdError:
        return hashlib.sha256(limit_id.encode()).hexdigest()


def _read(document: Document | None) -> LimitOrigin:
    if document is None:
        return LimitOrigin()
    value = document.value
    origin = str(value.get("origin")) if isinstance(value, dict) else API_ORIGIN
    return LimitOrigin(origin=origin, version=document.version)
