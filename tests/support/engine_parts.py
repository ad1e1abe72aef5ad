"""What tests of single parts of the engine hand them: a runtime, a term, a time, a worker."""

import asyncio

from dsched.contracts.store.timing import StoreTime
from dsched.engine.leader.term import Term
from dsched.engine.observers import Announcer
from dsched.engine.runtime import Runtime
from dsched.model import Worker
from dsched_testkit.kernel.virtual_time import virtual_runtime

QUIET = Announcer({})


def new_runtime() -> Runtime:
    """In the virtual time of the test."""
    return virtual_runtime(asyncio.get_running_loop(), 1)


def new_term(fence: str = "7:t:a", ttl_s: float = 60.0) -> Term:
    """A term that begins now."""
    return Term(fence, ttl_s, asyncio.get_running_loop().time(), new_runtime())


def store_time(wall_ms: int, clock_gen: int = 0) -> StoreTime:
    """A store whose time is that of the wall."""
    return StoreTime(wall_ms=wall_ms, now_ms=wall_ms, clock_gen=clock_gen)


def new_worker(worker_id: str, **state: object) -> Worker:
    """One of four slots and a backlog of four, unless ``state`` says otherwise."""
    state = {"capacity": 4, "backlog": 4, **state}
    return Worker(
        id=worker_id,
        incarnation="1",
        heartbeat_timeout_ms=1000,
        last_heartbeat_ms=0,
        **state,  # type: ignore[arg-type]
    )
