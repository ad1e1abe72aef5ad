"""Progress of something long: on a terminal one line that goes away, elsewhere nothing at all."""

import os
import pty
import subprocess
import sys

PROGRAM = """
from dsched_cli.progress import Progress
with Progress("putting configs", {total}) as progress:
    progress.add(1100)
"""


def run(total: int | None, stderr: int, **env: str) -> bytes:
    """What a process writes to its stdout and, through a pipe, to stderr."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(total=total)],
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "TERM": "xterm", **env},
        timeout=20,
        check=True,
    )
    return done.stdout + (done.stderr or b"")


def on_a_terminal(total: int | None, **env: str) -> str:
    """What a terminal is shown; a mark ends it, so that nothing is waited for in vain."""
    master, slave = pty.openpty()
    try:
        run(total, slave, **env)
        os.write(slave, b"END")
        return os.read(master, 4096).decode().removesuffix("END")
    finally:
        os.close(master)
        os.close(slave)


def test_a_terminal_sees_how_far_it_is_and_then_nothing_of_it():
    text = on_a_terminal(10_000)
    assert "putting configs: 0 of 10,000" in text
    assert "putting configs: 1,100 of 10,000" in text
    assert text.endswith("\r\x1b[K")


def test_what_is_short_is_not_told_and_a_terminal_that_cannot_erase_is_told_nothing():
    assert on_a_terminal(150) == ""
    assert on_a_terminal(10_000, TERM="dumb") == ""


def test_a_pipe_is_told_nothing():
    assert run(10_000, subprocess.PIPE) == b""


def test_where_nobody_knows_how_many_there_are_a_terminal_sees_how_many_are_done():
    text = on_a_terminal(None)
    assert "putting configs: 1,100" in text
    assert " of " not in text
    assert "putting configs: 0" not in text  # it may be over before it is worth saying
