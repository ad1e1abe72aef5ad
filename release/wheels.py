"""Environments that hold our wheels, other people's packages, and nothing of this workspace."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

MINE = ("PYTHON", "DSCHED", "PIP_", "POD_NAME", "VIRTUAL_ENV")
ANY_PORT = {"DSCHED_API__PORT": "0", "DSCHED_METRICS__PORT": "0"}
TIMEOUT_S = 300


class WheelsError(Exception):
    """What was built cannot be installed or used; the message is what the command said."""


def pythons(versions: Sequence[str]) -> dict[str, str | None]:
    """By version: the interpreter of that name on the path, if there is one that runs."""
    found = {version: shutil.which(f"python{version}") for version in versions}
    return {version: path if path and _runs(path) else None for version, path in found.items()}


def _runs(python: str) -> bool:
    """A name on the path may be a shim for what is not there."""
    done = subprocess.run([python, "-V"], capture_output=True, timeout=TIMEOUT_S, check=False)  # noqa: S603
    return done.returncode == 0


def bare_environment(folder: Path, *, python: str = sys.executable) -> Path:
    """The python of a new environment in `folder`.

    An interpreter as the one that runs this has other people's packages linked from there, so that
    no network is needed; another one has none yet, and `install` takes them from pip's index.
    """
    base = folder / "venv"
    run([python, "-m", "venv", "--without-pip", base], folder)
    (packages,) = base.glob("lib/python*/site-packages")
    if packages.parent.name == f"python{sys.version_info.major}.{sys.version_info.minor}":
        others = folder / "others"
        others.mkdir()
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            if "dsched" in entry.name or entry.suffix == ".pth" or entry.name == "__pycache__":
                continue
            (others / entry.name).symlink_to(entry)
        (packages / "others.pth").write_text(f"{others}\n")
    return base / "bin/python"


def install(python: Path, dist: Path, *wanted: str) -> None:
    """Have pip resolve and install from the wheels: it would refuse a range that does not fit."""
    linked = (python.parents[2] / "others").is_dir()
    pip = [sys.executable, "-m", "pip", "--python", str(python), *(["--isolated"] * linked)]
    offline = ["--no-index"] * linked
    run([*pip, "install", "--quiet", *offline, "--find-links", str(dist), *wanted], python.parent)


def try_out(python: Path, dist: Path, version: str, folder: Path) -> None:
    """Install `dsched[standard]` and run a pod in an empty folder; `WheelsError` if either
    fails."""
    install(python, dist, f"dsched[standard]=={version}")
    empty = folder / "empty"
    empty.mkdir()
    run([python.with_name("dsched-run"), "--for", "2s"], empty, more=ANY_PORT)
    said = run([python.with_name("dsched"), "--local", "config", "list", "-o", "json"], empty)
    if json.loads(said) != []:
        raise WheelsError(f"`dsched --local config list` said:\n{said}")


def run(
    command: Sequence[object],
    folder: Path,
    *,
    code: int = 0,
    more: Mapping[str, str] | None = None,
) -> str:
    """What a command writes (on stderr if it is to fail); `WheelsError` if it ends otherwise than
    with `code`."""
    done = subprocess.run(  # noqa: S603 - these are our own commands
        [str(word) for word in command],
        cwd=folder,
        env=clean_env(**(more or {})),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode != code:
        words = " ".join(str(word) for word in command)
        raise WheelsError(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout if code == 0 else done.stderr


def clean_env(**more: str) -> dict[str, str]:
    """Without a hint to the workspace or to settings of whoever runs this."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(MINE)}
    return kept | more
