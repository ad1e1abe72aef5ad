"""Check what `make dist` built: each distribution's wheel and source archive, by content.

Nothing is imported from the workspace: an archive is judged by what it holds.
"""

import argparse
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


def problems(dist: Path, members: list[str], root: Path = ROOT) -> list[str]:
    """All that is wrong with the archives in `dist`; nothing if they can be published."""
    found: list[str] = []
    licence = (root / "LICENSE").read_bytes()
    expected: set[str] = set()
    for member in members:
        project = tomllib.loads((root / member / "pyproject.toml").read_text(encoding="utf-8"))
        stem = f"{project['project']['name'].replace('-', '_')}-{project['project']['version']}"
        wheel, sdist = dist / f"{stem}-py3-none-any.whl", dist / f"{stem}.tar.gz"
        expected |= {wheel.name, sdist.name}
        missing = [path.name for path in (wheel, sdist) if not path.is_file()]
        if missing:
            found += [f"{name} was not built" for name in missing]
            continue
        inside = {f"{wheel.name}: {said}" for said in _wheel(wheel, stem, project, licence)}
        inside |= {f"{sdist.name}: {said}" for said in _sdist(sdist, stem, project, licence)}
        found += sorted(inside)
    found += [
        f"{path.name} is of no distribution" for path in dist.iterdir() if path.name not in expected
    ]
    return found


def _wheel(path: Path, stem: str, project: dict[str, Any], licence: bytes) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        package = Path(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"][0]).name
        info = f"{stem}.dist-info"
        if f"{package}/py.typed" not in names:
            yield "py.typed is missing: type checkers would ignore the package's types"
        said = f"{info}/licenses/LICENSE"
        if said not in names or archive.read(said) != licence:
            yield "the licence is missing, or is not the project's"
        strange = {name.partition("/")[0] for name in names} - {package, info}
        if strange:
            yield f"{sorted(strange)} would be installed beside the package"
        yield from _metadata(archive.read(f"{info}/METADATA"), project["project"])
        points = (
            archive.read(f"{info}/entry_points.txt").decode()
            if f"{info}/entry_points.txt" in names
            else ""
        )
        for kind in ("scripts", "entry-points"):
            for name in _leaves(project["project"].get(kind, {})):
                if name not in points:
                    yield f"the entry point {name} is missing"


def _sdist(path: Path, stem: str, project: dict[str, Any], licence: bytes) -> Iterator[str]:
    with tarfile.open(path) as archive:
        files = {one.name: one for one in archive.getmembers()}
        for part in ("pyproject.toml", "README.md", "LICENSE", "PKG-INFO"):
            if f"{stem}/{part}" not in files:
                yield f"{part} is missing"
        if not all(one.isfile() for one in files.values()):
            yield "it holds links, which break where it is unpacked"
        if not any(name.startswith(f"{stem}/tests/") for name in files):
            yield "the tests are missing"
        strange = [
            name for name in files if "__pycache__" in name or name.endswith((".pyc", ".db"))
        ]
        if strange:
            yield f"{sorted(strange)} are left-overs of a run"
        said = archive.extractfile(f"{stem}/LICENSE")
        if said is None or said.read() != licence:
            yield "the licence is not the project's"
        info = archive.extractfile(f"{stem}/PKG-INFO")
        if info is not None:
            yield from _metadata(info.read(), project["project"])


def _metadata(raw: bytes, project: dict[str, Any]) -> Iterator[str]:
    said = Metadata.from_email(raw, validate=True)  # raises for what an index would refuse
    if (said.name, str(said.version)) != (project["name"], project["version"]):
        yield f"it calls itself {said.name} {said.version}"
    if said.license_expression != project["license"] or said.license_files != ["LICENSE"]:
        yield f"the metadata names the licence {said.license_expression} {said.license_files}"
    if str(said.requires_python) != project["requires-python"]:
        yield f"it needs Python {said.requires_python}"
    if said.description_content_type != "text/markdown" or not (said.description or "").strip():
        yield "the README is not its description"
    needed = {canonicalize_name(one.name) for one in said.requires_dist or []}
    asked = {canonicalize_name(Requirement(one).name) for one in project["dependencies"]}
    if not asked <= needed:
        yield f"it does not ask for {sorted(asked - needed)}"
    if not said.classifiers or not said.summary:
        yield "it has no summary or no classifiers"


def _leaves(table: dict[str, Any]) -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value)
        else:
            yield f"{name} = {value}"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dist", type=Path)
    parser.add_argument("members", nargs="+", help="folders of the distributions")
    given = parser.parse_args()
    found = problems(given.dist, given.members)
    for one in found:
        print(one, file=sys.stderr)
    if not found:
        print(
            f"{given.dist}: {len(given.members)} distributions, each a wheel and a source archive"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
