"""Whether plugins keep what the plugin API asks of them, before a pod refuses to start."""

import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from dsched.loading import Catalogue, PluginError, load_catalogue
from dsched_cli.cleaning import clean, clean_block
from dsched_cli.diagnosis import Finding
from dsched_cli.errors import UsageError

_TEST_TIMEOUT_S = 600
_KINDS = ("executors", "balancers", "stores", "observers", "services")
# Clients whose import costs more than the start of a pod; only opening a plugin may import them.
_HEAVY = ("aiohttp", "grpc", "redis", "requests", "httpx", "numpy", "pandas", "boto3", "botocore")
_LIST_HEAVY = (
    "import importlib, sys\n"
    "sys.path.insert(0, sys.argv[1])\n"
    "importlib.import_module(sys.argv[2])\n"
    "print(','.join(name for name in sys.argv[3:] if name in sys.modules))\n"
)


def check_installed(name: str | None = None) -> Iterator[Finding]:
    """Every plugin installed here, one finding each; faults as they are found.

    With ``name`` those of that distribution, or of that provider; `UsageError` if there is none.
    """
    found = False
    try:
        catalogue = load_catalogue()
    except PluginError as error:
        for fault in error.faults:
            if name in (None, fault.distribution):
                found = True
                yield Finding(clean(fault.distribution), "error", clean(str(fault)))
    else:
        for finding in _providers(catalogue, name):
            found = True
            yield finding
    if not found:
        raise UsageError(
            f"{clean(str(name))!r} is neither a folder nor an installed plugin",
            todo="`dsched plugin list` shows what is installed; a project is named by its folder",
        )


def check_project(folder: Path, *, run_tests: bool) -> Iterator[Finding]:
    """A project: its metadata, its hooks, its options, what it imports, its tests."""
    metadata = _metadata(folder)
    name = str(metadata.get("project", {}).get("name", folder.name))
    points = metadata.get("project", {}).get("entry-points", {}).get("dsched")
    if not isinstance(points, dict) or not points:
        yield Finding(
            name,
            "error",
            "pyproject.toml has no entry point in the group dsched",
            'add [project.entry-points.dsched] with NAME = "package.plugin"',
        )
        return
    yield Finding(name, "ok", f"entry points: {', '.join(map(clean, points))}")
    source = folder / "src" if (folder / "src").is_dir() else folder
    modules = []
    sys.path.insert(0, str(source.resolve()))
    try:
        for module_name in points.values():
            yield _light(str(module_name), source)
            modules.append(_imported(str(module_name)))
        yield from _registered(name, modules)
    except _BrokenError as error:
        yield Finding(name, "error", str(error))
        return
    finally:
        sys.path.remove(str(source.resolve()))
    if run_tests:
        yield _tests(name, folder)


class _BrokenError(Exception):
    """A module that cannot be imported."""


def _metadata(folder: Path) -> dict[str, Any]:
    try:
        with (folder / "pyproject.toml").open("rb") as stream:
            return tomllib.load(stream)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"{folder} is no plugin project",
            why=f"pyproject.toml cannot be read: {error}",
            todo="name its folder, or start one with `dsched plugin new`",
        ) from error


def _imported(module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except Exception as error:
        what = f"{module_name} cannot be imported: {type(error).__name__}: {error}"
        raise _BrokenError(clean(what)) from error


def _light(module_name: str, source: Path) -> Finding:
    """Listing plugins imports the module in every process of dsched, so it must be light."""
    command = [sys.executable, "-c", _LIST_HEAVY, str(source.resolve()), module_name, *_HEAVY]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        command, capture_output=True, text=True, timeout=60, check=False
    )
    found = done.stdout.strip()
    if done.returncode == 0 and found:
        return Finding(
            module_name,
            "warning",
            f"imports {clean(found)} when it is merely listed",
            "import it where the plugin is opened",
        )
    return Finding(module_name, "ok", "imports nothing heavy")


def _registered(name: str, modules: list[ModuleType]) -> Iterator[Finding]:
    """Register it as a pod would, without the installed copy of the same plugin, if there is
    one."""
    try:
        catalogue = load_catalogue(disabled=_all_installed(), extra_plugins=modules)
    except PluginError as error:
        for fault in error.faults:
            yield Finding(name, "error", clean(str(fault)))
        return
    findings = list(_providers(catalogue))
    yield from findings
    if not findings:
        yield Finding(
            name, "error", "it provides nothing", "return a provider from one of the hooks"
        )


def _all_installed() -> list[str]:
    from dsched.loading.discovery import find

    return [one.distribution for one in find(None)]


def _providers(catalogue: Catalogue, wanted: str | None = None) -> Iterator[Finding]:
    for kind in _KINDS:
        for name, one in getattr(catalogue, kind).items():
            if wanted not in (None, name, one.distribution):
                continue
            label = f"{kind.removesuffix('s')} {clean(name)}"
            problem = _options_problem(one.provider.options)
            origin = f"{one.distribution} {one.version}".strip()
            if problem:
                yield Finding(label, "warning", problem, "give each option a default and a type")
            else:
                yield Finding(label, "ok", clean(f"plugin API {one.provider.api}; {origin}"))


def _options_problem(options: type[Any]) -> str:
    """An options class is attrs, and every option has a type; else no form or table can show it."""
    if not attrs.has(options):
        return f"its options class {options.__name__} is not an attrs class"
    untyped = [one.name for one in attrs.fields(options) if one.type is None]
    return f"options without a type: {', '.join(untyped)}" if untyped else ""


def _tests(name: str, folder: Path) -> Finding:
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_TEST_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finding(name, "error", f"its tests took more than {_TEST_TIMEOUT_S} s")
    lines = clean_block(done.stdout or done.stderr).splitlines()
    last = next((line for line in reversed(lines) if line.strip()), "no output")
    if done.returncode == 0:
        return Finding(name, "ok", f"tests: {last}")
    return Finding(name, "error", f"tests: {last}", "run pytest in its folder")
