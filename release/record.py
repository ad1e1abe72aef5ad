"""``make record``: run what is not proved yet of the code at HEAD, and record it.

It may be stopped at any time and started again: it goes on with what is missing. Simulation is
recorded by a thousand seeds, mutants one by one, chaos by the run.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

import proofs

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = 1000  # seeds, of which a stop loses no more
KEPT = ".record/mutants.jsonl"
STOPPED = 130


def steps(root: Path, python: str) -> list[list[str]]:
    """The commands that are missing, in their order; none where all is proved."""
    seeds, sweep, mutants, chaos = proofs.missing(root)
    found = []
    first = _first_free(root)
    while seeds > 0:
        some = min(seeds, AT_ONCE)
        seeded = ("--first", str(first), "--seeds", str(some))
        found.append([python, "tests/simulation/simulate.py", *seeded, "--record"])
        first, seeds = first + some, seeds - some
    if sweep:
        found.append([python, "tests/sweep/crash_points.py", "--record"])
    if mutants:
        found.append([python, "tests/mutants/break_guards.py", "--keep", KEPT, "--record"])
    for backend, seconds in chaos.items():
        words = ("--backend", backend, "--seconds", str(seconds))
        found.append([python, "tests/chaos/chaos_cli.py", *words, "--record"])
    return found


def _first_free(root: Path) -> int:
    """Seeds are recorded once, whatever the commit, so that each run tries new ones."""
    path = root / "docs/results/simulation.json"
    if not path.exists():
        return 0
    campaigns = json.loads(path.read_text(encoding="utf-8"))["campaigns"]
    return max((one["last"] + 1 for one in campaigns), default=0)


def uncommitted(root: Path) -> list[str]:
    """Files besides the records that differ from HEAD: a proof tells nothing without its code."""
    asked = ["git", "status", "--porcelain", "--", ".", *proofs.RECORDS]
    done = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.splitlines()


def main() -> int:
    """The command: 0 when all is proved, 1 at the first proof that fails, 130 when stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be run")
    given = parser.parse_args()
    root: Path = given.root
    if changed := uncommitted(root):
        print(f"commit first, or take away: {changed[0].strip()}", file=sys.stderr)
        return 1
    wanted = steps(root, sys.executable)
    for number, step in enumerate(wanted, 1):
        print(f"{number} of {len(wanted)}: {shlex.join(step[1:])}", flush=True)
        if given.dry_run:
            continue
        try:
            code = subprocess.run(step, cwd=root, check=False).returncode  # noqa: S603
        except KeyboardInterrupt:
            print("stopped; `make record` goes on from here", file=sys.stderr)
            return STOPPED
        if code != 0:
            print(f"it ended with {code}: mend what it found, and begin anew", file=sys.stderr)
            return 1
    if not given.dry_run:
        page = [sys.executable, "docs/make_pages.py"]
        subprocess.run(page, cwd=root, check=True)  # noqa: S603
        print("all is recorded: commit docs/results and docs/figures.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
