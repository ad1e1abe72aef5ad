"""Registers the pages ``ui`` with dsched."""

from collections.abc import Iterable
from pathlib import Path

from dsched.contracts import PagesProvider, hookimpl

WEB = Path(__file__).parent / "web"


@hookimpl
def dsched_pages() -> Iterable[PagesProvider]:
    """The console, below ``/ui/``."""
    return [PagesProvider(name="ui", folder=WEB)]
