"""Whether the long proofs in docs/results were run on the code that is to be released.

A record names the commit that ran. It counts if nothing but records and the page made of them has
changed since: they can only be committed after the run.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

SEEDS = 20_000
CHAOS_S = 600
BACKENDS = ("redis", "sentinel", "cluster", "sqlite")
RECORDS = (":(exclude)docs/results", ":(exclude)docs/figures.md")


def missing(root: Path) -> tuple[int, bool, bool, dict[str, int]]:
    """Seeds, sweep, mutants, and seconds of chaos by backend that are not proved of the code at
    HEAD."""
    results = root / "docs/results"
    same = _same_code(root)
    seconds = _seconds(results / "chaos.jsonl", same)
    return (
        max(0, SEEDS - _seeds(_json(results / "simulation.json"), same)),
        bool(_sweep(_json(results / "sweep.json"), same)),
        bool(_mutants(_json(results / "mutants.json"), same)),
        {one: CHAOS_S - seconds[one] for one in BACKENDS if seconds[one] < CHAOS_S},
    )


def problems(root: Path) -> list[str]:
    """What was not proved of the code at HEAD, with the target that does it."""
    results = root / "docs/results"
    same = _same_code(root)
    return [
        *_simulation(_json(results / "simulation.json"), same),
        *_sweep(_json(results / "sweep.json"), same),
        *_mutants(_json(results / "mutants.json"), same),
        *_chaos(results / "chaos.jsonl", same),
    ]


def _seeds(found: dict[str, Any], same: Callable[[str], bool]) -> int:
    seeds = 0
    for one in found.get("campaigns", ()):
        if same(one["commit"]):
            seeds += one["seeds"] if not one["violations"] else 0
    return seeds


def _simulation(found: dict[str, Any], same: Callable[[str], bool]) -> list[str]:
    seeds = _seeds(found, same)
    if seeds >= SEEDS:
        return []
    said = f"{seeds:,} of {SEEDS:,} seeds are recorded for this code"
    return [f"simulation: {said}; run: make simulate ARGS=--record"]


def _sweep(found: dict[str, Any], same: Callable[[str], bool]) -> list[str]:
    if found and same(found["commit"]) and not found["violations"] and not found["unhit"]:
        return []
    return ["sweep: no whole sweep is recorded for this code; run: make sweep ARGS=--record"]


def _mutants(found: dict[str, Any], same: Callable[[str], bool]) -> list[str]:
    if found and found.get("clean") and same(found["commit"]):
        return []
    return ["mutants: no whole run is recorded for this code; run: make mutants ARGS=--record"]


def _seconds(path: Path, same: Callable[[str], bool]) -> Counter[str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    seconds: Counter[str] = Counter()
    for one in map(json.loads, lines):
        if same(one["commit"]) and not one["violations"] and not one["lost"]:
            seconds[one["backend"]] += int(one["seconds"])
    return seconds


def _chaos(path: Path, same: Callable[[str], bool]) -> list[str]:
    seconds = _seconds(path, same)
    return [
        f"chaos on {backend}: {seconds[backend]} of {CHAOS_S} s are recorded for this code; run: "
        f'make chaos MINUTES={CHAOS_S // 60} ARGS="--backend {backend} --record"'
        for backend in BACKENDS
        if seconds[backend] < CHAOS_S
    ]


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _same_code(root: Path) -> Callable[[str], bool]:
    """Whether a commit has the code of HEAD; asked once a commit."""
    known: dict[str, bool] = {}

    def same(commit: str) -> bool:
        if commit not in known:
            compared = ["git", "diff", "--quiet", commit, "HEAD", "--", ".", *RECORDS]
            # 1 is another tree, 128 a commit that this history does not have
            done = subprocess.run(compared, cwd=root, capture_output=True, check=False)  # noqa: S603
            known[commit] = done.returncode == 0
        return known[commit]

    return same
