"""Every place in the core that calls a step of the store, found in its source; and who calls now."""

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
# The two ways into the store: the engine's loops, and the client. The contracts declare steps, and
# `observed` passes all of them on.
CALLERS = ("engine", "client.py")
_PASSES_ON = {"observed.py"}
_GROUPS = {base.__name__ for base in Store.__mro__ if base.__module__ == Store.__module__}
_STEPS = frozenset(Store.__abstractmethods__)


@attrs.frozen(order=True)
class Site:
    """One place: a file of the core, the function in it, the line, and the step called there."""

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
    files: list[Path] = []
    for name in CALLERS:
        place = CORE / name
        files += sorted(place.rglob("*.py")) if place.is_dir() else [place]
    return frozenset(
        site for file in files if file.name not in _PASSES_ON for site in sites_in(file)
    )


def sites_in(file: Path) -> Iterator[Site]:
    """The places in one file."""
    tree = ast.parse(file.read_text())
    name = file.relative_to(CORE).as_posix() if file.is_relative_to(CORE) else file.name
    yield from _walk(tree, "", name, _store_names(tree))


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
        file = frame.f_code.co_filename
        if file.startswith(str(CORE)):
            name = Path(file).relative_to(CORE).as_posix()
            here = _by_place().get((name, frame.f_code.co_qualname, step))
            if here:
                line = frame.f_lineno
                return min(here, key=lambda site: abs(site.line - line))
        frame = frame.f_back
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
