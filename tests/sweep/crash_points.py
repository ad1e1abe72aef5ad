"""Sweeps the crash points of all scenarios on all cores: ``python tests/sweep/crash_points.py``."""

import argparse
import json
import logging
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from campaigns import CampaignError, commit_of  # noqa: E402
from scenarios_of_api import API  # noqa: E402

from dsched_balancers.least_tasks import LeastTasks  # noqa: E402
from dsched_testkit.sweep.process import Point  # noqa: E402
from dsched_testkit.sweep.repertoire import SCENARIOS as IN_THE_CORE  # noqa: E402
from dsched_testkit.sweep.sweep import Swept, Totals, sampled, sweep  # noqa: E402

SCENARIOS = (*IN_THE_CORE, *API)
BALANCER = ("least-tasks", LeastTasks())
NAMES = tuple(scenario.name for scenario in SCENARIOS)
RESULTS = ROOT / "docs" / "results" / "sweep.json"

Job: TypeAlias = tuple[str, int | None, bool, bool]


def sweep_one(
    name: str, number: int | None = None, *, merged: bool = True, stop: bool = False
) -> Swept:
    """One scenario by name, over ``number`` of its points or over all."""

    def chosen(points: list[Point]) -> list[Point]:
        return points if number is None else sampled(points, number)

    with _silence():
        return sweep(SCENARIOS[NAMES.index(name)], BALANCER, chosen, merged=merged, stop=stop)


@contextmanager
def _silence() -> Iterator[None]:
    """What is logged under faults is no finding; afterwards the log speaks again."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _job(job: Job) -> Swept:
    name, number, merged, stop = job
    return sweep_one(name, number, merged=merged, stop=stop)


def _swept(jobs: Sequence[Job], processes: int) -> Iterator[Swept]:
    if processes == 0:
        yield from map(_job, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(_job, jobs)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 1 on a violation, or where a place that calls the store was never hit."""
    options = _options(argv)
    try:
        commit = commit_of(ROOT) if options.record else ""
    except CampaignError as error:
        print(error, file=sys.stderr)
        return 2
    began_s, totals = time.monotonic(), Totals()
    names = options.only or NAMES
    jobs = [(name, options.points, not options.all, options.stop) for name in names]
    for swept in _swept(jobs, options.processes):
        totals.add(swept)
        print(f"{swept.name}: {len(swept.points)} faults, {len(swept.failed)} bad", flush=True)
        if options.stop and swept.failed:
            break
    unhit = [] if options.only else totals.unhit()
    print("\n".join(totals.lines()))
    print("".join(f"never hit: {site}\n" for site in unhit), end="")
    print(f"took {time.monotonic() - began_s:.0f} s with {options.processes} processes")
    if options.record:
        record(totals, commit, len(unhit))
    return int(bool(totals.failed or unhit))


def record(totals: Totals, commit: str, unhit: int, path: Path = RESULTS) -> None:
    """Write the results of a whole sweep down, with the commit they are of."""
    found = {
        "commit": commit,
        "scenarios": totals.scenarios,
        "plays": totals.plays,
        "places": len(totals.sites),
        "virtual_hours": round(totals.virtual_s / 3600, 1),
        "faults": dict(sorted(totals.kinds.items())),
        "violations": len(totals.failed),
        "unhit": unhit,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help="these scenarios")
    parser.add_argument("--points", type=int, help="so many faults a scenario, not all")
    parser.add_argument("--all", action="store_true", help="each fault at each call, none merged")
    parser.add_argument("-x", "--stop", action="store_true", help="at the first that is bad")
    parser.add_argument("--processes", type=int, default=2, help="0: all in this one")
    parser.add_argument(
        "--record", action="store_true", help="write docs/results; of a whole sweep"
    )
    options = parser.parse_args(argv)
    if options.record and (options.only or options.points is not None or options.stop):
        parser.error("--record is of a whole sweep: without --only, --points and --stop")
    return options


if __name__ == "__main__":
    sys.exit(main())
