"""Task files as the command reads them: through dsched's own readers, errors in three lines."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dsched_cli.errors import UsageError

if TYPE_CHECKING:
    from dsched.config import ConfigError
    from dsched.model import TaskConfig

MAX_FILES = 1_000
_SUFFIXES = (".yaml", ".yml")


def files_below(given: Iterable[str]) -> list[str]:
    """The task files meant: each file itself, and of a folder every YAML file below it, sorted."""
    found: list[str] = []
    for name in given:
        path = Path(name)
        if path.is_dir():
            below = (one for one in sorted(path.rglob("*")) if one.suffix in _SUFFIXES)
            found.extend(str(one) for one in below if one.is_file())
        else:
            found.append(name)
    if not found:
        raise UsageError(
            "there is no task file",
            why="the folder has no file that ends in .yaml or .yml",
            todo="name a file with -f",
        )
    if len(found) > MAX_FILES:
        raise UsageError(f"{len(found)} files are too many", todo=f"name at most {MAX_FILES}")
    return found


def read_configs(given: Iterable[str]) -> "list[TaskConfig]":
    """The configs of task files, judged by the plugins installed here."""
    from dsched.config import ConfigError, TaskSettings
    from dsched.config.task_file import read_tasks
    from dsched.loading import PluginError, load_catalogue

    try:
        catalogue = load_catalogue()
        configs: list[TaskConfig] = []
        for path in files_below(given):
            configs += read_tasks(path, defaults=TaskSettings(), catalogue=catalogue)
    except ConfigError as error:
        raise unreadable(error) from error
    except PluginError as error:
        raise UsageError(
            "a plugin installed here cannot be used", why=str(error), todo="`dsched plugin list`"
        ) from error
    return configs


def unreadable(error: "ConfigError") -> UsageError:
    """Everything that is wrong with a file, a line each."""
    return UsageError(
        "the task file cannot be used",
        why="\n  ".join(str(error).splitlines()),
        todo="correct it; nothing was changed",
    )
