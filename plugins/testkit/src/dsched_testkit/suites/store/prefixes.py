"""Named tests: configs listed by what their ids begin with."""

import pytest

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.model import API_ORIGIN
from dsched_testkit.suites.store.arrange import Arranging

A, CODE = "file:a", "code:a"
NAMES = ["etl", "etl-1", "etl-2", "etl-2:b", "etl.x", "etl2", "eto", "s"]
PAGES = 100  # more than any of these lists can have


class PrefixTests(Arranging):
    """The configs whose ids begin alike, and nothing else."""

    async def test_the_configs_of_a_prefix_are_listed_by_ascending_id_page_by_page(self) -> None:
        await self._put_names(A)
        for limit in (1, 2, 3, 5, 100):
            assert await self._beginning_with("etl-", limit) == ["etl-1", "etl-2", "etl-2:b"]
            assert await self._beginning_with("etl", limit) == NAMES[:6]
            assert await self._beginning_with("etl-2", limit) == ["etl-2", "etl-2:b"]
            assert await self._beginning_with("", limit) == NAMES
            assert await self._beginning_with("etl-2:bc", limit) == []
            assert await self._beginning_with("x", limit) == []

    async def test_a_prefix_and_an_origin_are_asked_for_together(self) -> None:
        await self._put_names(A)
        for name in ("etl-0", "etl-3", "x"):
            await self.config(name, origin=CODE)
            await self.config(f"{name}.api", origin=API_ORIGIN)
        for limit in (1, 2, 100):
            assert await self._beginning_with("etl-", limit, A) == ["etl-1", "etl-2", "etl-2:b"]
            assert await self._beginning_with("etl-", limit, CODE) == ["etl-0", "etl-3"]
            assert await self._beginning_with("etl-", limit, API_ORIGIN) == [
                "etl-0.api",
                "etl-3.api",
            ]
            assert await self._beginning_with("etl-", limit, "code:b") == []

    async def test_a_cursor_before_the_prefix_begins_at_it_and_one_behind_it_ends(self) -> None:
        await self._put_names(A)
        for origin in (None, A):
            before = await self.store.list_configs("a", 2, origin=origin, prefix="etl-")
            assert [one.config.id for one in before.configs] == ["etl-1", "etl-2"]
            behind = await self.store.list_configs("etl.x", 2, origin=origin, prefix="etl-")
            assert (behind.configs, behind.cursor) == ((), None)

    async def test_what_begins_no_id_begins_none(self) -> None:
        await self._put_names(A)
        for prefix in ("etl*", "-", "_", "é", "etl-\x7f", "etl\t", "E", "\n", "[", "("):
            page = await self.store.list_configs(None, 10, prefix=prefix)
            assert (page.configs, page.cursor) == ((), None), prefix

    async def test_a_page_of_a_prefix_has_a_bound_as_any_other(self) -> None:
        with pytest.raises(ValueError, match=r"."):
            await self.store.list_configs(None, MAX_BATCH + 1, prefix="etl-")

    async def _put_names(self, origin: str) -> None:
        for name in reversed(NAMES):
            await self.config(name, origin=origin)

    async def _beginning_with(
        self, prefix: str, limit: int, origin: str | None = None
    ) -> list[str]:
        """The ids that begin so, read page by page to the end."""
        found: list[str] = []
        cursor: str | None = None
        for _ in range(PAGES):
            page = await self.store.list_configs(cursor, limit, origin=origin, prefix=prefix)
            assert len(page.configs) <= limit
            found.extend(stored.config.id for stored in page.configs)
            cursor = page.cursor
            if cursor is None:
                return found
        raise AssertionError(f"the pages of {prefix!r} have no end")
