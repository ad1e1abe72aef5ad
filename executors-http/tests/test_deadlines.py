"""Deadlines of many blocks with one timer: they end a block as `asyncio.timeout` does."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from dsched_executor_http.deadlines import Deadlines

FAR_S = 3600.0
SOON_S = 0.01


@pytest.fixture
def deadlines() -> Iterator[Deadlines]:
    """What a test uses; no timer fires after it."""
    found = Deadlines()
    yield found
    found.close()


async def for_ever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()


async def test_a_block_that_is_not_over_in_time_raises_timeout_error(deadlines) -> None:
    with pytest.raises(TimeoutError), deadlines.within(SOON_S):
        await for_ever()

    # Its cancel was taken back: the task may wait again.
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)


async def test_no_time_at_all_ends_a_block_at_its_first_wait(deadlines) -> None:
    with pytest.raises(TimeoutError), deadlines.within(0.0):
        await for_ever()


async def test_a_block_that_is_over_in_time_is_left_alone(deadlines) -> None:
    with deadlines.within(SOON_S):
        await asyncio.sleep(0)

    # The first deadline's timer fires before.
    with pytest.raises(TimeoutError), deadlines.within(2 * SOON_S):
        await for_ever()


async def test_what_a_block_raises_is_passed_on(deadlines) -> None:
    with pytest.raises(LookupError, match="mine"), deadlines.within(FAR_S):
        raise LookupError("mine")


async def test_a_cancel_from_elsewhere_stays_a_cancel(deadlines) -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        with deadlines.within(FAR_S):
            begun.set()
            await for_ever()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(wait())
        await begun.wait()
        task.cancel()

    assert task.cancelled()


async def test_a_cancel_that_comes_with_the_deadline_stays_a_cancel(deadlines) -> None:
    async def wait() -> None:
        deadline = deadlines.within(FAR_S)
        with deadline:
            asyncio.current_task().cancel()
            deadline.passes()
            await for_ever()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(wait())

    assert task.cancelled()


async def test_the_inner_of_two_deadlines_ends_only_its_own_block(deadlines) -> None:
    with deadlines.within(FAR_S):
        with pytest.raises(TimeoutError), deadlines.within(SOON_S):
            await for_ever()
        await asyncio.sleep(0)


async def test_an_earlier_deadline_that_comes_later_does_not_wait_for_the_first(deadlines) -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        with deadlines.within(FAR_S):
            begun.set()
            await for_ever()

    async with asyncio.TaskGroup() as group:
        patient = group.create_task(wait())
        await begun.wait()
        with pytest.raises(TimeoutError), deadlines.within(SOON_S):
            await for_ever()
        assert not patient.done()
        patient.cancel()


async def test_a_later_deadline_rings_after_an_earlier_one_has_rung(deadlines) -> None:
    async def wait_twice() -> None:
        with deadlines.within(2 * SOON_S):
            with contextlib.suppress(TimeoutError), deadlines.within(SOON_S):
                await for_ever()
            await for_ever()

    with pytest.raises(TimeoutError):
        await wait_twice()


async def test_many_blocks_arm_one_timer(deadlines, monkeypatch) -> None:
    loop, armed = asyncio.get_running_loop(), []
    call_at = loop.call_at

    def count(*arguments, **more):
        armed.append(arguments)
        return call_at(*arguments, **more)

    monkeypatch.setattr(loop, "call_at", count)
    for _ in range(1000):
        with deadlines.within(FAR_S):
            pass

    assert len(armed) == 1


async def test_blocks_that_have_ended_are_forgotten_however_they_end(deadlines) -> None:
    with deadlines.within(FAR_S):
        pass
    with pytest.raises(LookupError), deadlines.within(FAR_S):
        raise LookupError
    with pytest.raises(TimeoutError), deadlines.within(0.0):
        await for_ever()

    assert not deadlines._open


async def test_nothing_rings_once_they_are_closed(deadlines) -> None:
    with deadlines.within(SOON_S):
        pass
    timer = deadlines._timer
    deadlines.close()

    assert timer.cancelled()
