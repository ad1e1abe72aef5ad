"""Tokens: made, listed, revoked and recognised; shared by all API pods through the store."""

import hashlib
import hmac
import logging
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta

import attrs

from dsched.client import answered
from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.documents import Document
from dsched.model import JsonValue, rfc3339_ms
from dsched_api_http.models import NewToken, TokenView
from dsched_api_http.scopes import Scope
from dsched_api_http.token_reads import KIND, TokenReads
from dsched_api_http.wire import optional_time

_log = logging.getLogger(__name__)

FIRST_ID = "first"
REVOKED = {"revoked": True}
# A revoked token's id stays taken for this long, or a repeated put that arrives late would make the
# token anew.
REVOKED_MS = 10 * 60 * 1000
CACHE_S = 5.0  # how long a revoked token may go on working in another pod
MAX_CACHED = 1024
CLOCK_S = 60.0  # how far the store's clock is taken to be as it was read

_TOKEN = re.compile(r"dsk_([a-z0-9]{4,32})_([A-Za-z0-9_-]{20,200})")


@attrs.frozen(kw_only=True)
class Principal:
    """Who asks. ``name`` is what the event log and the audit say."""

    id: str
    name: str
    scope: Scope


CONFIGURED = Principal(id="configured", name="admin:configured", scope=Scope.ADMIN)


class DamagedError(ValueError):
    """A stored token that cannot be read."""


@attrs.frozen(kw_only=True)
class Known:
    """A token that was read from the store a moment ago."""

    principal: Principal
    digest: str
    until_s: float


@attrs.frozen(kw_only=True)
class _Wanted:
    """A token to make; its secret is the same in every try."""

    id: str
    name: str
    scope: Scope
    by: str
    secret: str = attrs.field(factory=lambda: secrets.token_urlsafe(32), repr=False)


class Tokens:
    """The tokens of a store. Secrets are kept as SHA-256; they are random, so a slow hash is not
    needed."""

    def __init__(
        self,
        store: Store,
        *,
        admin_token: str = "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._admin = _digest(admin_token) if admin_token else None
        self._monotonic = monotonic
        self._reads = TokenReads(store)
        self._clock: tuple[float, int] | None = None
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._first = _Wanted(id=FIRST_ID, name="admin", scope=Scope.ADMIN, by="first start")
        self._tried = False
        self._damaged: set[str] = set()

    def recall(self, token: str) -> Principal | None:
        """Who this token is, if it is configured or was read a moment ago; never asks the store."""
        if self._configured(token):
            return CONFIGURED
        found = _TOKEN.fullmatch(token)
        known = None if found is None else self._known.get(found[1])
        if found is None or known is None or known.until_s < self._monotonic():
            return None
        return known.principal if hmac.compare_digest(known.digest, _digest(found[2])) else None

    def _configured(self, token: str) -> bool:
        return self._admin is not None and hmac.compare_digest(_digest(token), self._admin)

    async def recognise(self, token: str, *, fresh: bool = False) -> Principal | None:
        """Who this token is, or None. ``fresh``: as the store has it at this moment."""
        if self._configured(token):
            return CONFIGURED
        found = _TOKEN.fullmatch(token)
        recalled = None if fresh else self.recall(token)
        if recalled is not None or found is None:
            return recalled
        asked = await self._asked(found[1], _digest(found[2]))
        return None if asked is None else asked.principal

    async def standing(self, token_id: str, digest: str) -> Known | None:
        """Whom the token with this id and `digest_of` stands for, as the store has it now, and
        until when that may be remembered."""
        if hmac.compare_digest(token_id, CONFIGURED.id):
            same = self._admin is not None and hmac.compare_digest(digest, self._admin)
            until_s = self._monotonic() + CACHE_S
            return Known(principal=CONFIGURED, digest=digest, until_s=until_s) if same else None
        return await self._asked(token_id, digest)

    async def _asked(self, token_id: str, shown: str) -> Known | None:
        asked_s = self._monotonic()
        document = await self._reads.document(token_id)
        known = None if document is None else self._read(document)
        if document is None or known is None:
            self._known.pop(token_id, None)
            return None
        principal, digest = known
        if not hmac.compare_digest(digest, shown):
            return None
        left_s = CACHE_S
        if document.expires_ms is not None:
            left_s = min(left_s, await self._left_s(document.expires_ms))
        found = Known(principal=principal, digest=digest, until_s=asked_s + left_s)
        self._known[token_id] = found
        self._known.move_to_end(token_id)
        if len(self._known) > MAX_CACHED:
            self._known.popitem(last=False)
        return found

    async def _left_s(self, expires_ms: int) -> float:
        """How long a token that was just read lasts, in the store's time: read where that is
        soon, else as it was read before. A store whose clock leaps ends it with the next read."""
        now_s = self._monotonic()
        if self._clock is not None:
            read_s, wall_ms = self._clock
            left_s = (expires_ms - wall_ms) / 1000 - (now_s - read_s)
            if left_s > CLOCK_S:
                return left_s
        wall_ms = (await self._store.now()).wall_ms
        self._clock = now_s, wall_ms
        return (expires_ms - wall_ms) / 1000

    def _read(self, document: Document) -> tuple[Principal, str] | None:
        """Whose it is, and the hash; None for one that is revoked or damaged: a damaged token opens
        nothing, and hides no other."""
        if _revoked(document):
            return None
        try:
            return _read(document)
        except DamagedError as error:
            if document.id not in self._damaged and len(self._damaged) < MAX_CACHED:
                self._damaged.add(document.id)
                _log.warning(
                    "the document of token %s is damaged (%s) and opens nothing; take it away with "
                    "`dsched token revoke`",
                    document.id,
                    error,
                )
            return None

    async def create(
        self, name: str, scope: Scope, *, by: str, expires_in: timedelta | None = None
    ) -> NewToken:
        """A new token, with its secret."""
        wanted = _Wanted(id=secrets.token_hex(6), name=name, scope=scope, by=by)
        token = await self._put(wanted, expires_in)
        if token is None:
            raise RuntimeError("a random token id was taken")
        return token

    async def create_first(self) -> NewToken | None:
        """The admin token of a store that has no token; None if there is one, or another pod was
        faster. May be repeated after an error: then this call may have made it."""
        page = await self._store.list_documents(KIND, None, MAX_BATCH)
        taken = page.cursor is not None or not all(map(_revoked, page.documents))
        if taken and not self._tried:
            return None
        self._tried = True
        former = next((one for one in page.documents if one.id == FIRST_ID), None)
        read = former.version if former is not None and _revoked(former) else 0
        return await self._put(self._first, None, read)

    async def _put(
        self, wanted: "_Wanted", expires_in: timedelta | None, read: int = 0
    ) -> NewToken | None:
        value: JsonValue = {
            "name": wanted.name,
            "scope": wanted.scope.value,
            "hash": _digest(wanted.secret),
            "created": time.time_ns() // 1_000_000,
            "by": wanted.by,
        }
        ttl_ms = None if expires_in is None else expires_in // timedelta(milliseconds=1)
        answer = await answered(
            lambda: self._store.put_document(KIND, wanted.id, value, read=read, ttl_ms=ttl_ms)
        )
        stored = answer.stored
        # Read whatever the outcome: the secret must not be lost with the reply of a put.
        if stored is None or _revoked(stored):
            return None
        if not hmac.compare_digest(stored.value["hash"], value["hash"]):
            return None
        shown = view(stored)
        return NewToken(**attrs.asdict(shown), token=f"dsk_{wanted.id}_{wanted.secret}")

    async def page(self, cursor: str | None, limit: int) -> tuple[list[TokenView], str | None]:
        """Some tokens, and where the list goes on."""
        page = await self._store.list_documents(KIND, cursor, limit)
        return [view(one) for one in page.documents if self._read(one)], page.cursor

    async def revoke(self, token_id: str) -> TokenView | None:
        """Revoke a token; what it was, or None if there is none (any more)."""
        document = await self._store.get_document(KIND, token_id)
        self._known.pop(token_id, None)
        if document is None or _revoked(document):
            return None
        shown = _shown(document)
        read = document.version
        # Nothing else changes a token: whatever the answer, it is now revoked or has expired.
        await self._store.put_document(KIND, token_id, REVOKED, read=read, ttl_ms=REVOKED_MS)
        return shown


def digest_of(token: str) -> str:
    """What is kept of a token in place of its secret."""
    found = _TOKEN.fullmatch(token)
    return _digest(token if found is None else found[2])


def token_id_of(token: str) -> str | None:
    """The public part of a token, if it looks like one."""
    found = _TOKEN.fullmatch(token)
    return None if found is None else found[1]


def _revoked(document: Document) -> bool:
    return bool(document.value == REVOKED)


def _read(document: Document) -> tuple[Principal, str]:
    """Whose it is, and the hash; raises `DamagedError`."""
    value = document.value
    try:
        who = Principal(
            id=document.id, name=f"{value['name']}:{document.id}", scope=Scope(value["scope"])
        )
        view(document)
        return who, value["hash"].encode("ascii").decode()
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DamagedError(type(error).__name__) from error


def _shown(document: Document) -> TokenView:
    """The view of a token that may be damaged."""
    try:
        _read(document)
    except DamagedError:
        return TokenView(
            id=document.id,
            name="damaged",
            scope="",
            created=rfc3339_ms(0),
            created_by="",
            expires=None,
        )
    return view(document)


def view(document: Document) -> TokenView:
    """A token as answered."""
    value = document.value
    return TokenView(
        id=document.id,
        name=value["name"],
        scope=value["scope"],
        created=rfc3339_ms(value["created"]),
        created_by=value["by"],
        expires=optional_time(document.expires_ms),
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
