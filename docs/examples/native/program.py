"""A whole program: python program.py"""

import asyncio
from datetime import UTC, datetime, timedelta

from shop import add, welcome

import dsched


async def main(pod: dsched.EmbeddedPod) -> None:
    """Runs beside the pod; when it returns, or on SIGTERM or Ctrl-C, the pod is drained."""
    print(add(2, 3))  # a plain call, here and now

    handle = await add.submit(2, 3)  # a task, on any worker
    print(await handle.result(timeout="20s"))

    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    first, second = await asyncio.gather(
        add.options(at=soon, priority=9).submit(1, 1),
        welcome.options(task_id="welcome-ada").submit("Ada"),
    )
    print(await first.result(timeout="20s"), await second.result(timeout="20s"))

    later = await add.options(delay="5m").submit(3, 3)
    print((await later.cancel(reason="not needed")).outcome)

    specs = [add.spec(number, number) for number in range(3)]  # many at once
    handles = [await pod.client.submit(spec) for spec in specs]
    print([await one.result(timeout="20s") for one in handles])


if __name__ == "__main__":
    dsched.run(main, config={"sqlite": {"path": "shop.db"}})
    print("drained")
