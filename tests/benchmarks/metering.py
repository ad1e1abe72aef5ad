"""Times of single calls to a store: on this side, and inside Redis.

The time of a script is what `INFO commandstats` adds to the time of `evalsha` for that one call:
exact, on every version, as long as nobody else calls the server meanwhile. (`latencystats` knows
percentiles, but of all scripts together.)
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import rig

from dsched_testkit.servers import RedisServer


def scripts(server: RedisServer) -> tuple[int, int]:
    """Scripts run since the last reset: how many, and their time in microseconds."""
    rows = rig.STAT.findall(str(server.command("INFO", "commandstats")))
    found = [
        (int(calls), int(us)) for name, calls, us in rows if name.startswith(("eval", "fcall"))
    ]
    return sum(calls for calls, _ in found), sum(us for _, us in found)


@attrs.define
class Row:
    """What the calls of one step took. ``items``: of all calls together."""

    took_ms: list[float] = attrs.field(factory=list)
    script_us: list[float] = attrs.field(factory=list)
    items: int = 0


@attrs.define
class Meter:
    """Makes calls, one at a time, and notes what they took. ``server`` None: not Redis."""

    server: RedisServer | None
    rows: dict[str, Row] = attrs.field(factory=dict)

    async def call(self, step: str, make: Callable[[], Awaitable[Any]], items: int = 1) -> Any:
        """One call of a step for so many items; its answer."""
        row = self.rows.setdefault(step, Row())
        before = scripts(self.server) if self.server else (0, 0)
        started_s = time.perf_counter()
        answer = await make()
        row.took_ms.append(1000 * (time.perf_counter() - started_s))
        row.items += items
        if self.server:
            count, us = (now - then for now, then in zip(scripts(self.server), before, strict=True))
            row.script_us.append(us / max(1, count))  # a large batch may go in several scripts
        return answer
