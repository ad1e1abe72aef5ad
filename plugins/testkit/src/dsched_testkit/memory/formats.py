"""The format of the reference store: a number, and nothing else."""

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.formats import STORE_FORMAT, Migrating, StoreFormat, too_old
from dsched.contracts.store.operating import PodRecord
from dsched.contracts.store.outcomes import Outcome
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.state import State, Step


class MemoryMigrating(OnState, Migrating):
    """The step to the newest format."""

    async def store_format(self) -> StoreFormat:
        """The format, and the pods that keep the store from a newer one."""
        with self._state.step() as step:
            older = too_old(living_pods(self._state, step))
            return StoreFormat(stored=self._state.format, older_pods=older)

    async def migrate(self, *, by: str) -> Outcome:
        """Give the store the newest format."""
        with self._state.step() as step:
            state = self._state
            if state.format == STORE_FORMAT:
                return Outcome.ALREADY
            if too_old(living_pods(state, step)):
                return Outcome.OLDER
            step.note(EventKind.MIGRATED, by, {"from": state.format, "to": STORE_FORMAT})
            state.format = STORE_FORMAT
            return Outcome.OK


def living_pods(state: State, step: Step) -> list[PodRecord]:
    """The pods that were seen within their time."""
    return [record for record, until_ms in state.pods.values() if until_ms > step.now_ms]
