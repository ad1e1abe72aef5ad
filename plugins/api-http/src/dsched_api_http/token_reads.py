"""Tokens as the store has them, read for many callers at a time."""

import asyncio
import contextvars

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.documents import Document
from dsched_api_http.patience import heeded_wait

KIND = "api-token"
FEW = 2  # so many are read one by one; for more the list of all takes fewer calls


class TokenReads:
    """Reads the documents of tokens. Who asks while a read is under way waits for the next one, so
    that each answer is of an instant after its question; that one reads for all who wait."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wanted: dict[str, asyncio.Future[Document | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def document(self, token_id: str) -> Document | None:
        """The document of a token, None if there is none (any more); raises `StoreError`."""
        future = self._wanted.get(token_id)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._wanted[token_id] = future
        if self._reading is None:
            # In no caller's context: one that gives up takes nothing from the others.
            self._reading = asyncio.create_task(self._read(), context=contextvars.Context())
        with heeded_wait():
            return await asyncio.shield(future)

    async def _read(self) -> None:
        try:
            while self._wanted:
                wanted, self._wanted = self._wanted, {}
                await self._answer(wanted)
        finally:
            self._reading = None

    async def _answer(self, wanted: dict[str, asyncio.Future[Document | None]]) -> None:
        try:
            found = await self._documents(list(wanted))
        except BaseException as error:
            for future in wanted.values():
                if isinstance(error, Exception):
                    future.set_exception(error)
                    future.exception()  # whoever waited may be gone
                else:
                    future.cancel()
            if not isinstance(error, Exception):
                raise
        else:
            for token_id, future in wanted.items():
                future.set_result(found.get(token_id))

    async def _documents(self, wanted: list[str]) -> dict[str, Document]:
        found: dict[str, Document] = {}
        left = wanted
        if len(wanted) > FEW:
            page = await self._store.list_documents(KIND, None, MAX_BATCH)
            found = {one.id: one for one in page.documents}
            last = page.cursor
            # What comes after the page may be anywhere in a long list.
            left = [] if last is None else [one for one in wanted if one > last]
        for one in left:
            document = await self._store.get_document(KIND, one)
            if document is not None:
                found[one] = document
        return found
