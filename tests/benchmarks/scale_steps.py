"""Every step of a store that holds very much: what a call takes, and the script inside it.

`fill` puts in what waits; `Acts` are the steps, each called many times, for a whole batch where it
takes one. One call at a time, from this process, with nobody else on the store.
"""

import asyncio
import sys

import metering
import stores
import wide
from plan import Plan
from scale_acts import Acts
from systems import Stage

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.settings import StoreSettings
from dsched.model import TaskSpec

CALLS = 200
DELAYED_SHARE = 4  # one in so many tasks waits for its instant, the others for a worker
SPEC = TaskSpec(executor="local", payload={"function": "noop", "args": {"data": "x" * 70}})
SLOW_US = 10_000  # what Redis, unless told otherwise, writes into its slow log
DAY_MS = 24 * 3600 * 1000


def steps(stage: Stage, plan: Plan) -> dict[str, float]:
    """The table of this store's steps, and how often Redis called one slow (10 ms)."""
    redis = stage.server is not None
    count = plan.many if redis else plan.many_in_a_file
    calls = max(10, min(CALLS, count // (4 * MAX_BATCH) // 4))
    meter = metering.Meter(stage.server)
    asyncio.run(_run(stage, meter, count, calls))
    store = "Redis" if redis else "SQLite"
    table = f"{store} with {count:,} configs and {count:,} waiting tasks, one call at a time"
    found = {}
    for step, row in meter.rows.items():
        for column, value in _columns(row).items():
            found[wide.name(table, step, column)] = value
    if stage.server is not None:
        found[f"slow log entries (10 ms) with {count:,} waiting tasks"] = float(
            stage.server.command("SLOWLOG", "LEN")
        )
    return found


def _columns(row: metering.Row) -> dict[str, float]:
    took, inside = sorted(row.took_ms), sorted(row.script_us)
    items = row.items / len(took)
    found = {
        "calls": float(len(took)),
        "items a call": items,
        "call, ms p50": _at(took, 0.5),
        "call, ms p99": _at(took, 0.99),
        "us an item": 1000 * _at(took, 0.5) / max(1.0, items),
    }
    if inside:
        found |= {"script, us p50": _at(inside, 0.5), "script, us p99": _at(inside, 0.99)}
        found["over 10 ms"] = float(sum(us >= SLOW_US for us in inside))
    return found


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def _run(stage: Stage, meter: metering.Meter, count: int, calls: int) -> None:
    settings = StoreSettings(result_ttl_ms=7 * DAY_MS)
    # With another handle ended tasks are past their time at once: what is pruned is what is timed.
    forgetful = StoreSettings(result_ttl_ms=1)
    async with stores.opened(stage, settings) as store, stores.opened(stage, forgetful) as pruner:
        await fill(store, count, calls)
        if stage.server is not None:
            # By default it forgets all but the newest 128.
            stage.server.command("CONFIG", "SET", "slowlog-max-len", "100000")
            stage.server.command("SLOWLOG", "RESET")
        acts = Acts(store, pruner, meter, count, calls)
        for act in (acts.configs, acts.fires, acts.tasks, acts.lists, acts.ends):
            await act()
            print(f"  {stage.system.name}: {act.__name__} measured", file=sys.stderr, flush=True)


async def fill(store: Store, count: int, calls: int) -> None:
    """Everything but what the steps themselves put in: so the store is full while they run."""
    new = calls * MAX_BATCH
    delayed = count // DELAYED_SHARE
    await stores.fill_configs(store, range(count - 2 * new))
    await stores.fill_tasks(store, range(delayed), SPEC, "later", stores.FAR_MS)
    await stores.fill_tasks(store, range(count - delayed - 2 * new), SPEC, "ready")
