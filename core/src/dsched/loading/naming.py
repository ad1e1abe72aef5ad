"""Which names a plugin may take."""

import re

# Top-level keys of the configuration that are the core's own: no plugin's section may be one.
CORE_SECTIONS = (
    "schedule",
    "worker",
    "task",
    "store",
    "pod",
    "plugins",
    "log",
    "executors",
    "balancers",
)
CORE_ROLES = ("scheduler", "worker")

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_WITH_SECTION = ("stores", "observers", "services")


def name_problem(name: object, kind: str) -> str | None:
    """Why a provider of this kind cannot be called ``name``; None when it can."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or "__" in name:
        return "needs a name of 1 to 64 of a-z 0-9 - _, not starting with - or _, without __"
    if kind in _WITH_SECTION and name in CORE_SECTIONS:
        return "has a name that the configuration uses for a section of its own"
    if kind == "services" and name in CORE_ROLES:
        return "has the name of a role of the core"
    return None
