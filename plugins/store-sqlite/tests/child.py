"""What the tests let other processes do with a store's file: child.py ACT FILE ..."""

import asyncio
import json
import os
import sys
import time

from dsched.contracts.store import Store
from dsched.contracts.store.dispatching import Choice
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Completion, Submission
from dsched.model import TaskResult, TaskSpec
from dsched_store_sqlite.options import SqliteOptions
from dsched_store_sqlite.store import open_sqlite

BATCH = 10


def say(value: object) -> None:
    """Tell the test."""
    print(json.dumps(value), flush=True)


async def lifecycles(store: Store, fence: str, name: str, first: int, number: int) -> list[str]:
    """Take one batch of tasks from their submission to their success; their ids."""
    spec = TaskSpec(executor="local", payload={"call": "work"})
    ids = [f"{name}-{first + index}" for index in range(BATCH)]
    submitted = await store.submit([Submission(task_id=i, spec=spec) for i in ids], by=name)
    assert submitted == (Outcome.OK,) * BATCH
    choices = [Choice(task_id=task_id, worker_id=name) for task_id in ids]
    done = await store.dispatch(fence, choices, [], skip=0, limit=1)
    assert done.choices == (Outcome.OK,) * BATCH
    claimed = await store.claim(name, "1", 0, number, BATCH)
    assert sorted(ids) == sorted(task.id for task in claimed.tasks)
    await complete(store, name, ids, claimed.token)
    return ids


async def complete(store: Store, name: str, ids: list[str], token: str) -> None:
    """Complete attempts with success."""
    completions = [
        Completion(task_id=task_id, token=token, success=True, result=TaskResult())
        for task_id in ids
    ]
    assert (Outcome.OK,) * len(ids) == await store.complete(completions, by=name)


def registration(name: str) -> Registration:
    """A worker with room for everything."""
    return Registration(
        worker_id=name, incarnation="1", capacity=1000, backlog=1000, heartbeat_timeout_ms=600_000
    )


async def hammer(store: Store, fence: str, name: str, batches: str) -> None:
    """Many lifecycles beside other processes that do the same."""
    await store.register(registration(name))
    for number in range(int(batches)):
        await lifecycles(store, fence, name, number * BATCH, number)
    say("done")


async def acknowledge(store: Store, fence: str, name: str, ledger: str) -> None:
    """Lifecycles for ever; each id goes to the ledger once the store has acknowledged it."""
    acks = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    await store.register(registration(name))
    say("started")
    number = 0
    while True:
        ids = await lifecycles(store, fence, name, number * BATCH, number)
        os.write(acks, "".join(f"{task_id}\n" for task_id in ids).encode())
        number += 1


async def listen(store: Store, who: str, other: str) -> None:
    """Wait for one wake-up, and for another that must not come; say when the first came."""
    silence = asyncio.ensure_future(store.wakeup(other, 20.0))
    say("listening")
    woken = await store.wakeup(who, 20.0)
    say([woken, time.monotonic()])
    await asyncio.sleep(0.2)  # the listener reads the file four times
    say(silence.done())
    silence.cancel()


async def idle(store: Store, seconds: str) -> None:
    """Do what an idle pod does: wait for wake-ups; say how much CPU time that took."""
    waits = [store.wakeup(who, float(seconds)) for who in ("leader", "w1", "election")]
    before = time.process_time()
    await asyncio.gather(*waits)
    say(time.process_time() - before)


ACTS = {"hammer": hammer, "acknowledge": acknowledge, "listen": listen, "idle": idle}


async def main(act: str, path: str, synchronous: str, *arguments: str) -> None:
    """Open the file and act."""
    options = SqliteOptions(path=path, synchronous=synchronous)
    async with open_sqlite(options, StoreSettings()) as store:
        await ACTS[act](store, *arguments)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
