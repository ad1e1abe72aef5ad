"""Functions in threads: at once up to a bound, cancelled only by their own consent."""

import asyncio
import contextvars
import gc
import logging
import subprocess
import sys
import threading
import time
import weakref
from typing import Any

import pytest
from dsched_local_test_kit import Context, Opener, make_task, until

from dsched.contracts import TaskFailed
from dsched.functions.registry import FunctionContext, Registry
from dsched.model import TaskResult
from dsched_executor_local.context import AttemptContext
from dsched_executor_local.threads import ThreadPool


def registry_of(*functions: Any) -> Registry:
    registry = Registry()
    for function in functions:
        registry.task(function)
    return registry


def our_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("dsched-local-")]


async def test_a_sync_function_runs_in_a_thread_of_our_own(opened: Opener) -> None:
    def where(greeting: str, *, to: str = "") -> str:
        return f"{greeting} {to} from {threading.current_thread().name}"

    async with opened(registry_of(where)) as run:
        result = await run("where", {"greeting": "hello", "to": "you"})
    assert result.code == "ok"
    assert result.data.startswith("hello you from dsched-local-")


async def test_as_many_threads_as_allowed_run_at_once_and_no_more(opened: Opener) -> None:
    meeting = threading.Barrier(3)
    running, most = set(), 0
    lock = threading.Lock()

    def meet(number: int) -> int:
        nonlocal most
        with lock:
            running.add(number)
            most = max(most, len(running))
        meeting.wait(5)  # breaks unless three are here at once
        with lock:
            running.discard(number)
        return number

    async with opened(registry_of(meet), max_threads=3) as run:
        results = await asyncio.gather(*(run("meet", n) for n in range(9)))
        assert [r.data for r in results] == list(range(9))
        assert len(our_threads()) == 3
    assert most == 3


async def test_threads_are_reused_before_new_ones_start(opened: Opener) -> None:
    def name() -> str:
        return threading.current_thread().name

    async with opened(registry_of(name)) as run:
        names = {(await run("name")).data for _ in range(20)}
        assert len(our_threads()) == len(names) == 1


async def test_closing_leaves_no_thread(opened: Opener) -> None:
    def work() -> None: ...

    async with opened(registry_of(work)) as run:
        await asyncio.gather(*(run("work") for _ in range(5)))
        assert our_threads()
    assert our_threads() == []
    with pytest.raises(RuntimeError, match="closed"):
        await run("work")


async def test_a_cancelled_thread_sees_it_and_execute_ends_only_when_it_has_returned(
    opened: Opener,
) -> None:
    started, returned = threading.Event(), threading.Event()

    def work(ctx: FunctionContext) -> str:
        started.set()
        while not ctx.cancelled:
            time.sleep(0.005)
        time.sleep(0.05)
        returned.set()
        return "too late"

    async with opened(registry_of(work)) as run:
        context = Context()
        running = asyncio.create_task(run("work", context=context))
        await until(started.is_set, "the function to start")
        context.stop(running)
        with pytest.raises(asyncio.CancelledError):
            await running
        assert returned.is_set()


async def test_a_thread_that_outlives_its_timeout_keeps_its_slot_until_it_returns(
    opened: Opener,
) -> None:
    started, may_return = threading.Event(), threading.Event()

    def stubborn() -> None:
        started.set()
        assert may_return.wait(10)

    async with opened(registry_of(stubborn), max_threads=1) as run:
        running = asyncio.create_task(run("stubborn"))
        await until(started.is_set, "the function to start")
        for _ in range(3):
            running.cancel()
            done, _ = await asyncio.wait([running], timeout=0.02)
            assert not done
        may_return.set()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_call_cancelled_before_a_thread_was_free_never_runs(opened: Opener) -> None:
    started, may_return = threading.Event(), threading.Event()
    ran: list[str] = []

    def work(name: str) -> None:
        ran.append(name)
        started.set()
        assert may_return.wait(10)

    async with opened(registry_of(work), max_threads=1) as run:
        first = asyncio.create_task(run("work", "first"))
        await until(started.is_set, "the first to start")
        second = asyncio.create_task(run("work", "second"))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        may_return.set()
        await first
        await run("work", "third")
    assert ran == ["first", "third"]


async def test_an_exception_after_a_cancel_is_logged_not_raised(
    opened: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    started = threading.Event()

    def work(ctx: FunctionContext) -> None:
        started.set()
        while not ctx.cancelled:
            time.sleep(0.005)
        raise LookupError("lost")

    async with opened(registry_of(work)) as run:
        context = Context()
        running = asyncio.create_task(run("work", context=context))
        await until(started.is_set, "the function to start")
        context.stop(running)
        with pytest.raises(asyncio.CancelledError):
            await running
    assert "raised after it was cancelled" in caplog.text
    assert "LookupError: lost" in caplog.text


async def test_exceptions_keep_their_class_and_traceback(opened: Opener) -> None:
    def divide() -> float:
        return 1 / 0

    def fail() -> None:
        raise TaskFailed("no", "nope", retryable=False)

    async with opened(registry_of(divide, fail)) as run:
        with pytest.raises(ZeroDivisionError) as divided:
            await run("divide")
        with pytest.raises(TaskFailed) as failed:
            await run("fail")
    assert divided.traceback[-1].name == "divide"
    assert (failed.value.code, failed.value.retryable) == ("nope", False)


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), StopIteration(1), asyncio.CancelledError()]
)
async def test_what_would_stop_the_loop_or_get_lost_fails_its_attempt(
    opened: Opener, error: BaseException
) -> None:
    def work() -> None:
        raise error

    async with opened(registry_of(work)) as run:
        with pytest.raises(TaskFailed) as caught:
            await run("work")
    assert caught.value.code == type(error).__name__
    assert caught.value.retryable


async def test_context_variables_and_the_context_reach_the_thread(opened: Opener) -> None:
    bound = contextvars.ContextVar("bound", default="nothing")

    def work(ctx: FunctionContext) -> Any:
        ctx.progress(1, 2, "half")
        ctx.logger.info("line")
        facts = [ctx.task_id, ctx.config_id, ctx.attempt, ctx.epoch, ctx.worker_id]
        assert 0 < ctx.remaining() <= 60
        assert ctx.deadline.tzinfo is not None
        assert ctx.idempotency_key == ctx.task_id
        return [bound.get(), *facts]

    context = Context()
    bound.set("request 7")
    async with opened(registry_of(work)) as run:
        result = await run("work", context=context)
    assert result.data == ["request 7", "config@1000", "config", 2, 7, "worker-1"]
    assert context.said == [(1, 2, "half")]


async def test_an_idle_thread_holds_on_to_nothing() -> None:
    class Big:
        def __call__(self) -> None: ...

    pool = ThreadPool(1)
    big = Big()
    kept = weakref.ref(big)
    await pool.run(big, AttemptContext(Context(), make_task(None)))
    del big

    def is_gone() -> bool:
        gc.collect()
        return kept() is None

    await until(is_gone, "the idle thread to let go", 2.0)
    await pool.close()


async def test_a_spinning_thread_leaves_the_loop_alive(opened: Opener) -> None:
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            pass

    async with opened(registry_of(spin)) as run:
        running = asyncio.create_task(run("spin"))
        for _ in range(20):
            await asyncio.sleep(0.001)
        stop.set()
        assert await running == TaskResult()


async def test_closing_names_a_thread_that_does_not_return(
    opened: Opener, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsched_executor_local.threads.JOIN_TIMEOUT_S", 0.05)
    started, may_return = threading.Event(), threading.Event()

    def stubborn() -> None:
        started.set()
        may_return.wait(10)

    async with opened(registry_of(stubborn)) as run:
        running = asyncio.create_task(run("stubborn"))
        await until(started.is_set, "the function to start")
        await run.executor.close()
        assert "functions still run in dsched-local-" in caplog.text
        assert logging.WARNING in [r.levelno for r in caplog.records]
        may_return.set()
        await running


def test_a_thread_that_never_returns_does_not_keep_the_process_alive() -> None:
    code = (
        "import asyncio, threading\n"
        "from dsched_executor_local.threads import ThreadPool\n"
        "async def main():\n"
        "    pool = ThreadPool(1)\n"
        "    pool._submit(threading.Event().wait)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
