"""Lines of tasks through a whole pod: real functions, real time, the embedded store."""

import logging

import dsched
from dsched import FunctionContext
from dsched.contracts.store.tasklogs import LineLevel

REAL_TIME = True


@dsched.task("lines.of_a_coroutine")
async def of_a_coroutine(ctx: FunctionContext) -> None:
    ctx.logger.info("from the loop")
    logging.getLogger("somebody.else").warning("in its course")


@dsched.task("lines.of_a_thread")
def of_a_thread(ctx: FunctionContext, count: int) -> None:
    for n in range(count):
        ctx.logger.info("line %d", n)
        ctx.progress(n + 1, count)


async def test_functions_on_the_loop_and_in_threads_are_heard(tmp_path):
    settings = {"store": "sqlite", "sqlite": {"path": str(tmp_path / "a.db")}}
    settings["task"] = {"logs": {"lines": 20}}
    async with dsched.pod(settings) as pod:
        client = pod.client
        first = await client.submit(_spec("lines.of_a_coroutine"))
        lines = [line async for line in client.follow_lines(first, poll_s=0.05)]
        assert [(line.n, line.level, line.text) for line in lines] == [
            (1, LineLevel.INFO, "from the loop"),
            (2, LineLevel.WARNING, "in its course"),
        ]
        second = await client.submit(_spec("lines.of_a_thread", [5000]))
        await client.wait(second, timeout_s=30)
        page = await client.task_lines(second)
        assert page.complete
        assert [line.text for line in page.lines[:10]] == [f"line {n}" for n in range(10)]
        assert page.lines[-1].text == "line 4999"
        assert len(page.lines) == 21
        after = await client.task_lines(second, after=page.cursor)
        assert (after.lines, after.complete) == ((), True)


async def test_a_worker_whose_logs_are_off_keeps_none(tmp_path):
    settings = {"store": "sqlite", "sqlite": {"path": str(tmp_path / "a.db")}}
    settings["task"] = {"logs": {"enabled": False}}
    async with dsched.pod(settings) as pod:
        task_id = await pod.client.submit(_spec("lines.of_a_coroutine"))
        await pod.client.wait(task_id, timeout_s=30)
        page = await pod.client.task_lines(task_id)
        assert (page.lines, page.complete) == ((), True)


def _spec(function, args=None):
    return dsched.TaskSpec(executor="local", payload={"function": function, "args": args})
