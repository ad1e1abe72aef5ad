"""What workers can run, as a leader knows it: asked once for each digest."""

from collections.abc import Callable, Iterable

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.workers import Workers
from dsched.model import Ability, Worker

Runs = Callable[[Worker, str], bool]


class Abilities:
    """The abilities of the workers that were seen last."""

    def __init__(self, store: Workers) -> None:
        self._store = store
        self._known: dict[str, Ability] = {}

    async def learn(self, workers: Iterable[Worker]) -> None:
        """Ask what the digests of these workers stand for, as far as that is not known."""
        said = {worker.ability for worker in workers if worker.ability}
        missing = sorted(said - self._known.keys())
        if not missing:
            return
        self._known = {digest: self._known[digest] for digest in said & self._known.keys()}
        for start in range(0, len(missing), MAX_BATCH):
            answer = await self._store.abilities(missing[start : start + MAX_BATCH])
            self._known.update({one.digest: one for one in answer if one is not None})

    def runs(self, worker: Worker, need: str) -> bool:
        """Whether a worker can run what has this need. One that does not say takes anything.

        What a digest stands for is unknown only where the worker has said something else since.
        """
        if not need or not worker.ability:
            return True
        ability = self._known.get(worker.ability)
        return ability is not None and ability.runs(need)


def runs_anything(worker: Worker, need: str) -> bool:  # noqa: ARG001
    """True: for workers that do not say what they can run."""
    return True
