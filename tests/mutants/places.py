"""Where a mutant lives: a function, class, constant or script of a distribution, found by its name.

The name is qualified within its module (``Claimer.stop``), the module's bare name before it where
several modules have one (``firing.fire``), or a bare file name (``fire.lua``) for all of a file.
The folder is not part of it, so that a file may move.
"""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import attrs
import tokens

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class PlaceError(Exception):
    """A name is of no place, or of several."""


@attrs.frozen
class Place:
    """A part of one file: a node of Python, or the ``start`` and ``end`` of a piece of Lua."""

    path: Path
    node: ast.stmt | ast.Module | None = None
    start: int = 0
    end: int = 0

    @property
    def line(self) -> int:
        """Where it begins; 1 for all of a file."""
        return getattr(self.node, "lineno", 1)


class Sources:
    """The sources below a folder, read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._texts: dict[str, dict[Path, str]] = {}
        self._found: dict[tuple[str, str], Place] = {}

    def texts(self, base: str) -> dict[Path, str]:
        """Each file of Python and Lua below ``base``."""
        if base not in self._texts:
            folder = self.root / base
            paths = sorted([*folder.rglob("*.py"), *folder.rglob("*.lua")])
            self._texts[base] = {path: path.read_text() for path in paths}
        return self._texts[base]

    def find(self, base: str, name: str) -> Place:
        """The one place of a name; `PlaceError` if there is none or are several."""
        if (base, name) not in self._found:
            self._found[base, name] = self._find(base, name)
        return self._found[base, name]

    def _find(self, base: str, name: str) -> Place:
        last = name.rsplit(".", 1)[-1]
        # Most files that have the word do not define it; to parse them all takes seconds.
        defines = re.compile(
            rf"\b(def|class|function) ([\w.]+\.)?{last}\b|^ *{last}( =|:)", re.MULTILINE
        )
        found = [
            place
            for path, text in self.texts(base).items()
            if path.name == name or (last in text and defines.search(text))
            for place in places(path, text, name)
        ]
        if not found:
            raise PlaceError(
                f"there is no {name} in {base}. Where it was renamed, give the mutant its "
                "new name; where its guard is gone, remove the mutant"
            )
        if len(found) > 1:
            files = sorted({str(one.path.relative_to(self.root)) for one in found})
            raise PlaceError(
                f"there are {len(found)} places named {name}, in {', '.join(files)}. "
                + _which(name, found[0].path, len(files))
            )
        return found[0]


def _which(name: str, path: Path, files: int) -> str:
    """How to tell places of one name apart."""
    if files == 1:
        return f"Name all of the file, {path.name!r}, and a shape that is found once in it"
    if path.name == name:
        return "Name a function in one of them instead"
    return f"Say which by its module, as in '{_module(path)}.{name}'"


def places(path: Path, text: str, name: str) -> list[Place]:
    """The places in one file that bear a name."""
    if path.name == name:
        if path.suffix == ".py":
            return [Place(path, node=ast.parse(text))]
        return [Place(path, end=len(text))]
    short = name.removeprefix(f"{_module(path)}.")
    if path.suffix == ".lua":
        every = tokens.functions(text)
        return [
            Place(path, start=start, end=end) for one, start, end in every if one in {name, short}
        ]
    return [Place(path, node=node) for one, node in _definitions(text) if one in {name, short}]


def rewritten(text: str, place: Place, node: ast.stmt | ast.Module) -> str:
    """A file's text with another node in place of the place's."""
    if isinstance(node, ast.Module):
        return ast.unparse(node) + "\n"
    old = place.node
    assert isinstance(old, ast.stmt)
    decorators = getattr(old, "decorator_list", [])
    first = min([old.lineno, *(one.lineno for one in decorators)])
    depth = old.col_offset // 4
    # Unparsed at its depth, so that no text of several lines is moved to the right.
    for _ in range(depth):
        node = ast.If(test=ast.Constant(value=1), body=[node], orelse=[])
    unparsed = ast.unparse(ast.fix_missing_locations(node)).split("\n")[depth:]
    lines = text.split("\n")
    return "\n".join([*lines[: first - 1], *unparsed, *lines[old.end_lineno :]])


@functools.lru_cache(maxsize=512)
def _definitions(text: str) -> tuple[tuple[str, ast.stmt], ...]:
    return tuple(_named(ast.parse(text), ""))


def _named(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.stmt]]:
    """Functions, classes, and what a module or a class assigns, with their qualified names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _DEFINITIONS):
            yield f"{prefix}{child.name}", child
            yield from _named(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.stmt) and isinstance(node, ast.Module | ast.ClassDef):
            targets = (
                child.targets if isinstance(child, ast.Assign) else [getattr(child, "target", 0)]
            )
            for target in targets:
                if isinstance(target, ast.Name):
                    yield f"{prefix}{target.id}", child
            yield from _named(child, prefix)
        elif isinstance(child, ast.stmt):
            yield from _named(child, prefix)


def _module(path: Path) -> str:
    return path.parent.name if path.stem == "__init__" else path.stem
