"""``make release-tag`` and ``make release-publish``: after `make release-check`, and in this order.

The tag's message has the notes of the change list and the SHA-256 of every archive. So a signature
of the tag is one of the archives too, and what is published is what was tagged.
"""

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

import changelog
import stamp_version

ROOT = Path(__file__).resolve().parents[1]
SUMS = "SHA-256 of the archives:"


class ReleaseError(Exception):
    """Nothing was done; the message says why."""


def tag(root: Path, dist: Path, *, sign: bool) -> str:
    """Tag HEAD as the version that it carries; the tag's name."""
    version = stamp_version.kept_version(root)
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    said = changelog.notes(text, version)
    if not said:
        raise ReleaseError("; ".join(changelog.problems(text, version)))
    message = f"dsched {version}\n\n{said}\n\n{SUMS}\n\n{sums(dist)}"
    kind = "--sign" if sign else "--annotate"
    _git(root, "tag", kind, "--cleanup=verbatim", f"v{version}", "--file=-", given=message)
    return f"v{version}"


def publish(root: Path, dist: Path, uv: str, extra: list[str]) -> None:
    """Upload the archives that the tag at HEAD names, with the credentials that `uv` finds."""
    version = stamp_version.kept_version(root)
    if f"v{version}" not in _git(root, "tag", "--points-at", "HEAD").split():
        raise ReleaseError(f"HEAD is not tagged v{version}; run: make release-tag")
    message = _git(root, "tag", "--list", "--format=%(contents)", f"v{version}")
    told = message.partition(f"{SUMS}\n\n")[2]
    if not told.startswith(sums(dist)):
        raise ReleaseError(
            f"{dist} does not hold what v{version} names; build it at the tag: make dist"
        )
    archives = [str(path) for path in sorted(dist.iterdir())]
    done = subprocess.run([uv, "publish", *extra, *archives], check=False)  # noqa: S603
    if done.returncode:
        raise ReleaseError("the upload failed; what uv wrote says why. It can be repeated")


def sums(dist: Path) -> str:
    """A line an archive, as `sha256sum` writes and checks them."""
    paths = sorted(path for path in dist.iterdir() if path.is_file())
    if not paths:
        raise ReleaseError(f"{dist} is empty; run: make dist")
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths
    )


def _git(root: Path, *words: str, given: str | None = None) -> str:
    done = subprocess.run(  # noqa: S603
        ["git", *words],  # noqa: S607
        cwd=root,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("step", choices=("tag", "publish"))
    parser.add_argument("dist", type=Path)
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--sign", action="store_true", help="sign the tag with git's key")
    parser.add_argument("--uv", default=str(Path(sys.executable).with_name("uv")))
    given, extra = parser.parse_known_args()
    try:
        if given.step == "tag":
            print(tag(given.root, given.dist, sign=given.sign))
        else:
            publish(given.root, given.dist, given.uv, extra)
    except (ReleaseError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
