"""What is there to choose from; where there is nothing at all, the line that installs it."""

from collections.abc import Iterable

INSTALL = 'pip install "dsched[standard]"'


def installed(names: Iterable[str]) -> str:
    """The names in order, for the end of a sentence; the remedy where there are none.

    A core that was installed by itself finds no store, no balancer and no executor.
    """
    found = ", ".join(sorted(names))
    return found or f"none; {INSTALL} installs those that ship with dsched"
