"""How many a worker runs at once: what operators ask of the client."""

from dsched.client.asking import Asking, NotFoundError
from dsched.contracts.store.checks import check_capacity
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.sizes import (
    Size,
    all_sizes,
    forget_size,
    remember_size,
    size_of,
)
from dsched.model import Worker


class Resizing(Asking):
    """The size of a worker is changed while it runs. Each act may be repeated."""

    async def resize_worker(
        self, worker_id: str, capacity: int | None, *, by: str | None = None
    ) -> None:
        """Let a worker run so many tasks at once, by its next heartbeat; `NotFoundError`.

        It holds for whoever has this id, restarts included, until it is taken back with None: then
        it has what it is configured to have. What runs beyond a smaller size goes on. ValueError
        unless 1 to 10,000.
        """
        by = by or self._by
        if capacity is None:
            await self._take_back(worker_id, by)
        else:
            check_capacity(capacity)
            await self._give(worker_id, capacity, by)

    async def worker_sizes(self) -> dict[str, Size]:
        """What operators gave workers, by id; also of those that do not run now."""
        return await self._answered(lambda: all_sizes(self._store))

    async def _give(self, worker_id: str, capacity: int, by: str) -> None:
        # In this order: what is registered before the size is noted is the worker's own size.
        noted = await self._answered(lambda: size_of(self._store, worker_id))
        worker = await self._registered(worker_id)
        own = worker.capacity if noted is None else noted.own
        size = Size(capacity=capacity, own=own, by=by)
        await self._answered(lambda: remember_size(self._store, worker_id, size))
        outcome = await self._answered(lambda: self._store.resize(worker_id, capacity, by=by))
        if outcome is Outcome.NO_WORKER:
            raise _unknown(worker_id)

    async def _take_back(self, worker_id: str, by: str) -> None:
        size = await self._answered(lambda: size_of(self._store, worker_id))
        if size is None:
            await self._registered(worker_id)
        while size is not None:  # again if it starts anew, or another size is given, meanwhile
            size = await self._make_own(worker_id, size.own, by)

    async def _make_own(self, worker_id: str, own: int, by: str) -> Size | None:
        # Noted until the worker has it: if this ends half-way, a repeat knows what is to be done.
        back = Size(capacity=own, own=own, by=by)
        await self._answered(lambda: remember_size(self._store, worker_id, back))
        await self._answered(lambda: self._store.resize(worker_id, own, by=by))
        return await self._answered(lambda: forget_size(self._store, worker_id, back))

    async def _registered(self, worker_id: str) -> Worker:
        for one in await self._answered(self._store.workers):
            if one.id == worker_id:
                return one
        raise _unknown(worker_id)


def _unknown(worker_id: str) -> NotFoundError:
    return NotFoundError(Outcome.NO_WORKER, f"there is no worker {worker_id}")
