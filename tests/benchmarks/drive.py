"""The client's side of a benchmark, in a process of its own: one system, one act, one JSON line.

    drive.py CLIENT enqueue COUNT SIZES    tasks as fast as the client's bulk call goes,
    `works.Case.sizes` drive.py CLIENT pings COUNT GAP_MS     one task at a time, each stamped with
    its sending drive.py CLIENT timed RATE SECONDS     tasks due RATE a second, from three seconds
    from now on drive.py CLIENT burst COUNT LEAD_S     tasks all due at one instant; each so manieth
    is slow (dsched only) drive.py CLIENT fires COUNT            configs with a period of one second
    (dsched only) drive.py CLIENT storm COUNT LEAD_S     configs all due at one instant (dsched
    only) drive.py CLIENT worker                 run a worker until killed

A client is a module of `clients`; see `clients/__init__.py` for what it offers.
"""

import asyncio
import importlib
import json
import sys
import time

BATCH = 100
# An instant is told to each system as so long from now. What it takes to write a batch of tasks
# comes on top of that, which is no lateness of the system's.
TIMED_BATCH = 10


async def enqueue(client, count: int, *sizes: int) -> dict[str, float]:
    # A batch of large ones is a few: what one call carries has a bound.
    batch = max(1, min(BATCH, 2_000_000 // max([1, *sizes[:1]])))
    started_s = time.perf_counter()
    for start in range(0, count, batch):
        numbers = range(start, min(start + batch, count))
        if any(sizes):
            await client.works_of(sizes, numbers)
        else:
            await client.noops(len(numbers))
    return {"seconds": time.perf_counter() - started_s}


async def pings(client, count: int, gap_ms: int) -> dict[str, float]:
    for number in range(count):
        # Uneven gaps, so that no loop of the other side can march in step.
        await asyncio.sleep(gap_ms * (0.7 + 0.6 * (number * 0.618 % 1)) / 1000)
        await client.ping(time.time())
    return {}


async def timed(client, rate: int, seconds: int) -> dict[str, float]:
    first_s = time.time() + 3
    dues = [first_s + number / rate for number in range(rate * seconds)]
    for start in range(0, len(dues), TIMED_BATCH):
        await client.due(dues[start : start + TIMED_BATCH])
        await asyncio.sleep(max(0.0, dues[start] - 2.5 - time.time()))
    return {"until_s": dues[-1]}


async def burst(client, count: int, lead_s: int, slow_every: int = 0) -> dict[str, float]:
    due_s = time.time() + lead_s
    slow = (slow_every,) if slow_every else ()
    for start in range(0, count, BATCH):
        await client.due([due_s] * min(BATCH, count - start), *slow)
    return {"due_s": due_s, "spare_s": due_s - time.time()}


async def fires(client, count: int) -> dict[str, float]:
    await client.periodic(count)
    return {}


async def storm(client, count: int, lead_s: int) -> dict[str, float]:
    started_s = time.time()
    due_s = float(round(started_s + lead_s))
    await client.storm(count, due_s)
    return {"due_s": due_s, "spare_s": due_s - time.time(), "put_s": time.time() - started_s}


ACTS = {
    "enqueue": enqueue,
    "pings": pings,
    "timed": timed,
    "burst": burst,
    "fires": fires,
    "storm": storm,
}


async def act(client, name: str, numbers: list[int]) -> dict[str, float]:
    async with client.opened():
        return await ACTS[name](client, *numbers)


def main() -> None:
    name, what, *numbers = sys.argv[1:]
    client = importlib.import_module(f"clients.{name}_client")
    if what == "worker":
        client.worker()
    else:
        print(json.dumps(asyncio.run(act(client, what, [int(number) for number in numbers]))))


if __name__ == "__main__":
    main()
