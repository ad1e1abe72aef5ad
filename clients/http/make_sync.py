"""Makes the blocking client from the one that awaits: `make client` writes it, a test compares.

Only `transport` is written by hand in both: it is where the two differ.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import unasync

CLIENT = Path(__file__).parent / "src" / "dsched_client"
MADE = ("client.py", "operating.py", "sending.py")
NAMES = {
    "aio": "sync",
    "AsyncClient": "Client",
    "AsyncTaskHandle": "TaskHandle",
    "aclosing": "closing",
    "aclose": "close",
}


def made() -> dict[str, str]:
    """The text of each module of the blocking client that is made, by its name."""
    rule = unasync.Rule("/aio/", "/sync/", additional_replacements=NAMES)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "aio"
        source.mkdir()
        for name in MADE:
            (source / name).write_text((CLIENT / "aio" / name).read_text())
        unasync.unasync_files([str(source / name) for name in MADE], [rule])
        return {name: _formatted(name, (Path(folder) / "sync" / name).read_text()) for name in MADE}


def _formatted(name: str, text: str) -> str:
    """As ruff leaves it at its place in the repository."""
    where = str(CLIENT / "sync" / name)
    for command in (["check", "--select", "I", "--fix", "-q"], ["format", "-q"]):
        call = [sys.executable, "-m", "ruff", *command, "--stdin-filename", where, "-"]
        done = subprocess.run(call, input=text, capture_output=True, text=True, check=True)  # noqa: S603 - our own tool
        text = done.stdout
    return text


if __name__ == "__main__":
    for name, text in made().items():
        (CLIENT / "sync" / name).write_text(text)
