"""Real throw-away distributions: a dist-info with entry points and a module, on the path."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dsched.loading import Catalogue, load_catalogue

PRELUDE = """
from contextlib import asynccontextmanager
import attrs
from dsched.contracts import *
from dsched.contracts import hookimpl

@asynccontextmanager
async def opened(*_):
    yield None
"""


class Site:
    """A folder that distributions are installed into, and the only place that is looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        name: str,
        body: str,
        *,
        version: str = "1.2.3",
        entry: str = "main",
        requires: str = "dsched",
    ) -> None:
        """Write a distribution whose plugin module has ``body`` after the usual imports."""
        module = name.replace("-", "_").lower()
        (self.folder / f"{module}.py").write_text(PRELUDE + textwrap.dedent(body))
        info = self.folder / f"{module}-{version}.dist-info"
        info.mkdir()
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(f"{about}Requires-Dist: {requires}\n")
        (info / "entry_points.txt").write_text(f"[dsched]\n{entry} = {module}\n")

    def load(self, **options: object) -> Catalogue:
        """The catalogue of what is installed here, and nowhere else."""
        return load_catalogue(path=[str(self.folder)], **options)  # type: ignore[arg-type]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Site(tmp_path)
    for name in set(sys.modules) - before:
        origin = getattr(sys.modules[name], "__file__", None) or ""
        if origin.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def executor_source() -> Callable[..., str]:
    def source(name: str = "http", protocol: str = "http", more: str = "") -> str:
        return f"""
            @hookimpl
            def dsched_executors():
                return [ExecutorProvider(name={name!r}, protocol={protocol!r}, open=opened{more})]
        """

    return source
