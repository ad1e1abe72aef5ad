"""What a cluster is given to run: read from a task file, or made in code; and put."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from dsched.client import Client
from dsched.config import LoadedSettings
from dsched.config.task_file import read_task_file
from dsched.loading import Catalogue
from dsched.model import Limit, TaskConfig

Given: TypeAlias = str | os.PathLike[str] | Iterable[TaskConfig]
Declared: TypeAlias = TaskConfig | Limit


def declared_by(
    given: Given, folder: Path, loaded: LoadedSettings, catalogue: Catalogue
) -> list[Declared]:
    """The limits and then the configs of a file (from ``folder`` if relative); or the configs."""
    if not isinstance(given, (str, os.PathLike)):
        return list(given)
    read = read_task_file(str(folder / given), defaults=loaded.settings.task, catalogue=catalogue)
    return [*read.limits, *read.configs]


async def put_declared(client: Client, declared: Sequence[Declared]) -> dict[str, str]:
    """Put all of it; the zones of the configs, by id."""
    zones: dict[str, str] = {}
    for one in declared:
        if isinstance(one, Limit):
            await client.put_limit(one)
        else:
            zones[one.id] = one.timezone
            await client.put_config(one)
    return zones
