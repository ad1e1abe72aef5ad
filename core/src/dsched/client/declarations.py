"""What the client keeps of declarations: which versions of an origin's were seen, and when."""

from dsched.client.asking import Asking
from dsched.contracts.store.documents import Document, DocumentAnswer
from dsched.model import JsonValue

KIND = "declared"
KEPT_MS = 90 * 24 * 3600 * 1000


class Declarations(Asking):
    """The document of an origin; `dsched.declaring` knows what it means."""

    async def declaration(self, origin: str) -> tuple[Document | None, int]:
        """The document, and the store's time at which it was read, or a little later."""
        document = await self._answered(lambda: self._store.get_document(KIND, origin))
        return document, await self._wall_ms()

    async def note_declaration(self, origin: str, value: JsonValue, *, read: int) -> DocumentAnswer:
        """Write it, if it is still of the version ``read``."""
        return await self._answered(
            lambda: self._store.put_document(KIND, origin, value, read=read, ttl_ms=KEPT_MS)
        )
