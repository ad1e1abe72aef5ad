"""Environments that hold our wheels and other people's packages, and nothing of this workspace."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path


def bare_environment(folder: Path, *, python: str = sys.executable) -> Path:
    """A python with other people's packages only: those of the environment of the tests, one link
    each."""
    base = folder / "venv"
    if python == sys.executable:
        venv.create(base, with_pip=False, symlinks=True)
    else:
        run([python, "-m", "venv", "--without-pip", base], folder)
    others = folder / "others"
    others.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "dsched" not in entry.name and entry.suffix != ".pth" and entry.name != "__pycache__":
            (others / entry.name).symlink_to(entry)
    (packages,) = base.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(f"{others}\n")
    return base / "bin/python"


def install(python: Path, dist: Path, *wanted: str) -> None:
    """Have pip resolve and install from the wheels alone: it would refuse a range that does not
    fit."""
    pip = [sys.executable, "-m", "pip", "--isolated", "--python", str(python), "install", "--quiet"]
    run([*pip, "--no-index", "--find-links", str(dist), *wanted], python.parent)


def run(command: list, folder: Path, *, code: int = 0) -> str:
    """What a command writes; it must end with ``code``."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=clean_env(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout if code == 0 else done.stderr


def clean_env(**more: str) -> dict[str, str]:
    """Without a hint to the workspace or to settings of whoever runs the tests."""
    mine = ("PYTHON", "DSCHED", "PIP_", "POD_NAME", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(mine)} | more
