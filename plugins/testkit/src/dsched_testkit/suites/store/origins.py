"""Named tests: configs listed by the origin that declares them."""

from collections.abc import Sequence

from dsched.contracts.store.configs import PutConfig
from dsched.contracts.store.outcomes import Outcome
from dsched.model import API_ORIGIN
from dsched_testkit.suites.store.arrange import AUTHOR, Arranging, a_config

A, AB, CODE = "file:a", "file:ab", "code:a"
PAGES = 100  # more than any of these lists can have


class OriginTests(Arranging):
    """What one origin has, and nothing else."""

    async def test_the_configs_of_an_origin_are_listed_by_ascending_id_page_by_page(self) -> None:
        names = ["B", "a", "a.1", "a:2", "b", "c"]
        for name in reversed(names):
            await self.config(name, origin=A)
            await self.config(f"{name}-other", origin=CODE)
        for limit in (1, 2, 3, 6, 100):
            assert await self._of(A, limit) == names
        page = await self.store.list_configs("a", 1, origin=A)
        assert page.configs == (await self.stored("a.1"),)

    async def test_the_configs_of_the_api_are_listed_as_those_of_any_other_origin(self) -> None:
        # More of another in a row than a page has, first, between and last.
        for stretch in ("0", "5", "9"):
            await self._put_many([f"{stretch}-{number:02}" for number in range(40)], CODE)
        await self._put_many(["1", "2", "3", "6", "7"], API_ORIGIN)
        for limit in (1, 2, 5, 100):
            assert await self._of(API_ORIGIN, limit) == ["1", "2", "3", "6", "7"]

    async def test_a_page_of_an_origin_that_has_nothing_more_has_no_cursor(self) -> None:
        await self.config("a", origin=A)
        await self.config("b", origin=AB)
        await self.config("c")
        for origin, name in ((A, "a"), (AB, "b"), (API_ORIGIN, "c")):
            page = await self.store.list_configs(None, 1, origin=origin)
            assert [stored.config.id for stored in page.configs] == [name]
            assert page.cursor is None
        page = await self.store.list_configs(None, 10, origin=CODE)
        assert (page.configs, page.cursor) == ((), None)

    async def test_an_origin_whose_name_starts_another_is_not_mixed_up_with_it(self) -> None:
        for name, origin in (("b", A), ("b.x", AB), ("a", AB), ("c", A)):
            await self.config(name, origin=origin)
        assert await self._of(A, 1) == ["b", "c"]
        assert await self._of(AB, 1) == ["a", "b.x"]
        assert await self._of("file:", 10) == []
        assert await self._of("", 10) == []

    async def test_a_config_that_changes_its_origin_is_listed_under_the_new_one_only(self) -> None:
        origins = (API_ORIGIN, A, AB, API_ORIGIN)
        await self.config("stays", origin=A)
        for now in origins:
            await self.put(a_config(origin=now, name=f"of {now}"), next_due_ms=None)
            for origin in set(origins):
                has = [*(["c"] if origin == now else []), *(["stays"] if origin == A else [])]
                assert await self._of(origin, 10) == has

    async def test_an_edit_a_pause_and_a_fire_leave_a_config_to_its_origin(self) -> None:
        await self.lead()
        await self.config(origin=A)
        await self.fired()
        await self.put(a_config(origin=A, name="edited"), next_due_ms=None)
        await self.store.pause("c", self.rearm(await self.stored()), by=AUTHOR, why="upkeep")
        assert await self._of(A, 10) == ["c"]
        assert await self._of(API_ORIGIN, 10) == []

    async def test_a_deleted_config_is_in_the_list_of_no_origin(self) -> None:
        for origin in (A, API_ORIGIN):
            await self.config(origin=origin)
            deleted = await self.store.delete("c", self.rearm(await self.stored()), by=AUTHOR)
            assert deleted == Outcome.OK
            assert await self._of(origin, 10) == []
        await self.config(origin=AB)
        assert (await self._of(A, 10), await self._of(AB, 10)) == ([], ["c"])

    async def test_a_refused_put_does_not_change_the_origin(self) -> None:
        await self.config(origin=A)
        moved = PutConfig(config=a_config(origin=AB), rearm=self.rearm(None))
        (answer,) = await self.store.put([moved], by=AUTHOR)
        assert answer.outcome == Outcome.MOVED
        assert (await self._of(A, 10), await self._of(AB, 10)) == (["c"], [])

    async def _put_many(self, names: Sequence[str], origin: str) -> None:
        configs = [a_config(name, origin=origin) for name in names]
        puts = [PutConfig(config=config, rearm=self.rearm(None)) for config in configs]
        answers = await self.store.put(puts, by=AUTHOR)
        assert {answer.outcome for answer in answers} == {Outcome.OK}

    async def _of(self, origin: str, limit: int) -> list[str]:
        """The ids that an origin has, read page by page to the end."""
        found: list[str] = []
        cursor: str | None = None
        for _ in range(PAGES):
            page = await self.store.list_configs(cursor, limit, origin=origin)
            assert len(page.configs) <= limit
            assert {stored.config.origin for stored in page.configs} <= {origin}
            found.extend(stored.config.id for stored in page.configs)
            cursor = page.cursor
            if cursor is None:
                return found
        raise AssertionError(f"the pages of {origin} have no end")
