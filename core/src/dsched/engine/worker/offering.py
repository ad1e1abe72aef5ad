"""What a worker can run, and telling the store when that becomes more."""

import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from dsched.contracts.executor import Executor
from dsched.contracts.store import Store
from dsched.contracts.store.workers import Registration
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import until_answered
from dsched.model import Ability
from dsched.model.ability import ANY

log = logging.getLogger("dsched.worker")


def ability_of(executors: Mapping[str, Executor]) -> Ability:
    """What these executors can run now."""
    names = set(executors)
    for name, executor in executors.items():
        offered = executor.offers()
        names.update([name + ANY] if offered is None else [f"{name}/{one}" for one in offered])
    return Ability.of(names)


class Presents(Protocol):
    """A part that registers the worker again when the store does not know it any more."""

    registration: Registration


class Offering:
    """Registers again when the worker can run something that it could not: a function may be
    registered after its pod has started."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        *,
        registration: Registration,
        executors: Mapping[str, Executor],
        presents: Sequence["Presents"],
        every_s: float,
    ) -> None:
        """``presents``: the other parts that register it; they are told its new registration."""
        self._store = store
        self._runtime = runtime
        self.registration = registration
        self._executors = executors
        self._every_s = every_s
        self._presents = presents

    async def run(self) -> None:
        """Check now and then, until cancelled; not if all executors take anything anyway."""
        if all(executor.offers() is None for executor in self._executors.values()):
            return
        while True:
            await self._runtime.sleep(self._every_s)
            ability = ability_of(self._executors)
            if ability != self.registration.ability:
                await self._tell(ability)

    async def _tell(self, ability: Ability) -> None:
        self.registration = registration = attrs.evolve(self.registration, ability=ability)
        for one in self._presents:
            one.registration = registration
        log.info("worker %s can run something else now; registering", registration.worker_id)
        await until_answered(
            self._runtime, "registering", lambda: self._store.register(registration)
        )
