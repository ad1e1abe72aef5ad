"""The environment variables that hold secrets of this process: no child process gets them.

The settings name them: in lists called ``secret_env``, and in texts that say
``secret://env/NAME``. Code that starts a process for user code asks `WITHHELD`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dsched.contracts.executor.secrets import references, texts_of

_ENV = "secret://env/"
KEY = "secret_env"


class Withheld:
    """Names and patterns (``PREFIX_*``). None is ever taken out: all of a process share one set."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._prefixes: tuple[str, ...] = ()

    def add(self, patterns: Iterable[str]) -> None:
        """Withhold these too."""
        for pattern in patterns:
            if pattern.endswith("*"):
                self._prefixes = (*{*self._prefixes, pattern[:-1]},)
            else:
                self._names.add(pattern)

    def holds(self, name: str) -> bool:
        """Whether a variable is withheld."""
        return name in self._names or name.startswith(self._prefixes)


def named_in(settings: Mapping[str, Any]) -> set[str]:
    """The variables and patterns that raw settings name as secrets, in whatever section."""
    found = set()
    for text in texts_of(settings):
        found |= {one.removeprefix(_ENV) for one in references(text) if one.startswith(_ENV)}
    waiting: list[Any] = [settings]
    while waiting:
        here = waiting.pop()
        if isinstance(here, Mapping):
            listed = here.get(KEY)
            if isinstance(listed, list | tuple):
                found |= {one for one in listed if isinstance(one, str) and one}
            waiting += here.values()
        elif isinstance(here, list | tuple):
            waiting += here
    return found


WITHHELD = Withheld()
"""Those of this process; reading the settings fills it."""
