"""What the tests of this distribution share."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def read_readme() -> Callable[[], str]:
    """The text of this distribution's README."""
    return (Path(__file__).parents[1] / "README.md").read_text
