"""How far something long has come: one line of a terminal, and nothing anywhere else."""

import os
import sys
from types import TracebackType
from typing import Self

import click

WORTH_SAYING = 200  # less is done before it is read


class Progress:
    """A line such as ``putting configs: 1,200 of 10,000`` on stderr, gone when the block ends."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._done = 0
        terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = terminal and total >= WORTH_SAYING

    def __enter__(self) -> Self:
        self.add(0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the line away, for something else to be said."""
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)

    def add(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        if self._shown:
            text = f"{self._what}: {self._done:,} of {self._total:,}"
            click.echo(f"\r\x1b[K{text}", nl=False, err=True)
