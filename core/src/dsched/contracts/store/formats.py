"""The format of a store as a whole: what it has, and the one step from one to the next."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import attrs

from dsched.contracts.store.operating import PodRecord
from dsched.contracts.store.outcomes import Outcome

# What a new store gets, and what `migrate` makes of an older one.
STORE_FORMAT = 4
# What this version works on.
KNOWN_FORMATS = (3, 4)
# The first format whose pods know runs of many tasks.
RUNS_SINCE = 4


@attrs.frozen(kw_only=True)
class StoreFormat:
    """The format of a store, the newest that this version knows, and the pods that run and do not
    know that one, by (name, id)."""

    stored: int
    newest: int = STORE_FORMAT
    older_pods: tuple[PodRecord, ...] = ()


class Migrating(ABC):
    """The step from an older format to the newest. A newer format adds, and changes nothing that an
    older one has: what is stored is read as it is, before and after."""

    @abstractmethod
    async def store_format(self) -> StoreFormat:
        """The format of the store, and the pods that keep it from a newer one."""

    @abstractmethod
    async def migrate(self, *, by: str) -> Outcome:
        """Give the store the newest format: ``OK``; ``ALREADY``; ``OLDER`` while a pod runs that
        does not know it. One atomic step: it is done or it is not. Event ``migrated``.
        """


def too_old(pods: Sequence[PodRecord]) -> tuple[PodRecord, ...]:
    """The pods that do not know the newest format, by (name, id)."""
    found = (pod for pod in pods if pod.store_format < STORE_FORMAT)
    return tuple(sorted(found, key=lambda pod: (pod.name, pod.id)))


def is_known(found: int) -> bool:
    """Whether this version works on a store of this format."""
    return found in KNOWN_FORMATS
