"""The store contract: every change of state is one atomic step of a store."""

from abc import ABC

import attrs


@attrs.frozen(kw_only=True)
class StoreSettings:
    """What every store is told by the core, whatever its own options."""

    result_ttl_ms: int = 7 * 24 * 3600 * 1000
    max_events: int = 100_000
    clients: str = "dsched"


class Store(ABC):
    """All groups of steps together; a store implements them all."""
