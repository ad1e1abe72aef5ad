"""Files for the tests, and processes of their own that use them."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from dsched.contracts.store.settings import StoreSettings
from dsched_store_sqlite.options import SqliteOptions
from dsched_store_sqlite.store import SqliteStore, open_sqlite

CHILD = Path(__file__).with_name("child.py")


class Child:
    """A process that runs a part of `child.py`; it answers with lines of JSON."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), *map(str, arguments)], stdout=subprocess.PIPE, text=True
        )

    def line(self) -> Any:
        """The next thing it says; blocks."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        assert text, f"the process ended with code {self.process.wait()}"
        return json.loads(text)

    def end(self) -> None:
        """Kill it, if it still runs, and forget it."""
        self.process.kill()
        self.process.wait(timeout=10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a store may be."""
    return tmp_path / "store.db"


@pytest.fixture
def opened(file: Path) -> Callable[..., AbstractAsyncContextManager[SqliteStore]]:
    """Open a handle on the file of this test."""

    def handle(synchronous: str = "normal") -> AbstractAsyncContextManager[SqliteStore]:
        options = SqliteOptions(path=str(file), synchronous=synchronous)
        return open_sqlite(options, StoreSettings())

    return handle


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Start processes that are gone after the test."""
    children: list[Child] = []

    def start(*arguments: object) -> Child:
        children.append(Child(*arguments))
        return children[-1]

    yield start
    for one in children:
        one.end()
