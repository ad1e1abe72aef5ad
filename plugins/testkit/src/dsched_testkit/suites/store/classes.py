"""Named tests: classes of ready tasks are shut, and let out of."""

from collections.abc import Sequence
from typing import Any

import pytest

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.classes import (
    MAX_EXPIRED,
    MAX_LET_CLASSES,
    SWEPT,
    Blocked,
    Let,
    Shut,
    ShutClass,
    class_text,
)
from dsched.contracts.store.dispatching import Dispatched, ReadyPage
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.working import Release, Submission
from dsched.model import Home, need_of
from dsched_testkit.suites.store.arrange import (
    CANCELLED,
    CLIENT,
    QUEUED,
    READY,
    RUNNING,
    Arranging,
    a_spec,
    ms,
)

LABELS = {"gpu": "1"}
OTHER_LABELS = {"zone": 'e"u\tü\\', "gpu": "1"}
NEED = need_of("local", {"call": "work"})


def demanded(labels: dict[str, str]) -> str:
    """The class of what the tests submit."""
    return class_text(labels, NEED) or ""


CLASS, OTHER = demanded(LABELS), demanded(OTHER_LABELS)


class ClassTests(Arranging):
    """What waits under a class is in no page, and all else of it is as of any ready task."""

    async def acts(
        self, *shuts: Shut, lets: Sequence[Let] = (), skip: int = 0, limit: int = 100
    ) -> Dispatched:
        """One step that shuts and lets out."""
        return await self.store.dispatch(
            self.fence, [], [], skip=skip, limit=limit, shuts=shuts, lets=lets
        )

    async def shut(self, *texts: str, blocked: Blocked = Blocked.NOBODY) -> Dispatched:
        """Shut classes."""
        return await self.acts(*(Shut(text, blocked) for text in texts or (CLASS,)))

    async def let(self, *texts: str, limit: int = 1) -> Dispatched:
        """Let tasks out of classes, the best of all of them."""
        return await self.acts(lets=[Let(texts or (CLASS,), limit)])

    async def demands(self, task_id: str, **fields: Any) -> str:
        """Submit a task that demands a label."""
        return await self.submit(task_id, **({"required_labels": LABELS} | fields))

    async def classes(self) -> tuple[ShutClass, ...]:
        """The classes that are shut."""
        return (await self.store.shut_classes(None, 100)).classes

    async def page(self) -> ReadyPage:
        """The first page of ready tasks."""
        return await self.store.ready(self.fence, 0, 100)

    async def test_the_tasks_of_a_class_that_is_shut_are_in_no_page_and_make_no_more(self) -> None:
        await self.lead()
        await self.demands("a")
        await self.submit("b")
        await self.demands("c", required_labels=OTHER_LABELS)
        assert (await self.page()).shut == 0
        answer = await self.shut()
        assert [task.id for task in answer.page.tasks] == ["b", "c"]
        assert (answer.page.more, answer.page.shut, answer.opened) == (False, 1, ())
        poll = await self.store.poll(self.fence, 1)
        assert ([task.id for task in poll.ready.tasks], poll.ready.more) == (["b"], True)
        assert await self.state("a") == READY
        assert await self.news_kinds() == []

    async def news_kinds(self) -> list[str]:
        """What the log has, but for what the tests themselves do."""
        kinds = {str(event.kind) for event in await self.news()}
        return sorted(kinds - {"submitted", "leader", "worker"})

    async def test_what_becomes_ready_while_its_class_is_shut_waits_under_it(self) -> None:
        await self.lead()
        await self.worker(labels=OTHER_LABELS)
        await self.config("c", required_labels=LABELS)
        await self.demands("delayed", delay_ms=1000)
        released = await self.running("released", required_labels=LABELS)
        await self.demands("queued")
        await self.queue("queued")
        await self.demands("first")
        await self.shut()
        await self.demands("later")
        fired = await self.fired("c")
        await self.clock.advance(1000)
        await self.store.poll(self.fence, 10)
        assert await self.store.drain("w1", "0100-a") is Outcome.OK
        await self.store.release([(await self.a_release("released", released))], by="w1")
        assert await self.ready_ids() == []
        (found,) = await self.classes()
        assert found.waiting == 6
        for task_id in ("delayed", "queued", "released", "first", "later", fired):
            assert await self.state(task_id) == READY

    async def a_release(self, task_id: str, token: str) -> Release:
        """A release of an attempt."""
        return Release(task_id=task_id, token=token, reason="drain")

    async def test_the_best_of_some_classes_are_let_out_in_the_order_of_ready_tasks(self) -> None:
        await self.lead()
        for name, priority in (("low", 1), ("high", 9), ("mid", 5)):
            await self.demands(name, priority=priority)
        await self.demands("other", required_labels=OTHER_LABELS, priority=7)
        await self.demands("third", required_labels={"n": "3"}, priority=8)
        await self.shut(CLASS, OTHER, demanded({"n": "3"}))
        answer = await self.let(CLASS, OTHER, limit=3)
        assert [task.id for task in answer.page.tasks] == ["high", "other", "mid"]
        assert answer.opened == (OTHER,)
        assert [one.text for one in await self.classes()] == sorted([CLASS, demanded({"n": "3"})])

    async def test_only_what_has_a_higher_priority_is_let_out_where_others_give_way(self) -> None:
        await self.lead()
        for name, priority in (("low", 1), ("same", 5), ("high", 6), ("top", 9)):
            await self.demands(name, priority=priority)
        await self.shut(blocked=Blocked.FULL)
        answer = await self.acts(lets=[Let((CLASS,), 10, above=5)])
        assert [task.id for task in answer.page.tasks] == ["top", "high"]
        assert answer.opened == ()

    async def test_a_class_is_of_what_is_demanded_and_of_what_it_takes_to_run_it(self) -> None:
        await self.lead()
        await self.submit("labels", required_labels=LABELS, executor="http", payload={"url": "u"})
        await self.submit("need", executor="http", payload={"url": "u"})
        await self.submit("both", required_labels=LABELS, executor="local", payload="etl.load")
        spec = (await self.task("both")).spec
        assert spec is not None
        need = need_of(spec.executor, spec.payload)
        await self.shut(class_text({}, "http") or "", class_text(LABELS, need) or "")
        assert await self.ready_ids() == ["labels"]
        await self.submit("more", executor="http", payload={"url": "v"})
        assert await self.ready_ids() == ["labels"]

    async def test_what_comes_under_a_full_class_wakes_the_leader_as_it_may_go_before_others(
        self,
    ) -> None:
        await self.lead()
        await self.demands("first")
        await self.shut(blocked=Blocked.FULL)
        await self.hush(LEADER_WAKEUP)
        await self.demands("second")
        assert await self.store.wakeup(LEADER_WAKEUP, 2)

    async def test_tasks_of_equal_priority_are_let_out_by_time_and_id(self) -> None:
        await self.lead()
        for name in ("c", "a"):
            await self.demands(name)
        await self.clock.advance(1)
        await self.demands("b")
        await self.shut()
        for expected in ("a", "c"):
            answer = await self.let(CLASS)
            assert answer.page.tasks[-1].id == expected

    async def test_a_class_of_which_nothing_waits_any_more_is_open(self) -> None:
        await self.lead()
        await self.demands("a")
        await self.demands("b")
        await self.shut()
        assert (await self.let()).opened == ()
        answer = await self.let(limit=5)
        assert (answer.opened, answer.page.shut) == ((CLASS,), 0)
        await self.demands("c")
        assert await self.ready_ids() == ["a", "b", "c"]
        assert (await self.let()).opened == ()

    async def test_a_class_is_known_with_its_reason_its_tasks_and_since_when(self) -> None:
        await self.lead()
        began_ms = self.clock.ms
        await self.demands("a")
        await self.clock.advance(1000)
        await self.demands("b")
        await self.demands("c", required_labels=OTHER_LABELS)
        await self.shut(CLASS, OTHER)
        await self.clock.advance(1000)
        await self.shut(CLASS, blocked=Blocked.FULL)
        by_text = {one.text: one for one in await self.classes()}
        assert by_text[CLASS] == ShutClass(
            text=CLASS,
            blocked=Blocked.FULL,
            since_ms=self.clock.ms,
            waiting=2,
            oldest_ms=began_ms,
        )
        assert (by_text[OTHER].blocked, by_text[OTHER].since_ms) == (
            Blocked.NOBODY,
            began_ms + 1000,
        )
        assert dict(by_text[OTHER].labels) == OTHER_LABELS
        await self.clock.advance(1000)
        await self.shut(CLASS, OTHER, blocked=Blocked.FULL)
        again = {one.text: one.since_ms for one in await self.classes()}
        assert again == {CLASS: self.clock.ms - 1000, OTHER: self.clock.ms}

    async def test_what_nobody_can_run_is_counted_by_itself(self) -> None:
        await self.lead()
        await self.worker(labels=LABELS)
        for name in "abc":
            await self.demands(name)
        await self.demands("other", required_labels=OTHER_LABELS)
        assert await self.nobodys() == 0
        await self.shut(CLASS)
        await self.shut(OTHER, blocked=Blocked.FULL)
        assert await self.nobodys() == 3
        await self.demands("more")
        await self.demands("more-of-the-other", required_labels=OTHER_LABELS)
        assert await self.nobodys() == 4
        await self.shut(OTHER)
        assert await self.nobodys() == 6
        await self.shut(CLASS, blocked=Blocked.FULL)
        await self.let(CLASS, limit=2)
        assert await self.nobodys() == 2
        await self.shut(CLASS)
        await self.let(CLASS)
        assert await self.nobodys() == 5
        assert await self.choose("c") is Outcome.OK
        await self.store.cancel(["more"], by=CLIENT, reason="no")
        await self.let(CLASS, OTHER, limit=10)
        assert await self.nobodys() == 0

    async def nobodys(self) -> int:
        """How many tasks wait for a worker that nobody is."""
        return (await self.store.counts()).nobody

    async def test_shut_classes_come_by_text_a_page_at_a_time(self) -> None:
        await self.lead()
        texts = [demanded({"n": str(number)}) for number in range(5)]
        await self.shut(*texts)
        first = await self.store.shut_classes(None, 3)
        rest = await self.store.shut_classes(first.cursor, 3)
        assert rest.cursor is None
        assert [one.text for one in (*first.classes, *rest.classes)] == sorted(texts)
        assert {(one.waiting, one.oldest_ms) for one in first.classes} == {(0, None)}

    async def test_a_step_looks_through_so_many_ready_tasks(self) -> None:
        await self.lead()
        spec = a_spec(required_labels=LABELS)
        for first in range(0, SWEPT + 200, 100):
            tasks = [
                Submission(task_id=f"t{number:05d}", spec=spec)
                for number in range(first, first + 100)
            ]
            await self.store.submit(tasks, by=CLIENT)
        answer = await self.shut()
        assert answer.page.tasks[0].id == f"t{SWEPT:05d}"
        assert (await self.classes())[0].waiting == SWEPT
        assert (await self.shut()).page.tasks == ()

    async def test_what_waits_under_a_class_is_counted_and_listed_behind_the_others(self) -> None:
        await self.lead()
        await self.demands("a", priority=9)
        await self.clock.advance(1000)
        await self.submit("b")
        await self.shut()
        counts = await self.store.counts()
        assert counts.by_home[Home.READY] == 2
        assert counts.oldest_ready_ms == self.clock.ms
        listed: list[str] = []
        cursor = None
        for _ in range(2):
            page = await self.store.list_tasks(TaskQuery(home=Home.READY), cursor, 1)
            listed += [task.id for task in page.tasks]
            cursor = page.cursor
        assert (listed, cursor) == (["b", "a"], None)

    async def test_what_waits_under_a_class_can_be_chosen_and_cancelled(self) -> None:
        await self.lead()
        await self.worker(labels=LABELS)
        for name in "abc":
            await self.demands(name)
        await self.shut()
        assert await self.choose("a") is Outcome.OK
        assert await self.state("a") == QUEUED
        await self.store.cancel(["b"], by=CLIENT, reason="no")
        assert await self.state("b") == CANCELLED
        (found,) = await self.classes()
        assert found.waiting == 1
        answer = await self.let(limit=10)
        assert ([task.id for task in answer.page.tasks], answer.opened) == (["c"], (CLASS,))
        claimed = await self.claim()
        assert [task.id for task in claimed.tasks] == ["a"]
        assert await self.state("a") == RUNNING

    async def test_what_comes_back_is_judged_anew_and_what_left_is_gone_from_its_class(
        self,
    ) -> None:
        await self.lead()
        await self.worker(labels=LABELS)
        await self.demands("a")
        await self.shut()
        await self.let()
        await self.queue("a")
        assert await self.store.drain("w1", "0100-a") is Outcome.OK
        assert await self.ready_ids() == ["a"]
        assert await self.classes() == ()

    async def test_start_deadlines_under_a_class_are_met_by_the_poll(self) -> None:
        await self.lead()
        await self.demands("late", start_deadline=ms(1000))
        await self.demands("later", start_deadline=ms(3000))
        await self.demands("never")
        await self.shut()
        await self.demands("too", start_deadline=ms(1000))
        await self.clock.advance(1000)
        await self.store.poll(self.fence, 10)
        assert await self.state("late") == READY
        await self.clock.advance(1)
        await self.news()
        await self.store.poll(self.fence, 10)
        assert await self.state("late") == await self.state("too") == CANCELLED
        assert (await self.task("late")).reason == "expired"
        (event,) = await self.news()
        assert str(event.kind) == "cancelled"
        assert sorted(item["task"] for item in event.items) == ["late", "too"]
        assert await self.state("later") == READY
        (found,) = await self.classes()
        assert found.waiting == 2

    async def test_a_poll_ends_so_many_the_earliest_first(self) -> None:
        await self.lead()
        spec = a_spec(required_labels=LABELS, start_deadline=ms(1000))
        names = [f"t{number:03d}" for number in range(MAX_EXPIRED + 5)]
        await self.store.submit([Submission(task_id=name, spec=spec) for name in names], by=CLIENT)
        await self.shut()
        await self.clock.advance(2000)
        for left in (5, 0):
            await self.store.poll(self.fence, 10)
            assert (await self.store.counts()).by_home[Home.READY] == left

    async def test_a_task_that_was_claimed_before_has_no_start_deadline_any_more(self) -> None:
        await self.lead()
        await self.worker(labels=LABELS)
        token = await self.running("a", required_labels=LABELS, start_deadline=ms(1000))
        await self.demands("b")
        await self.shut()
        await self.store.release([await self.a_release("a", token)], by="w1")
        await self.clock.advance(5000)
        await self.store.poll(self.fence, 10)
        assert await self.state("a") == READY

    async def test_an_end_wakes_the_leader_for_a_class_that_is_full_and_for_no_other(self) -> None:
        await self.lead()
        await self.worker(labels=LABELS)
        tokens = {name: await self.running(name) for name in ("one", "two")}
        await self.demands("waits")
        await self.shut(blocked=Blocked.NOBODY)
        await self.hush(LEADER_WAKEUP)
        await self.finish("one", tokens["one"])
        assert not await self.store.wakeup(LEADER_WAKEUP, 0.05)
        await self.shut(blocked=Blocked.FULL)
        await self.hush(LEADER_WAKEUP)
        await self.finish("two", tokens["two"])
        assert await self.store.wakeup(LEADER_WAKEUP, 2)

    async def test_a_store_of_a_format_without_classes_has_none(self) -> None:
        await self.lead()
        await self.demands("a")
        if not await self.give_format(self.clock, 3):
            pytest.skip("this kind of store never had that format")
        page = await self.page()
        assert (page.shut, [task.id for task in page.tasks]) == (None, ["a"])
        assert (await self.store.shut_classes(None, 10)).classes == ()
        with pytest.raises(ValueError, match="migrate"):
            await self.shut()

    async def test_more_classes_than_a_step_takes_are_refused(self) -> None:
        await self.lead()
        many = [Shut(f"c{number}", Blocked.FULL) for number in range(MAX_BATCH + 1)]
        names = tuple(f"c{number}" for number in range(MAX_LET_CLASSES + 1))
        for shuts, lets in ((many, []), ([], [Let(names, 1)]), ([], [Let(("c",), MAX_BATCH + 1)])):
            with pytest.raises(ValueError, match=r"at most|more than"):
                await self.acts(*shuts, lets=lets)
