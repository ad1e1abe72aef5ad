"""Whether installed distributions were made for the core that runs."""

import re
from collections.abc import Iterable
from functools import cache
from importlib import metadata

from dsched.loading.faults import Fault

# All distributions of dsched carry one version, and name the core at exactly it.
PIN = re.compile(r"dsched\s*(?:\[[^\]]*\]\s*)?\(?\s*===?\s*([^\s,;)*]+)\s*\)?\s*")


@cache
def core_version() -> str | None:
    """The version of the core that is installed; None where its sources are only on the path."""
    try:
        return metadata.version("dsched")
    except metadata.PackageNotFoundError:
        return None


def version_fault(distribution: metadata.Distribution) -> Fault | None:
    """What to say of a distribution that names another version of the core; None if it fits.

    pip refuses such a pair; it comes about by ``--no-deps``, by a copied folder, by two places on
    the path. A range is pip's to judge: only what names one version is looked at.
    """
    needed, core = _pinned(distribution.requires or ()), core_version()
    if needed is None or core is None or needed == core:
        return None
    name, version = distribution.name, distribution.version
    return Fault(
        name,
        version,
        f"it was made for dsched {needed}, and this is dsched {core}; install both at one "
        f'version, such as: pip install "dsched=={core}" "{name}=={core}"',
    )


def _pinned(requirements: Iterable[str]) -> str | None:
    """The one version of the core that is asked for, if any; not what an extra asks for."""
    for requirement in requirements:
        asked, _, marker = requirement.partition(";")
        found = PIN.fullmatch(asked)
        if found and "extra" not in marker:
            return found[1]
    return None
