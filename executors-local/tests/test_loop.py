"""Async functions on the worker's loop, and what every isolation has in common."""

import asyncio
import math
from typing import Any

import pytest
from dsched_local_test_kit import Context, Opener, make_task

from dsched.contracts import TaskFailed
from dsched.functions.registry import FunctionContext, Registry
from dsched.model import TaskResult


async def test_an_async_function_runs_on_the_executors_loop(opened: Opener) -> None:
    registry = Registry()
    loops = []

    @registry.task
    async def work(ctx: FunctionContext, *numbers: int) -> int:
        loops.append(asyncio.get_running_loop())
        assert not ctx.cancelled
        await asyncio.sleep(0)
        return sum(numbers)

    async with opened(registry) as run:
        assert await run("work", [1, 2, 3]) == TaskResult(data=6)
    assert loops == [asyncio.get_running_loop()]


async def test_a_cancelled_async_function_gets_the_cancellation(opened: Opener) -> None:
    registry = Registry()
    seen: list[Any] = []
    started = asyncio.Event()

    @registry.task
    async def work(ctx: FunctionContext) -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            seen.append(ctx.cancelled)

    async with opened(registry) as run:
        context = Context()
        running = asyncio.create_task(run("work", context=context))
        await started.wait()
        context.stop(running)
        with pytest.raises(asyncio.CancelledError):
            await running
    assert seen == [True]


@pytest.mark.parametrize("end", ["returns", "raises"])
async def test_an_async_function_that_swallows_the_cancellation_is_cancelled_all_the_same(
    opened: Opener, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    registry = Registry()
    started = asyncio.Event()

    @registry.task
    async def stubborn() -> str:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if end == "raises":
                raise LookupError("lost") from None
        return "never mind"

    async with opened(registry) as run:
        context = Context()
        running = asyncio.create_task(run("stubborn", context=context))
        await started.wait()
        context.stop(running)
        with pytest.raises(asyncio.CancelledError):
            await running
    assert ("LookupError: lost" in caplog.text) == (end == "raises")


async def test_a_cancellation_of_the_functions_own_making_is_a_failure(opened: Opener) -> None:
    registry = Registry()

    @registry.task
    async def work() -> None:
        other = asyncio.create_task(asyncio.sleep(60))
        other.cancel()
        await other

    async with opened(registry) as run:
        with pytest.raises(TaskFailed) as caught:
            await run("work")
    assert (caught.value.code, caught.value.retryable) == ("CancelledError", True)


async def test_the_functions_own_timeouts_and_groups_work(opened: Opener) -> None:
    registry = Registry()

    @registry.task
    async def work() -> str:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(60)
        except TimeoutError:
            return "handled"
        return "not reached"

    async with opened(registry) as run:
        assert (await run("work")).data == "handled"


@pytest.mark.parametrize("handles", [True, False])
async def test_a_function_may_use_groups_of_tasks(opened: Opener, handles: bool) -> None:
    registry = Registry()

    async def refuse() -> None:
        raise ValueError("no")

    @registry.task
    async def work(ctx: FunctionContext) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(refuse())
                group.create_task(asyncio.sleep(60))
        except* ValueError:
            # Python 3.11 and 3.12 leave `cancelling` at 1: it says nothing about the attempt.
            assert not ctx.cancelled
            if not handles:
                raise
        return "handled"

    async with opened(registry) as run:
        if handles:
            assert (await run("work")).data == "handled"
            return
        with pytest.raises(ExceptionGroup) as caught:
            await run("work")
        assert [str(one) for one in caught.value.exceptions] == ["no"]


async def test_sys_exit_in_an_async_function_ends_the_attempt_not_the_loop(
    opened: Opener,
) -> None:
    registry = Registry()

    @registry.task
    async def leave() -> None:
        raise SystemExit(2)

    async with opened(registry) as run:
        with pytest.raises(TaskFailed, match=r"called sys\.exit\(2\)"):
            await run("leave")


async def test_what_an_async_function_raises_after_its_cancellation_is_no_outcome(
    opened: Opener,
) -> None:
    class Panic(BaseException):
        pass

    registry = Registry()
    started = asyncio.Event()

    @registry.task
    async def panic() -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            raise Panic

    async with opened(registry) as run:
        context = Context()
        running = asyncio.ensure_future(run("panic", context=context))
        await started.wait()
        context.stop(running)
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_other_exceptions_propagate_with_their_traceback(opened: Opener) -> None:
    registry = Registry()

    @registry.task
    async def divide() -> float:
        return 1 / 0

    async with opened(registry) as run:
        with pytest.raises(ZeroDivisionError) as caught:
            await run("divide")
    assert caught.traceback[-1].name == "divide"


UNKEEPABLE: dict[str, Any] = {
    "a set": {1, 2},
    "bytes": b"bytes",
    "no number": math.nan,
    "a key that is no string": {1: 2},
    "any object": object(),
    "half a character": "\ud800",
    "a very long number": 10**5000,
    "a megabyte": "x" * 1024 * 1024,
    "a result of any object": TaskResult(data=object()),
    "a result with an odd message": TaskResult(message=3),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("value", UNKEEPABLE.values(), ids=UNKEEPABLE.keys())
async def test_a_return_value_that_cannot_be_kept_fails_for_good(
    opened: Opener, value: Any
) -> None:
    registry = Registry()
    registry.task("work")(lambda: value)
    async with opened(registry) as run:
        with pytest.raises(TaskFailed) as caught:
            await run("work")
    assert (caught.value.code, caught.value.retryable) == ("result", False)
    assert "'work' returned what cannot be kept" in caught.value.message


async def test_a_result_is_plain_json_that_the_function_cannot_change_later(
    opened: Opener,
) -> None:
    registry = Registry()
    kept = {"rows": [(1, 2)]}
    registry.task("work")(lambda: kept)
    async with opened(registry) as run:
        result = await run("work")
    kept["rows"].append((3, 4))
    assert result.data == {"rows": [[1, 2]]}


async def test_a_list_that_contains_itself_is_refused_not_followed(opened: Opener) -> None:
    registry = Registry()
    loop: list[Any] = []
    loop.append(loop)
    registry.task("work")(lambda: loop)
    async with opened(registry) as run:
        with pytest.raises(TaskFailed, match="nested deeper"):
            await run("work")


@pytest.mark.parametrize(
    ("payload", "code", "text"),
    [
        (None, "payload", "must be a mapping"),
        ({}, "payload", "'function' is required"),
        ({"function": 3}, "payload", "'function' is required"),
        (
            {"function": "work", "arg": 1},
            "payload",
            "arg: is not a known key; did you mean 'args'?",
        ),
        ({"function": "work", "args": {"b": 1}}, "payload", "missing argument 'a'"),
        ({"function": "wrok"}, "unknown_function", "did you mean 'work'?"),
        ({"function": "os.system", "args": "true"}, "unknown_function", "registered are 'work'"),
        ({"function": "builtins.eval", "args": "1"}, "unknown_function", "no function named"),
        ({"function": "../x"}, "unknown_function", "no function named"),
        ({"function": "x" * 100_000}, "unknown_function", "no function named"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_payload_that_names_no_callable_work_runs_nothing_and_says_why(
    opened: Opener, payload: Any, code: str, text: str
) -> None:
    registry = Registry()
    registry.task("work")(lambda a: pytest.fail("it ran"))
    async with opened(registry) as run:
        with pytest.raises(TaskFailed) as caught:
            await run.executor.execute(Context(), make_task(payload))
    # Another worker may have the function; a wrong payload is wrong everywhere.
    assert (caught.value.code, caught.value.retryable) == (code, code == "unknown_function")
    assert text in caught.value.message
    assert len(caught.value.message) < 600
