"""Python functions in a whole pod: how they end, and what they say, in real time."""

import asyncio
import contextlib
import io
import logging
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

import dsched
from dsched import FunctionContext
from dsched.contracts.store.tasklogs import LineLevel
from dsched.model import RetryPolicy, TaskStatus

REAL_TIME = True

app_log = logging.getLogger("shop.orders")


async def _refuse(text):
    raise ValueError(text)


@dsched.task("fn.groups")
async def groups(handles: bool) -> str:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_refuse("the first"))
            group.create_task(_refuse("the second"))
    except* ValueError:
        if not handles:
            raise
    return "handled"


@dsched.task("fn.interrupts")
async def interrupts(how: str) -> None:
    raise {"keyboard": KeyboardInterrupt, "exit": SystemExit}[how]


@dsched.task("fn.interrupts_in_a_thread")
def interrupts_in_a_thread(how: str) -> None:
    raise {"keyboard": KeyboardInterrupt, "exit": SystemExit}[how]


@dsched.task("fn.speaks")
async def speaks() -> None:
    app_log.info("order %s", 7)
    app_log.debug("too small")
    print("printed", "in two words")
    print("to stderr", file=sys.stderr)
    await asyncio.create_task(_says("in a task of its own"))
    await asyncio.to_thread(app_log.warning, "in a thread of asyncio")
    logging.getLogger("dsched.worker").info("dsched's own")
    try:
        raise LookupError("gone")
    except LookupError:
        app_log.exception("caught")
    print("no newline at the end", end="")


async def _says(text):
    app_log.info(text)


@dsched.task("fn.speaks_in_a_thread")
def speaks_in_a_thread() -> None:
    app_log.error("from a thread")
    print("printed by a thread")


@dsched.task("fn.takes_long")
async def takes_long() -> None:
    try:
        await asyncio.sleep(60)
    finally:
        raise LookupError("on the way out")


@dsched.task("fn.fails")
async def fails() -> None:
    raise ZeroDivisionError("by hand")


@dsched.task("fn.refuses")
async def refuses() -> None:
    raise dsched.TaskFailed("not today", code="closed", retryable=False)


@dsched.task("fn.knows")
def knows(ctx: FunctionContext) -> list[object]:
    return [ctx.scheduled_time.isoformat(), dict(ctx.labels)]


@asynccontextmanager
async def a_pod(tmp_path, **worker):
    settings = {"store": "sqlite", "sqlite": {"path": str(tmp_path / "a.db")}}
    async with dsched.pod({**settings, "worker": worker}) as pod:
        yield pod.client


async def run(client, function, args=None, **changes):
    payload = {"function": function, "args": args}
    changes.setdefault("retry", RetryPolicy(max_retries=0))
    task_id = await client.submit(dsched.TaskSpec(executor="local", payload=payload, **changes))
    task = await client.wait(task_id, timeout_s=30)
    page = await client.task_lines(task_id)
    return task, [(line.level, line.text) for line in page.lines]


async def test_a_function_that_handles_what_its_group_raises_succeeds(tmp_path):
    async with a_pod(tmp_path) as client:
        task, _ = await run(client, "fn.groups", [True])
    assert (task.status, task.result.data) == (TaskStatus.SUCCESS, "handled")


async def test_an_uncaught_group_keeps_its_causes_under_its_name(tmp_path):
    async with a_pod(tmp_path) as client:
        task, _ = await run(client, "fn.groups", [False])
    assert (task.status, task.result.code) == (TaskStatus.FAILED, "ExceptionGroup")
    assert task.result.message.startswith("ExceptionGroup: ")
    assert "ValueError: the first" in task.error
    assert "ValueError: the second" in task.error


@pytest.mark.parametrize("function", ["fn.interrupts", "fn.interrupts_in_a_thread"])
@pytest.mark.parametrize(
    ("how", "code"), [("keyboard", "KeyboardInterrupt"), ("exit", "SystemExit")]
)
async def test_an_interrupt_of_user_code_ends_its_attempt_and_no_more(
    tmp_path, function, how, code
):
    async with a_pod(tmp_path) as client:
        task, _ = await run(client, function, [how])
        assert (task.status, task.result.code) == (TaskStatus.FAILED, code)
        after, _ = await run(client, "fn.knows")
    assert after.status == TaskStatus.SUCCESS


async def test_a_function_that_is_timed_out_ends_as_timed_out_whatever_it_raises_then(tmp_path):
    async with a_pod(tmp_path) as client:
        task, _ = await run(client, "fn.takes_long", timeout=timedelta(milliseconds=200))
    assert (task.status, task.reason, task.result.code) == (TaskStatus.FAILED, *["timeout"] * 2)


async def test_what_a_coroutine_logs_and_prints_is_in_its_tasks_log(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    async with a_pod(tmp_path) as client:
        _, lines = await run(client, "fn.speaks")
    trace = [text for level, text in lines if level is LineLevel.ERROR]
    assert [(level, text) for level, text in lines if level is not LineLevel.ERROR] == [
        (LineLevel.INFO, "order 7"),
        (LineLevel.STDOUT, "printed in two words"),
        (LineLevel.STDERR, "to stderr"),
        (LineLevel.INFO, "in a task of its own"),
        (LineLevel.WARNING, "in a thread of asyncio"),
        (LineLevel.STDOUT, "no newline at the end"),
    ]
    assert (trace[0], trace[-1]) == ("caught", "    LookupError: gone")


async def test_what_a_thread_logs_and_prints_is_in_its_tasks_log(tmp_path):
    async with a_pod(tmp_path) as client:
        _, lines = await run(client, "fn.speaks_in_a_thread")
    assert lines == [(LineLevel.ERROR, "from a thread"), (LineLevel.STDOUT, "printed by a thread")]


async def test_attempts_that_speak_at_once_are_told_apart(tmp_path):
    started, go = [], asyncio.Event()

    @dsched.task("fn.speaks_by_turns")
    async def speaks_by_turns(name: str) -> None:
        print(name, end=" ")
        started.append(name)
        if len(started) == 2:
            go.set()
        await go.wait()
        print("and again", name)

    async with a_pod(tmp_path) as client:
        answers = await asyncio.gather(
            *(run(client, "fn.speaks_by_turns", [name]) for name in ("anna", "bela"))
        )
    assert [lines for _, lines in answers] == [
        [(LineLevel.STDOUT, f"{name} and again {name}")] for name in ("anna", "bela")
    ]


@pytest.mark.parametrize(
    ("off", "left"),
    [("capture_logging", LineLevel.STDOUT), ("capture_prints", LineLevel.ERROR)],
)
async def test_each_kind_of_capture_can_be_switched_off(tmp_path, off, left):
    async with a_pod(tmp_path, **{off: False}) as client:
        _, lines = await run(client, "fn.speaks_in_a_thread")
    assert [level for level, _ in lines] == [left]


async def test_the_traceback_of_a_failure_is_in_its_tasks_log(tmp_path):
    async with a_pod(tmp_path) as client:
        _, lines = await run(client, "fn.fails")
    assert lines[0] == (LineLevel.ERROR, "Traceback (most recent call last):")
    assert lines[-1] == (LineLevel.ERROR, "ZeroDivisionError: by hand")
    assert any("in fails" in text for _, text in lines)


@pytest.mark.parametrize(
    ("function", "kind"), [("fn.fails", ZeroDivisionError), ("fn.refuses", dsched.TaskFailed)]
)
async def test_the_record_of_a_failed_attempt_carries_its_exception_once_it_is_final(
    tmp_path, caplog, function, kind
):
    quick = RetryPolicy(max_retries=1, retry_delay=timedelta(0))
    async with a_pod(tmp_path) as client:
        await run(client, function, retry=quick)
    records = [r for r in caplog.records if r.getMessage().startswith("failed:")]
    assert records[-1].levelno == logging.ERROR
    assert isinstance(records[-1].exc_info[1], kind)
    assert all(not record.exc_info for record in records[:-1])


async def test_a_function_knows_its_instant_and_its_labels(tmp_path):
    async with a_pod(tmp_path) as client:
        task, _ = await run(client, "fn.knows", labels={"team": "billing"})
    assert task.result.data == [task.scheduled_time.isoformat(), {"team": "billing"}]


async def test_programs_find_their_streams_and_their_logging_as_they_left_them(tmp_path):
    before = (sys.stdout, sys.stderr, list(logging.getLogger().handlers))
    async with a_pod(tmp_path) as client:
        async with asyncio.timeout(20):
            while sys.stdout is before[0]:
                await asyncio.sleep(0.01)
        # It must not be in the way of a program that sets up its logging only now.
        assert logging.getLogger().handlers == before[2]
        assert (sys.stdout.encoding, sys.stdout.isatty()) == (
            before[0].encoding,
            before[0].isatty(),
        )
        with contextlib.redirect_stdout(io.StringIO()) as taken:
            print("somebody else's")
        assert taken.getvalue() == "somebody else's\n"
        await run(client, "fn.speaks")
    assert (sys.stdout, sys.stderr, list(logging.getLogger().handlers)) == before


async def test_what_an_attempt_leaves_behind_speaks_for_it_no_more(tmp_path):
    go, said = threading.Event(), threading.Event()

    @dsched.task("fn.leaves_a_thread")
    async def leaves_a_thread() -> None:
        async def later():
            await asyncio.to_thread(go.wait, 10)
            app_log.error("a straggler")
            said.set()

        stragglers.append(asyncio.create_task(later()))

    stragglers = []
    async with a_pod(tmp_path) as client:
        task, _ = await run(client, "fn.leaves_a_thread")
        go.set()
        await stragglers[0]
        assert said.is_set()
    # The pod has left, and has handed over what it had.
    store = {"store": "sqlite", "sqlite": {"path": str(tmp_path / "a.db")}}
    async with dsched.connect(store) as client:
        assert (await client.task_lines(task.id)).lines == ()


async def test_warnings_are_shown_where_a_program_has_set_up_no_logging(tmp_path, monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(
        type(logging.lastResort), "stream", property(lambda self: shown), raising=False
    )
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    async with a_pod(tmp_path) as client:
        _, lines = await run(client, "fn.speaks_in_a_thread")
    assert (LineLevel.ERROR, "from a thread") in lines
    assert shown.getvalue().splitlines().count("from a thread") == 1


@dsched.task("fn.speaks_oddly")
def speaks_oddly() -> None:
    # As structlog hands its events to `logging`.
    app_log.warning({"event": "ordered", "order": 7, "by": "Ada"})
    app_log.warning("two\nlines")
    for share in ("10 %", "50 %", "100 %"):
        sys.stdout.write(f"\r{share}")
    sys.stdout.writelines(["\n", "a ", "list\n"])
    sys.stdout.write("x" * 10_000)
    sys.stdout.flush()


async def test_what_is_written_oddly_is_kept_as_it_looked(tmp_path):
    async with a_pod(tmp_path) as client:
        _, lines = await run(client, "fn.speaks_oddly")
    texts = [text for _, text in lines]
    assert texts[:3] == [
        "ordered order=7 by='Ada'",
        "two",
        "lines",
    ]
    assert texts[3:5] == ["100 %", "a list"]
    assert texts[5].startswith("xxx")
    assert texts[5].endswith("(cut; 10,000 characters in all)")


FORKS = """
import asyncio, os, sys
import dsched

@dsched.task("forks")
def forks():
    print("before")
    child = os.fork()
    if not child:
        print("in the fork")
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)

async def main():
    async with dsched.pod({"store": "sqlite", "sqlite": {"path": sys.argv[1]}}) as pod:
        task_id = await pod.client.submit(
            dsched.TaskSpec(executor="local", payload={"function": "forks"})
        )
        await pod.client.wait(task_id, timeout_s=30)
        page = await pod.client.task_lines(task_id)
        print([line.text for line in page.lines])

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_fork_of_an_attempt_prints_where_its_program_does_and_hangs_on_no_lock(tmp_path):
    command = [sys.executable, "-W", "ignore", "-u", "-c", FORKS, str(tmp_path / "a.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.stdout.splitlines() == ["before", "in the fork", "['before']"], done.stderr
