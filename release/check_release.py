"""``make release-check``: whether a release can be made of this tree. Changes nothing in it."""

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

import changelog
import check_dist
import proofs
import stamp_version
import wheels

ROOT = Path(__file__).resolve().parents[1]
CLASSIFIER = "Programming Language :: Python :: 3."


def main() -> int:
    """The command: a line a check, and 1 if one of them refuses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dist", type=Path)
    parser.add_argument("members", nargs="+", help="folders of the distributions")
    parser.add_argument("--root", type=Path, default=ROOT)
    given = parser.parse_args()
    root, dist = given.root, given.dist.resolve()
    version = stamp_version.kept_version(root)
    checks: dict[str, Callable[[], list[str]]] = {
        "the tree is clean": lambda: clean_tree(root),
        f"everything says {version}, and no tag does": lambda: versions(
            root, given.members, version
        ),
        f"CHANGELOG.md has notes on {version}": lambda: changelog.problems(
            (root / "CHANGELOG.md").read_text(encoding="utf-8"), version
        ),
        "the archives are complete": lambda: check_dist.problems(dist, given.members, root),
        "the wheels work in bare environments": lambda: installed(root, dist, version),
        "the long proofs are of this code": lambda: proofs.problems(root),
    }
    refused = [said for name, check in checks.items() for said in _told(name, check())]
    print(f"{len(refused)} reasons against a release" if refused else f"{version} can be released")
    return 1 if refused else 0


def _told(name: str, found: list[str]) -> list[str]:
    print(f"{'no' if found else 'ok'}  {name}")
    for one in found:
        print(f"      {one}")
    return found


def clean_tree(root: Path) -> list[str]:
    """What is not committed."""
    changed = _git(root, "status", "--porcelain").splitlines()
    return [f"{len(changed)} files are not committed, such as {changed[0][3:]}"] if changed else []


def versions(root: Path, members: list[str], version: str) -> list[str]:
    """What names another version, and a tag that is taken."""
    found = [f"{name} names another; run: make version" for name in _unstamped(root, members)]
    if _git(root, "tag", "--list", f"v{version}").strip():
        found.append(f"the tag v{version} is there already; run: make version NEW=...")
    return found


def _unstamped(root: Path, members: list[str]) -> list[str]:
    return stamp_version.stamp(root, members, dry=True)


def installed(root: Path, dist: Path, version: str) -> list[str]:
    """What goes wrong in an environment of each supported Python that is on this machine."""
    project = tomllib.loads((root / "core/pyproject.toml").read_text(encoding="utf-8"))["project"]
    supported = [
        one.rpartition(" ")[2] for one in project["classifiers"] if one.startswith(CLASSIFIER)
    ]
    found = []
    for number, python in wheels.pythons(supported).items():
        if python is None:
            print(f"      Python {number} is not on this machine; not tried")
            continue
        with tempfile.TemporaryDirectory(prefix="dsched-release-") as name:
            try:
                made = wheels.bare_environment(Path(name), python=python)
                wheels.try_out(made, dist, version, Path(name))
            except wheels.WheelsError as error:
                found.append(f"Python {number}: {error}")
    return found


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)  # noqa: S603, S607
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
