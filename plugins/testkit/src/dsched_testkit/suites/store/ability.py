"""Named tests: what workers can run, what tasks need, and that a choice is of the worker it was
made for."""

from dsched.contracts.store.dispatching import Choice
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.model import Ability
from dsched_testkit.suites.store.arrange import (
    HEARTBEAT_MS,
    QUEUED,
    READY,
    WAKEUP_S,
    Arranging,
)

ETL = Ability.of(["http", "local", "local/etl.load"])
MORE = Ability.of([*ETL.names, "local/etl.\u00e9", "grpc"])


class AbilityTests(Arranging):
    """What a worker says at its registration, and what is made of it."""

    async def test_what_a_worker_can_run_is_known_by_its_digest(self) -> None:
        await self.lead()
        await self.worker("w1", ability=ETL)
        await self.worker("w2", ability=MORE)
        await self.worker("w3", ability=ETL)
        await self.worker("w4")
        workers = await self.store.workers()
        assert [one.ability for one in workers] == [ETL.digest, MORE.digest, ETL.digest, ""]
        assert (await self.store.ready(self.fence, 0, 1)).workers == workers
        assert (await self.store.overdue(self.fence, 1, 0)).workers == workers
        asked = [MORE.digest, "0" * 32, ETL.digest]
        assert await self.store.abilities(asked) == (MORE, None, ETL)
        assert await self.store.abilities([]) == ()

    async def test_a_worker_may_say_something_else_later(self) -> None:
        await self.worker(ability=ETL)
        await self.worker(ability=MORE)
        assert (await self.worker_now()).ability == MORE.digest
        await self.worker()
        assert (await self.worker_now()).ability == ""
        await self.worker(incarnation="0200-b", ability=ETL)
        assert (await self.worker_now()).ability == ETL.digest

    async def test_what_no_worker_says_any_more_goes_when_something_new_comes(self) -> None:
        await self.worker("w1", ability=ETL)
        await self.worker("w2", ability=MORE)
        await self.worker("w1", ability=MORE)
        assert await self.store.deregister("w2", "0100-a") == Outcome.OK
        third = Ability.of(["mq"])
        await self.worker("w3", ability=third)
        asked = [ETL.digest, MORE.digest, third.digest]
        assert await self.store.abilities(asked) == (None, MORE, third)
        await self.worker("w2", ability=ETL)
        assert await self.store.abilities(asked) == (ETL, MORE, third)

    async def test_a_worker_of_the_same_id_that_says_nothing_is_taken_at_its_word(self) -> None:
        await self.lead()
        await self.worker(ability=ETL)
        await self.clock.advance(HEARTBEAT_MS + 1)
        await self.worker(incarnation="0200-b")
        assert (await self.worker_now()).ability == ""
        await self.submit("a")
        assert await self._chosen("a", ETL.digest) == Outcome.MOVED
        assert await self._chosen("a", "") == Outcome.OK

    async def test_a_task_says_what_it_needs(self) -> None:
        await self.lead()
        await self.worker()
        needs = {
            "a": ("local", {"function": "etl.load", "args": [1]}, "local/etl.load"),
            "b": ("http", {"url": "http://x"}, "http"),
            "c": ("local", None, "local"),
            "d": ("local", {"function": "no name"}, "local"),
            "e": ("no executor", {}, ""),
        }
        for task_id, (executor, payload, _) in needs.items():
            await self.submit(task_id, executor=executor, payload=payload)
        page = await self.store.ready(self.fence, 0, 10)
        expected = {key: need for key, (_, _, need) in needs.items()}
        assert {task.id: task.need for task in page.tasks} == expected
        await self.queue(*needs)
        found = await self.store.overdue(self.fence, 10, 0)
        assert {entry.task_id: entry.need for entry in found.queued} == expected

    async def test_a_fire_says_what_its_config_needs(self) -> None:
        await self.lead()
        await self.config(executor="local", payload={"function": "etl.load"})
        await self.fired()
        (task,) = (await self.store.ready(self.fence, 0, 10)).tasks
        assert task.need == "local/etl.load"

    async def test_a_choice_is_refused_where_the_worker_says_something_else_by_now(self) -> None:
        await self.lead()
        await self.worker(ability=ETL)
        await self.submit("a")
        await self.news()
        for other in (MORE.digest, ""):
            assert await self._chosen("a", other) == Outcome.MOVED
        assert await self.state("a") == READY
        assert await self.news() == []
        assert await self._chosen("a", ETL.digest) == Outcome.OK
        assert await self.state("a") == QUEUED

    async def test_a_choice_that_names_no_ability_holds_for_any(self) -> None:
        await self.lead()
        await self.worker(ability=ETL)
        await self.submit("a")
        assert await self._chosen("a", None) == Outcome.OK

    async def test_a_label_is_not_taken_for_an_ability(self) -> None:
        await self.lead()
        await self.worker(labels={"ability": ETL.digest}, address='{"ability":"x"}')
        assert (await self.worker_now()).ability == ""
        await self.submit("a")
        assert await self._chosen("a", ETL.digest) == Outcome.MOVED

    async def test_a_worker_that_says_something_new_wakes_the_leader(self) -> None:
        await self.hush(LEADER_WAKEUP)
        for ability in (ETL, MORE):
            await self.worker(ability=ability)
            assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)
        await self.worker(ability=MORE)
        assert not await self.store.wakeup(LEADER_WAKEUP, 0.05)

    async def _chosen(self, task_id: str, ability: str | None) -> Outcome:
        choice = Choice(task_id=task_id, worker_id="w1", ability=ability)
        done = await self.store.dispatch(self.fence, [choice], [], skip=0, limit=1)
        return done.choices[0]
