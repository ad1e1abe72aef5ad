"""How far something long has come: one line of a terminal, and nothing anywhere else."""

import os
import sys
from types import TracebackType
from typing import Self

import click

WORTH_SAYING = 200  # less is done before it is read


class Progress:
    """A line such as ``putting configs: 1,200 of 10,000`` on stderr, gone when the block ends.

    Where nobody knows yet how many there are (None), it says how many are done.
    """

    def __init__(self, what: str, total: int | None) -> None:
        self._what = what
        self._total = total
        self._done = 0
        terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._told = terminal and (total is None or total >= WORTH_SAYING)

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
        if self._told:
            click.echo("\r\x1b[K", nl=False, err=True)

    def add(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        if self._told and (self._total is not None or self._done >= WORTH_SAYING):
            of = "" if self._total is None else f" of {self._total:,}"
            text = f"{self._what}: {self._done:,}{of}"
            click.echo(f"\r\x1b[K{text}", nl=False, err=True)
