"""Acts on many tasks, as the API tells them."""

from collections.abc import Mapping
from datetime import datetime

import attrs


@attrs.frozen(kw_only=True)
class BulkExample:
    """A task that was skipped, or failed, and why."""

    task: str
    why: str


@attrs.frozen(kw_only=True)
class Bulk:
    """An act on many tasks: what was asked for, and how far it is. ``state`` is running, stopping,
    or how it ended: done, stopped, failed. ``left``: how many are to come, as far as they were
    found; ``skips``: how many were skipped, by reason; ``note``: why it ended early, if it did."""

    id: str
    act: str
    state: str
    by: str = ""
    reason: str = ""
    config: str = "*"
    labels: Mapping[str, str] = attrs.field(factory=dict)
    owner: str | None = None
    status: str | None = None
    since: datetime | None = None
    before: datetime
    rate: str = ""
    configs: int = 0
    found: int = 0
    found_all: bool = True
    done: int = 0
    skipped: int = 0
    failed: int = 0
    left: int = 0
    skips: Mapping[str, int] = attrs.field(factory=dict)
    examples: tuple[BulkExample, ...] = ()
    made: datetime
    begun: datetime | None = None
    ended: datetime | None = None
    note: str = ""
    stopped_by: str = ""
    stop_reason: str = ""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state in ("done", "stopped", "failed")


@attrs.frozen(kw_only=True)
class BulkPlan:
    """What an act on many tasks meets: how many, at least so many unless ``found_all``, of how many
    configs; those that have the most, by their number, and the first ids. ``operation``: what was
    made, None after a dry run."""

    found: int
    found_all: bool = True
    configs: int = 0
    by_config: Mapping[str, int] = attrs.field(factory=dict)
    first: tuple[str, ...] = ()
    operation: Bulk | None = None
