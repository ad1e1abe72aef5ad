"""Programs of the pages as processes that tests wait for."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import pytest
from pages import ROOT

from dsched_testkit.servers import wait_until


@attrs.define
class Running:
    """A process that writes to a file, which tests wait for."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Everything it printed so far."""
        return self.log.read_text(errors="replace")

    def says(self, text: str) -> None:
        """Wait until it has printed something that matches."""
        try:
            wait_until(lambda: re.search(text, self.said()) is not None, text, timeout_s=30)
        except RuntimeError:
            pytest.fail(f"never said {text!r}:\n{self.said()}")

    def ends(self) -> int:
        """Its exit code."""
        return self.process.wait(timeout=30)


@contextlib.contextmanager
def started(
    command: Sequence[str], log: Path, *, cwd: Path = ROOT, inherit: bool = True, **env: str
) -> Iterator[Running]:
    """Run a command; ended with the block, whatever happens. Without `inherit` it is told nothing
    but `env`."""
    told = os.environ | env if inherit else env
    with open(log, "wb") as out:
        process = subprocess.Popen(command, cwd=cwd, env=told, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield Running(process, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
