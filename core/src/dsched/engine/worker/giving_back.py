"""A drained worker gives back what runs, if an operator asked for that."""

import asyncio
import logging

from dsched.contracts.store import Store
from dsched.contracts.store.standing import gives_back
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import until_answered
from dsched.engine.worker.attempts import Attempt, Attempts, StopReason
from dsched.engine.worker.running import Runner
from dsched.model import OnCrash

log = logging.getLogger("dsched.worker")


class GivingBack:
    """Stops attempts of a drained worker, so that others begin them again.

    What must not be begun twice (``on_crash: fail``) runs on.
    """

    def __init__(self, store: Store, runtime: Runtime, attempts: Attempts, worker_id: str) -> None:
        self._store = store
        self._runtime = runtime
        self._attempts = attempts
        self._worker_id = worker_id
        self._told = asyncio.Event()

    def told(self) -> None:
        """A heartbeat has said that the worker drains: it says so again with each beat."""
        self._told.set()

    async def run(self, runner: Runner) -> None:
        """Give back whenever that is asked, until cancelled."""
        while True:
            await self._told.wait()
            self._told.clear()
            if not self._may_go():
                continue
            asked = await until_answered(
                self._runtime, "drain", lambda: gives_back(self._store, self._worker_id)
            )
            for attempt in self._may_go() if asked else ():
                log.info("stopped, to be given back by a drain", extra=attempt.facts())
                runner.stop(attempt, StopReason.RELEASE)

    def _may_go(self) -> list[Attempt]:
        return [
            one
            for one in self._attempts.all()
            if one.runs_on and not one.cancelled and one.spec.on_crash is not OnCrash.FAIL
        ]
