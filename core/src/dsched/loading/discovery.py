"""Finding the installed plugins, and importing only those that are allowed."""

import re
from collections.abc import Iterator, Sequence
from importlib import metadata

import attrs

from dsched.loading.faults import Fault
from dsched.loading.versions import version_fault

GROUP = "dsched"


@attrs.frozen
class Found:
    """An entry point of the group ``dsched`` and the distribution that declares it.

    ``unfit`` says that the distribution was made for another version of the core.
    """

    entry_point: metadata.EntryPoint
    distribution: str
    version: str
    unfit: Fault | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names by which `plugins.disabled` may mean it as a whole."""
        return frozenset({normal(self.distribution), self.entry_point.name})

    def fault(self, reason: str) -> Fault:
        """Something wrong with this plugin."""
        return Fault(self.distribution, self.version, reason)


def normal(name: str) -> str:
    """A distribution's name as package indexes compare it: ``My_Plugin`` is ``my-plugin``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find(path: Sequence[str] | None = None) -> list[Found]:
    """All entry points of the group, by distribution; nothing is imported.

    ``path`` says where to look for installed distributions; by default `sys.path`. Of two copies
    of one distribution the first on the path counts, as it does for an import.
    """
    seen: set[str] = set()
    found: list[Found] = []
    for distribution in _distributions(path):
        name = distribution.name
        if not name or normal(name) in seen:
            continue
        seen.add(normal(name))
        points = [point for point in distribution.entry_points if point.group == GROUP]
        unfit = version_fault(distribution) if points else None
        found.extend(Found(point, name, distribution.version, unfit) for point in points)
    return sorted(found, key=lambda one: (normal(one.distribution), one.entry_point.name))


def _distributions(path: Sequence[str] | None) -> Iterator[metadata.Distribution]:
    if path is None:
        yield from metadata.distributions()
    else:
        yield from metadata.distributions(path=list(path))


def import_plugin(found: Found) -> object:
    """The object behind an entry point. Any error becomes an `ImportError` that says what to do."""
    point = found.entry_point
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        raise ImportError(
            f"importing its plugin {point.name!r} ({point.value}) failed: "
            f"{type(error).__name__}: {error}; install it anew, or switch it off with "
            f"plugins.disabled: [{found.distribution}]"
        ) from error
