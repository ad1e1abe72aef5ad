"""Idempotency-Key: any pod recognises a repeat of a request, and takes no other for one."""

import hashlib
import re
import secrets

import attrs

from dsched.client import answered
from dsched.contracts.store import Store
from dsched.contracts.store.documents import Document
from dsched.contracts.store.outcomes import Outcome
from dsched_api_http.problems import Problem, invalid

KIND = "api-idempotency"
KEPT_MS = 24 * 3600 * 1000
HEADER = "Idempotency-Key"

_KEY = re.compile(r"[\x21-\x7e]{1,200}")


@attrs.frozen(kw_only=True)
class Claim:
    """What a key stands for: ``unique`` names whatever the request makes, the same in a repeat.

    Only that has to be remembered: the steps of the store recognise the repeat by name, even if
    the first try was cut off in the middle.
    """

    unique: str
    replayed: bool = False
    document: Document | None = None  # what this very request has put


class Idempotency:
    """The keys of a store, for a day."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def claim(self, key: str | None, principal_id: str, request: str) -> Claim:
        """Take a key for a request (its action, object and body in one text); without a key
        something unique. Raises `Problem` 409 for the key of another request."""
        if key is None:
            return Claim(unique=secrets.token_hex(12))
        if not _KEY.fullmatch(key):
            raise invalid(HEADER, "must be 1 to 200 visible ASCII characters")
        digest = hashlib.sha256(request.encode("utf-8", "surrogatepass")).hexdigest()
        value = {"principal": principal_id, "request": digest, "unique": secrets.token_hex(12)}
        # A key belongs to its principal: nobody can take, or learn of, the key of another.
        key_id = hashlib.sha256(f"{principal_id} {key}".encode()).hexdigest()
        answer = await answered(
            lambda: self._store.put_document(KIND, key_id, value, read=0, ttl_ms=KEPT_MS)
        )
        if answer.outcome is not Outcome.MOVED:
            return Claim(unique=str(value["unique"]), document=answer.stored)
        found = {} if answer.stored is None else answer.stored.value
        if found.get("request") != digest:
            raise Problem(
                "idempotency_mismatch",
                "this key stands for another request",
                hint="make a new key for each new request, and repeat it only with the same body",
            )
        return Claim(unique=str(found["unique"]), replayed=True)

    async def release(self, claim: Claim) -> None:
        """Give back the key of a request that was refused before it could do anything, so that
        the corrected request may use it."""
        mine = claim.document
        if mine is not None:
            await answered(lambda: self._store.drop_document(KIND, mine.id, read=mine.version))
