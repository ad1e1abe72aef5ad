"""Named tests: a config with ``max_running`` has a limit of its own, which goes where it goes."""

from dsched.contracts.store.limits import LimitUse
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.working import Submission
from dsched.model import Limit, Overlap
from dsched.model.limits import own_limit
from dsched_testkit.suites.store.arrange import AUTHOR, CLIENT, a_config
from dsched_testkit.suites.store.arrange_limits import ArrangingLimits

OWN = own_limit("c")


class OwnLimitTests(ArrangingLimits):
    """The record of such a limit is the config's, and is changed in the config's steps."""

    async def _bound(
        self, max_running: int | None, *task_ids: str, config_id: str = "c"
    ) -> tuple[str, ...]:
        """Put a config with so many at once, and trigger it; the tasks of these ids."""
        config = a_config(config_id, overlap=Overlap.ALLOW, max_running=max_running)
        stored = await self.put(config, next_due_ms=None)
        tasks = [Submission(task_id=one, spec=stored.config.spec) for one in task_ids]
        if tasks:
            assert set(await self.store.submit(tasks, by=CLIENT)) == {Outcome.OK}
        return task_ids

    async def test_no_more_tasks_of_a_config_are_in_hand_than_its_max_running(self) -> None:
        await self.begin()
        ids = await self._bound(2, *(f"c@manual-{at}" for at in range(4)))
        answer = await self.choose_all(*ids)
        assert answer.choices == (Outcome.OK, Outcome.OK, Outcome.LIMITED, Outcome.LIMITED)
        use = await self.use(OWN)
        assert (use.held, use.waiting) == (2, 2)
        await self.finish(ids[0], await self.take(ids[0]))
        assert await self.open_ids() == [ids[2]]

    async def test_a_fire_takes_a_place_of_its_config_beside_those_of_its_limits(self) -> None:
        await self.begin(5)
        await self.config("c", overlap=Overlap.ALLOW, limits=["crm"], max_running=1)
        fired = await self.fired("c")
        assert (await self.choose_all(fired)).choices == (Outcome.OK,)
        assert ((await self.use()).held, (await self.use(OWN)).held) == (1, 1)
        await self.finish(fired, await self.take(fired))
        assert (await self.store.limit_uses(None, 10)).uses == ()

    async def test_an_edit_of_max_running_holds_at_once(self) -> None:
        await self.begin()
        ids = await self._bound(1, *(f"c@manual-{at}" for at in range(5)))
        await self.choose_all(*ids)
        await self.hush(LEADER_WAKEUP)
        await self._bound(3)
        assert await self.store.wakeup(LEADER_WAKEUP, 0)
        assert await self.open_ids() == list(ids[1:3])
        await self.choose_all(*ids[1:3])
        await self._bound(1)
        assert (await self.store.get_limits([OWN]))[0] == Limit(id=OWN, max_running=1)
        token = await self.take(ids[0])
        await self.finish(ids[0], token)
        assert await self.open_ids() == []
        await self._bound(None)
        assert (await self.store.get_limits([OWN])) == (None,)
        assert await self.open_ids() == list(ids[3:])

    async def test_a_config_that_is_deleted_takes_its_limit_with_it(self) -> None:
        await self.begin()
        ids = await self._bound(1, "c@manual-0", "c@manual-1")
        await self.choose_all(*ids)
        (stored,) = await self.store.get_configs(["c"])
        assert await self.store.delete("c", self.rearm(stored), by=AUTHOR) is Outcome.OK
        assert (await self.store.get_limits([OWN])) == (None,)
        assert await self.open_ids() == [ids[1]]

    async def test_what_is_refused_of_a_config_leaves_its_limit_as_it_was(self) -> None:
        await self.begin()
        await self._bound(1)
        (before,) = await self.store.get_configs(["c"])
        await self._bound(2)
        stale = self.rearm(before)
        assert await self.store.delete("c", stale, by=AUTHOR) is Outcome.MOVED
        assert (await self.store.get_limits([OWN]))[0] == Limit(id=OWN, max_running=2)

    async def test_limits_of_configs_are_neither_listed_nor_mixed_up(self) -> None:
        await self.begin()
        await self._bound(1, config_id="a")
        colon = own_limit("a:b")
        ids = await self._bound(2, "a:b@manual-0", "a:b@manual-1", config_id="a:b")
        await self._bound(None, config_id="a:b")
        page = await self.store.list_limits(None, 10)
        assert ([one.id for one in page.limits], page.cursor) == (["crm"], None)
        found = await self.store.get_limits([own_limit("a"), colon])
        assert found == (Limit(id=own_limit("a"), max_running=1), None)
        assert (await self.choose_all(*ids)).choices == (Outcome.OK, Outcome.OK)
        assert (await self.use(colon)) == LimitUse(name=colon, held=2, waiting=0)
