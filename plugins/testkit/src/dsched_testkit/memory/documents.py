"""Documents of the reference store."""

import attrs

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
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.state import Step


@attrs.frozen(kw_only=True)
class DocumentRow:
    """A document as kept: its value is text, so that nobody shares it."""

    kind: str
    id: str
    version: int
    text: str
    expires_ms: int | None

    def view(self) -> Document:
        """The document as readers see it."""
        return Document(
            kind=self.kind,
            id=self.id,
            version=self.version,
            value=loads(self.text),
            expires_ms=self.expires_ms,
        )


class MemoryDocuments(OnState, Documents):
    """Documents."""

    async def get_document(self, kind: str, document_id: str) -> Document | None:
        """A document by its key."""
        check_document_key(kind, document_id)
        with self._state.step() as step:
            row = _kept(step, kind, document_id)
            return None if row is None else row.view()

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
        text = document_text(value)
        with self._state.step() as step:
            if fence is not None:
                step.check_fence(fence)
            old = _kept(step, kind, document_id)
            _sweep(step)
            if old is not None and old.text == text:
                return DocumentAnswer(outcome=Outcome.DUP, stored=old.view())
            if read != (0 if old is None else old.version):
                return DocumentAnswer(
                    outcome=Outcome.MOVED, stored=None if old is None else old.view()
                )
            version = max(self._state.last_revision + 1, step.now_ms)
            self._state.last_revision = version
            row = DocumentRow(
                kind=kind,
                id=document_id,
                version=version,
                text=text,
                expires_ms=None if ttl_ms is None else step.now_ms + ttl_ms,
            )
            self._state.documents[kind, document_id] = row
            return DocumentAnswer(outcome=Outcome.OK, stored=row.view())

    async def drop_document(
        self, kind: str, document_id: str, *, read: int, fence: str | None = None
    ) -> Outcome:
        """Remove a document."""
        check_document_key(kind, document_id)
        with self._state.step() as step:
            if fence is not None:
                step.check_fence(fence)
            old = _kept(step, kind, document_id)
            if old is None:
                return Outcome.UNKNOWN
            if old.version != read:
                return Outcome.MOVED
            del self._state.documents[kind, document_id]
            return Outcome.OK

    async def list_documents(
        self, kind: str, cursor: str | None, limit: int, *, descending: bool = False
    ) -> DocumentPage:
        """Documents of a kind by id; the expired among them are left out of the page."""
        check_kind(kind)
        check_limit(limit)
        with self._state.step() as step:
            found = sorted(
                (row for row in self._state.documents.values() if row.kind == kind),
                key=lambda row: row.id,
                reverse=descending,
            )
            if cursor is not None:
                found = [r for r in found if (r.id < cursor if descending else r.id > cursor)]
            page = found[:limit]
            return DocumentPage(
                documents=tuple(row.view() for row in page if _alive(step, row)),
                cursor=page[-1].id if len(found) > limit else None,
            )


def _alive(step: Step, row: DocumentRow) -> bool:
    return row.expires_ms is None or row.expires_ms > step.now_ms


def _kept(step: Step, kind: str, document_id: str) -> DocumentRow | None:
    row = step.state.documents.get((kind, document_id))
    return row if row is not None and _alive(step, row) else None


def _sweep(step: Step) -> None:
    documents = step.state.documents
    expired = [
        (row.expires_ms or 0, key) for key, row in documents.items() if not _alive(step, row)
    ]
    for _, key in sorted(expired)[:MAX_SWEPT]:
        del documents[key]
