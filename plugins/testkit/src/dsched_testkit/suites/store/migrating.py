"""Named tests: a store of the format of before, and the one step to the newest."""

from typing import Any

import pytest

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.formats import STORE_FORMAT, StoreFormat
from dsched.contracts.store.operating import PodRecord
from dsched.contracts.store.outcomes import Outcome
from dsched_testkit.suites.store.arrange import OPERATOR, Arranging, items_of

OLDER = 3
TTL_MS = 30_000


class MigrateTests(Arranging):
    """From the format of before to the newest."""

    async def older_store(self) -> None:
        """Make the store under test one of the format of before."""
        if not await self.give_format(self.clock, OLDER):
            pytest.skip("this kind of store never had that format")

    def a_pod(self, pod_id: str = "p1", **fields: Any) -> PodRecord:
        """A pod of a version of before."""
        defaults: dict[str, Any] = {"name": "host", "roles": ("worker",), "version": "0.1.0"}
        return PodRecord(id=pod_id, started_ms=self.clock.ms, **(defaults | fields))

    async def test_a_new_store_has_the_newest_format(self) -> None:
        assert await self.store.store_format() == StoreFormat(stored=STORE_FORMAT)
        assert await self.store.migrate(by=OPERATOR) is Outcome.ALREADY
        assert await self.news() == []

    async def test_a_store_of_the_format_of_before_works_as_it_is(self) -> None:
        await self.submit("before")
        await self.older_store()
        assert (await self.store.store_format()).stored == OLDER
        await self.lead()
        await self.worker()
        await self.ended("after")
        assert await self.ready_ids() == ["before"]

    async def test_it_is_migrated_once_and_says_so(self) -> None:
        await self.older_store()
        await self.news()
        assert await self.store.migrate(by=OPERATOR) is Outcome.OK
        events = await self.news()
        assert [(one.kind, one.by) for one in events] == [(EventKind.MIGRATED, OPERATOR)]
        assert items_of(events, EventKind.MIGRATED) == [{"from": OLDER, "to": STORE_FORMAT}]
        assert await self.store.migrate(by=OPERATOR) is Outcome.ALREADY
        other = await self.another_handle()
        assert (await other.store_format()).stored == STORE_FORMAT
        assert await self.news() == []

    async def test_what_is_stored_is_there_before_and_after(self) -> None:
        await self.lead()
        await self.worker()
        await self.config("c")
        await self.ended("ended")
        await self.running("running")
        await self.submit("ready")
        before = await self.everything()
        await self.older_store()
        assert await self.everything() == before
        assert await self.store.migrate(by=OPERATOR) is Outcome.OK
        assert await self.everything() == before

    async def everything(self) -> tuple[object, ...]:
        """What readers see."""
        tasks = await self.store.get(["ended", "running", "ready"], full=True)
        configs = await self.store.get_configs(["c"])
        return tasks, configs, await self.store.workers(), await self.store.counts()

    async def test_an_older_pod_that_runs_is_in_the_way_until_it_has_left(self) -> None:
        await self.older_store()
        older, newer = self.a_pod(), self.a_pod("p2", store_format=STORE_FORMAT)
        await self.store.pod_seen(older, TTL_MS)
        await self.store.pod_seen(newer, TTL_MS)
        found = await self.store.store_format()
        assert [pod.id for pod in found.older_pods] == ["p1"]
        assert await self.store.migrate(by=OPERATOR) is Outcome.OLDER
        assert (await self.store.store_format()).stored == OLDER
        await self.store.pod_left("p1")
        assert await self.store.migrate(by=OPERATOR) is Outcome.OK

    async def test_an_older_pod_that_is_silent_for_its_time_is_not_in_the_way(self) -> None:
        await self.older_store()
        await self.store.pod_seen(self.a_pod(), TTL_MS)
        await self.clock.advance(TTL_MS - 1)
        assert await self.store.migrate(by=OPERATOR) is Outcome.OLDER
        await self.clock.advance(1)
        assert await self.store.migrate(by=OPERATOR) is Outcome.OK

    async def test_a_pod_that_was_replaced_by_a_newer_one_is_judged_by_what_it_says_last(
        self,
    ) -> None:
        await self.older_store()
        await self.store.pod_seen(self.a_pod(), TTL_MS)
        await self.store.pod_seen(self.a_pod(store_format=STORE_FORMAT), TTL_MS)
        (found,) = await self.store.pods()
        assert found.store_format == STORE_FORMAT
        assert await self.store.migrate(by=OPERATOR) is Outcome.OK
