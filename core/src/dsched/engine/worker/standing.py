"""What an operator said of a worker's id, which outlives its processes: a size, a drain."""

import logging
from collections.abc import Awaitable, Callable, Sequence

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.sizes import size_at_start
from dsched.contracts.store.standing import drained_by
from dsched.contracts.store.workers import Registration
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import until_answered
from dsched.engine.worker.claiming import Claimer
from dsched.engine.worker.offering import Presents

log = logging.getLogger("dsched.worker")


class Standing:
    """What is said of the id of a worker that starts."""

    def __init__(self, store: Store, runtime: Runtime, worker_id: str, own: int) -> None:
        """``own``: how many it is configured to run at once."""
        self._store = store
        self._runtime = runtime
        self._worker_id = worker_id
        self._own = own

    async def registered(
        self, registration: Registration, register: Callable[[Registration], Awaitable[None]]
    ) -> Registration:
        """Register with the size that an operator gave this id, if there is one.

        An operator first notes a size and then resizes who is registered. A size that is noted
        between reading and registering finds no worker to resize, so it is read again afterwards.
        """
        capacity = await self._read()
        registration = attrs.evolve(registration, capacity=capacity)
        await register(registration)
        after = await self._read()
        if after != capacity:
            registration = attrs.evolve(registration, capacity=after)
            await until_answered(
                self._runtime,
                "registering",
                lambda: self._store.resize(self._worker_id, after, by=self._worker_id),
            )
        return registration

    async def stay_drained(self) -> None:
        """An operator's drain belongs to the worker's id: a restart does not undo it."""
        worker_id = self._worker_id
        by = await until_answered(
            self._runtime, "registering", lambda: drained_by(self._store, worker_id)
        )
        if by is None:
            return
        await until_answered(
            self._runtime, "registering", lambda: self._store.drain(worker_id, None)
        )
        log.warning(
            "worker %s was drained by %s and stays so: `dsched worker resume %s` ends that",
            worker_id,
            by or "an operator",
            worker_id,
        )

    async def _read(self) -> int:
        return await until_answered(
            self._runtime,
            "registering",
            lambda: size_at_start(self._store, self._worker_id, self._own),
        )


def resize(claimer: Claimer, presents: Sequence[Presents], capacity: int) -> None:
    """Run so many at once from now on; what runs beyond it goes on.

    ``presents``: who registers the worker again says the new size.
    """
    for one in presents:
        one.registration = attrs.evolve(one.registration, capacity=capacity)
    claimer.resize(capacity)
    claimer.wake()
