"""Breaks the protocol guard by guard, to see whether the tests notice: ``make mutants``."""

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from catalogue import FAMILIES, ROOT, Mutant, chosen, read_catalogue
from keeping import Kept
from killing import Killed, Scratch, together

RESULTS = ROOT / "docs" / "results" / "mutants.json"
GOAL = 0.95  # of the single mutants; of the pairs every one

_scratch: Scratch | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 1 where too few are killed, 2 where a killer itself is broken."""
    options = _options(argv)
    files = _changed(options.changed) if options.changed else None
    mutants = chosen(read_catalogue(), only=options.only, families=options.family, files=files)
    if not mutants:
        print("no such mutants; an id is FAMILY-NAME, as in engine-run-cancel-overlooked")
        return 2
    began_s = time.monotonic()
    sick = _unfounded(mutants, options.processes) if options.record or options.check else []
    kept = Kept(options.keep, _git("rev-parse", "HEAD").strip()) if options.keep else None
    results = _attack(mutants, options.processes, verbose=options.verbose, kept=kept)
    print("\n".join(report(results)))
    print(f"took {time.monotonic() - began_s:.0f} s with {options.processes} processes")
    for line in sick:
        print(f"fails without any mutant: {line}")
    if options.record:
        record(results)
    if sick or any(one.broken for one in results):
        return 2
    return int(not good_enough(results))


def _attack(
    mutants: Sequence[Mutant], processes: int, *, verbose: bool, kept: Kept | None = None
) -> list[Killed]:
    results = kept.of(mutants) if kept else []
    done = {one.mutant.id for one in results}
    mutants = [one for one in mutants if one.id not in done]
    with tempfile.TemporaryDirectory(prefix="dsched-mutants-") as folder:
        context = multiprocessing.get_context("spawn")
        with context.Pool(processes, initializer=_open, initargs=(folder,)) as pool:
            for one in pool.imap_unordered(_job, mutants):
                fate = f"SURVIVED {one.broken}" if one.survived else f"killed by {one.by}"
                print(f"{one.mutant.id}: {fate} ({one.seconds:.1f} s)", flush=True)
                if verbose:
                    print(one.output)
                results.append(one)
                if kept:
                    kept.add(one)
    return sorted(results, key=lambda one: one.mutant.id)


def _open(folder: str) -> None:
    global _scratch
    _scratch = Scratch(Path(tempfile.mkdtemp(dir=folder)))


def _job(mutant: Mutant) -> Killed:
    assert _scratch is not None
    return _scratch.attack(mutant)


def _unfounded(mutants: Sequence[Mutant], processes: int) -> list[str]:
    """The killers that also fail without a mutant: their kills would prove nothing.

    Those that run tests of one file are tried together, and each alone only where that fails.
    """
    killers = sorted({(killer, one.family) for one in mutants for killer in one.killers})
    with tempfile.TemporaryDirectory(prefix="dsched-mutants-") as folder:
        context = multiprocessing.get_context("spawn")
        with context.Pool(processes, initializer=_open, initargs=(folder,)) as pool:
            groups = together(killers)
            codes = pool.map(_try, [(one.killer, one.family) for one in groups], chunksize=1)
            failed = [one for one, code in zip(groups, codes, strict=True) if code != 0]
            alone = sorted({killer for one in failed for killer in one.of})
            codes = pool.map(_try, alone, chunksize=1)
    return [f"{family}: {k}" for (k, family), code in zip(alone, codes, strict=True) if code != 0]


def _try(job: tuple[str, str]) -> int | None:
    assert _scratch is not None
    return _scratch.run(*job)[0]


def good_enough(results: Sequence[Killed]) -> bool:
    """Whether the goal is met; what is explained as equivalent does not count."""
    counted = [one for one in results if not one.mutant.equivalent]
    singles = [one for one in counted if not one.mutant.pair]
    killed = sum(not one.survived for one in singles)
    pairs = all(not one.survived for one in counted if one.mutant.pair)
    return pairs and killed >= GOAL * len(singles)


def report(results: Sequence[Killed]) -> list[str]:
    """Shares by family, and each survivor."""
    lines = []
    for family, (singles, killed, pairs, pairs_killed) in counts(results).items():
        lines.append(
            f"{family}: {killed} of {singles} singles killed, {pairs_killed} of {pairs} pairs"
        )
    for one in results:
        if one.survived:
            why = one.mutant.equivalent or one.broken or "nothing noticed"
            lines.append(f"survivor {one.mutant.id}, without {one.mutant.guard!r}: {why}")
    return lines


def counts(results: Sequence[Killed]) -> dict[str, tuple[int, int, int, int]]:
    """By family: singles, those killed, pairs, those killed; equivalent ones left out."""
    found = {}
    for family in FAMILIES:
        of = [r for r in results if r.mutant.family == family and not r.mutant.equivalent]
        if of:
            singles = [one for one in of if not one.mutant.pair]
            pairs = [one for one in of if one.mutant.pair]
            found[family] = (
                *(len(singles), sum(not one.survived for one in singles)),
                *(len(pairs), sum(not one.survived for one in pairs)),
            )
    return found


def record(results: Sequence[Killed]) -> None:
    """Write the results down, with the commit they are of."""
    names = ("singles", "singles_killed", "pairs", "pairs_killed")
    found = {
        "commit": _git("rev-parse", "HEAD").strip(),
        "clean": not [line for line in _status() if "docs/results/" not in line],
        "families": {
            key: dict(zip(names, row, strict=True)) for key, row in counts(results).items()
        },
        "survivors": [
            {"id": r.mutant.id, "guard": r.mutant.guard, "why": r.mutant.equivalent or r.broken}
            for r in results
            if r.survived
        ],
        "killed_by": {r.mutant.id: r.by for r in results if not r.survived},
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")


def _changed(base: str) -> set[str]:
    """Files that differ from where this branch left ``base``, uncommitted changes included."""
    fork = _git("merge-base", base, "HEAD").strip()
    return set(_git("diff", "--name-only", fork).split())


def _status() -> list[str]:
    """What is not committed."""
    return _git("status", "--porcelain").splitlines()


def _git(*args: str) -> str:
    done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="ID", help="these mutants")
    parser.add_argument("--family", nargs="+", choices=FAMILIES, help="these families")
    parser.add_argument(
        "--changed",
        nargs="?",
        const="main",
        metavar="BASE",
        help="those in files that differ from this branch's fork of BASE (main)",
    )
    parser.add_argument(
        "--check", action="store_true", help="run the killers without mutants first"
    )
    parser.add_argument("--record", action="store_true", help="--check, and write docs/results")
    parser.add_argument(
        "--keep", type=Path, metavar="FILE", help="keep each result there, and go on from those"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("-v", "--verbose", action="store_true", help="what the killers said")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
