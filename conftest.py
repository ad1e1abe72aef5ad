"""What holds for every test: a program that a test has run in this process leaves no handler
behind."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_handler_is_left() -> Iterator[None]:
    """`dsched-run` logs to the stream that it finds, which under pytest ends with the test."""
    root = logging.getLogger()
    level, before = root.level, list(root.handlers)
    yield
    for handler in list(root.handlers):
        if handler not in before and not type(handler).__module__.startswith("_pytest"):
            root.removeHandler(handler)
    root.setLevel(level)
