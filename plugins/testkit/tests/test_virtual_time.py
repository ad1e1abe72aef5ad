"""Virtual time: long waits cost nothing, order is kept, and what cannot end says so."""

import asyncio
import gc
import time

import pytest

from dsched_testkit.kernel import virtual_time
from dsched_testkit.kernel.virtual_time import (
    BusyLoopError,
    SleepsForeverError,
    VirtualWall,
    run_virtual,
    virtual_runtime,
)


def test_a_day_takes_no_time():
    async def main():
        await asyncio.sleep(86_400 * 3)
        return asyncio.get_running_loop().time()

    began_s = time.monotonic()
    assert run_virtual(main()) == pytest.approx(86_400 * 3)
    assert time.monotonic() - began_s < 2


def test_timers_fire_in_the_order_of_their_instants():
    seen = []

    async def note(after_s):
        await asyncio.sleep(after_s)
        seen.append((after_s, asyncio.get_running_loop().time()))

    async def main():
        async with asyncio.TaskGroup() as group:
            for after_s in (5, 0.25, 3600, 1):
                group.create_task(note(after_s))

    run_virtual(main())
    assert [after_s for after_s, _ in seen] == [0.25, 1, 5, 3600]
    assert all(at_s == pytest.approx(after_s) for after_s, at_s in seen)


def test_timeouts_follow_virtual_time():
    async def main():
        async with asyncio.timeout(100):
            await asyncio.sleep(99)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await asyncio.sleep(101)

    run_virtual(main())


def test_a_program_that_can_never_go_on_is_told_so():
    async def main():
        await asyncio.Event().wait()

    with pytest.raises(SleepsForeverError):
        run_virtual(main())


def test_a_busy_loop_is_told_so(monkeypatch):
    monkeypatch.setattr(virtual_time, "MAX_ROUNDS_AT_ONE_INSTANT", 50)

    async def main():
        while True:
            await asyncio.sleep(0)

    with pytest.raises(BusyLoopError):
        run_virtual(main())
    gc.collect()  # asyncio complains of the task here, and not in the middle of another test


def test_equal_seeds_give_equal_chance_and_tokens():
    async def draw(seed):
        runtime = virtual_runtime(asyncio.get_running_loop(), seed)
        return [runtime.uniform(), runtime.token(), runtime.uniform(), runtime.token()]

    assert run_virtual(draw(7)) == run_virtual(draw(7))
    assert run_virtual(draw(7)) != run_virtual(draw(8))


def test_the_wall_follows_the_loop_and_can_be_set():
    async def main():
        wall = VirtualWall(asyncio.get_running_loop(), start_ms=1_000)
        await asyncio.sleep(2.5)
        assert wall() == 3_500
        wall.step(-2_000)
        assert wall() == 1_500

    run_virtual(main())


def test_waiting_out_a_hair_of_a_second_moves_the_clock():
    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.sleep(151.97349)
        until_s = loop.time() + 1e-12
        while loop.time() < until_s:
            await asyncio.sleep(until_s - loop.time())
        before_s = loop.time()
        await asyncio.sleep(1e-18)  # nothing, when added to the clock as a float
        assert before_s < loop.time() < 151.9736

    run_virtual(main())
