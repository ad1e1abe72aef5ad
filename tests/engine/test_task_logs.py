"""Lines of tasks on their way to the store and to readers, whatever happens meanwhile."""

import asyncio
import logging
import threading

import pytest
from engine_cluster import (
    NO_RETRY,
    WORKER,
    Line,
    first,
    lost_reply,
    never,
    only,
    seconds,
    spec,
    unreachable,
)

from dsched.client import NotFoundError
from dsched.contracts.store.tasklogs import MAX_LINE_BYTES, LineLevel, as_line
from dsched.model import RetryPolicy, TaskStatus

QUICK_RETRY = RetryPolicy(max_retries=1, retry_delay=seconds(0), jitter=0)


async def run(cluster, body, *, task_id="t", timeout_s=60, **changes):
    """Run one task with this body, and read its lines to the end."""
    cluster.executor.bodies[task_id] = body
    if not cluster.pods:
        cluster.start("a")
    await cluster.client.submit(spec(task_id, **changes), task_id=task_id)
    await cluster.client.wait(task_id, timeout_s=timeout_s)
    return await lines_of(cluster, task_id)


async def lines_of(cluster, task_id="t"):
    return [line async for line in cluster.client.follow_lines(task_id)]


def texts(lines):
    return [line.text for line in lines]


def calls_of(line, step):
    """Counts the calls of a step over a line."""
    seen = []

    async def rule(handle, name, proceed):
        if name == step:
            seen.append(handle)
        return await proceed()

    line.rule = rule
    return seen


async def test_what_a_function_logs_can_be_read_when_the_task_has_ended(cluster):
    async def body(context, task):
        context.logger.info("begun with %d of %s", 1, "two")
        context.logger.warning("half done")
        context.logger.error("but for this", extra={"own": "fact"})

    lines = await run(cluster, body)
    assert [(line.n, line.attempt, line.level, line.text) for line in lines] == [
        (1, 1, LineLevel.INFO, "begun with 1 of two"),
        (2, 1, LineLevel.WARNING, "half done"),
        (3, 1, LineLevel.ERROR, "but for this"),
    ]


async def test_lines_can_be_followed_while_the_task_runs(cluster):
    async def body(context, task):
        for n in range(5):
            context.logger.info("step %d", n)
            await asyncio.sleep(10)

    cluster.executor.bodies["t"] = body
    cluster.start("a")
    await cluster.client.submit(spec("t"), task_id="t")
    seen = [(line.text, cluster.row("t").status) async for line in cluster.client.follow_lines("t")]
    assert [text for text, _ in seen] == [f"step {n}" for n in range(5)]
    assert all(status is TaskStatus.RUNNING for _, status in seen)


async def test_a_line_carries_the_time_at_which_it_was_written(cluster):
    written = []

    async def body(context, task):
        written.append(cluster.wall())
        context.logger.info("early")
        await asyncio.sleep(0.7)
        written.append(cluster.wall())
        context.logger.info("late")
        await asyncio.sleep(5)

    lines = await run(cluster, body)
    assert [abs(line.at_ms - at) <= 1 for line, at in zip(lines, written, strict=True)] == [
        True
    ] * 2


async def test_a_task_that_logs_nothing_costs_no_call(cluster):
    line = Line()
    seen = calls_of(line, "append_lines")
    cluster.start("a", line=line)
    await run(cluster, cluster.executor.bodies["sleep 1"])
    await asyncio.sleep(30)
    assert seen == []


async def test_lines_of_many_attempts_share_a_call(cluster):
    async def body(context, task):
        context.logger.info("one")
        await asyncio.sleep(3)

    line = Line()
    seen = calls_of(line, "append_lines")
    cluster.executor.bodies["t"] = body
    cluster.start("a", line=line, capacity=20)
    for n in range(20):
        await cluster.client.submit(spec("t"), task_id=f"t{n}")
    for n in range(20):
        await cluster.client.wait(f"t{n}", timeout_s=60)
        assert texts(await lines_of(cluster, f"t{n}")) == ["one"]
    assert len(seen) <= 5


async def test_the_lines_are_there_before_the_end_is(cluster):
    """A client that follows a task stops at its end, so no line may come after it."""
    order = []
    line = Line()

    async def rule(handle, step, proceed):
        if step in ("append_lines", "complete", "release"):
            order.append(step)
        return await proceed()

    line.rule = rule
    cluster.start("a", line=line)

    async def body(context, task):
        context.logger.info("last words")

    assert texts(await run(cluster, body)) == ["last words"]
    assert order == ["append_lines", "complete"]


@pytest.mark.parametrize("rule", [unreachable, lost_reply, never])
async def test_lines_outlive_calls_without_an_answer(cluster, rule):
    async def body(context, task):
        for n in range(3):
            context.logger.info("line %d", n)
            await asyncio.sleep(4)

    line = Line()
    line.rule = only(first(3, rule), steps={"append_lines"})
    cluster.start("a", line=line)
    assert texts(await run(cluster, body)) == ["line 0", "line 1", "line 2"]


@pytest.mark.parametrize("rule", [unreachable, never])
async def test_lines_that_cannot_be_stored_delay_no_completion(cluster, rule):
    async def body(context, task):
        context.logger.info("unheard")
        ended.append(cluster.now_s())

    ended = []
    line = Line()
    line.rule = only(rule, steps={"append_lines"})
    cluster.start("a", line=line)
    await run(cluster, body)
    assert cluster.now_s() - ended[0] < 3
    assert cluster.row("t").status is TaskStatus.SUCCESS
    # They come as soon as the store takes them.
    line.heal()
    await cluster.until(lambda: "t" in cluster.state.logs, "the lines")
    assert texts(await lines_of(cluster)) == ["unheard"]


async def test_what_is_given_back_has_its_lines(cluster):
    async def body(context, task):
        context.logger.info("attempt %d", context.attempt)
        if context.attempt == 1:
            try:
                await asyncio.sleep(600)
            finally:
                context.logger.info("stopped")

    cluster.executor.bodies["t"] = body
    cluster.start("a")
    await cluster.client.submit(spec("t"), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    await cluster.stop("a")
    cluster.start("b")
    await cluster.client.wait("t", timeout_s=60)
    lines = await lines_of(cluster)
    assert [(line.attempt, line.text) for line in lines] == [
        (1, "attempt 1"),
        (1, "stopped"),
        (2, "attempt 2"),
    ]


async def test_an_attempt_that_was_taken_away_adds_nothing_more(cluster):
    """The worker is cut off until its lease was reaped; its function goes on logging."""
    cluster.use_defaults()
    stubborn = asyncio.Event()

    async def body(context, task):
        context.logger.info("attempt %d begins", context.attempt)
        if context.attempt == 1:
            while not stubborn.is_set():
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    continue
                context.logger.info("still here")
            raise asyncio.CancelledError

    cluster.executor.bodies["t"] = body
    lead, line = Line(), Line()
    cluster.start("lead", frozenset({"scheduler"}), line=lead)
    cluster.start("a", WORKER, line=line)
    await cluster.client.submit(spec("t", timeout=seconds(600)), task_id="t")
    await cluster.until(lambda: "t" in cluster.state.logs, "the first line", 60)
    line.rule = only(unreachable, handles={"heartbeat", "main"})
    cluster.start("b", WORKER)
    await cluster.client.wait("t", timeout_s=200)
    before = await lines_of(cluster)
    line.heal()
    await asyncio.sleep(30)
    assert before == await lines_of(cluster)
    assert texts(before)[-1] == "attempt 2 begins"
    assert [line.n for line in before] == list(range(1, len(before) + 1))
    stubborn.set()


async def test_two_attempts_lines_stay_apart(cluster):
    async def body(context, task):
        context.logger.info("attempt %d", context.attempt)
        if context.attempt == 1:
            raise RuntimeError("no luck")

    lines = await run(cluster, body, retry=QUICK_RETRY)
    said = [(line.attempt, line.text) for line in lines if line.level is LineLevel.INFO]
    assert said == [(1, "attempt 1"), (2, "attempt 2")]
    # Why there was a second one.
    assert (lines[-2].attempt, lines[-2].text) == (1, "RuntimeError: no luck")
    page = await cluster.client.task_lines("t", attempt=2)
    assert (texts(page.lines), page.complete) == (["attempt 2"], True)


async def test_a_hundred_thousand_lines_at_once_keep_both_ends(cluster):
    async def body(context, task):
        for n in range(100_000):
            context.logger.info("line %d", n)

    lines = await run(cluster, body)
    kept = texts(lines)
    assert kept[0] == "line 0"
    assert kept[-1] == "line 99999"
    assert len(kept) <= 1002
    (mark,) = (line for line in lines if line.level is LineLevel.DROPPED)
    assert mark.text.split()[0] == f"{100_000 - len(kept) + 1:,}"
    assert cluster.row("t").status is TaskStatus.SUCCESS


async def test_a_line_of_a_megabyte_is_cut(cluster):
    async def body(context, task):
        context.logger.info("x" * 2**20)
        context.logger.info("\x00" * 2**20)

    lines = await run(cluster, body)
    assert [len(line.text) <= MAX_LINE_BYTES for line in lines] == [True, True]
    assert lines[0].text.endswith("... (cut; 1,048,576 characters in all)")


async def test_no_line_can_forge_another_or_speak_to_a_terminal(cluster):
    async def body(context, task):
        context.logger.info("one\nINFO forged \x1b[31mred\x1b]52;c;x\x07")

    (line,) = await run(cluster, body)
    assert line.text == "one\\nINFO forged \\x1b[31mred\\x1b]52;c;x\\x07"


async def test_a_traceback_is_lines_of_its_own(cluster):
    async def body(context, task):
        try:
            raise RuntimeError("no luck\nat all")
        except RuntimeError:
            context.logger.exception("it failed")

    lines = await run(cluster, body)
    assert texts(lines)[:2] == ["it failed", "    Traceback (most recent call last):"]
    assert texts(lines)[-2:] == ["    RuntimeError: no luck", "    at all"]
    assert {line.level for line in lines} == {LineLevel.ERROR}


async def test_lines_of_debug_are_kept_only_where_they_are_meant_for_it(cluster):
    async def body(context, task):
        context.logger.debug("not kept")
        context.logger.debug("kept", extra=as_line(LineLevel.RESPONSE))
        assert context.logger.isEnabledFor(logging.INFO)
        assert not context.logger.isEnabledFor(logging.DEBUG)

    assert [(line.level, line.text) for line in await run(cluster, body)] == [
        (LineLevel.RESPONSE, "kept")
    ]


class Unspeakable:
    def __str__(self):
        raise RuntimeError("no words")


async def test_a_message_that_cannot_be_written_breaks_nothing(cluster, capsys):
    async def body(context, task):
        context.logger.info("%d", "no number")
        context.logger.info(Unspeakable())
        context.logger.info("fine", exc_info=(None, None, None))

    logging.raiseExceptions, before = False, logging.raiseExceptions
    try:
        lines = await run(cluster, body)
    finally:
        logging.raiseExceptions = before
    assert texts(lines) == [
        "(a message that cannot be written: TypeError)",
        "(a message that cannot be written: RuntimeError)",
        "fine",
    ]
    assert cluster.row("t").status is TaskStatus.SUCCESS


async def test_a_worker_whose_task_logs_are_off_keeps_none(cluster):
    cluster.task_logs = False

    async def body(context, task):
        context.logger.info("unheard")

    line = Line()
    seen = calls_of(line, "append_lines")
    cluster.start("a", line=line)
    assert await run(cluster, body) == []
    assert seen == []


async def test_the_record_names_who_logged(cluster, caplog):
    async def body(context, task):
        context.logger.info("from here")
        context.logger.log(logging.INFO, "and here")

    with caplog.at_level(logging.INFO, logger="dsched.task"):
        await run(cluster, body)
    found = [r for r in caplog.records if r.getMessage() in ("from here", "and here")]
    assert [(record.funcName, record.task_id) for record in found] == [("body", "t")] * 2


async def test_lines_of_unknown_tasks_are_not_found(cluster):
    with pytest.raises(NotFoundError):
        await cluster.client.task_lines("nobody")
    with pytest.raises(NotFoundError):
        await lines_of(cluster, "nobody")


async def test_progress_tells_rate_and_rest(cluster):
    async def body(context, task):
        for done in range(11):
            context.progress(done, 40, "on the way")
            await asyncio.sleep(2)

    await run(cluster, body, retry=NO_RETRY)
    assert cluster.row("t").progress == {
        "done": 10,
        "total": 40,
        "note": "on the way",
        "rate_per_s": 0.5,
        "eta_s": 60.0,
    }


async def test_progress_without_a_total_or_beyond_any_float_is_kept_as_it_is(cluster):
    async def body(context, task):
        context.progress(1)
        await asyncio.sleep(1)
        context.progress(3)
        await asyncio.sleep(1.5)
        seen.append(cluster.row("t").progress)
        context.progress(10**400, 10**401)
        await asyncio.sleep(1.5)
        seen.append(cluster.row("t").progress)

    seen = []
    await run(cluster, body)
    assert seen == [{"done": 3, "rate_per_s": 2.0}, {"done": 10**400, "total": 10**401}]


async def test_threads_may_log_at_once(cluster):
    async def body(context, task):
        threads = [
            threading.Thread(target=talk, args=(context, name)) for name in ("a", "b", "c", "d")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def talk(context, name):
        for n in range(100):
            context.logger.info("%s %d", name, n)

    lines = texts(await run(cluster, body))
    assert len(lines) == 400
    for name in ("a", "b", "c", "d"):
        assert [text for text in lines if text.startswith(name)] == [
            f"{name} {n}" for n in range(100)
        ]
