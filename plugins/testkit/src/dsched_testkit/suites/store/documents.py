"""Named tests: small versioned documents, changed by comparing versions."""

import pytest

from dsched.contracts.store.documents import MAX_DOCUMENT_BYTES, MAX_SWEPT, Document
from dsched.contracts.store.outcomes import Outcome
from dsched.model import JsonValue
from dsched_testkit.suites.store.arrange import Arranging

KIND = "token"
KEYS_THAT_ARE_NONE = [
    ("Token", "a"),
    ("", "a"),
    ("a:b", "a"),
    ("k" * 33, "a"),
    (KIND, ""),
    (KIND, "a b"),
    (KIND, "a@b"),
    (KIND, "x" * 129),
]


class DocumentTests(Arranging):
    """Create, change, read, drop, list, expire."""

    async def document(
        self, document_id: str = "d", value: JsonValue = None, ttl_ms: int | None = None
    ) -> Document:
        """A new document."""
        answer = await self.store.put_document(KIND, document_id, value, read=0, ttl_ms=ttl_ms)
        assert answer.outcome is Outcome.OK
        assert answer.stored is not None
        return answer.stored

    async def listed(self, *, descending: bool = False, limit: int = 10) -> list[str]:
        """The ids of the kind, over all pages."""
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await self.store.list_documents(KIND, cursor, limit, descending=descending)
            found += [one.id for one in page.documents]
            cursor = page.cursor
            if cursor is None:
                return found

    async def test_a_new_document_is_stored_with_a_version_and_reads_back(self) -> None:
        value = {"text": 'ü 😀 " \\ \n\t', "n": [1, 2.5, None, True], "deep": {"a": {"b": []}}}
        stored = await self.document("all.of:it", value)
        assert (KIND, "all.of:it", value, None) == (
            stored.kind,
            stored.id,
            stored.value,
            stored.expires_ms,
        )
        assert stored.version >= self.clock.ms
        assert stored == await self.store.get_document(KIND, "all.of:it")

    async def test_what_was_never_stored_is_not_there(self) -> None:
        await self.document("other")
        assert await self.store.get_document(KIND, "d") is None
        assert await self.store.get_document("others", "other") is None
        assert await self.store.drop_document(KIND, "d", read=0) is Outcome.UNKNOWN

    async def test_a_document_changes_only_from_the_version_that_was_read(self) -> None:
        first = await self.document(value=1)
        answer = await self.store.put_document(KIND, "d", 2, read=first.version)
        assert answer.outcome is Outcome.OK
        assert answer.stored is not None
        assert answer.stored.version > first.version
        for read in (0, first.version, answer.stored.version + 1):
            stale = await self.store.put_document(KIND, "d", 3, read=read)
            assert (Outcome.MOVED, answer.stored) == (stale.outcome, stale.stored)
        gone = await self.store.put_document(KIND, "new", 3, read=first.version)
        assert (gone.outcome, gone.stored) == (Outcome.MOVED, None)
        assert await self.store.get_document(KIND, "new") is None

    async def test_of_two_who_create_the_same_document_one_wins(self) -> None:
        other = await self.another_handle()
        first = await self.store.put_document(KIND, "d", "mine", read=0)
        second = await other.put_document(KIND, "d", "yours", read=0)
        assert (first.outcome, second.outcome) == (Outcome.OK, Outcome.MOVED)
        assert first.stored == second.stored == await other.get_document(KIND, "d")

    async def test_an_equal_value_is_dup_whatever_was_read_and_keeps_its_expiry(self) -> None:
        stored = await self.document(value={"b": 1, "a": 2}, ttl_ms=5000)
        await self.clock.advance(1000)
        again = await self.store.put_document(KIND, "d", {"a": 2, "b": 1}, read=7, ttl_ms=90_000)
        assert (Outcome.DUP, stored) == (again.outcome, again.stored)
        assert stored == await self.store.get_document(KIND, "d")

    async def test_a_document_is_dropped_only_at_the_version_that_was_read(self) -> None:
        stored = await self.document()
        assert await self.store.drop_document(KIND, "d", read=stored.version - 1) is Outcome.MOVED
        assert await self.store.get_document(KIND, "d") == stored
        assert await self.store.drop_document(KIND, "d", read=stored.version) is Outcome.OK
        assert await self.store.get_document(KIND, "d") is None
        assert await self.listed() == []
        repeat = await self.store.drop_document(KIND, "d", read=stored.version)
        assert repeat is Outcome.UNKNOWN
        other = await self.document("e")  # what is removed takes no place on a page
        page = await self.store.list_documents(KIND, None, 1)
        assert (page.documents, page.cursor) == ((other,), None)

    async def test_a_version_is_never_given_twice(self) -> None:
        first = await self.document(value=1)
        await self.store.drop_document(KIND, "d", read=first.version)
        second = await self.document(value=1)
        config = await self.config()
        third = await self.document("e", value=1)
        given = [first.version, second.version, config.config.revision, third.version]
        assert sorted(set(given)) == given

    async def test_a_document_is_there_until_its_time_is_over(self) -> None:
        stored = await self.document(value=1, ttl_ms=5000)
        assert stored.expires_ms == (await self.store.now()).now_ms + 5000
        await self.clock.advance(4999)
        assert await self.store.get_document(KIND, "d") == stored
        await self.clock.advance(1)
        assert await self.store.get_document(KIND, "d") is None
        assert await self.listed() == []
        assert await self.store.drop_document(KIND, "d", read=stored.version) is Outcome.UNKNOWN
        answer = await self.store.put_document(KIND, "d", 1, read=0)
        assert answer.outcome is Outcome.OK
        assert await self.store.get_document(KIND, "d") == answer.stored

    async def test_a_change_gives_the_expiry_anew_or_takes_it_away(self) -> None:
        first = await self.document(value=1, ttl_ms=5000)
        second = await self.store.put_document(KIND, "d", 2, read=first.version, ttl_ms=60_000)
        assert second.stored is not None
        await self.clock.advance(6000)
        assert await self.store.get_document(KIND, "d") == second.stored
        third = await self.store.put_document(KIND, "d", 3, read=second.stored.version)
        await self.clock.advance(600_000)
        await self.document("other")  # removes what has expired, and nothing else
        assert await self.store.get_document(KIND, "d") == third.stored
        assert await self.listed() == ["d", "other"]

    async def test_puts_make_room_of_what_has_expired(self) -> None:
        count = MAX_SWEPT + 5
        for number in range(count):
            await self.document(f"old-{number:02d}", ttl_ms=1000 + number)
        await self.clock.advance(60_000)
        for number in range(2):
            await self.document(f"new-{number}")
        # What was removed is on no page either, not even as a page that has nothing but a cursor.
        pages, cursor = 1, (await self.store.list_documents(KIND, None, 1)).cursor
        while cursor is not None:
            pages, cursor = pages + 1, (await self.store.list_documents(KIND, cursor, 1)).cursor
        assert pages <= 2
        assert await self.listed(limit=2) == ["new-0", "new-1"]
        for number in range(count):
            assert await self.store.get_document(KIND, f"old-{number:02d}") is None

    async def test_a_kind_is_listed_by_id_in_either_direction_page_by_page(self) -> None:
        names = ["a", "a.b", "a:b", "b-1", "b-10", "b-9", "c"]
        for name in reversed(names):
            await self.document(name, value=name)
        await self.store.put_document("another", "b-2", 1, read=0)
        for limit in (1, 3, 7, 100):
            assert await self.listed(limit=limit) == sorted(names)
            assert await self.listed(limit=limit, descending=True) == sorted(names, reverse=True)
        page = await self.store.list_documents(KIND, None, len(names))
        assert page.cursor is None
        assert [one.value for one in page.documents] == sorted(names)

    async def test_documents_write_no_event(self) -> None:
        await self.news()
        stored = await self.document(value=1, ttl_ms=10)
        await self.store.put_document(KIND, "d", 2, read=stored.version)
        await self.store.list_documents(KIND, None, 10)
        await self.store.drop_document(KIND, "d", read=0)
        assert await self.news() == []

    async def test_what_cannot_be_a_document_is_a_callers_mistake(self) -> None:
        for kind, document_id in KEYS_THAT_ARE_NONE:
            with pytest.raises(ValueError, match=r"kind|document id"):
                await self.store.put_document(kind, document_id, 1, read=0)
            with pytest.raises(ValueError, match=r"kind|document id"):
                await self.store.get_document(kind, document_id)
        most = "x" * (MAX_DOCUMENT_BYTES - 2)
        assert (await self.document("most", most)).value == most
        with pytest.raises(ValueError, match="bytes"):
            await self.store.put_document(KIND, "more", most + "x", read=0)
        with pytest.raises(ValueError, match="limit"):
            await self.store.list_documents(KIND, None, 101)
        assert await self.listed() == ["most"]
