"""Documents."""

from dsched.contracts.store.checks import check_limit
from dsched.contracts.store.documents import (
    MAX_SWEPT,
    Document,
    DocumentAnswer,
    DocumentPage,
    Documents,
    check_document_key,
    check_kind,
    document_text,
)
from dsched.contracts.store.outcomes import Outcome
from dsched.model import JsonValue
from dsched.model.json import loads
from dsched_store_redis.base import OnRedis
from dsched_store_redis.wire import decode, is_id, lines, number, optional, outcome


class RedisDocuments(OnRedis, Documents):
    """Documents."""

    async def get_document(self, kind: str, document_id: str) -> Document | None:
        """A document by its key."""
        check_document_key(kind, document_id)
        answer = await self._step("get_document", kind, document_id)
        return _document(kind, document_id, answer[1])

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
        """Create or change a document."""
        check_document_key(kind, document_id)
        text = lines([document_text(value)])[:-1]
        answer = await self._step(
            "put_document",
            fence or "",
            kind,
            document_id,
            text,
            read,
            number(ttl_ms),
            MAX_SWEPT,
            durable=True,
        )
        return DocumentAnswer(
            outcome=outcome(answer[1]), stored=_document(kind, document_id, answer[2])
        )

    async def drop_document(
        self, kind: str, document_id: str, *, read: int, fence: str | None = None
    ) -> Outcome:
        """Remove a document."""
        check_document_key(kind, document_id)
        answer = await self._step(
            "drop_document", fence or "", kind, document_id, read, durable=True
        )
        return outcome(answer[1])

    async def list_documents(
        self, kind: str, cursor: str | None, limit: int, *, descending: bool = False
    ) -> DocumentPage:
        """Documents of a kind by id; the expired among them are left out of the page."""
        check_kind(kind)
        check_limit(limit)
        if cursor is not None and not is_id(cursor):
            raise ValueError(f"{cursor[:60]!r} is not a cursor of this list")
        answer = await self._step("list_documents", kind, cursor or "", limit, int(descending))
        found = (
            _document(kind, decode(document_id), record)
            for document_id, record in zip(answer[1], answer[2], strict=True)
        )
        return DocumentPage(
            documents=tuple(one for one in found if one is not None),
            cursor=decode(answer[3]) or None,
        )


def _document(kind: str, document_id: str, record: bytes) -> Document | None:
    """A document from ``version expires text``, as kept; None from nothing."""
    if not record:
        return None
    version, expires_ms, text = record.split(b" ", 2)
    return Document(
        kind=kind,
        id=document_id,
        version=int(version),
        value=loads(decode(text)),
        expires_ms=optional(expires_ms),
    )
