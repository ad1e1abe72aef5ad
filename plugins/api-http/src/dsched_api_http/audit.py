"""The audit: who did what to what, why, and how it went; only ever added to."""

import asyncio
import hashlib
import itertools
import logging
import secrets
import time
from typing import Any

import attrs

from dsched.client import answered
from dsched.contracts import StoreError
from dsched.contracts.store import Store
from dsched.model import rfc3339_ms
from dsched.model.json import dumps
from dsched_api_http.acts import Act
from dsched_api_http.models import AuditEntry
from dsched_api_http.refusals import Kind, Refusals, Several

_log = logging.getLogger(__name__)

KIND = "api-audit"
CHECK_S = 5.0
LEAVE_S = 2.0  # for the last refusals, when the pod leaves
KEPT_MS = 90 * 24 * 3600 * 1000


def fingerprint(value: object) -> str:
    """A short hash of a JSON value: equal values have equal ones."""
    return hashlib.sha256(dumps(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _entry(principal: str, action: str, act: Act, outcome: str) -> dict[str, Any]:
    return {
        "at": time.time_ns() // 1_000_000,
        "principal": principal,
        "action": action,
        "outcome": outcome,
        **attrs.asdict(act),
    }


def _entry_of(several: Several) -> dict[str, Any]:
    kind = several.kind
    value = _entry(kind.principal, kind.action, several.last, kind.outcome)
    return value | {"count": several.count}


class Audit:
    """The audit of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pod = secrets.token_hex(3)
        self._numbers = itertools.count()
        self._refusals = Refusals()

    async def run(self) -> None:
        """Tell, now and then, how many refusals were counted; until cancelled, and then the
        rest."""
        try:
            while True:
                await asyncio.sleep(CHECK_S)
                for several in self._refusals.due(time.monotonic()):
                    await self._add(_entry_of(several))
        finally:
            await self._leave()

    async def _leave(self) -> None:
        rest = self._refusals.rest()
        try:
            async with asyncio.timeout(LEAVE_S):
                while rest:
                    await self._add(_entry_of(rest[-1]))
                    rest.pop()
        except TimeoutError:
            for several in rest:
                _log.warning("an audit entry was not stored: %s", dumps(_entry_of(several)))

    async def record(self, principal: str, action: str, act: Act, outcome: str) -> None:
        """Add an entry. If the store does not take it, it goes to the pod's log, since the act is
        done.

        A refusal costs its caller nothing, so the first of each kind is an entry, and the others
        of a minute are one entry together.
        """
        if outcome != "ok":
            kind = Kind(principal, action, outcome)
            if not self._refusals.first(kind, act, time.monotonic()):
                return
        await self._add(_entry(principal, action, act, outcome))

    async def _add(self, value: dict[str, Any]) -> None:
        at_ms = value["at"]
        entry_id = f"{at_ms:015d}-{next(self._numbers) % 10**6:06d}-{self._pod}"
        try:
            await answered(
                lambda: self._store.put_document(KIND, entry_id, value, read=0, ttl_ms=KEPT_MS)
            )
        except StoreError:
            _log.exception("an audit entry could not be stored: %s", dumps(value))
        except asyncio.CancelledError:
            _log.warning("an audit entry was perhaps not stored: %s", dumps(value))
            raise

    def given_up(self, principal: str, action: str, act: Act) -> None:
        """Log an act that was left unfinished, because the store is silent or the pod leaves."""
        value = _entry(principal, action, act, "unknown")
        _log.warning("a change was given up, and may have happened: %s", dumps(value))

    async def page(self, cursor: str | None, limit: int) -> tuple[list[AuditEntry], str | None]:
        """Some entries, newest first, and where the list goes on."""
        page = await self._store.list_documents(KIND, cursor, limit, descending=True)
        entries = [
            AuditEntry(**(one.value | {"at": rfc3339_ms(one.value["at"])}))
            for one in page.documents
        ]
        return entries, page.cursor
