"""Accumulates runs of disjoint ranges of seeds in a results file that is kept with the code."""

import json
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dsched_testkit.simulation.faults import MENU
from dsched_testkit.simulation.summary import Totals

FORMAT = 1
_SUMS = ("seeds", "virtual_hours", "tasks", "fires", "store_calls", "configs_accounted")


class CampaignError(ValueError):
    """What is asked cannot be recorded: why, and what to do instead."""


def read(path: Path) -> dict[str, Any]:
    """The results so far; empty ones where there is no file yet."""
    if not path.exists():
        return {"format": FORMAT, "campaigns": []}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if found.get("format") != FORMAT:
        raise CampaignError(f"{path} has format {found.get('format')}, not {FORMAT}: remove it")
    return found


def check_free(results: dict[str, Any], seeds: range) -> None:
    """Raise `CampaignError` if a range that was recorded has seeds of this one."""
    for one in results["campaigns"]:
        if one["first"] <= seeds[-1] and seeds[0] <= one["last"]:
            free = max(each["last"] for each in results["campaigns"]) + 1
            raise CampaignError(
                f"seeds {one['first']} to {one['last']} are recorded already, at {one['commit']}; "
                f"the first free one is {free}"
            )


def commit_of(folder: Path) -> str:
    """The commit that the seeds ran at; `CampaignError` where the code is not what was
    committed."""

    def git(*args: str) -> str:
        done = subprocess.run(
            ["git", *args], cwd=folder, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    changed = [line for line in git("status", "--porcelain").splitlines() if ".json" not in line]
    if changed:
        raise CampaignError(f"commit first: a seed tells nothing without its code; {changed[0]}")
    return git("rev-parse", "--short=12", "HEAD")


def add(path: Path, totals: Totals, seeds: range, commit: str) -> dict[str, Any]:
    """Add one range to the file, and sum up; the results as they are now."""
    results = read(path)
    check_free(results, seeds)
    results["campaigns"].append(_campaign(totals, seeds, commit))
    results["campaigns"].sort(key=lambda one: one["first"])
    results["totals"] = _totals(results["campaigns"])
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    fresh.replace(path)
    return results


def _campaign(totals: Totals, seeds: range, commit: str) -> dict[str, Any]:
    return {
        "commit": commit,
        "first": seeds[0],
        "last": seeds[-1],
        "seeds": totals.seeds,
        "virtual_hours": round(totals.virtual_s / 3600, 2),
        "tasks": totals.tasks,
        "fires": totals.fires,
        "store_calls": totals.calls,
        "configs_accounted": totals.accounted_configs,
        "longest_rest_s": round(totals.longest_rest_s),
        "kinds_of_fault": len(MENU),
        "faults": dict(sorted(totals.faults.items())),
        "seen": dict(sorted(totals.seen.items())),
        "violations": sum(len(ran.violations) for ran in totals.failed),
        "violating_seeds": sorted(ran.seed for ran in totals.failed),
    }


def _totals(campaigns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    faults: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for one in campaigns:
        faults.update(one["faults"])
        seen.update(one["seen"])
    sums = {name: round(sum(one[name] for one in campaigns), 2) for name in _SUMS}
    return {
        **sums,
        "faults": dict(sorted(faults.items())),
        "seen": dict(sorted(seen.items())),
        "violations": sum(one["violations"] for one in campaigns),
    }
