"""What the tests of this folder share: a bound on work that no busy machine can blur."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class WorkMeter:
    """Counts the calls (Python and C) made inside a block; one costs about 0.1 microseconds."""

    def __init__(self) -> None:
        self.calls = 0

    @contextmanager
    def measure(self) -> Iterator[None]:
        self.calls = 0
        before = sys.getprofile()
        sys.setprofile(self._count)
        try:
            yield
        finally:
            sys.setprofile(before)

    def _count(self, frame: Any, event: str, arg: Any) -> None:
        self.calls += event in ("call", "c_call")

    def of(self, act: Callable[[], Any]) -> int:
        """The number of calls that ``act`` makes."""
        with self.measure():
            act()
        return self.calls


@pytest.fixture(scope="session")  # it remembers nothing; Hypothesis wants no narrower one
def work() -> WorkMeter:
    return WorkMeter()
