"""What failed in a virtual cluster: pods that end on their own, and broken assertions of theirs."""

import attrs

from dsched.contracts.observer import InvariantViolated, Notice
from dsched.engine.worker.claims import SupersededError


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions at the bottom of nested groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in leaves(one)]
    return [error]


def superseded(error: BaseException) -> bool:
    """Whether a pod ended only because a newer process has its worker id."""
    return all(isinstance(one, SupersededError) for one in leaves(error))


@attrs.define
class BrokenAssertions:
    """An observer: what the production's own assertions found."""

    found: list[str] = attrs.field(factory=list)

    def notify(self, notice: Notice) -> None:
        """Keep what is broken."""
        if isinstance(notice, InvariantViolated):
            self.found.append(f"{notice.name}: {notice.detail} (seen at run time)")
