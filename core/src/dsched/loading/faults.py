"""What is wrong with an installed plugin, said so that its distribution can be found and fixed."""

from collections.abc import Sequence

import attrs


@attrs.frozen
class Fault:
    """One thing wrong with one plugin: who is at fault, and what to do about it."""

    distribution: str
    version: str
    reason: str

    def __str__(self) -> str:
        """The sentence that people read."""
        return f"{self.distribution} {self.version}: {self.reason}"


class PluginError(Exception):
    """Installed plugins that cannot be used: start-up refuses (exit code 3). All are listed."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))
