"""Write one version into everything that names it: ``make version`` and ``make version NEW=0.2.0``.

The version is kept in one place, ``__version__`` of the core. All distributions carry it, and name
the core, or each other in the core's extras, at exactly it. The metadata stays static, so that an
unpacked source archive can be built by itself and any tool can read it.
"""

import argparse
import re
import sys
from pathlib import Path

from packaging.version import InvalidVersion, Version

KEPT = "core/src/dsched/__init__.py"
VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
OF_DISTRIBUTION = re.compile(r'^version = "[^"]+"$', re.MULTILINE)
PIN = re.compile(r'"(dsched(?:-[a-z0-9-]+)?(?:\[[a-z, ]+\])?)==[^"]+"')
IMAGE = re.compile(r"^(\s*image: dsched):\S+$", re.MULTILINE)
LABEL = re.compile(r'(image\.version=)"[^"]+"')
TAG = re.compile(r"(newName: dsched, newTag:) [^ }]+")
APP = re.compile(r'^(appVersion:) "[^"]+"$', re.MULTILINE)
CHART = re.compile(r"^(version:) \S+$", re.MULTILINE)
DEPLOY = (
    "deploy/Dockerfile",
    "deploy/compose.yaml",
    "deploy/compose.one.yaml",
    "deploy/compose.sentinel.yaml",
    "deploy/helm/dsched/Chart.yaml",
    "deploy/kubernetes/api.yaml",
    "deploy/kubernetes/scheduler.yaml",
    "deploy/kubernetes/workers.yaml",
    "deploy/kubernetes/kustomization.yaml",
)


def stamped(text: str, version: str) -> str:
    """A pyproject.toml or file of the deploy set that says `version` wherever it named an earlier
    one."""
    text = OF_DISTRIBUTION.sub(f'version = "{version}"', text)
    text = PIN.sub(rf'"\1=={version}"', text)
    text = LABEL.sub(rf'\1"{version}"', text)
    text = TAG.sub(rf"\1 {version}", text)
    text = APP.sub(rf'\1 "{version}"', text)
    text = CHART.sub(rf"\1 {semantic(version)}", text)
    return IMAGE.sub(rf"\1:{version}", text)


def semantic(version: str) -> str:
    """As charts of Helm write it: 0.2.0-rc1 for 0.2.0rc1."""
    return re.sub(r"^(\d+\.\d+\.\d+)(?:\.)?([a-z])", r"\1-\2", version)


def kept_version(root: Path) -> str:
    """The version that the core keeps."""
    found = VERSION.search((root / KEPT).read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit(f'{KEPT} has no line __version__ = "..."; write one')
    return found[1]


def stamp(
    root: Path, members: list[str], new: str | None = None, *, dry: bool = False
) -> list[str]:
    """Stamp the workspace at `root`, first with a `new` version if given; the files that changed,
    or with `dry` those that would."""
    kept = root / KEPT
    said = kept.read_text(encoding="utf-8")
    version = new or kept_version(root)
    try:
        version = str(Version(version))
    except InvalidVersion:
        raise SystemExit(
            f"{version!r} is no version; write one such as 0.2.0 or 1.0.0rc1"
        ) from None
    after = {kept: VERSION.sub(f'__version__ = "{version}"', said)}
    for path in (
        *(root / member / "pyproject.toml" for member in members),
        *(root / name for name in DEPLOY),
    ):
        after[path] = stamped(path.read_text(encoding="utf-8"), version)
    changed = [path for path, text in after.items() if path.read_text(encoding="utf-8") != text]
    for path in () if dry else changed:
        path.write_text(after[path], encoding="utf-8")
    return [path.relative_to(root).as_posix() for path in changed]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("members", nargs="+", help="folders of the distributions")
    parser.add_argument("--new", default=None, help="the version to change to")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    given = parser.parse_args()
    for path in stamp(given.root, given.members, given.new or None):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
