"""Which configs a pattern, labels and an owner mean, and which of their tasks, on every store."""

import asyncio
import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsched.contracts.store.configs import PutConfig
from dsched.contracts.store.outcomes import Outcome
from dsched.model import TaskStatus
from dsched.selecting import (
    ConfigSelection,
    EndedWalk,
    SelectionError,
    Window,
    config_page,
    ended_page,
    living_page,
    selected_ids,
)
from dsched.selecting import ended as ended_module
from dsched.selecting import living as living_module
from dsched.selecting import selection as selection_module
from dsched_store_redis.options import Durability, RedisOptions
from dsched_store_redis.store import open_store
from dsched_store_sqlite.options import SqliteOptions
from dsched_store_sqlite.store import open_sqlite
from dsched_testkit.memory import MemoryStore, new_state
from dsched_testkit.servers import RedisServer
from dsched_testkit.suites.store.arrange import AUTHOR, DAY_MS, Arranging, a_config

OURS = {"team": "data", "tier": "1"}


class Selecting(Arranging):
    """What is meant, on one kind of store."""

    async def test_a_pattern_labels_and_an_owner_mean_configs_alone_and_together(self):
        await self._three()
        for wanted, ids in (
            ({}, ["etl-a", "etl-b", "web"]),
            ({"pattern": "etl-*"}, ["etl-a", "etl-b"]),
            ({"pattern": "etl-a"}, ["etl-a"]),
            ({"labels": {"team": "data"}}, ["etl-a", "web"]),
            ({"labels": OURS}, ["etl-a"]),
            ({"labels": {"team": "dat"}}, []),
            ({"labels": {"te": "data"}}, []),
            ({"owner": "ann"}, ["etl-b", "web"]),
            ({"owner": ""}, ["etl-a"]),
            ({"pattern": "etl-*", "labels": {"team": "data"}}, ["etl-a"]),
            ({"pattern": "etl-*", "owner": "ann"}, ["etl-b"]),
            ({"labels": {"team": "data"}, "owner": "ann"}, ["web"]),
            ({"pattern": "e*", "labels": {"team": "data"}, "owner": "ann"}, []),
            ({"pattern": "web", "owner": "bob"}, []),
            ({"pattern": "web", "owner": "ann"}, ["web"]),
        ):
            selection = ConfigSelection(**wanted)
            assert list(await selected_ids(self.store, selection)) == ids, wanted
            assert await self._pages(selection, 1) == ids, wanted
            assert await self._pages(selection, 100) == ids, wanted

    async def test_an_id_alone_is_meant_also_where_its_config_is_gone(self):
        await self._three()
        assert await selected_ids(self.store, ConfigSelection(pattern="gone")) == ("gone",)
        for wanted in ({"pattern": "gone*"}, {"pattern": "gone", "owner": "ann"}):
            assert await selected_ids(self.store, ConfigSelection(**wanted)) == ()

    async def test_too_many_configs_are_refused(self):
        self._bound(selection_module, MAX_SELECTED=2)
        await self._three()
        assert len(await selected_ids(self.store, ConfigSelection(pattern="etl-*"))) == 2
        with pytest.raises(SelectionError, match=r"config: .* more than 2 configs"):
            await selected_ids(self.store, ConfigSelection())

    async def test_labels_are_sought_among_so_many_configs_and_no_more(self):
        self._bound(selection_module, MAX_LOOKED_AT=4)
        self._bound(selection_module, MAX_BATCH=2)
        await self._three()
        ours = ConfigSelection(labels=OURS)
        assert await selected_ids(self.store, ours) == ("etl-a",)
        await self.config("x")
        await self.config("y")
        with pytest.raises(SelectionError, match="among at most 4 configs"):
            await selected_ids(self.store, ours)
        ours = ConfigSelection(pattern="etl-*", labels=OURS)
        assert await selected_ids(self.store, ours) == ("etl-a",)

    async def test_what_ended_is_merged_the_latest_first_whatever_the_length_of_a_page(self):
        names = await self._ended_in_turns()
        for limit in (1, 2, 3, 7, 100):
            assert await self._walk(("a", "b", "c"), limit) == names[::-1]
        ours = [name for name in names[::-1] if not name.startswith("b")]
        assert await self._walk(("a", "c", "gone"), 2) == ours
        assert await self._walk((), 2) == []

    async def test_a_window_bounds_what_is_merged(self):
        names = await self._ended_in_turns()
        ends = {name: (await self.task(name)).end_ms for name in names}
        first = min(ends.values())
        for begin, end in ((0, 20), (10, 11), (20, 60), (-5, 1), (100, 200)):
            window = Window(from_ms=first + begin, before_ms=first + end)
            wanted = [n for n in names[::-1] if begin <= ends[n] - first < end]
            assert await self._walk(("a", "b", "c"), 2, window=window) == wanted
        assert await self._walk(("a", "b"), 3, window=Window(before_ms=first)) == []

    async def test_a_status_is_sought_in_what_is_merged_and_short_pages_go_on(self):
        self._bound(ended_module, MAX_READ=2)
        self._bound(ended_module, MAX_BATCH=2)
        names = await self._ended_in_turns()
        failed = [name for name in names[::-1] if name.endswith("bad")]
        assert failed
        for limit in (1, 3):
            for again in (False, True):
                found = await self._walk(
                    ("a", "b", "c"), limit, status=TaskStatus.FAILED, again=again
                )
                assert found == failed
        assert await self._walk(("a", "b"), 2, status=TaskStatus.CANCELLED) == []

    async def test_what_ends_meanwhile_moves_nothing(self):
        names = await self._ended_in_turns()
        walk = EndedWalk(self.store, ("a", "b", "c"), Window())
        page = await walk.page(3)
        await self.ended("a@manual-new")
        await self.collected()
        rest = EndedWalk(self.store, ("a", "b", "c"), Window(), cursor=page.cursor)
        found = [*page.tasks, *(await rest.page(100)).tasks]
        assert [task.id for task in found] == names[::-1]

    async def test_the_lists_of_many_configs_are_read_at_the_same_time(self):
        names = await self._ended_in_turns()
        everyone, read = asyncio.Barrier(3), self.store.list_tasks

        async def together(*asked):
            async with asyncio.timeout(5):
                await everyone.wait()
            return await read(*asked)

        patch = self._stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(self.store, "list_tasks", together)
        page = await EndedWalk(self.store, ("a", "b", "c"), Window()).page(9)
        assert [task.id for task in page.tasks] == names[::-1]
        await self._three()
        assert (await living_page(self.store, ConfigSelection())).tasks == ()

    async def test_many_that_ended_at_once_are_each_told_once(self):
        await self.lead()
        names = [await self.submit(f"{c}@manual-{n}") for n in range(8) for c in "ab"]
        await self.store.cancel(names, by="client", reason="asked")
        await self.collected()
        for limit in (1, 3, 5):
            found = await self._walk(("a", "b"), limit, again=True)
            assert found == sorted(names, reverse=True)

    async def test_the_list_of_one_config_comes_by_status_and_window_too(self):
        await self._ended_in_turns()
        page = await ended_page(
            self.store, "a", Window(), status=TaskStatus.FAILED, cursor=None, limit=100
        )
        assert {task.status for task in page.tasks} == {TaskStatus.FAILED}
        page = await ended_page(
            self.store, "a", Window(before_ms=1), status=None, cursor=None, limit=9
        )
        assert (page.tasks, page.cursor) == ((), None)

    async def test_a_page_reads_so_many_tasks_and_lists_and_no_more(self):
        self._bound(ended_module, MAX_READ=4, MAX_BATCH=2)
        self._bound(living_module, MAX_LISTS=2)
        await self.lead()
        names = [await self.submit(f"a@manual-{n:02}") for n in range(20)]
        await self.store.cancel(names, by="client", reason="asked")
        await self.collected()
        page = await EndedWalk(self.store, ("a",), Window(), status=TaskStatus.FAILED).page(50)
        assert page.tasks == ()
        # The first two, and four more.
        assert page.cursor == f'[{self.clock.ms},"a@manual-14"]'
        for name in ("c1", "c2", "c3"):
            await self.config(name)
            await self.fired(name)
        page = await living_page(self.store, ConfigSelection())
        assert [task.id.partition("@")[0] for task in page.tasks] == ["c1", "c2"]
        assert page.cursor is not None

    async def test_no_other_text_is_a_cursor(self):
        for forged in ("", "x", "[]", "[1]", '["a",1]', '[true,"a"]', "{}", '[1,"a",2]', "null"):
            with pytest.raises(ValueError, match=r"."):
                EndedWalk(self.store, ("a",), Window(), cursor=forged)
            with pytest.raises(ValueError, match=r"."):
                await living_page(self.store, ConfigSelection(), cursor=forged)
        with pytest.raises(ValueError, match=r"."):
            await EndedWalk(self.store, ("a",), Window(), cursor=f'[{10**20},"a"]').page(1)

    async def test_what_lives_is_listed_config_by_config(self):
        await self.lead()
        await self.worker()
        for name, owner in (("etl-a", "ann"), ("etl-b", ""), ("etl-c", "ann"), ("web", "ann")):
            await self.config(name, owner=owner, overlap="allow")
        fired = {name: await self.fired(name) for name in ("etl-a", "etl-b", "web")}
        await self.start(fired["web"])
        every = [fired["etl-a"], fired["etl-b"], fired["web"]]
        for lists in (1, 2, 100):
            self._bound(living_module, MAX_LISTS=lists)
            for limit in (1, 2, 100):
                assert await self._living(ConfigSelection(), limit) == every
                assert await self._living(ConfigSelection(pattern="etl-*"), limit) == every[:2]
                assert await self._living(ConfigSelection(pattern="etl-b"), limit) == every[1:2]
                ann = ConfigSelection(owner="ann")
                assert await self._living(ann, limit) == [every[0], every[2]]
                running = {TaskStatus.RUNNING}
                assert await self._living(ConfigSelection(), limit, running) == every[2:]
                assert await self._living(ConfigSelection(pattern="gone"), limit) == []

    async def test_what_lives_of_more_configs_than_a_page_has_is_listed_to_the_end(self):
        await self.lead()
        for first in range(0, 210, 30):
            configs = [a_config(f"c{n:03}") for n in range(first, first + 30)]
            puts = [PutConfig(config=c, rearm=self.rearm(None, next_due_ms=1)) for c in configs]
            answers = await self.store.put(puts, by=AUTHOR)
            assert {one.outcome for one in answers} == {Outcome.OK}
        wanted = [await self.fired(f"c{n:03}") for n in (0, 99, 100, 101, 209)]
        assert await self._living(ConfigSelection(), 2) == wanted
        assert await self._living(ConfigSelection(pattern="c1*"), 100) == wanted[2:4]

    def _bound(self, module, **bounds):
        """Give a module other bounds until the test ends."""
        patch = self._stack.enter_context(pytest.MonkeyPatch.context())
        for name, bound in bounds.items():
            patch.setattr(module, name, bound)

    async def _three(self):
        await self.config("etl-a", labels=OURS)
        await self.config("etl-b", labels={"team": "web"}, owner="ann")
        await self.config("web", labels={"team": "data"}, owner="ann")

    async def _ended_in_turns(self):
        """Nine tasks of three configs, some of them ended at once and some badly, in the order of
        their ends."""
        await self.lead()
        await self.worker(heartbeat_timeout_ms=DAY_MS)
        names = []
        for turn in range(3):
            for config in "abc":
                bad = (turn + ord(config)) % 3 == 0
                names.append(f"{config}@manual-{turn}{'bad' if bad else 'good'}")
                token = await self.running(names[-1], retry={"max_retries": 0})
                done = await (self.fail if bad else self.finish)(names[-1], token)
                assert done == Outcome.OK
                if config != "a":
                    await self.clock.advance(10)
        await self.collected()
        return names

    async def _pages(self, selection, limit):
        found, cursor = [], None
        for _ in range(20):
            page = await config_page(self.store, selection, cursor, limit)
            found += (one.config.id for one in page.configs)
            cursor = page.cursor
            if cursor is None:
                return found
        raise AssertionError("the pages have no end")

    async def _walk(self, ids, limit, *, window=None, status=None, again=True):
        """The ids of all pages: each of a walk of its own, or all of one."""
        walk, found = None, []
        window, cursor = window or Window(), None
        for _ in range(40):
            if walk is None or again:
                walk = EndedWalk(self.store, ids, window, status=status, cursor=cursor)
            page = await walk.page(limit)
            assert len(page.tasks) <= limit
            found += (task.id for task in page.tasks)
            cursor = page.cursor
            if cursor is None:
                return found
        raise AssertionError("the pages have no end")

    async def _living(self, selection, limit, statuses=()):
        found, cursor = [], None
        for _ in range(400):
            page = await living_page(
                self.store, selection, statuses=statuses, cursor=cursor, limit=limit
            )
            assert len(page.tasks) <= limit
            found += (task.id for task in page.tasks)
            cursor = page.cursor
            if cursor is None:
                return found
        raise AssertionError("the pages have no end")


class TestOnTheReference(Selecting):
    @asynccontextmanager
    async def open_store(self, clock, settings):
        yield MemoryStore(clock.shared.setdefault("state", new_state(clock, settings)))


class TestOnAFile(Selecting):
    @asynccontextmanager
    async def open_store(self, clock, settings):
        folder = clock.shared["folder"] = Path(tempfile.mkdtemp(prefix="dsched-selecting-"))
        clock.cleanup.callback(shutil.rmtree, folder)
        options = SqliteOptions(path=str(folder / "store.db"), synchronous="normal")
        async with open_sqlite(options, settings, wall=clock) as store:
            yield store


VIRTUAL_CLOCK = """
local function wall_clock()
  return tonumber(redis.call('GET', string.sub(KEYS[1], 1, -5) .. 'test:clock'))
end
local function px(ms)
  return ms + 86400000
end
"""


class TestOnRedis(Selecting):
    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls):
        with RedisServer() as cls.server:
            yield

    @asynccontextmanager
    async def open_store(self, clock, settings):
        options = RedisOptions(
            addr=self.server.addr, key_prefix=f"{clock.name}:", durability=Durability.DEV
        )
        async with open_store(options, settings, time_source=VIRTUAL_CLOCK) as store:
            clock.shared["link"] = store._footing.link
            await self.set_wall(clock)
            yield store

    async def set_wall(self, clock):
        if link := clock.shared.get("link"):
            await link.command(b"SET", f"{clock.name}:test:clock".encode(), b"%d" % clock.ms)


@pytest.mark.parametrize("pattern", ["*etl", "e*l", "etl-**", "e*l*", "**"])
def test_a_star_that_is_not_the_end_is_refused_with_an_example(pattern):
    with pytest.raises(SelectionError, match=r"config: .*star.*etl-\*"):
        ConfigSelection(pattern=pattern)


@pytest.mark.parametrize(
    "pattern", ["", "-a", "a@b", "a b*", "@*", "é*", "x" * 129, "x" * 128 + "*"]
)
def test_what_no_id_can_be_is_refused(pattern):
    with pytest.raises(SelectionError, match="config: "):
        ConfigSelection(pattern=pattern)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"labels": {"": "x"}}, "label"),
        ({"labels": {"x": "y" * 129}}, "label.x: "),
        ({"labels": {f"k{n}": "" for n in range(65)}}, "label: at most 64"),
        ({"owner": "x" * 257}, "owner: "),
    ],
)
def test_what_no_label_and_no_owner_can_be_is_refused(wanted, said):
    with pytest.raises(SelectionError, match=said):
        ConfigSelection(**wanted)


@pytest.mark.parametrize(("begin", "end"), [(5, 5), (6, 5)])
def test_a_window_in_which_nothing_lies_is_refused(begin, end):
    with pytest.raises(SelectionError, match="until: must be later than since"):
        Window(from_ms=begin, before_ms=end)


IDS = st.from_regex(r"[a-c][a-c.-]{0,5}", fullmatch=True)


@given(IDS, IDS, st.booleans())
def test_a_pattern_means_what_it_says(config_id, prefix, star):
    selection = ConfigSelection(pattern=prefix + "*" * star)
    fits = config_id.startswith(prefix) if star else config_id == prefix
    assert selection.means(a_config(config_id)) is fits
    assert (selection.only_id is None) is star
