"""Chaos on real processes: ``python tests/chaos/chaos_cli.py --minutes 10 --backend redis``."""

import argparse
import asyncio
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from chaos.plan import MENUS  # noqa: E402
from chaos.run import Options, Verdict, run  # noqa: E402

RESULTS = ROOT / "docs" / "results" / "chaos.jsonl"
SHOWN = 30


def main(argv: Sequence[str] | None = None) -> int:
    """0: everything held; 1: something was violated, and the evidence is left; 2: not as asked."""
    options = _options(argv)
    folder = Path(tempfile.mkdtemp(prefix="dsched-chaos-"))
    if options.keep is not None:
        folder.rmdir()
        folder = options.keep / f"{options.backend}-{options.seed}-{int(time.time())}"
        folder.mkdir(parents=True)
    try:
        commit = _commit() if options.record else ""
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    seconds = options.seconds or options.minutes * 60
    print(f"seed {options.seed} on {options.backend} for {seconds:g} s, in {folder}", flush=True)
    began_s = time.monotonic()
    verdict = asyncio.run(
        run(Options(backend=options.backend, seed=options.seed, seconds=seconds, folder=folder))
    )
    print("\n".join(_described(verdict)))
    print(f"took {time.monotonic() - began_s:.0f} s")
    if commit:
        _record(options, seconds, commit, verdict)
    if verdict.violations:
        again = f'ARGS="--backend {options.backend} --seed {options.seed} --keep DIR"'
        print(f"the evidence is in {folder}/evidence, the pods' logs beside it")
        print(f"the same faults again: make chaos MINUTES={seconds / 60:g} {again}")
        return 1
    if options.keep is None:
        shutil.rmtree(folder)
    return 0


def _described(verdict: Verdict) -> list[str]:
    lines = [f"verdict: {'VIOLATED' if verdict.violations else 'every invariant held'}"]
    lines += [f"  {line}" for line in verdict.figures.lines()]
    lines += [f"  not accounted for: {line}" for line in verdict.unknown]
    lines += list(verdict.violations[:SHOWN])
    if len(verdict.violations) > SHOWN:
        lines.append(f"and {len(verdict.violations) - SHOWN} more")
    return lines


def _record(options: argparse.Namespace, seconds: float, commit: str, verdict: Verdict) -> None:
    line = {
        "commit": commit,
        "backend": options.backend,
        "seed": options.seed,
        "seconds": seconds,
        **verdict.figures.record(),
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as results:
        results.write(json.dumps(line, sort_keys=True) + "\n")
    print(f"recorded in {RESULTS.relative_to(ROOT)}")


def _commit() -> str:
    """The commit that runs; ValueError where the code is not what was committed."""

    def git(*args: str) -> str:
        done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    changed = [line for line in git("status", "--porcelain").splitlines() if ".json" not in line]
    if changed:
        raise ValueError(f"commit first: a run tells nothing without its code; {changed[0]}")
    return git("rev-parse", "--short=12", "HEAD")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long faults happen")
    parser.add_argument("--seconds", type=float, help="the same in seconds")
    parser.add_argument("--backend", choices=sorted(MENUS), default="redis")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--record", action="store_true", help="add a line to docs/results")
    parser.add_argument("--keep", type=Path, help="keep the evidence of this run there")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
