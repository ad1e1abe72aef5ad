"""The store's group for small versioned documents: what services of several pods share.

The HTTP API keeps its tokens, records of idempotency and audit in them. The rules of
`dsched.contracts.store` hold for these steps as well.
"""

import re
from abc import ABC, abstractmethod

import attrs

from dsched.contracts.store.outcomes import Outcome
from dsched.model import JsonValue, check_id
from dsched.model.json import check_json

MAX_DOCUMENT_BYTES = 64 * 1024
MAX_SWEPT = 10  # expired documents that one put removes

_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")


@attrs.frozen(kw_only=True)
class Document:
    """A small JSON value under (kind, id). ``expires_ms`` is in store time, None: it stays.

    ``version`` is never given twice in one store, so an equal version means an equal value.
    """

    kind: str
    id: str
    version: int
    value: JsonValue
    expires_ms: int | None = None


@attrs.frozen(kw_only=True)
class DocumentAnswer:
    """``OK``, ``DUP`` (equal value) or ``MOVED``, and what is stored now (None: nothing)."""

    outcome: Outcome
    stored: Document | None


@attrs.frozen(kw_only=True)
class DocumentPage:
    """Documents of a kind by id; ``cursor`` continues, None at the end."""

    documents: tuple[Document, ...]
    cursor: str | None


class Documents(ABC):
    """Small JSON documents by (kind, id), changed by comparing versions.

    A kind is ``[a-z][a-z0-9-]{0,31}``, an id is one of `check_id`, the canonical text of a value
    has at most `MAX_DOCUMENT_BYTES`; anything else is a ValueError. A document whose
    ``expires_ms`` is at or before store time is not there, whether it was removed yet or not. A
    leader that keeps its state in documents gives its fence, which is compared as in each of its
    steps. The steps write no event.
    """

    @abstractmethod
    async def get_document(self, kind: str, document_id: str) -> Document | None:
        """The document, or None."""

    @abstractmethod
    async def put_document(
        self,
        kind: str,
        document_id: str,
        value: JsonValue,
        *,
        read: int,
        ttl_ms: int | None = None,
        fence: str | None = None,
    ) -> DocumentAnswer:
        """Create (``read`` 0) or change a document of which version ``read`` is stored.

        A value equal to what is stored: ``DUP``, unchanged, its expiry too, before any other check.
        ``MOVED`` unless the stored version is ``read`` (0: none). Else ``OK``: version :=
        max(last revision or version ever given in this store + 1, store time); ``expires_ms`` :=
        store time + ``ttl_ms``, or None. Whatever the outcome, up to `MAX_SWEPT` expired documents
        of any kind are removed, earliest expiry first.
        """

    @abstractmethod
    async def drop_document(
        self, kind: str, document_id: str, *, read: int, fence: str | None = None
    ) -> Outcome:
        """Remove a document: ``OK``, ``UNKNOWN`` (there is none), ``MOVED`` (another version)."""

    @abstractmethod
    async def list_documents(
        self, kind: str, cursor: str | None, limit: int, *, descending: bool = False
    ) -> DocumentPage:
        """A page of a kind by ascending or descending id; the cursor is the last id read.

        At most `MAX_BATCH`. A page may be shorter than ``limit``, even empty, and have a cursor.
        """


def check_document_key(kind: str, document_id: str) -> None:
    """Refuse, as ValueError, what cannot be the kind and id of a document."""
    check_kind(kind)
    check_id(document_id, "document id")


def check_kind(kind: str) -> None:
    """Refuse, as ValueError, what cannot be a kind."""
    if not _KIND.fullmatch(kind):
        raise ValueError(f"kind {kind[:40]!r} must be [a-z][a-z0-9-]{{0,31}}")


def document_text(value: JsonValue) -> str:
    """The canonical text of a document's value; ValueError if it is too large or not JSON."""
    return check_json(value, "document", MAX_DOCUMENT_BYTES)
