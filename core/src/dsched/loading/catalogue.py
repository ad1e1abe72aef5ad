"""`Catalogue`: every plugin that is installed and allowed, by kind and name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Generic, TypeAlias, TypeVar

import attrs

from dsched.contracts import (
    BalancerProvider,
    ExecutorProvider,
    ObserverProvider,
    PagesProvider,
    ServiceProvider,
    StoreProvider,
)
from dsched.loading.remedy import installed

Provider: TypeAlias = (
    ExecutorProvider
    | BalancerProvider
    | StoreProvider
    | ObserverProvider
    | ServiceProvider
    | PagesProvider
)
P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True)


class NotInstalledError(LookupError):
    """No installed plugin has this name or type; the message lists what there is."""


@attrs.frozen
class Installed(Generic[P_co]):
    """A provider, and the distribution and version that it came from."""

    provider: P_co
    distribution: str
    version: str


def _by_name(value: Mapping[str, Installed[P]]) -> Mapping[str, Installed[P]]:
    return MappingProxyType(dict(sorted(value.items())))


@attrs.frozen(kw_only=True)
class Catalogue:
    """The plugins of this process, by kind and name, in the order of their names.

    ``warnings`` are sentences about settings that had no effect, for the log.
    """

    executors: Mapping[str, Installed[ExecutorProvider]] = attrs.field(
        factory=dict, converter=_by_name
    )
    balancers: Mapping[str, Installed[BalancerProvider]] = attrs.field(
        factory=dict, converter=_by_name
    )
    stores: Mapping[str, Installed[StoreProvider]] = attrs.field(factory=dict, converter=_by_name)
    observers: Mapping[str, Installed[ObserverProvider]] = attrs.field(
        factory=dict, converter=_by_name
    )
    services: Mapping[str, Installed[ServiceProvider]] = attrs.field(
        factory=dict, converter=_by_name
    )
    pages: Mapping[str, Installed[PagesProvider]] = attrs.field(factory=dict, converter=_by_name)
    warnings: tuple[str, ...] = ()

    def executor_for_type(self, task_type: str) -> Installed[ExecutorProvider]:
        """The executor that a `type` given alone chooses: the one with this protocol.

        Where several speak it, the one named like the type. Else `NotInstalledError`.
        """
        found = [one for one in self.executors.values() if one.provider.protocol == task_type]
        if len(found) == 1:
            return found[0]
        for one in found:
            if one.provider.name == task_type:
                return one
        if found:
            names = ", ".join(one.provider.name for one in found)
            raise NotInstalledError(
                f"several executors run type {task_type!r}: {names}; say which with `executor`"
            )
        types = sorted({one.provider.protocol for one in self.executors.values()})
        raise NotInstalledError(
            f"no installed executor runs type {task_type!r}; installed types: {installed(types)}"
        )

    @property
    def sections(self) -> Mapping[str, tuple[Installed[Provider], ...]]:
        """The plugins that read a top-level section of the configuration, by section."""
        found: dict[str, list[Installed[Provider]]] = {}
        for kind in (self.stores, self.observers, self.services):
            for name, one in kind.items():
                found.setdefault(name, []).append(one)
        return MappingProxyType({name: tuple(ones) for name, ones in found.items()})
