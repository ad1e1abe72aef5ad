"""The audit: who did what to what, why, and how it went; only ever added to."""

import asyncio
import hashlib
import itertools
import logging
import secrets
import time
from typing import Any

import attrs

from dsched.contracts import StoreError
from dsched.contracts.store import Store
from dsched.model.json import dumps
from dsched_api_http.answered import answered
from dsched_api_http.models import AuditEntry
from dsched_api_http.wire import time_text

_log = logging.getLogger(__name__)

KIND = "api-audit"
KEPT_MS = 90 * 24 * 3600 * 1000


@attrs.define(kw_only=True)
class Act:
    """What a handler says of what it does; ``before`` and ``after`` are what `fingerprint` made."""

    object: str = ""
    reason: str = ""
    before: str = ""
    after: str = ""


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


class Audit:
    """The audit of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pod = secrets.token_hex(3)
        self._numbers = itertools.count()

    async def record(self, principal: str, action: str, act: Act, outcome: str) -> None:
        """Add an entry. One that the store does not take goes to the log: what was done is done."""
        value = _entry(principal, action, act, outcome)
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
        """Log what was left in the middle: the store is silent, or the pod leaves."""
        value = _entry(principal, action, act, "unknown")
        _log.warning("a change was given up, and may have happened: %s", dumps(value))

    async def page(self, cursor: str | None, limit: int) -> tuple[list[AuditEntry], str | None]:
        """Some entries, newest first, and where the list goes on."""
        page = await self._store.list_documents(KIND, cursor, limit, descending=True)
        entries = [
            AuditEntry(**(one.value | {"at": time_text(one.value["at"])})) for one in page.documents
        ]
        return entries, page.cursor
