"""Runs that are moved: one from which another takes over stays as long, and what was told once."""

from contextlib import asynccontextmanager

import attrs
import pytest
from store_places import KINDS, Place

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.runs import Advance
from dsched.contracts.store.settings import Kept, StoreSettings
from dsched.contracts.store.working import Submission
from dsched.model import Resumption, Step, Taken, TaskSpec, TaskStatus, Workflow
from dsched.moving import copy_store
from dsched.planning.runs import RunEnd, SkippedStep, StepWorkers
from dsched_store_redis.moving import RedisMover
from dsched_store_redis.store import open_store
from dsched_store_sqlite.moving import SqliteMover
from dsched_store_sqlite.store import open_sqlite

SUCCESS, FAILED = TaskStatus.SUCCESS, TaskStatus.FAILED
ONE_OF_EACH = StoreSettings(retention={SUCCESS: Kept(count=1), FAILED: Kept(count=1)})
FLOW = TaskSpec(executor="workflow", workflow=Workflow(steps=[Step(id="a", executor="local")]))
TAKES_OVER = attrs.evolve(
    FLOW, resumes=Resumption(run_id="r1", instant_ms=1, taken=(Taken(run_id="r1", step="a"),))
)


@asynccontextmanager
async def led(place: Place):
    """A store, and the fence of who leads it."""
    opening = open_sqlite if place.kind == "sqlite" else open_store
    async with opening(place.options, ONE_OF_EACH) as store:
        yield store, (await store.acquire("pod", "token", 60_000)).fence


def mover(place: Place):
    """What moves it."""
    made = SqliteMover if place.kind == "sqlite" else RedisMover
    return made(place.options, ONE_OF_EACH)


async def ended(store, fence, run_id, spec, status):
    """A run that has ended so."""
    (outcome,) = await store.submit([Submission(task_id=run_id, spec=spec)], by="me")
    assert outcome is Outcome.OK
    await store.open_runs(fence, {}, 10)
    end = Advance(run_id=run_id, version=0, end=RunEnd(status=status))
    (answer,) = await store.advance(fence, [end])
    assert answer.outcome is Outcome.OK


async def pruned(store, fence):
    """How many left a list, and whether there is more."""
    done = await store.prune(fence, 40)
    return done.count, done.more


@pytest.mark.parametrize("target_kind", KINDS)
@pytest.mark.parametrize("source_kind", KINDS)
async def test_a_source_of_a_run_is_moved_and_goes_after_that_run(place, source_kind, target_kind):
    source, target = place(source_kind), place(target_kind)
    async with led(source) as (store, fence):
        await ended(store, fence, "r1", FLOW, FAILED)
        await ended(store, fence, "r2", TAKES_OVER, SUCCESS)
        await ended(store, fence, "r3", FLOW, FAILED)
        assert await pruned(store, fence) == (1, False)  # r1 leaves its list
        await store.resign(fence)
    await copy_store(mover(source), mover(target), settings=ONE_OF_EACH)
    async with led(target) as (store, fence):
        assert (await store.get(["r1"]))[0].status is FAILED
        assert await pruned(store, fence) == (1, False)
        assert (await store.get(["r1"]))[0].status is FAILED
        await ended(store, fence, "r4", FLOW, SUCCESS)
        assert await pruned(store, fence) == (1, True)
        assert await pruned(store, fence) == (1, False)
        assert [one is None for one in await store.get(["r1", "r2", "r3", "r4"])] == [
            *(True, True),
            *(False, False),
        ]


@pytest.mark.parametrize("target_kind", KINDS)
@pytest.mark.parametrize("source_kind", KINDS)
async def test_what_an_open_run_was_told_once_is_told_once_where_it_is_moved(
    place, source_kind, target_kind
):
    source, target = place(source_kind), place(target_kind)
    steps = [Step(id=name, executor="local", shards="each_worker") for name in "ab"]
    spec = TaskSpec(executor="workflow", workflow=Workflow(steps=steps))
    told = {
        "skips": (SkippedStep(step="b", status=SUCCESS, reason="no"),),
        "workers": (StepWorkers(step="a", workers=("w1", "pod.eu:2")),),
    }
    async with led(source) as (store, fence):
        await store.submit([Submission(task_id="r", spec=spec)], by="me")
        await store.open_runs(fence, {}, 10)
        (answer,) = await store.advance(fence, [Advance(run_id="r", version=0, **told)])
        assert (answer.outcome, answer.version) == (Outcome.OK, 2)
        await store.resign(fence)
    await copy_store(mover(source), mover(target), settings=ONE_OF_EACH)
    async with led(target) as (store, fence):
        (answer,) = await store.advance(
            fence, [Advance(run_id="r", version=2, again_in_ms=0, **told)]
        )
        assert (answer.outcome, answer.version) == (Outcome.OK, 2)
        (run,) = (await store.open_runs(fence, {}, 10)).runs
        assert [one.workers for one in run.lines] == [(), ("w1", "pod.eu:2")]
