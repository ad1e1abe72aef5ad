"""Sessions of browsers: a cookie that stands for a token as long as that stands; and links that
log in once."""

import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import attrs
from aiohttp import web

from dsched.client import answered
from dsched.contracts.store import Store
from dsched.contracts.store.documents import Document
from dsched_api_http.scopes import Scope
from dsched_api_http.tokens import Known, Principal, Tokens, digest_of

KIND = "api-session"
KEPT = timedelta(hours=12)
LINK_S = 60.0
LINK_NAME = "console-link"
MAX_CACHED = 1024
READ_S = 30.0  # how long a stream may outlast a session that another pod has closed
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")

V = TypeVar("V")

_COOKIE = re.compile(r"([0-9a-f]{24})\.([A-Za-z0-9_-]{43})")
_PORT = re.compile(r":([0-9]{1,5})$")


@attrs.frozen(kw_only=True)
class Opened:
    """A new session: whose it is, for how long, and what the browser keeps."""

    principal: Principal
    cookie: str


@attrs.frozen(kw_only=True)
class Read:
    """A session as the store had it: what of, the hash of its secret, and until when that may
    do."""

    token_id: str
    token_digest: str
    hash: str
    until_s: float


class Sessions:
    """The sessions of a store. A browser's cookie is good only for this API, and for nothing once
    the token is revoked or has expired."""

    def __init__(
        self, store: Store, tokens: Tokens, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._monotonic = monotonic
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._read: OrderedDict[str, Read] = OrderedDict()
        self._links: dict[str, float] = {}

    async def open(self, token: str, principal: Principal) -> Opened:
        """A session for a caller that has just shown a valid token."""
        session_id, secret = secrets.token_hex(12), secrets.token_urlsafe(32)
        value = {
            "token": principal.id,
            "digest": digest_of(token),
            "hash": _hash(secret),
            "created": time.time_ns() // 1_000_000,
        }
        ttl_ms = KEPT // timedelta(milliseconds=1)
        await answered(
            lambda: self._store.put_document(KIND, session_id, value, read=0, ttl_ms=ttl_ms)
        )
        return Opened(principal=principal, cookie=f"{session_id}.{secret}")

    async def recognise(self, cookie: str, *, fresh: bool = False) -> Principal | None:
        """Whose session this is, or None: none, ended, or its token is no more. ``fresh``: as the
        store has both at this moment."""
        found = _COOKIE.fullmatch(cookie)
        if found is None:
            return None
        digest = _hash(found[2])
        known = None if fresh else self._known.get(found[1])
        if known is not None and known.until_s >= self._monotonic():
            return known.principal if hmac.compare_digest(known.digest, digest) else None
        asked_s = self._monotonic()
        document = await self._store.get_document(KIND, found[1])
        stands = None
        if document is not None and _is(document, digest):
            read = Read(
                token_id=str(document.value["token"]),
                token_digest=str(document.value["digest"]),
                hash=digest,
                until_s=asked_s + READ_S,
            )
            self._keep(self._read, found[1], read)
            stands = await self._tokens.standing(read.token_id, read.token_digest)
        if stands is None:
            self._known.pop(found[1], None)
            self._read.pop(found[1], None)
            return None
        self._keep(self._known, found[1], attrs.evolve(stands, digest=digest))
        return stands.principal

    async def stands(self, cookie: str) -> bool:
        """Whether a stream of this session may go on: its token as the store has it at this moment,
        the session itself as it was `READ_S` ago at most."""
        found = _COOKIE.fullmatch(cookie)
        read = None if found is None else self._read.get(found[1])
        if found is None or read is None or read.until_s < self._monotonic():
            return await self.recognise(cookie, fresh=True) is not None
        if not hmac.compare_digest(read.hash, _hash(found[2])):
            return False
        stands = await self._tokens.standing(read.token_id, read.token_digest)
        if stands is None:
            self._known.pop(found[1], None)
            return False
        # What the page of this stream asks for meanwhile needs no look of its own.
        self._keep(self._known, found[1], attrs.evolve(stands, digest=read.hash))
        return True

    @staticmethod
    def _keep(kept: OrderedDict[str, V], session_id: str, value: V) -> None:
        kept[session_id] = value
        kept.move_to_end(session_id)
        if len(kept) > MAX_CACHED:
            kept.popitem(last=False)

    def forget(self, principal_id: str) -> None:
        """This pod has just revoked a token: its sessions end here at once."""
        for session_id in [
            one for one, known in self._known.items() if known.principal.id == principal_id
        ]:
            del self._known[session_id]

    async def close(self, cookie: str) -> None:
        """End a session."""
        found = _COOKIE.fullmatch(cookie)
        if found is None:
            return
        self._known.pop(found[1], None)
        self._read.pop(found[1], None)
        document = await self._store.get_document(KIND, found[1])
        if document is None or not _is(document, _hash(found[2])):
            return
        read = document.version
        await answered(lambda: self._store.drop_document(KIND, found[1], read=read))

    def link(self) -> str:
        """A code that logs in once, within a minute, from this machine. Known to this pod alone."""
        now_s = self._monotonic()
        self._links = {code: until for code, until in self._links.items() if until >= now_s}
        code = secrets.token_urlsafe(24)
        self._links[_hash(code)] = now_s + LINK_S
        return code

    async def redeem(self, code: str) -> Opened | None:
        """A session for a code, which is used up by that; None if it is not (any more) one.

        It has a token of its own, so that it is in the list and can be revoked.
        """
        until_s = self._links.pop(_hash(code), None)
        if until_s is None or until_s < self._monotonic():
            return None
        made = await self._tokens.create(
            LINK_NAME, Scope.ADMIN, by="one-time link", expires_in=KEPT
        )
        principal = Principal(id=made.id, name=f"{made.name}:{made.id}", scope=Scope.ADMIN)
        return await self.open(made.token, principal)


def cookie_name(request: web.Request) -> str:
    """A name with the port: browsers send cookies to all ports of a host, where other pods may
    be."""
    port = _PORT.search(request.host)
    return f"dsched_session_{port[1]}" if port else "dsched_session"


def set_cookie(request: web.Request, value: str, *, prefix: str) -> str:
    """The header that sets the cookie, or with an empty value takes it away."""
    age = KEPT // timedelta(seconds=1) if value else 0
    # There is no TLS here, so only the browser knows whether there is some in front.
    secure = "; Secure" if request.headers.get("Origin", "").startswith("https://") else ""
    return (
        f"{cookie_name(request)}={value}; Path={prefix}/; Max-Age={age}; "
        f"HttpOnly; SameSite=Strict{secure}"
    )


def _is(document: Document, digest: str) -> bool:
    """Whether this is the session whose secret has that hash; a damaged one matches none."""
    value = document.value
    whole = isinstance(value, dict) and {"hash", "token", "digest"} <= value.keys()
    return whole and hmac.compare_digest(str(value["hash"]).encode(), digest.encode())


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
