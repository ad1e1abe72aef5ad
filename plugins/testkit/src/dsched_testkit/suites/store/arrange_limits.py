"""Limits for the tests of a store: put, named by tasks, and who holds their places."""

from typing import Any

import attrs

from dsched.contracts.store.dispatching import Choice, Dispatched
from dsched.contracts.store.limits import LimitUse
from dsched.contracts.store.outcomes import Outcome
from dsched.model import Limit
from dsched_testkit.suites.store.arrange import Arranging


class ArrangingLimits(Arranging):
    """How limits are put and used."""

    async def limited(self, task_id: str, *names: str, **fields: Any) -> str:
        """Submit a task of limits, `crm` if none is named."""
        return await self.submit(task_id, limits=names or ("crm",), **fields)

    async def limit(
        self, limit_id: str = "crm", max_running: int | None = 1, **fields: Any
    ) -> Outcome:
        """Store a limit."""
        return await self.store.put_limit(Limit(id=limit_id, max_running=max_running, **fields))

    async def begin(self, max_running: int = 1) -> None:
        """A leader, a worker with room, and the limit `crm`."""
        await self.lead()
        await self.worker(capacity=50, backlog=150)
        assert await self.limit("crm", max_running) is Outcome.OK

    async def choose_all(self, *task_ids: str) -> Dispatched:
        """Dispatch these to the worker."""
        choices = [Choice(task_id=key, worker_id="w1") for key in task_ids]
        return await self.store.dispatch(self.fence, choices, [], skip=0, limit=100)

    async def take(self, task_id: str) -> str:
        """A worker starts what is queued; the token."""
        claimed = await self.claim(limit=100)
        assert task_id in [task.id for task in claimed.tasks]
        return claimed.token

    async def use(self, name: str = "crm") -> LimitUse:
        """Who holds and who waits."""
        page = await self.store.limit_uses(None, 100)
        none = LimitUse(name=name, held=0, waiting=0)
        return next((one for one in page.uses if one.name == name), none)

    async def undated_use(self, name: str = "crm") -> LimitUse:
        """The same without since when it is waited for."""
        return attrs.evolve(await self.use(name), oldest_ms=None)

    async def open_ids(self) -> list[str]:
        """What a poll finds."""
        return [task.id for task in (await self.store.poll(self.fence, 100)).ready.tasks]
