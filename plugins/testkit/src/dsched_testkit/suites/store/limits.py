"""Named tests: limits bound what workers have in hand, and what they refuse waits under them."""

from typing import Any

from dsched.contracts.store.classes import Blocked, Let, Shut, class_text
from dsched.contracts.store.limits import MAX_FREED, LimitUse
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.working import Release
from dsched.model import Limit, need_of
from dsched_testkit.suites.store.arrange import CLIENT, QUEUED, READY
from dsched_testkit.suites.store.arrange_limits import ArrangingLimits

LABELS = {"gpu": "1"}
CLASS = class_text(LABELS, need_of("local", {"call": "work"})) or ""


class LimitTests(ArrangingLimits):
    """Places are taken by dispatch and given back by all that takes a task from its worker."""

    async def test_dispatch_queues_no_more_than_a_limit_lets_and_the_rest_waits_under_it(
        self,
    ) -> None:
        await self.begin(2)
        for task_id in "abcd":
            await self.limited(task_id)
        await self.submit("e")
        answer = await self.choose_all(*"abc")
        assert answer.choices == (Outcome.OK, Outcome.OK, Outcome.LIMITED)
        assert [task.id for task in answer.page.tasks] == ["e"]
        use = await self.use()
        assert (use.held, use.waiting, answer.page.more) == (2, 2, False)
        assert await self.state("c") == READY
        assert (await self.store.ready(self.fence, 0, 10)).shut == 0

    async def test_a_fire_takes_a_place_of_the_instance_that_its_config_names_by_a_param(
        self,
    ) -> None:
        await self.begin()
        await self.limit("tenant", 1)
        params = {"tenant": {"type": "string", "default": "acme"}}
        named: dict[str, Any] = {
            "limits": ["tenant:${params.tenant}"],
            "params": params,
            "template": True,
        }
        await self.config("c", **named)
        fired = await self.fired("c")
        await self.limited("other", "tenant:acme")
        await self.limited("apart", "tenant:initech")
        answer = await self.choose_all(fired, "other", "apart")
        assert answer.choices == (Outcome.OK, Outcome.LIMITED, Outcome.OK)
        assert (await self.undated_use("tenant:acme")).waiting == 1

    async def test_what_becomes_ready_while_others_wait_waits_behind_them_by_priority(self) -> None:
        await self.begin()
        await self.limited("a")
        await self.limited("b")
        await self.choose_all("a", "b")
        await self.limited("low", priority=1)
        await self.limited("high", priority=9)
        assert (await self.use()).waiting == 3
        token = await self.take("a")
        assert await self.finish("a", token) is Outcome.OK
        assert await self.open_ids() == ["high"]
        assert (await self.use()).waiting == 2

    async def test_what_waits_under_a_limit_knows_its_place_in_line(self) -> None:
        await self.begin()
        for task_id in ("runs", "b", "a"):
            await self.limited(task_id)
        await self.limited("high", priority=9)
        await self.clock.advance(1000)
        await self.limited("late")
        await self.choose_all("runs", "a", "b", "high", "late")
        line = ("high", "a", "b", "late")
        assert [await self.store.place_in_line("crm", one) for one in line] == [1, 2, 3, 4]
        for name, task_id in (("crm", "runs"), ("crm", "nobody"), ("crm", ""), ("mail", "a")):
            assert await self.store.place_in_line(name, task_id) is None
        await self.store.cancel(["a"], by=CLIENT, reason="")
        await self.finish("runs", await self.take("runs"))
        assert await self.open_ids() == ["high"]
        places = [await self.store.place_in_line("crm", one) for one in line]
        assert places == [None, None, 1, 2]

    async def test_a_limit_tells_since_when_the_oldest_waits_whatever_its_priority(self) -> None:
        await self.begin()
        await self.limited("runs")
        await self.choose_all("runs")
        assert (await self.use()).oldest_ms is None
        await self.clock.advance(1000)
        began_ms = self.clock.ms
        await self.limited("low", priority=0)
        await self.clock.advance(1000)
        await self.limited("high", priority=9)
        await self.choose_all("low", "high")
        assert (await self.use()).oldest_ms == began_ms
        await self.store.cancel(["low"], by=CLIENT, reason="")
        assert (await self.use()).oldest_ms == began_ms + 1000
        await self.store.cancel(["high"], by=CLIENT, reason="")
        assert (await self.use()).oldest_ms is None

    async def test_what_was_let_go_and_is_put_back_is_let_go_again(self) -> None:
        """A class is shut while it is on its way to a worker; its limit has room as before."""
        await self.begin()
        for task_id in "abc":
            await self.limited(task_id)
        await self.choose_all("a", "b")
        await self.finish("a", await self.take("a"))
        assert await self.open_ids() == ["b"]
        await self.submit("gpu", required_labels=LABELS)
        answer = await self.store.dispatch(
            self.fence, [], [], skip=0, limit=100, shuts=[Shut(CLASS, Blocked.NOBODY)]
        )
        assert [task.id for task in answer.page.tasks] == ["b"]
        assert await self.open_ids() == ["b"]
        assert (await self.choose_all("b")).choices == (Outcome.OK,)

    async def test_each_way_out_of_a_workers_hands_gives_the_place_back(self) -> None:
        await self.begin()
        await self.limited("waits")

        async def place_is_back(task_id: str) -> None:
            assert (await self.use()).held == 0, task_id
            assert await self.open_ids() != [], task_id
            await self.store.cancel([task_id], by=CLIENT, reason="")

        async def in_hand(task_id: str) -> str:
            await self.limited(task_id, priority=9)
            assert (await self.choose_all(task_id, "waits")).choices == (
                Outcome.OK,
                Outcome.LIMITED,
            )
            return task_id

        await in_hand("recalled")
        await self.store.recall(self.fence, ["recalled"], 0)
        await place_is_back("recalled")
        await self.claim()  # it is stalled no more
        token = await self.take(await in_hand("ended"))
        await self.finish("ended", token)
        await place_is_back("ended")
        token = await self.take(await in_hand("retried"))
        await self.fail("retried", token, retry_delay_ms=60_000)
        await place_is_back("retried")
        token = await self.take(await in_hand("released"))
        await self.store.release([Release(task_id="released", token=token, reason="")], by="w1")
        await place_is_back("released")
        await in_hand("cancelled")
        await self.store.cancel(["cancelled"], by=CLIENT, reason="")
        await place_is_back("cancelled")
        await in_hand("drained")
        assert await self.store.drain("w1", "0100-a") is Outcome.OK
        await place_is_back("drained")

    async def test_a_task_takes_a_place_of_all_of_its_limits_or_of_none(self) -> None:
        await self.begin()
        await self.limit("db", 1)
        await self.limited("one", "db")
        await self.limited("both", "crm", "db")
        answer = await self.choose_all("one", "both")
        assert answer.choices == (Outcome.OK, Outcome.LIMITED)
        assert await self.use("crm") == LimitUse(name="crm", held=0, waiting=0)
        use = await self.use("db")
        assert (use.held, use.waiting) == (1, 1)

    async def test_what_another_limit_refuses_leaves_its_turn_to_the_next(self) -> None:
        await self.begin()
        await self.limit("db", 1)
        await self.limited("holds", "crm")
        await self.limited("a", "crm", "db", priority=9)
        await self.limited("b", "crm")
        await self.choose_all("holds", "a", "b")
        await self.limited("other", "db")
        await self.choose_all("other")
        await self.finish("holds", await self.take("holds"))
        assert await self.open_ids() == ["a"]
        assert (await self.choose_all("a")).choices == (Outcome.LIMITED,)
        assert await self.open_ids() == ["b"]

    async def test_what_is_let_go_and_cancelled_leaves_its_turn_to_the_next(self) -> None:
        await self.begin()
        for task_id in ("holds", "a", "b"):
            await self.limited(task_id)
        await self.choose_all("holds", "a", "b")
        await self.finish("holds", await self.take("holds"))
        assert await self.open_ids() == ["a"]
        await self.hush(LEADER_WAKEUP)
        await self.store.cancel(["a"], by=CLIENT, reason="")
        assert await self.store.wakeup(LEADER_WAKEUP, 0)
        assert await self.open_ids() == ["b"]

    async def test_what_is_let_go_into_a_class_that_is_shut_leaves_its_turn_to_the_next(
        self,
    ) -> None:
        await self.begin()
        await self.limited("holds")
        await self.limited("a", required_labels=LABELS)
        await self.limited("b")
        await self.choose_all("holds", "a", "b")
        shuts = [Shut(CLASS, Blocked.NOBODY)]
        await self.store.dispatch(self.fence, [], [], skip=0, limit=10, shuts=shuts)
        await self.finish("holds", await self.take("holds"))
        assert await self.open_ids() == ["b"]
        await self.choose_all("b")
        lets = [Let((CLASS,), 5)]
        answer = await self.store.dispatch(self.fence, [], [], skip=0, limit=10, lets=lets)
        assert ([task.id for task in answer.page.tasks], answer.opened) == (["a"], (CLASS,))
        assert (await self.choose_all("a")).choices == (Outcome.LIMITED,)

    async def test_a_limit_that_is_changed_holds_at_once_and_wakes_the_leader(self) -> None:
        await self.begin()
        for task_id in "abcde":
            await self.limited(task_id)
        await self.choose_all(*"abcde")
        await self.hush(LEADER_WAKEUP)
        assert await self.limit("crm", 3) is Outcome.OK
        assert await self.store.wakeup(LEADER_WAKEUP, 0)
        assert await self.open_ids() == ["b", "c"]
        assert await self.limit("crm", 3) is Outcome.DUP
        assert await self.limit("crm", 0) is Outcome.OK
        answer = await self.choose_all("b")
        assert (answer.choices, await self.state("a")) == ((Outcome.LIMITED,), QUEUED)

    async def test_a_limit_in_use_is_dropped_only_by_force_and_then_bounds_nothing(self) -> None:
        await self.begin()
        await self.limited("a")
        await self.limited("b")
        await self.choose_all("a", "b")
        assert await self.store.drop_limit("crm", force=False) is Outcome.TAKEN
        assert await self.store.drop_limit("crm", force=True) is Outcome.OK
        assert await self.store.drop_limit("crm", force=True) is Outcome.UNKNOWN
        assert await self.open_ids() == ["b"]
        assert (await self.choose_all("b")).choices == (Outcome.OK,)

    async def test_instances_have_the_limit_to_themselves_or_one_of_their_own(self) -> None:
        await self.begin()
        await self.limit("tenant", 1)
        await self.limit("tenant:big", 2)
        tasks = {"a1": "a", "a2": "a", "b1": "b", "big1": "big", "big2": "big", "big3": "big"}
        for task_id, tenant in tasks.items():
            await self.limited(task_id, f"tenant:{tenant}")
        ok, limited = Outcome.OK, Outcome.LIMITED
        assert (await self.choose_all(*tasks)).choices == (ok, limited, ok, ok, ok, limited)
        page = await self.store.limit_uses(None, 2, of="tenant")
        assert [(one.name, one.held, one.waiting) for one in page.uses] == [
            ("tenant:a", 1, 1),
            ("tenant:b", 1, 0),
        ]
        page = await self.store.limit_uses(page.cursor, 2, of="tenant")
        assert ([one.name for one in page.uses], page.cursor) == (["tenant:big"], None)
        assert (await self.store.limit_uses(None, 5, of="ten")).uses == ()
        assert await self.store.drop_limit("tenant", force=False) is Outcome.TAKEN

    async def test_an_instance_that_nothing_holds_or_waits_for_is_forgotten(self) -> None:
        await self.begin()
        await self.limited("a", "crm:x")
        await self.limited("b", "crm:x")
        await self.choose_all("a", "b")
        await self.finish("a", await self.take("a"))
        assert await self.open_ids() == ["b"]
        await self.choose_all("b")
        await self.finish("b", await self.take("b"))
        assert (await self.store.limit_uses(None, 10)).uses == ()
        assert await self.store.drop_limit("crm", force=False) is Outcome.OK

    async def test_a_limit_lets_go_a_page_at_a_time_and_says_that_there_is_more(self) -> None:
        await self.begin(0)
        for number in range(MAX_FREED + 5):
            await self.limited(f"t{number:03}")
        await self.choose_all("t000")
        assert (await self.use()).waiting == MAX_FREED + 5
        await self.limit("crm", 1000)
        await self.hush(LEADER_WAKEUP)
        assert len(await self.open_ids()) == MAX_FREED
        assert await self.store.wakeup(LEADER_WAKEUP, 0)
        assert (await self.store.poll(self.fence, 10)).ready.more
        assert await self.use() == LimitUse(name="crm", held=0, waiting=0)

    async def test_limits_are_listed_by_id_and_read_by_id(self) -> None:
        await self.begin()
        await self.limit("tenant", 2)
        await self.limit("tenant:a", 3)
        page = await self.store.list_limits(None, 2)
        assert [(one.id, one.max_running) for one in page.limits] == [("crm", 1), ("tenant", 2)]
        page = await self.store.list_limits(page.cursor, 2)
        assert ([one.id for one in page.limits], page.cursor) == (["tenant:a"], None)
        found = await self.store.get_limits(["nope", "tenant"])
        assert found == (None, Limit(id="tenant", max_running=2))

    async def test_a_fire_and_a_start_deadline_go_by_limits_too(self) -> None:
        await self.begin(0)
        await self.config("c", limits=["crm"], start_deadline="1s")
        await self.limited("a")
        await self.choose_all("a")
        fired = await self.fired("c")
        assert (await self.use()).waiting == 2
        await self.clock.advance(5000)
        await self.store.poll(self.fence, 10)
        assert (await self.task(fired)).reason == "expired"
        assert (await self.use()).waiting == 1
