"""What a target may say of its attempt, and when: each refusal, and that nothing said is lost."""

import asyncio

import attrs
from engine_cluster import NO_RETRY, seconds, spec

from dsched.contracts.executor.callback import callback_of
from dsched.contracts.store.callbacks import post, read_inbox, write_inbox
from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.model import RetryPolicy, TaskStatus

GOOD = {"success": True, "code": "done", "message": "", "data": None, "retryable": True}
BAD = {"success": False, "code": "no", "message": "no", "data": None, "retryable": True}


@attrs.define
class Target:
    """An executor's body that tells a target, which then waits to be made to speak."""

    tokens: dict[int, str] = attrs.field(factory=dict)
    earlier: dict[int, object] = attrs.field(factory=dict)

    async def __call__(self, context, task):
        callback = callback_of(context)
        self.earlier[context.attempt] = found = await callback.earlier()
        if found is not None:
            return found
        self.tokens[context.attempt] = await callback.expect()
        return await callback.wait()

    async def is_told(self, attempt=1):
        async with asyncio.timeout(60):
            while attempt not in self.tokens:
                await asyncio.sleep(0.01)
        return self.tokens[attempt]


async def begun(cluster, **changes):
    """A task whose target has been told, and the target."""
    target = cluster.executor.bodies["t"] = Target()
    if not cluster.pods:
        cluster.start("a")
    await cluster.client.submit(spec("t", **changes), task_id="t")
    await target.is_told()
    return target


def ends(done=GOOD):
    return lambda inbox: Outcome.DUP if inbox.done else attrs.evolve(inbox, done=done)


def says(*texts):
    rows = tuple(("info", text) for text in texts)
    return lambda inbox: attrs.evolve(inbox, lines=(*inbox.lines, *rows), progress={"done": 1})


async def said(cluster, token, change, attempt=1):
    return (await post(cluster.store, "t", attempt, token=token, change=change)).outcome


async def test_the_token_of_another_attempt_is_good_for_nothing(cluster):
    target = await begun(cluster)
    assert await said(cluster, "x" * 43, ends()) is Outcome.UNKNOWN
    assert await said(cluster, target.tokens[1], ends(), attempt=2) is Outcome.UNKNOWN
    assert await said(cluster, target.tokens[1], ends()) is Outcome.OK
    assert (await cluster.client.wait("t", timeout_s=10)).status is TaskStatus.SUCCESS


async def test_an_attempt_that_is_over_takes_nothing(cluster):
    target = await begun(cluster)
    await cluster.client.cancel("t")
    await cluster.client.wait("t", timeout_s=10)
    assert await said(cluster, target.tokens[1], ends()) is Outcome.STALE


async def test_what_comes_after_the_timeout_is_too_late_though_the_worker_is_silent(cluster):
    target = await begun(cluster, timeout=seconds(2), retry=NO_RETRY)
    inbox, version = await read_inbox(cluster.store, "t", 1)
    past = attrs.evolve(inbox, until_ms=(await cluster.store.now()).now_ms)
    await write_inbox(cluster.store, past, read=version, now_ms=past.until_ms)
    assert await said(cluster, target.tokens[1], ends()) is Outcome.TOO_LATE
    assert (await cluster.client.get("t")).status is TaskStatus.RUNNING


async def test_two_that_speak_at_once_are_both_heard(cluster):
    """The slower of two writers finds that the inbox has moved, and adds to what is there."""
    target = await begun(cluster)
    slow = cluster.store
    write, between = slow.put_document, []

    async def put_document(*args, **more):
        if not between:
            between.append(await said(cluster, target.tokens[1], says("first")))
        return await write(*args, **more)

    slow.put_document = put_document
    found = await post(slow, "t", 1, token=target.tokens[1], change=says("second"))
    assert (found.outcome, between) == (Outcome.OK, [Outcome.OK])
    await said(cluster, target.tokens[1], ends())
    await cluster.client.wait("t", timeout_s=10)
    lines = [line.text async for line in cluster.client.follow_lines("t")]
    assert lines == ["first", "second"]


async def test_what_is_said_while_the_worker_takes_over_is_neither_lost_nor_told_twice(cluster):
    target = await begun(cluster)
    line, spoken = cluster.lines["a"], []

    async def rule(handle, name, proceed):
        if name == "put_document" and not spoken:
            spoken.append(1)
            await said(cluster, target.tokens[1], says("between"))
        return await proceed()

    line.rule = rule
    await said(cluster, target.tokens[1], says("first"))
    while not spoken:
        await asyncio.sleep(0.05)
    await asyncio.sleep(5)
    await said(cluster, target.tokens[1], ends())
    await cluster.client.wait("t", timeout_s=10)
    assert [line.text async for line in cluster.client.follow_lines("t")] == ["first", "between"]


async def test_what_was_accepted_in_time_counts_though_it_is_read_after_the_timeout(cluster):
    """The worker's last reading fails until its timeout: it reads once more."""
    target = await begun(cluster, timeout=seconds(6), retry=NO_RETRY)
    line, loop = cluster.lines["a"], asyncio.get_running_loop()
    over_s = loop.time() + 5.9

    async def rule(handle, name, proceed):
        if name == "get_document" and loop.time() < over_s:
            raise StoreUnavailableError("slow", maybe_applied=False)
        return await proceed()

    line.rule = rule
    assert await said(cluster, target.tokens[1], ends()) is Outcome.OK
    assert (await cluster.client.wait("t", timeout_s=30)).status is TaskStatus.SUCCESS


async def test_a_failure_that_was_counted_is_not_taken_for_the_next_attempts(cluster):
    at_once = RetryPolicy(max_retries=1, retry_delay=seconds(0), jitter=0)
    target = await begun(cluster, retry=at_once)
    await said(cluster, target.tokens[1], ends(BAD))
    await target.is_told(2)
    assert await said(cluster, target.tokens[2], ends(), attempt=2) is Outcome.OK
    task = await cluster.client.wait("t", timeout_s=10)
    assert (task.status, task.attempt) == (TaskStatus.SUCCESS, 2)


async def test_what_was_said_before_its_worker_died_is_taken_by_the_next_attempt(cluster):
    target = await begun(cluster)
    line = cluster.lines["a"]

    async def rule(handle, name, proceed):
        if name == "get_document":
            raise StoreUnavailableError("it reads no inbox", maybe_applied=False)
        return await proceed()

    line.rule = rule
    await said(cluster, target.tokens[1], ends())
    await cluster.kill("a")
    cluster.start("b")
    task = await cluster.client.wait("t", timeout_s=120)
    assert (task.status, task.attempt, list(target.tokens)) == (TaskStatus.SUCCESS, 2, [1])
