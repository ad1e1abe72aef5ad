"""What a client asks before it hands something to the store: could anything here run it?"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from dsched.errors import RefusedError
from dsched.model import TaskConfig, TaskSpec

I = TypeVar("I", TaskSpec, TaskConfig)  # noqa: E741 - an item


class Judge(Protocol):
    """Judges tasks and configs as a task file and the HTTP API do."""

    def judged(self, item: I) -> I:
        """The item with its ``type``; `InvalidConfigError` if no installed executor takes it."""
        ...

    def config(self, config_id: str, entry: Mapping[str, Any]) -> TaskConfig:
        """The config of an entry with the keys of a task file; `EntryError`."""
        ...

    def spec(self, entry: Mapping[str, Any]) -> TaskSpec:
        """The task of an entry; `EntryError`."""
        ...


def reader(judge: Judge | None) -> Judge:
    """The judge, for a call that was given a mapping; `RefusedError` if there is none."""
    if judge is None:
        raise RefusedError(
            "INVALID", "this client reads no mappings; hand over a TaskSpec or a TaskConfig"
        )
    return judge
