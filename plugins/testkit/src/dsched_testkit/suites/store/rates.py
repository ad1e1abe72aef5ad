"""Named tests: limits with a rate bound how many tasks begin in a span of time."""

from dsched.contracts.store.dispatching import Choice
from dsched.contracts.store.limits import MAX_FORGOTTEN, MAX_OPEN, LimitUse
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.working import Release
from dsched.model import Limit
from dsched_testkit.suites.store.arrange import CLIENT, HOUR_MS, SECOND_MS
from dsched_testkit.suites.store.arrange_limits import ArrangingLimits

OK, LIMITED = Outcome.OK, Outcome.LIMITED


class RateTests(ArrangingLimits):
    """Tokens are taken by dispatch, come by the store's time, and are never more than a burst."""

    async def rated(self, rate: str = "1/1s", burst: int = 1, most: int | None = None) -> None:
        """A leader, a worker with room, and the limit `crm` with a rate."""
        await self.begin()
        await self.limit("crm", most, rate=rate, burst=burst)

    async def some(self, *task_ids: str) -> tuple[Outcome, ...]:
        """Submit tasks of `crm`, and choose them."""
        for task_id in task_ids:
            await self.limited(task_id)
        return (await self.choose_all(*task_ids)).choices

    async def opens_in(self) -> int | None:
        """When a poll says that a limit may let something go."""
        return (await self.store.poll(self.fence, 100)).limits_in_ms

    async def test_dispatch_takes_no_more_tokens_than_there_are(self) -> None:
        await self.rated(burst=2)
        assert await self.some(*"abc") == (OK, OK, LIMITED)
        assert await self.undated_use() == LimitUse(
            name="crm", held=2, waiting=1, tokens=0, next_token_in_ms=1000
        )

    async def test_what_waits_for_a_token_goes_when_it_comes_and_the_poll_says_when(self) -> None:
        await self.rated()
        for task_id in "abc":
            await self.limited(task_id)
        answer = await self.choose_all(*"ab")
        assert (answer.choices, answer.limits_in_ms) == ((OK, LIMITED), 1000)
        await self.clock.advance(400)
        poll = await self.store.poll(self.fence, 100)
        assert (poll.ready.tasks, poll.limits_in_ms) == ((), 600)
        await self.clock.advance(599)
        assert await self.opens_in() == 1
        await self.clock.advance(1)
        poll = await self.store.poll(self.fence, 100)
        assert [task.id for task in poll.ready.tasks] == ["b"]
        answer = await self.choose_all("b")
        assert (answer.choices, answer.limits_in_ms) == ((OK,), 1000)
        await self.clock.advance(1000)
        assert await self.open_ids() == ["c"]

    async def test_tokens_that_came_while_one_was_on_its_way_let_others_go(self) -> None:
        await self.rated(burst=2)
        await self.some(*"abcde")
        await self.clock.advance(1000)
        assert await self.open_ids() == ["c"]
        assert await self.opens_in() is None
        await self.clock.advance(5000)
        answer = await self.choose_all("c")
        assert answer.choices == (OK,)
        assert [task.id for task in answer.page.tasks] == ["d"]

    async def test_a_bucket_never_holds_more_than_its_burst(self) -> None:
        await self.rated(burst=2)
        await self.some(*"abcdef")
        await self.clock.advance(HOUR_MS)
        assert await self.open_ids() == ["c", "d"]
        await self.worker("w2", capacity=50)
        choices = [Choice(task_id=key, worker_id="w2") for key in "cdef"]
        answer = await self.store.dispatch(self.fence, choices, [], skip=0, limit=10)
        assert answer.choices == (OK, OK, LIMITED, LIMITED)

    async def test_a_task_takes_places_and_tokens_of_all_of_its_limits_or_none(self) -> None:
        await self.rated(burst=5)
        await self.limit("db", None, rate="1/1m", burst=1)
        await self.limit("one", 1)
        await self.limited("a", "db")
        await self.limited("b", "crm", "one", "db")
        assert (await self.choose_all(*"ab")).choices == (OK, LIMITED)
        assert (await self.use("db")).waiting == 1
        assert (await self.use("crm")).held == 0
        await self.limited("c", "crm", "one")
        assert (await self.choose_all("c")).choices == (OK,)
        assert (await self.use("crm")).tokens == 4

    async def test_a_limit_of_both_lets_go_what_places_and_tokens_leave(self) -> None:
        await self.rated(burst=2, most=1)
        await self.some(*"abc")
        assert await self.undated_use() == LimitUse(
            name="crm", held=1, waiting=2, tokens=1, next_token_in_ms=1000
        )
        assert await self.opens_in() is None
        await self.finish("a", await self.take("a"))
        assert await self.open_ids() == ["b"]
        await self.choose_all("b")
        await self.finish("b", await self.take("b"))
        poll = await self.store.poll(self.fence, 100)
        assert (poll.ready.tasks, poll.limits_in_ms) == ((), 1000)

    async def test_what_leaves_a_queue_before_it_began_gives_its_token_back(self) -> None:
        await self.rated("1/1h")
        assert await self.some("a", "waits") == (OK, LIMITED)
        await self.store.recall(self.fence, ["a"], 0)
        await self.claim()  # it is stalled no more
        assert (await self.use()).tokens == 1
        assert await self.open_ids() == ["a"]
        assert (await self.choose_all("a")).choices == (OK,)
        await self.store.cancel(["a"], by=CLIENT, reason="")
        assert (await self.use()).tokens == 1
        await self.limited("low", priority=1)
        await self.store.poll(self.fence, 10)
        assert (await self.choose_all("waits")).choices == (OK,)
        assert await self.store.drain("w1", "0100-a") is OK
        assert (await self.use()).tokens == 1

    async def test_what_gives_way_in_a_queue_gives_its_token_back(self) -> None:
        await self.lead()
        await self.worker(capacity=1, backlog=0)
        await self.limit("crm", None, rate="1/1h", burst=2)
        await self.limited("low", priority=1)
        assert (await self.choose_all("low")).choices == (OK,)
        await self.limited("high", priority=9)
        assert (await self.choose_all("high")).choices == (OK,)
        assert (await self.use()).tokens == 1

    async def test_an_attempt_that_began_has_used_its_token_and_the_next_one_pays_again(
        self,
    ) -> None:
        await self.rated("1/1h", burst=10)
        await self.some("retried", "released", "reaped")
        claimed = await self.claim(limit=10)
        await self.fail("retried", claimed.token, retry_delay_ms=1000)
        await self.store.release(
            [Release(task_id="released", token=claimed.token, reason="")], by="w1"
        )
        await self.clock.advance(60 * SECOND_MS)
        await self.store.reap(self.fence, [Reap(task_id="reaped", token=claimed.token)])
        assert (await self.use()).tokens == 7
        await self.worker(capacity=50, backlog=50)
        again = sorted(await self.open_ids())
        assert again == ["reaped", "released", "retried"]
        assert (await self.choose_all(*again)).choices == (OK, OK, OK)
        assert (await self.use()).tokens == 4

    async def test_a_rate_that_is_changed_holds_at_once_and_what_was_taken_stays_taken(
        self,
    ) -> None:
        await self.rated("1/1h", burst=4)
        await self.some(*"abcde")
        await self.hush(LEADER_WAKEUP)
        assert await self.limit("crm", None, rate="1/1s", burst=4) is OK
        assert await self.store.wakeup(LEADER_WAKEUP, 0)
        assert await self.opens_in() == 1000
        await self.clock.advance(1500)
        assert (await self.use()).tokens == 1
        await self.limit("crm", None, rate="1/1m", burst=4)
        assert await self.undated_use() == LimitUse(
            name="crm", held=4, waiting=1, tokens=1, next_token_in_ms=30_000
        )
        await self.limit("crm", None, rate="1/1m", burst=1)
        assert (await self.use()).tokens == 0
        assert await self.opens_in() == 60_000
        await self.limit("crm", 9)
        assert await self.open_ids() == ["e"]
        assert (await self.use()).tokens is None
        await self.limit("crm", None, rate="1/1m", burst=2)
        assert (await self.use()).tokens == 2

    async def test_instances_have_a_bucket_each_by_the_record_that_holds_for_them(self) -> None:
        await self.rated("1/1h")
        await self.limit("crm:big", None, rate="1/1h", burst=3)
        tasks = {"a1": "a", "a2": "a", "b1": "b", "g1": "big", "g2": "big", "g3": "big"}
        for task_id, tenant in tasks.items():
            await self.limited(task_id, f"crm:{tenant}")
        assert (await self.choose_all(*tasks)).choices == (OK, LIMITED, OK, OK, OK, OK)
        await self.limit("crm", None, rate="1/1h", burst=2)
        uses = (await self.store.limit_uses(None, 10, of="crm")).uses
        assert [(one.name, one.tokens) for one in uses] == [
            ("crm:a", 1),
            ("crm:b", 1),
            ("crm:big", 0),
        ]
        assert await self.store.drop_limit("crm:big", force=True) is OK
        assert (await self.use("crm:big")).tokens == 0

    async def test_a_bucket_that_is_full_is_forgotten_and_one_that_is_not_keeps_no_limit(
        self,
    ) -> None:
        await self.rated("1/1s", burst=2)
        await self.some("a", "b")
        token = await self.take("a")
        await self.finish("a", token)
        await self.finish("b", token)
        assert (await self.use()).tokens == 0
        await self.clock.advance(2000)
        await self.store.poll(self.fence, 10)
        assert (await self.store.limit_uses(None, 10)).uses == ()
        await self.some("c")
        await self.finish("c", await self.take("c"))
        assert await self.store.drop_limit("crm", force=False) is OK
        assert (await self.store.limit_uses(None, 10)).uses == ()

    async def test_full_buckets_are_forgotten_a_page_at_a_time_and_the_leader_goes_on(self) -> None:
        await self.begin()
        await self.limit("tenant", None, rate="1/1s", burst=1)
        ids = [f"t{number:03}" for number in range(MAX_FORGOTTEN // 4 + 1)]
        for task_id in ids:
            await self.limited(task_id, *(f"tenant:{task_id}-{part}" for part in range(4)))
        await self.choose_all(*ids[:100])
        await self.choose_all(*ids[100:])
        await self.clock.advance(SECOND_MS)
        woken = []
        for _ in range(2):
            await self.hush(LEADER_WAKEUP)
            await self.store.poll(self.fence, 10)
            woken.append(await self.store.wakeup(LEADER_WAKEUP, 0))
        assert woken == [True, False]

    async def test_limits_whose_tokens_come_together_go_by_turns(self) -> None:
        await self.begin()
        await self.limit("tenant", None, rate="1/1s", burst=1)
        tenants = [f"{number:02}" for number in range(MAX_OPEN + 2)]
        for tenant in tenants:
            await self.limited(f"a{tenant}", f"tenant:{tenant}")
            await self.limited(f"b{tenant}", f"tenant:{tenant}")
        await self.choose_all(*(f"a{one}" for one in tenants), *(f"b{one}" for one in tenants))
        await self.clock.advance(SECOND_MS)
        await self.hush(LEADER_WAKEUP)
        assert len(await self.open_ids()) == MAX_OPEN
        assert await self.store.wakeup(LEADER_WAKEUP, 0)
        assert len(await self.open_ids()) == MAX_OPEN + 2

    async def test_a_token_that_nobody_waits_for_wakes_nobody(self) -> None:
        await self.rated()
        await self.some("a")
        assert await self.opens_in() is None
        await self.some("b")
        assert await self.opens_in() == 1000
        await self.store.cancel(["b"], by=CLIENT, reason="")
        assert await self.opens_in() is None

    async def test_rates_are_listed_and_read_as_they_were_put(self) -> None:
        await self.rated("100/60s", burst=7)
        await self.limit("both", 3, rate="5/1s")
        crm = Limit(id="crm", rate="100/1m", burst=7)
        both = Limit(id="both", max_running=3, rate="5/1s")
        assert (await self.store.list_limits(None, 5)).limits == (both, crm)
        assert await self.store.get_limits(["crm", "both"]) == (crm, both)
        assert await self.store.put_limit(crm) is Outcome.DUP
        assert await self.limit("both", 3, rate="5/1s", burst=1) is OK
        assert await self.limit("both", 3) is OK
        assert await self.store.get_limits(["both"]) == (Limit(id="both", max_running=3),)
