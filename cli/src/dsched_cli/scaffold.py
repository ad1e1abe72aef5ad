"""New plugin projects from templates that come with this distribution; nothing is fetched."""

import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from dsched_cli.cleaning import clean
from dsched_cli.errors import CliError, ExitCode, UsageError

KINDS = ("executor", "balancer", "observer")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SUFFIX = ".tmpl"


def make(kind: str, name: str, folder: Path) -> list[Path]:
    """Write a project that passes the contract suite of its kind; the files made, in order."""
    if not _NAME.fullmatch(name) or len(name) > 40:
        raise UsageError(
            f"{clean(name)!r} cannot be the name of a plugin",
            why="it becomes a distribution, a package and a key of the configuration",
            todo="use lower-case letters, digits and single hyphens, such as aws-lambda",
        )
    if folder.exists() and any(folder.iterdir()):
        raise CliError(
            f"{folder} is not empty",
            why="nothing is ever overwritten",
            todo="choose another folder with --folder",
            code=ExitCode.CONFLICT,
        )
    words = _words(kind, name)
    made = []
    root = resources.files("dsched_cli") / "templates"
    for source, parts in [*_files(root / "common"), *_files(root / kind)]:
        path = folder.joinpath(*(_filled(part, words) for part in parts))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_filled(source.read_text(encoding="utf-8"), words), encoding="utf-8")
        made.append(path)
    return sorted(made)


def _words(kind: str, name: str) -> dict[str, str]:
    camel = "".join(part.capitalize() for part in name.split("-"))
    module = f"dsched_{kind}_{name.replace('-', '_')}"
    return {
        "NAME": name,
        "KIND": kind,
        "CLASS": camel,
        "MODULE": module,
        "DISTRIBUTION": f"dsched-{kind}-{name}",
        "FUNCTION": name.replace("-", "_"),
        "ENTRY": name.replace("-", "_"),
    }


def _files(folder: Traversable, above: tuple[str, ...] = ()) -> list[tuple[Traversable, list[str]]]:
    found: list[tuple[Traversable, list[str]]] = []
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            found += _files(entry, (*above, entry.name))
        elif entry.name.endswith(_SUFFIX):
            found.append((entry, [*above, entry.name.removesuffix(_SUFFIX)]))
    return found


def _filled(text: str, words: dict[str, str]) -> str:
    return re.sub(r"@([A-Z]+)@", lambda found: words.get(found[1], found[0]), text)
