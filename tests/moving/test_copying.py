"""Stores of both kinds are copied whole and go on, or it is refused and said why."""

from collections.abc import Callable
from contextlib import asynccontextmanager

import attrs
import pytest
from rich_store import make_rich
from store_places import HOLDS, KINDS, SETTINGS, all_of

from dsched.client import Client
from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm
from dsched.contracts.store.history import History
from dsched.contracts.store.moving import Mover, Part, Target
from dsched.contracts.store.operating import PodRecord
from dsched.contracts.store.outcomes import Outcome, StoreRefusedError
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.runs import Advance, AdvanceAnswer
from dsched.model import Home, Limit, TaskConfig, TaskSpec, TaskStatus
from dsched.model.limits import own_limit
from dsched.moving import MovingError, copy_store
from dsched.planning.runs import RunEnd, SkippedStep


@pytest.mark.parametrize("target_kind", KINDS)
@pytest.mark.parametrize("source_kind", KINDS)
async def test_a_copy_holds_what_the_store_held(place, source_kind, target_kind):
    source, target = place(source_kind), place(target_kind)
    async with source.opened() as store:
        await make_rich(store)
        head = await store.history(None)
    copied = await copy_store(source.mover(), target.mover(), settings=SETTINGS)
    assert copied.counts == HOLDS
    assert (await all_of(source.mover())).differences(await all_of(target.mover())) == []
    async with target.opened() as store:
        after = await store.history(None)
    assert (after.identity, after.generation) == (head.identity, head.generation)
    assert (after.epoch, after.revision) == (head.epoch, head.revision)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_store_that_was_filled_goes_on_by_its_own_steps(place, kind):
    """Counters, indexes and the collector's place fit what was filled in."""
    source, target = place("sqlite"), place(kind)
    async with source.opened() as store:
        await make_rich(store)
        wanted = await store.counts()
    await copy_store(source.mover(), target.mover(), settings=SETTINGS)
    async with target.opened() as store:
        found = await store.counts()
        assert (found.configs, found.by_home[Home.LEASE], found.by_home[Home.QUEUE]) == (5, 1, 0)
        moved = wanted.by_home[Home.READY] + wanted.by_home[Home.QUEUE]
        assert found.by_home[Home.READY] == moved
        for home in (Home.DELAYED, Home.HELD):
            assert found.by_home[home] == wanted.by_home[home] > 0
        assert found.by_status[TaskStatus.RETRYING] == 1
        fence = (await store.acquire("pod2", "token2", 60_000)).fence
        page = await store.collect(fence, 1000)
        assert len(page.events) == HOLDS["log entries"] - 6 + 1
        await _reaps_what_ran(store, fence)
        await _frees_what_is_held(store)
        after = await store.counts()
        assert after.by_home[Home.LEASE] == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_config_with_max_running_has_its_limit_in_the_copy_too(place, kind):
    source, target, own = place("sqlite"), place(kind), own_limit("a:b")
    config = TaskConfig(id="a:b", executor="fn", every="1h", overlap="allow", max_running=7)
    put = PutConfig(config=config, rearm=Rearm(read=ConfigVersion(), upto_ms=0))
    async with source.opened() as store:
        await store.put([put], by="author")
    await copy_store(source.mover(), target.mover(), settings=SETTINGS)
    async with target.opened() as store:
        assert await store.get_limits([own]) == (Limit(id=own, max_running=7),)
        (stored,) = await store.get_configs(["a:b"])
        rearm = Rearm(read=stored.version, upto_ms=0)
        assert await store.delete("a:b", rearm, by="author") is Outcome.OK
        assert await store.get_limits([own]) == (None,)


async def _reaps_what_ran(store, fence):
    overdue = await store.overdue(fence, 100, 0)
    (over,) = overdue.leases
    assert over.task.id == "run"
    reap = Reap(task_id="run", token=over.token)
    assert await store.reap(fence, [reap]) == (Outcome.OK,)
    (task,) = await store.get(["run"])
    assert task.status is TaskStatus.CANCELLED  # its cancel had been asked for


async def _frees_what_is_held(store):
    live = await store.list_tasks(TaskQuery(live_of="held"), None, 100)
    first, second, third = (task.id for task in live.tasks)
    await store.cancel([first], by="op", reason="")
    homes = [task.home for task in await store.get([second, third])]
    assert homes == [Home.READY, Home.HELD]


# --- what is refused ---


@pytest.mark.parametrize("kind", KINDS)
async def test_a_store_that_is_not_empty_is_not_filled_and_stays_as_it_is(place, kind):
    source, target = place("sqlite"), place(kind)
    for one in (source, target):
        async with one.opened() as store:
            await make_rich(store)
    before = (await all_of(target.mover())).summary()
    with pytest.raises(StoreRefusedError, match="is not empty"):
        await copy_store(source.mover(), target.mover(), settings=SETTINGS)
    assert (await all_of(target.mover())).summary() == before


async def test_a_redis_that_pods_use_is_not_read(place):
    source, target = place("redis"), place("sqlite")
    async with source.opened() as store:
        pod = PodRecord(id="p1", name="eu-1", roles=(), version="0", started_ms=0)
        await store.pod_seen(pod, 30_000)
        with pytest.raises(StoreRefusedError, match="pods use it \\(eu-1\\): stop them first"):
            await copy_store(source.mover(), target.mover(), settings=SETTINGS)


async def test_a_redis_that_changes_while_it_is_read_is_refused(place):
    source = place("redis")
    async with source.opened() as store:
        await make_rich(store)
        with pytest.raises(StoreRefusedError, match="changed while it was read"):
            await _read_beside(source, store)


async def _read_beside(source, store):
    async with source.mover().reading():
        await Client(store, by="late").submit(TaskSpec(executor="local", payload={}))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_copy_that_breaks_off_leaves_nothing_that_a_pod_would_use(place, kind):
    source, target = place("sqlite"), place(kind)
    async with source.opened() as store:
        await make_rich(store)
    with pytest.raises(ConnectionError):
        await _broken_off(source, target)
    await copy_store(source.mover(), target.mover(), settings=SETTINGS)  # nothing was in the way
    assert (await all_of(source.mover())).differences(await all_of(target.mover())) == []


async def _broken_off(source, target):
    async with source.mover().reading() as reading, target.mover().filling() as filling:
        async for part in reading.parts():
            await filling.fill(part)
        raise ConnectionError("cut")


async def test_a_redis_that_was_left_half_filled_is_opened_by_nobody(place):
    source, target = place("sqlite"), place("redis")
    async with source.opened() as store:
        await make_rich(store)
    async with target.mover().filling() as filling:
        async with source.mover().reading() as reading:
            async for part in reading.parts():
                await filling.fill(part)
                with pytest.raises(StoreRefusedError, match="broken off half-way"):
                    async with target.opened():
                        pass
                break
        await filling.finish(await head_of(source))


@attrs.frozen
class Losing:
    """A mover whose target loses something on its way."""

    inner: Mover
    loses: Callable[[Part], Part] = lambda part: part
    head: Callable[[History], History] = lambda head: head

    def reading(self):
        return self.inner.reading()

    @asynccontextmanager
    async def filling(self):
        async with self.inner.filling() as target:
            yield LosingTarget(target, self)


@attrs.frozen
class LosingTarget(Target):
    inner: Target
    by: Losing

    async def fill(self, part):
        await self.inner.fill(self.by.loses(part))

    async def finish(self, head):
        await self.inner.finish(self.by.head(head))


def without_lines(part):
    bare = tuple(attrs.evolve(one, lines=one.lines[1:]) for one in part.tasks)
    return attrs.evolve(part, tasks=bare)


@pytest.mark.parametrize(
    ("losing", "said"),
    [
        ({"loses": lambda part: attrs.evolve(part, documents=())}, "documents: 2 and 0"),
        ({"loses": without_lines}, "live tasks: 12 and 12"),
        ({"head": lambda head: attrs.evolve(head, identity="other")}, "the identity of the store"),
    ],
)
async def test_a_copy_that_lacks_something_is_said_to_be_no_copy(place, losing, said):
    source, target = place("sqlite"), place("sqlite")
    async with source.opened() as store:
        await make_rich(store)
    with pytest.raises(MovingError, match="what was copied is not what was read") as caught:
        await copy_store(source.mover(), Losing(target.mover(), **losing), settings=SETTINGS)
    assert said in str(caught.value)


async def head_of(place):
    async with place.opened() as store:
        return await store.history(None)


async def test_what_is_not_there_is_not_made(place, tmp_path):
    with pytest.raises(StoreRefusedError, match="is not there"):
        await copy_store(place("sqlite").mover(), place("redis").mover(), settings=SETTINGS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_run_that_was_moved_goes_on_from_what_its_members_did(place, kind):
    source, target = place("sqlite"), place(kind)
    async with source.opened() as store:
        await make_rich(store)
        told = await store.run_lines("flow", 0, 100)
    await copy_store(source.mover(), target.mover(), settings=SETTINGS)
    async with target.opened() as store:
        fence = (await store.acquire("pod2", "token2", 60_000)).fence
        page = await store.open_runs(fence, {}, 10)
        assert [(run.task.id, run.version, run.lines) for run in page.runs] == [("flow", 4, told)]
        assert 0 < page.next_in_ms <= 70_000
        skip = SkippedStep(step="c", status=TaskStatus.FAILED, reason="a failed")
        item = Advance(run_id="flow", version=4, skips=(skip,))
        (again,) = await store.advance(fence, [item])
        assert again == AdvanceAnswer(outcome=Outcome.OK, version=4)
        early = Advance(run_id="flow", version=4, end=RunEnd(status=TaskStatus.SUCCESS))
        (answer,) = await store.advance(fence, [early])
        assert answer.outcome is Outcome.CONFLICT
        await store.cancel(["flow~b"], by="me", reason="why")
        (ended,) = await store.advance(fence, [attrs.evolve(early, version=5)])
        assert ended.outcome is Outcome.OK
        members = await store.get(["flow~a", "flown~a", "flown"], full=True)
        assert [one.result.data for one in members[:2]] == [[1], [1]]
        assert len(await store.run_lines("flown", 0, 100)) == 5
