"""Every place that calls a step of the store, found in its source; and who calls now.

In the core, and in packages of plugins that were added by `include`.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import FrameType

import attrs

import dsched
from dsched.contracts.store import Store

CORE = Path(dsched.__file__).parent
# The ways into the store: the engine's loops, the client, and what both of them do to many tasks
# at a time. The contracts declare steps, and `observed` passes all of them on.
CALLERS = ("engine", "client", "bulk")
_PASSES_ON = {"observed.py"}
_GROUPS = {base.__name__ for base in Store.__mro__ if getattr(base, "__abstractmethods__", None)}
_STEPS = frozenset(Store.__abstractmethods__)
_included: list[Path] = []


def include(package: Path) -> None:
    """Look for places in the folder of a plugin's package too; call it before `all_sites`."""
    if package not in _included:
        _included.append(package)
        for asked in (all_sites, _kept_by_class, _name_in_source, _by_place):
            asked.cache_clear()


@attrs.frozen(order=True)
class Site:
    """One place: a file of the core or of a plugin, the function in it, the line, and the step
    called there."""

    file: str
    function: str
    line: int
    step: str

    def __str__(self) -> str:
        """As a compiler would say it."""
        return f"{self.file}:{self.line} {self.function}: {self.step}"


@cache
def all_sites() -> frozenset[Site]:
    """The places, by the annotations: whatever is typed as a store or as a group of its steps."""
    return frozenset(site for file in _files() for site in sites_in(file))


def _files() -> list[Path]:
    found = (file for name in CALLERS for file in sorted((CORE / name).rglob("*.py")))
    files = [file for file in found if file.name not in _PASSES_ON]
    return files + [file for package in _included for file in sorted(package.rglob("*.py"))]


def sites_in(file: Path) -> Iterator[Site]:
    """The places in one file."""
    tree = ast.parse(file.read_text())
    name = _name_in_source(str(file)) or file.name
    names = _store_names(tree)
    for base in _bases(tree):
        names |= _kept_by_class().get(base, frozenset())
    yield from _walk(tree, "", name, names)


@cache
def _kept_by_class() -> dict[str, frozenset[str]]:
    """The attributes in which each class of the core keeps a store, for those that inherit them."""
    found: dict[str, frozenset[str]] = {}
    for file in _files():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                kept = (name for name in _store_names(node) if name.startswith("self."))
                found[node.name] = frozenset(kept)
    return found


def _bases(tree: ast.AST) -> set[str]:
    """The names of all classes that those in here inherit from directly."""
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {ast.unparse(base) for one in classes for base in one.bases}


def _store_names(tree: ast.AST) -> set[str]:
    """Names of parameters, and of attributes they are kept in, that hold a store."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and _is_group(node.annotation):
            names.add(node.arg)
        elif isinstance(node, ast.AnnAssign) and _is_group(node.annotation):
            names.add(ast.unparse(node.target))
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.value) in names:
            names |= {ast.unparse(target) for target in node.targets}
    return names


def _is_group(annotation: ast.expr | None) -> bool:
    return annotation is not None and ast.unparse(annotation).strip("\"'") in _GROUPS


def _walk(node: ast.AST, function: str, file: str, stores: set[str]) -> Iterator[Site]:
    for child in ast.iter_child_nodes(node):
        inside = function
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            outer = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            joint = ".<locals>." if outer else "."
            inside = f"{function}{joint}{child.name}" if function else child.name
        if (
            isinstance(child, ast.Attribute)
            and child.attr in _STEPS
            and ast.unparse(child.value) in stores
        ):
            yield Site(file, function, child.lineno, child.attr)
        yield from _walk(child, inside, file, stores)


def calling_site(step: str) -> Site | None:
    """The place from which the running call of ``step`` comes: the nearest one on the stack.

    Call it before the call's first wait: after that its callers are not on the stack any more.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the one way to ask who calls
    while frame is not None:
        name = _name_in_source(frame.f_code.co_filename)
        if name is not None:
            here = _by_place().get((name, frame.f_code.co_qualname, step))
            if here:
                line = frame.f_lineno
                return min(here, key=lambda site: abs(site.line - line))
        frame = frame.f_back
    return None


@cache
def _name_in_source(file: str) -> str | None:
    """How sites name a file: from the core on, or from the folder in which a plugin's package
    is."""
    path = Path(file)
    for root, package in ((CORE, CORE), *((found.parent, found) for found in _included)):
        if path.is_relative_to(package):
            return path.relative_to(root).as_posix()
    return None


@cache
def _by_place() -> dict[tuple[str, str, str], list[Site]]:
    found: dict[tuple[str, str, str], list[Site]] = {}
    for site in sorted(all_sites()):
        found.setdefault((site.file, site.function, site.step), []).append(site)
    return found


def missing(hit: Iterable[Site]) -> list[Site]:
    """The places that were never called."""
    return sorted(all_sites() - set(hit))
