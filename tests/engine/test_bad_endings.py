"""Whatever an executor returns or raises, the attempt ends in one report and the worker lives."""

import asyncio

import pytest
from engine_cluster import NO_RETRY, spec

from dsched.contracts import TaskFailed
from dsched.model import TaskResult, TaskStatus


class _Unprintable:
    def __str__(self):
        raise RuntimeError("no text for you")


class _Panic(BaseException):
    """As pyo3's PanicException: it comes out of extensions, and is no `Exception`."""


def _returns(value):
    async def body(context, task):
        return value

    return body


def _raises(make):
    async def body(context, task):
        raise make()

    return body


async def _cancels_its_asyncio_task(context, task):
    asyncio.current_task().cancel()
    await asyncio.sleep(3600)


ENDINGS = {
    "code is a number": (_returns(TaskResult(code=404)), TaskStatus.SUCCESS),
    "message is an object": (_returns(TaskResult(message=_Unprintable())), TaskStatus.SUCCESS),
    "message has a lone surrogate": (_returns(TaskResult(message="\ud800")), TaskStatus.SUCCESS),
    "data is no JSON": (_returns(TaskResult(data=object())), TaskStatus.FAILED),
    "failure's message is an exception": (
        _raises(lambda: TaskFailed(ValueError("x"))),
        TaskStatus.FAILED,
    ),
    "failure's message is unprintable": (
        _raises(lambda: TaskFailed(_Unprintable())),
        TaskStatus.FAILED,
    ),
    "failure's code is a number": (_raises(lambda: TaskFailed("x", code=503)), TaskStatus.FAILED),
    "failure's data is no JSON": (
        _raises(lambda: TaskFailed("x", data=object())),
        TaskStatus.FAILED,
    ),
    "failure has a lone surrogate": (_raises(lambda: TaskFailed("\udcff")), TaskStatus.FAILED),
    "retry_after is text": (
        _raises(lambda: TaskFailed("x", retry_after="soon")),
        TaskStatus.FAILED,
    ),
    "retry_after is not a number": (
        _raises(lambda: TaskFailed("x", retry_after=float("nan"))),
        TaskStatus.FAILED,
    ),
    "it leaves the interpreter": (_raises(lambda: SystemExit(3)), TaskStatus.FAILED),
    "it panics": (_raises(lambda: _Panic("index out of bounds")), TaskStatus.FAILED),
    "it panics in a group": (
        _raises(lambda: BaseExceptionGroup("two of them", [_Panic("a"), ValueError("b")])),
        TaskStatus.FAILED,
    ),
    "it says its coroutine is closed": (_raises(GeneratorExit), TaskStatus.FAILED),
    "it cancels itself": (_raises(asyncio.CancelledError), TaskStatus.FAILED),
    "it cancels its asyncio task": (_cancels_its_asyncio_task, TaskStatus.FAILED),
}


@pytest.mark.parametrize("name", ENDINGS)
async def test_a_strange_ending_is_reported_once_and_the_worker_works_on(cluster, name):
    body, status = ENDINGS[name]
    cluster.executor.bodies["strange"] = body
    cluster.start("a")
    await cluster.client.submit(spec("strange", retry=NO_RETRY), task_id="t")
    task = await cluster.client.wait("t", timeout_s=20)
    assert task.status == status
    assert cluster.executor.starts("t") == 1
    for text in (task.error, task.result.code, task.result.message):
        text.encode()  # every store can write it
    await cluster.client.submit(spec("ok"), task_id="after")
    after = await cluster.client.wait("after", timeout_s=20)
    assert after.status == TaskStatus.SUCCESS
    assert cluster.failures == {}


async def test_a_failure_that_asks_strangely_for_a_later_retry_still_gets_one(cluster):
    cluster.executor.bodies["strange"] = _raises(lambda: TaskFailed("x", retry_after="soon"))
    cluster.start("a")
    await cluster.client.submit(spec("strange"), task_id="t")
    await cluster.until(lambda: cluster.row("t").status == TaskStatus.RETRYING, "the retry")
    assert cluster.failures == {}


async def test_progress_that_no_store_can_write_is_refused_where_it_is_told(cluster):
    refused = []

    async def body(context, task):
        for note in ("fine", "\ud800"):
            try:
                context.progress(1, 2, note)
            except ValueError as error:
                refused.append(str(error))
        await asyncio.sleep(3)

    cluster.executor.bodies["tells"] = body
    cluster.start("a")
    await cluster.client.submit(spec("tells"), task_id="t")
    await cluster.until(lambda: cluster.row("t").progress is not None, "the progress")
    assert cluster.row("t").progress == {"done": 1, "total": 2, "note": "fine"}
    assert len(refused) == 1
    await cluster.client.wait("t", timeout_s=20)


async def test_a_large_group_of_failures_names_each_of_its_causes(cluster):
    many = [ValueError(f"cause {n} " + "x" * 2000) for n in range(12)]
    inner = ExceptionGroup("some of them", many[6:])
    cluster.executor.bodies["strange"] = _raises(lambda: ExceptionGroup("all", [*many[:6], inner]))
    cluster.start("a")
    await cluster.client.submit(spec("strange", retry=NO_RETRY), task_id="t")
    task = await cluster.client.wait("t", timeout_s=20)
    assert task.result.message == "ExceptionGroup: all (7 sub-exceptions)"
    assert all(f"  ValueError: cause {n} " in task.error for n in range(12))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ValueError("two\nlines"), "ValueError: two"),
        (lambda: ValueError(), "ValueError"),
        (lambda: asyncio.QueueFull("full"), "asyncio.queues.QueueFull: full"),
        (lambda: SyntaxError("invalid syntax", ("x.py", 1, 1, "?", 1, 2)), "SyntaxError: invalid"),
    ],
)
async def test_the_message_is_the_line_with_the_exceptions_name(cluster, make, message):
    cluster.executor.bodies["strange"] = _raises(make)
    cluster.start("a")
    await cluster.client.submit(spec("strange", retry=NO_RETRY), task_id="t")
    task = await cluster.client.wait("t", timeout_s=20)
    assert task.result.message.startswith(message)
    assert "\n" not in task.result.message
