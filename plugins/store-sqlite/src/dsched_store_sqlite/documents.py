"""Documents: get, put, drop, list."""

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
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.step import Step

GET = "SELECT kind, id, version, expires_ms, text FROM document WHERE kind = ? AND id = ?"
PUT = "INSERT OR REPLACE INTO document VALUES (?, ?, ?, ?, ?)"
DROP = "DELETE FROM document WHERE kind = ? AND id = ?"
LIST_UP = (
    "SELECT kind, id, version, expires_ms, text FROM document "
    "WHERE kind = ? AND id > ? ORDER BY id LIMIT ?"
)
LIST_DOWN = (
    "SELECT kind, id, version, expires_ms, text FROM document "
    "WHERE kind = ? AND id < ? ORDER BY id DESC LIMIT ?"
)
EXPIRED = (
    "SELECT kind, id FROM document WHERE expires_ms IS NOT NULL AND expires_ms <= ? "
    "ORDER BY expires_ms LIMIT ?"
)
_FIRST, _LAST = "", "\U0010ffff"
_Columns = tuple[str, str, int, int | None, str]


class SqliteDocuments(OnSqlite, Documents):
    """Documents."""

    async def get_document(self, kind: str, document_id: str) -> Document | None:
        """A document by its key."""
        check_document_key(kind, document_id)

        def run(step: Step) -> Document | None:
            found = _get(step, kind, document_id)
            return None if found is None else _view(found)

        return await self._step(run)

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

        def run(step: Step) -> DocumentAnswer:
            if fence is not None:
                step.check_fence(fence)
            old = _get(step, kind, document_id)
            _sweep(step)
            if old is not None and old[4] == text:
                return DocumentAnswer(outcome=Outcome.DUP, stored=_view(old))
            if read != (0 if old is None else old[2]):
                stored = None if old is None else _view(old)
                return DocumentAnswer(outcome=Outcome.MOVED, stored=stored)
            meta = step.meta
            version = meta.last_revision = max(meta.last_revision + 1, step.now_ms)
            expires_ms = None if ttl_ms is None else step.now_ms + ttl_ms
            row = (kind, document_id, version, expires_ms, text)
            step.db.execute(PUT, row)
            return DocumentAnswer(outcome=Outcome.OK, stored=_view(row))

        return await self._step(run)

    async def drop_document(
        self, kind: str, document_id: str, *, read: int, fence: str | None = None
    ) -> Outcome:
        """Remove a document."""
        check_document_key(kind, document_id)

        def run(step: Step) -> Outcome:
            if fence is not None:
                step.check_fence(fence)
            old = _get(step, kind, document_id)
            if old is None:
                return Outcome.UNKNOWN
            if old[2] != read:
                return Outcome.MOVED
            step.db.execute(DROP, (kind, document_id))
            return Outcome.OK

        return await self._step(run)

    async def list_documents(
        self, kind: str, cursor: str | None, limit: int, *, descending: bool = False
    ) -> DocumentPage:
        """Documents of a kind by id; the expired among them are left out of the page."""
        check_kind(kind)
        check_limit(limit)
        statement, start = (LIST_DOWN, _LAST) if descending else (LIST_UP, _FIRST)
        after = start if cursor is None else cursor

        def run(step: Step) -> DocumentPage:
            found = step.db.execute(statement, (kind, after, limit + 1)).fetchall()
            page = found[:limit]
            return DocumentPage(
                documents=tuple(_view(row) for row in page if _alive(step, row)),
                cursor=page[-1][1] if len(found) > limit else None,
            )

        return await self._step(run)


def _get(step: Step, kind: str, document_id: str) -> _Columns | None:
    found: _Columns | None = step.db.execute(GET, (kind, document_id)).fetchone()
    return found if found is not None and _alive(step, found) else None


def _alive(step: Step, row: _Columns) -> bool:
    return row[3] is None or row[3] > step.now_ms


def _sweep(step: Step) -> None:
    expired = step.db.execute(EXPIRED, (step.now_ms, MAX_SWEPT)).fetchall()
    step.db.executemany(DROP, expired)


def _view(row: _Columns) -> Document:
    kind, document_id, version, expires_ms, text = row
    return Document(
        kind=kind, id=document_id, version=version, value=loads(text), expires_ms=expires_ms
    )
