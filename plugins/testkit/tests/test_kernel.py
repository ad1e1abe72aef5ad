"""A virtual process: frozen, cut off, killed, and what became of its calls then."""

import asyncio

import attrs
import pytest

from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.store.working import Submission
from dsched.model import TaskSpec
from dsched_testkit.kernel.bodies import Bodies, Ledger
from dsched_testkit.kernel.failures import leaves, superseded
from dsched_testkit.kernel.line import lost_reply, only
from dsched_testkit.kernel.plans import SHORT, pod_plan
from dsched_testkit.kernel.process import Process
from dsched_testkit.kernel.virtual_time import VirtualWall, run_virtual, virtual_runtime
from dsched_testkit.memory import MemoryStore, new_state

TASK = Submission(task_id="t", spec=TaskSpec(executor="fn", payload={"do": "work", "s": 0}))


class First(LoadBalancer):
    def choose(self, task, workers, turn):
        return workers[0]


@attrs.define(kw_only=True, eq=False)
class Slow(Process):
    """Its calls take a second each way."""

    async def call(self, handle, step, proceed):
        async def sent():
            await asyncio.sleep(1)
            answer = await proceed()
            await asyncio.sleep(1)
            return answer

        return await self.passed(sent)


@attrs.define(kw_only=True)
class World:
    loop: asyncio.AbstractEventLoop
    state: object
    ended: list = attrs.field(factory=list)

    def process(self, name="p", kind=Process):
        return kind(name=name, now_s=self.loop.time)

    def handle(self, process):
        return process.handle(MemoryStore(self.state), "main")

    def start(self, process, worker_id):
        ledger = Ledger(now_s=self.loop.time)
        executor = Bodies(process=process, ledger=ledger, kill=process.kill)
        process.run_pod(
            pod_plan(
                process.name,
                worker_id,
                SHORT,
                balancer=("first", First()),
                executor=executor,
                capacity=1,
                labels={},
            ),
            lambda: MemoryStore(self.state),
            virtual_runtime(self.loop, sum(process.name.encode())),
            spawn=self.loop.create_task,
            ended=lambda one, error: self.ended.append((one.name, error)),
        )


def played(story):
    async def main():
        loop = asyncio.get_running_loop()
        return await story(World(loop=loop, state=new_state(VirtualWall(loop))))

    return run_virtual(main())


def test_a_frozen_process_makes_no_call_until_it_goes_on():
    async def story(world):
        process = world.process()
        process.frozen_until_s = 5.0
        await world.handle(process).submit([TASK], by="x")
        return world.loop.time()

    assert played(story) == 5.0


def test_a_process_frozen_during_a_call_hears_its_answer_later():
    async def story(world):
        process = world.process(kind=Slow)
        calling = asyncio.create_task(world.handle(process).submit([TASK], by="x"))
        await asyncio.sleep(1.5)
        process.frozen_until_s = 10.0
        return await calling, world.loop.time()

    assert played(story) == ((Outcome.OK,), 10.0)


def test_a_killed_process_gets_no_answer_to_what_it_has_sent_and_sends_nothing_more():
    async def story(world):
        process = world.process(kind=Slow)
        store = world.handle(process)
        calling = asyncio.create_task(store.submit([TASK], by="x"))
        await asyncio.sleep(1.5)
        process.kill()
        with pytest.raises(StoreUnavailableError) as sent:
            await calling
        with pytest.raises(StoreUnavailableError) as later:
            await store.submit([TASK], by="x")
        assert "t" in world.state.tasks
        return sent.value.maybe_applied, later.value.maybe_applied

    assert played(story) == (True, False)


def test_the_line_of_a_process_can_be_broken_step_by_step():
    async def story(world):
        process = world.process()
        process.line.rule = only(lost_reply, steps={"submit"})
        store = world.handle(process)
        with pytest.raises(StoreUnavailableError, match="reply"):
            await store.submit([TASK], by="x")
        process.line.heal()
        return await store.submit([TASK], by="x")

    assert played(story) == (Outcome.DUP,)


def test_a_pod_that_ends_by_itself_is_told_of_and_one_that_is_killed_is_not():
    async def story(world):
        old, new, killed = (world.process(name) for name in ("old", "new", "killed"))
        world.start(old, "w")
        world.start(killed, "k")
        await asyncio.sleep(5)
        world.start(new, "w")
        killed.kill()
        await asyncio.sleep(30)
        new.stop()
        await asyncio.wait([new.task, killed.task])
        return world.ended

    (old, error), (new, nothing) = played(story)
    assert (old, new, nothing) == ("old", "new", None)
    assert superseded(error)
    assert not superseded(ExceptionGroup("both", [*leaves(error), ValueError("more")]))


def test_one_of_its_pods_leads_and_says_so():
    async def story(world):
        process = world.process()
        assert not process.leads
        world.start(process, "w")
        await asyncio.sleep(5)
        leads = process.leads
        process.kill()
        await asyncio.wait([process.task])
        return leads

    assert played(story)
