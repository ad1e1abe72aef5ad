"""A config as the reference store keeps it."""

import attrs

from dsched.contracts.steps import Pause, Skip, StoredConfig
from dsched.model import TaskConfig


@attrs.define(kw_only=True)
class ConfigRow:
    """A config as kept."""

    config: TaskConfig
    due_ms: int | None = None
    last_fired_ms: int | None = None
    paused: Pause | None = None
    skips: tuple[Skip, ...] = ()

    def view(self) -> StoredConfig:
        """The config as readers see it."""
        return StoredConfig(
            config=self.config,
            due_ms=self.due_ms,
            last_fired_ms=self.last_fired_ms,
            paused=self.paused,
            skips=self.skips,
        )

    def forget_skips(self, before_ms: int | None) -> None:
        """Forget what has been decided about: all skips before an instant, or all."""
        if self.skips:
            self.skips = tuple(
                skip for skip in self.skips if before_ms is not None and skip.at_ms >= before_ms
            )
