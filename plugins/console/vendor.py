"""`make vendor`: brings the libraries of the console from npm, as vendored.toml lists them.

Each is one published file; what is changed in it is only the bare names it imports, which become
paths beside it. A file whose hash is not the listed one is refused: look at it, then write the new
version and hash into the table.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLE = HERE / "vendored.toml"
INTO = HERE / "src/dsched_console/web/vendor"


def table() -> list[dict[str, str]]:
    """The libraries: package, version, licence, path, file, sha256."""
    found: list[dict[str, str]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))["library"]
    return found


def packed(package: str, version: str, folder: Path) -> Path:
    """The package as npm publishes it."""
    done = subprocess.run(  # noqa: S603 - what is asked for stands in the table
        ["npm", "pack", "--silent", f"{package}@{version}"],  # noqa: S607
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return folder / done.stdout.split()[-1]


def relative(text: str, libraries: list[dict[str, str]]) -> str:
    """The module with its bare imports turned into relative ones."""
    for one in libraries:
        if "import" in one:
            text = text.replace(f'from"{one["import"]}"', f'from"./{one["file"]}"')
    return "".join(
        line for line in text.splitlines(keepends=True) if not line.startswith("//# sourceMapping")
    )


def bring(one: dict[str, str], libraries: list[dict[str, str]], folder: Path) -> str:
    """Write one library where it belongs; what is wrong with it, or nothing."""
    with tarfile.open(packed(one["package"], one["version"], folder)) as archive:
        member = archive.extractfile(f"package/{one['path']}")
        content = b"" if member is None else member.read()
    found = hashlib.sha256(content).hexdigest()
    if found != one["sha256"]:
        return f"{one['package']} {one['version']}: {one['path']} has the sha256 {found}"
    (INTO / one["file"]).write_text(relative(content.decode(), libraries), encoding="utf-8")
    return ""


def main() -> int:
    """Bring all of them; 1 if one is not what the table says."""
    libraries = table()
    with tempfile.TemporaryDirectory() as folder:
        wrong = [said for one in libraries if (said := bring(one, libraries, Path(folder)))]
    for said in wrong:
        print(f"not taken: {said}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
