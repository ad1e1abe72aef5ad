"""A pod inside a program: plugins given in code, several pods, and every way a block can end."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from engine_cluster import Functions, spec

import dsched
from dsched.config import ConfigError
from dsched.contracts import ExecutorProvider, StoreProvider, hookimpl
from dsched.model import InvalidConfigError, TaskStatus
from dsched_testkit.memory import MemoryStore, new_state

REAL_TIME = True  # the heartbeat has its own thread here


class _Plugin:
    """An executor and a store, as a program would hand them over."""

    def __init__(self):
        self.state = new_state()
        self.executor = Functions({"ok": _ok, "long": _long})

    @hookimpl
    def dsched_executors(self):
        return [ExecutorProvider(name="fn", protocol="local", open=self._executor)]

    @hookimpl
    def dsched_stores(self):
        return [StoreProvider(name="given", open=self._store)]

    @asynccontextmanager
    async def _executor(self, options):
        yield self.executor

    @asynccontextmanager
    async def _store(self, options, settings):
        yield MemoryStore(self.state)


async def _ok(context, task):
    return "ran"


async def _long(context, task):
    await asyncio.sleep(60)


def _config(name="host", **worker):
    return {
        "store": "given",
        "pod": {"name": name},
        "worker": {"drain_timeout": "200ms", **worker},
        "plugins": {"disabled": ["dsched-store-redis", "dsched-store-sqlite"]},
    }


async def test_an_embedded_pod_runs_tasks_through_plugins_given_in_code():
    plugin = _Plugin()
    async with dsched.pod(_config(), plugins=[plugin]) as pod:
        task_id = await pod.client.submit(spec("ok"))
        assert await pod.client.result(task_id, timeout_s=20) == "ran"
        assert pod.status().roles == {"scheduler", "worker"}
    assert plugin.state.fence is None, "it has resigned"
    assert plugin.state.workers == {}, "it has left"


async def test_two_embedded_pods_elect_one_leader():
    plugin = _Plugin()
    async with (
        dsched.pod(_config("one"), plugins=[plugin]) as one,
        dsched.pod(_config("two"), plugins=[plugin]) as two,
    ):
        async with asyncio.timeout(10):
            while not (one.status().leading or two.status().leading):
                await asyncio.sleep(0.01)
        assert one.status().leading != two.status().leading


@pytest.mark.parametrize("ending", ["error", "cancellation"])
async def test_a_block_that_ends_badly_still_gives_its_work_back(ending):
    plugin = _Plugin()

    async def program():
        async with dsched.pod(_config(), plugins=[plugin]) as pod:
            await pod.client.submit(spec("long"), task_id="t")
            async with asyncio.timeout(20):
                while not plugin.executor.started:
                    await asyncio.sleep(0.01)
            if ending == "error":
                raise ZeroDivisionError
            asyncio.current_task().cancel()
            await asyncio.sleep(10)

    ended = asyncio.create_task(program())
    await asyncio.wait({ended})
    assert ended.cancelled() if ending == "cancellation" else ended.exception() is not None
    row = plugin.state.tasks["t"]
    assert (row.status, row.crash_count) == (TaskStatus.PENDING, 0)
    assert plugin.state.workers == {}


async def test_unknown_roles_and_keys_are_refused():
    with pytest.raises(ValueError, match="unknown roles"):
        async with dsched.pod(_config(), plugins=[_Plugin()], roles=["boss"]):
            pass
    with pytest.raises(ConfigError) as refused:
        async with dsched.pod({**_config(), "schedule": {"nope": 1}}, plugins=[_Plugin()]):
            pass
    (problem,) = refused.value.problems
    assert (problem.file, problem.path) == ("settings of the program", "schedule.nope")


async def test_worker_processes_are_refused_with_a_sentence_that_says_what_to_do():
    with pytest.raises(InvalidConfigError, match=r"worker\.processes: is 4.*dsched-run"):
        async with dsched.pod(_config(processes=4), plugins=[_Plugin()]):
            pass
    async with dsched.pod(_config(processes=4), plugins=[_Plugin()], roles=["scheduler"]):
        pass


async def test_an_exception_of_the_block_is_raised_as_it_is():
    with pytest.raises(LookupError, match="the block's own"):
        async with dsched.pod(_config(), plugins=[_Plugin()]):
            raise LookupError("the block's own")


@pytest.mark.parametrize(
    ("executor", "message"),
    [("lokal", r"job\.executor: 'lokal' is not installed; installed: .*local")],
)
async def test_a_task_that_no_worker_could_run_is_refused_and_none_is_put(executor, message):
    plugin = _Plugin()
    bad = dsched.TaskConfig(id="job", executor=executor, every=timedelta(seconds=5))
    good = dsched.TaskConfig(id="good", executor="fn", every=timedelta(hours=1), payload="ok")
    with pytest.raises(InvalidConfigError, match=message):
        async with dsched.pod(_config(), plugins=[plugin], tasks=[good, bad]):
            pytest.fail("it started")
    async with dsched.pod(_config(), plugins=[plugin]) as pod:
        assert (await pod.client.list_configs()).configs == ()


async def test_a_task_given_in_code_equals_the_one_of_a_task_file():
    plugin = _Plugin()
    task = dsched.TaskConfig(id="job", executor="fn", every=timedelta(hours=1), payload="ok")
    async with dsched.pod(_config(), plugins=[plugin], tasks=[task]) as pod:
        stored = await pod.client.get_config("job")
    assert stored.config.type == "local"


async def test_a_client_alone_submits_and_says_where_a_task_is_that_it_waits_for_in_vain():
    plugin = _Plugin()
    async with dsched.connect(_config(), plugins=[plugin]) as client:
        task_id = await client.submit(spec("ok"), task_id="waits")
        with pytest.raises(TimeoutError, match=r"task waits is pending after 0\.1 s"):
            await client.result(task_id, timeout_s=0.1)
    async with dsched.pod(_config(), plugins=[plugin]) as pod:
        assert await pod.client.result(task_id, timeout_s=10) == "ran"
