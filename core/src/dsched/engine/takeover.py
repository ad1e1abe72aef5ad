"""A parent process tells the store that the process of one of its workers has ended."""

import logging

from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.workers import Registration
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import until_answered

log = logging.getLogger("dsched.worker")

WHAT = "taking over from a dead worker"
GHOST_TIMEOUT_MS = 1000  # if nobody deregisters it, it is gone after this long


async def take_over_from_dead(store: Store, worker_id: str, runtime: Runtime) -> bool:
    """Let the leases of a worker be over at once, and its queue go back; then forget it.

    Its process must have ended. The leader reaps what it ran as usual, with a crash counted.
    Answers whether there was such a worker; one that has a successor by now is left alone. This
    may be cancelled at any point: the store then has a successor that is never heard of again, and
    that is older than any process which registers later.
    """
    # Read first: a successor that registers meanwhile is of a later time, and stays.
    now = await until_answered(runtime, WHAT, store.now)
    incarnation = f"{now.now_ms:013d}-{runtime.token()}"
    if worker_id not in {one.id for one in await until_answered(runtime, WHAT, store.workers)}:
        return False  # it has left by itself, or has never registered
    successor = Registration(
        worker_id=worker_id,
        incarnation=incarnation,
        capacity=1,
        backlog=0,
        heartbeat_timeout_ms=GHOST_TIMEOUT_MS,
    )
    outcome = await until_answered(runtime, WHAT, lambda: store.register(successor))
    if outcome is not Outcome.OK:
        return False
    await until_answered(runtime, WHAT, lambda: store.deregister(worker_id, incarnation))
    log.warning(
        "worker %s has died: what it ran and what waited for it is run elsewhere", worker_id
    )
    return True
