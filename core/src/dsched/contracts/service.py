"""The service contract: something that lives beside the pod, such as a metrics page or an API."""

from typing import Protocol

import attrs

from dsched.contracts.store import Store


@attrs.frozen(kw_only=True)
class PodStatus:
    """What a pod says of itself; `ready` is what a readiness probe answers."""

    name: str
    roles: frozenset[str]
    ready: bool
    leading: bool
    draining: bool
    detail: str


class PodView(Protocol):
    """The pod as a service sees it."""

    @property
    def store(self) -> Store:
        """The pod's store, for reading and for submitting."""

    def status(self) -> PodStatus:
        """How the pod is now; never touches the store."""


class Service(Protocol):
    """Runs until cancelled. An exception is logged and restarts it with a growing delay."""

    async def run(self, pod: PodView) -> None:
        """Serve until cancelled; re-raise the cancellation."""
