"""`make run`: starts the example's own targets, then a pod on the embedded store.

What is given on the command line goes to `dsched-run` as it is: `--for 20s`, `--store redis`, ...
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
STATE = HERE.parents[2] / ".dsched"
HTTP_PORT, GRPC_PORT = 8765, 8766

# Before grpc is imported anywhere: its C core writes to the terminal past Python's logging.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


@contextmanager
def targets() -> Iterator[tuple[int, int]]:
    """The services that the tasks call, in a process of their own; their ports."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "targets.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C is for the pod: the tasks that still run need their targets.
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process, process.stdin:
        ports = process.stdout.readline().split()
        if len(ports) != 2:
            raise SystemExit("run.py: targets.py did not start; what it printed above says why")
        yield int(ports[0]), int(ports[1])


def task_file(http_port: int, grpc_port: int, folder: Path) -> Path:
    """tasks.yaml, or a copy in this folder, with other ports, when the usual ones were taken."""
    file = HERE / "tasks.yaml"
    if (http_port, grpc_port) == (HTTP_PORT, GRPC_PORT):
        return file
    text = file.read_text(encoding="utf-8")
    text = text.replace(f"127.0.0.1:{HTTP_PORT}", f"127.0.0.1:{http_port}")
    text = text.replace(f"127.0.0.1:{GRPC_PORT}", f"127.0.0.1:{grpc_port}")
    copy = folder / "tasks.yaml"
    copy.write_text(text, encoding="utf-8")
    print(f"run.py: a usual port is taken; the targets are at {http_port} and {grpc_port}")
    return copy


def main(arguments: Sequence[str]) -> int:
    """Run the pod; its exit code."""
    from dsched.launcher.run import main as dsched_run

    STATE.mkdir(exist_ok=True)
    os.environ.setdefault("DSCHED_SQLITE__PATH", str(STATE / "quickstart.db"))
    sys.path.insert(0, str(HERE))  # where --app finds app.py
    # A folder of this run alone: another one may have other ports.
    with targets() as ports, TemporaryDirectory(prefix="dsched-quickstart-") as folder:
        tasks = task_file(*ports, Path(folder))
        given = ["--config", str(HERE / "dsched.yaml"), "--tasks", str(tasks), "--app", "app"]
        return dsched_run([*given, *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
