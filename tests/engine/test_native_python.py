"""Submitting decorated functions to a whole pod, from where programs do it."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

import dsched
from dsched import FunctionContext
from dsched.client import Client, ConflictError, NotFoundError, TaskEndedBadlyError
from dsched.model import InvalidConfigError, TaskStatus
from dsched_testkit.memory import MemoryStore, new_state
from dsched_testkit.servers import RedisServer

REAL_TIME = True
MEMORY = {"store": "memory"}


@dsched.task("native.add", timeout="20s", priority=7)
def add(a: int, b: int) -> int:
    return a + b


@dsched.task("native.fails", retry={"max_retries": 0})
async def fails(why: str) -> None:
    raise LookupError(why)


@dsched.task("native.asks")
async def asks(ctx: FunctionContext, a: int) -> str:
    """Submits another function from inside its own attempt."""
    return (await add.options(task_id=f"{ctx.task_id}-child").submit(a, 1)).id


@dsched.task("native.asks_in_a_thread")
def asks_in_a_thread(a: int) -> str:
    async def there() -> str:
        return (await add.submit(a, 1)).id

    return asyncio.run(there())


async def test_a_function_is_submitted_and_its_handle_tells_what_became_of_it():
    async with dsched.pod(MEMORY) as pod:
        handle = await add.submit(2, 3)
        assert await handle.result(timeout="20s") == 5
        task = await handle.get()
        assert (task.status, task.spec.timeout, task.priority) == (
            TaskStatus.SUCCESS,
            timedelta(seconds=20),
            7,
        )
        assert await pod.client.result(handle, timeout_s=20) == 5  # the id is a text as before
        with pytest.raises(TaskEndedBadlyError, match="gone") as told:
            await (await fails.submit("gone")).result(timeout=20)
        assert told.value.task.retry_count == 0


async def test_delay_and_at_hold_a_task_back_and_the_handle_cancels_it():
    async with dsched.pod(MEMORY):
        soon = datetime.now(UTC) + timedelta(seconds=1.2)
        handle = await add.options(at=soon).submit(1, 1)
        later = await add.options(delay="1h").submit(1, 1)
        past = await add.options(at="2020-01-01T00:00:00Z").submit(1, 2)
        assert await past.result(timeout=20) == 3
        assert (await handle.wait(timeout=20)).start_time >= soon
        assert (await later.get()).status is TaskStatus.PENDING
        assert (await later.cancel(reason="changed my mind")).outcome == "OK"
        assert (await later.wait(timeout=5)).status is TaskStatus.CANCELLED
        with pytest.raises(InvalidConfigError, match="together with delay"):
            await add.options(at=soon, delay="1m").submit(1, 1)
        with pytest.raises(InvalidConfigError, match=r"at: needs .* UTC offset"):
            await add.options(at="tomorrow").submit(1, 1)


@pytest.mark.parametrize("function", [asks, asks_in_a_thread])
async def test_a_running_attempt_submits_through_its_worker(function):
    async with dsched.pod(MEMORY) as pod:
        child = await (await function.submit(4)).result(timeout=20)
        assert await pod.client.result(child, timeout=20) == 5


async def test_what_nothing_here_could_run_is_refused_at_once():
    async with dsched.pod(MEMORY) as pod:
        client = pod.client
        for wrong, message in (
            ({"executor": "lokal"}, "executor: 'lokal' is not installed"),
            ({"executor": "local", "payload": 7}, "payload: the payload must be a mapping"),
            (
                {"executor": "local", "payload": {"function": "native.ad"}},
                r"payload: 'function': .*did you mean 'native.add'",
            ),
            (
                {"executor": "local", "payload": {"function": "native.add", "args": [1]}},
                "payload: 'args' do not fit",
            ),
        ):
            with pytest.raises(InvalidConfigError, match=message):
                await client.submit(dsched.TaskSpec(**wrong))
            with pytest.raises(InvalidConfigError, match=message):
                await client.put_config(dsched.TaskConfig(id="c", every="1h", **wrong))
            with pytest.raises(ValueError, match=message.partition(":")[0]):
                await client.submit(wrong)
        with pytest.raises(NotFoundError):
            await client.get_config("c")


async def test_mappings_are_taken_as_the_http_client_takes_them():
    async with dsched.pod(MEMORY) as pod:
        entry = {"executor": "local", "payload": {"function": "native.add", "args": [1, 1]}}
        handle = await pod.client.submit({**entry, "timeout": "9s"}, task_id="one")
        assert await handle.result(timeout=20) == 2
        config = {**entry, "id": "hourly", "every": "1h"}
        stored = await pod.client.put_config(config, revision=0)
        assert stored.config.every == timedelta(hours=1)
        await pod.client.submit(entry, task_id="later", delay="1h")
        assert [one.id for one in (await pod.client.list(home="delayed")).tasks] == ["later"]
        with pytest.raises(ConflictError):
            await pod.client.submit({**entry, "timeout": "8s"}, task_id="one")


async def test_threads_share_a_blocking_client(tmp_path):
    store = {"sqlite": {"path": str(tmp_path / "dsched.db")}}
    found = []

    def sync_endpoint(client):
        handle = client.start(add.options(priority=1), 3, 4)
        found.append((handle.result(timeout="20s"), handle.get().priority))

    async with dsched.pod(store):
        client = await asyncio.to_thread(dsched.connect_blocking, store)
        threads = [threading.Thread(target=sync_endpoint, args=(client,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join, 30)
        assert found == [(7, 1)] * 3
        with pytest.raises(NotFoundError):
            await asyncio.to_thread(client.get, "nobody")
        held = await asyncio.to_thread(client.start, add.options(delay="1h"), 1, 1)
        with pytest.raises(TimeoutError, match="pending"):
            await asyncio.to_thread(held.wait, timeout=0.1)
        await asyncio.to_thread(client.close)
        await asyncio.to_thread(client.close)


def test_a_blocking_client_without_a_store_says_so_within_its_bound():
    began_s = time.monotonic()
    away = {"store": "redis", "redis": {"addr": "127.0.0.1:1"}}
    with pytest.raises(dsched.StoreUnavailableError):
        dsched.connect_blocking(away, timeout=2)
    assert time.monotonic() - began_s < 10


PROGRAM = """\
import asyncio, sys
import dsched
@dsched.task
async def slow(file: str) -> None:
    open(file, "w").write("began")
    await asyncio.sleep(1)
    open(file, "w").write("done")
async def main(pod):
    await slow.submit(sys.argv[1])
    await asyncio.Event().wait()
dsched.run(main, config={"sqlite": {"path": sys.argv[1] + ".db"}})
print("left in order")
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_program_that_is_told_to_stop_drains_first(tmp_path, number):
    file, program = tmp_path / "out", tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as run:
        until_s = time.monotonic() + 30
        while not (file.exists() and file.read_text() == "began"):
            assert time.monotonic() < until_s
            time.sleep(0.02)
        run.send_signal(number)
        said, _ = run.communicate(timeout=30)
    assert (run.returncode, said) == (0, "left in order\n")
    assert file.read_text() == "done"


def test_a_program_that_returns_hands_over_what_it_came_to():
    async def main(pod):
        return await (await add.submit(20, 22)).result(timeout="20s")

    assert dsched.run(main, config=MEMORY) == 42


def test_a_program_that_fails_raises_its_own_error():
    async def main(pod):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        dsched.run(main, config=MEMORY)


AWAY = """\
import asyncio, signal, sys
import dsched
CONFIG = {"store": "redis", "redis": {"addr": "127.0.0.1:1"}}
async def carries():
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print("starts", flush=True)
    try:
        async with dsched.pod(CONFIG):
            raise AssertionError("it cannot have started")
    except dsched.StartStoppedError as error:
        assert stop.is_set() or await asyncio.wait_for(stop.wait(), 5)
        print(error)
if sys.argv[1] == "run":
    print("starts", flush=True)
    dsched.run(config=CONFIG)
    print("left in order")
else:
    asyncio.run(carries())
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("how", ["run", "pod"])
def test_a_start_without_a_store_ends_on_a_signal(tmp_path, how, number):
    program = tmp_path / "program.py"
    program.write_text(AWAY)
    command = [sys.executable, str(program), how]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout.readline() == "starts\n"
        for line in run.stderr:
            if "still trying" in line:
                break
        run.send_signal(number)
        said, wrong = run.communicate(timeout=20)
    assert run.returncode == 0, wrong
    expected = "left in order" if how == "run" else f"{number.name} came before the pod had started"
    assert said.strip() == expected


async def test_a_start_without_a_store_has_a_bound_or_does_not_wait():
    away = {"store": "redis", "redis": {"addr": "127.0.0.1:1"}}
    with pytest.raises(dsched.StoreUnavailableError, match="could not start within"):
        async with dsched.pod(away, start_timeout="300ms"):
            pass
    began_s = time.monotonic()
    with pytest.raises(dsched.StoreUnavailableError):
        async with dsched.pod(away, wait=False):
            pass
    assert time.monotonic() - began_s < 5


def test_the_host_has_its_signal_handlers_back_after_the_start():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:

        async def main():
            async with dsched.pod(MEMORY):
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(0)

        mine = signal.getsignal(signal.SIGTERM)
        asyncio.run(main())
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


@pytest.mark.slow
async def test_a_pod_is_not_ready_while_its_store_is_away():
    with RedisServer() as server:
        async with dsched.pod({"store": "redis", "redis": {"addr": server.addr}}) as pod:
            async with asyncio.timeout(30):
                while not pod.status().ready:
                    await asyncio.sleep(0.02)
            os.kill(server.pid, signal.SIGSTOP)
            async with asyncio.timeout(40):
                while pod.status().ready:
                    await asyncio.sleep(0.02)
            assert pod.status().detail == "the store does not answer"
            os.kill(server.pid, signal.SIGCONT)
            async with asyncio.timeout(30):
                while not pod.status().ready:
                    await asyncio.sleep(0.02)


class Silent(MemoryStore):
    """A store that is asked and never answers."""

    async def now(self):
        await asyncio.Event().wait()

    async def submit(self, items, *, by, fence=None):
        await asyncio.Event().wait()

    async def get(self, task_ids, *, full=False):
        await asyncio.Event().wait()


async def test_a_question_to_a_store_that_never_answers_has_a_bound():
    client = Client(Silent(new_state()), timeout="200ms")
    spec = dsched.TaskSpec(executor="x")
    at = "2999-01-01T00:00:00Z"
    for question in (client.get("t"), client.submit(spec, at=at), client.wait("t", timeout=60)):
        with pytest.raises(dsched.StoreUnavailableError, match=r"no answer within 0\.2 s"):
            await question
