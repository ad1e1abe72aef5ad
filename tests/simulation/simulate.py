"""Simulates clusters by seed on all cores: ``python tests/simulation/simulate.py --seeds 500``."""

import argparse
import faulthandler
import json
import logging
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import campaigns  # noqa: E402

from dsched_balancers.consistent_hash import ConsistentHash  # noqa: E402
from dsched_balancers.least_tasks import LeastTasks  # noqa: E402
from dsched_balancers.round_robin import RoundRobin  # noqa: E402
from dsched_testkit.simulation.faults import MENU  # noqa: E402
from dsched_testkit.simulation.run import Ran, simulate  # noqa: E402
from dsched_testkit.simulation.summary import Totals  # noqa: E402

BALANCERS = (
    ("least-tasks", LeastTasks),
    ("round-robin", RoundRobin),
    ("consistent-hash", ConsistentHash),
)
RESULTS = ROOT / "docs" / "results" / "simulation.json"
TWICE = 5  # how many seeds are run a second time, to compare
STUCK_S = 300.0  # of real time; a seed takes half a second, on a starved machine ten


class StuckError(Exception):
    """Seeds of which no end is to be seen; where they are is on standard error."""


def run_seed(seed: int, faults: frozenset[str] | None = None, **how: Any) -> Ran:
    """One seed, with the balancer that is its turn; ``how`` as `simulate`."""
    name, balancer = BALANCERS[seed % len(BALANCERS)]
    with _silence():
        return simulate(seed, (name, balancer()), faults=faults, **how)


@contextmanager
def _silence() -> Iterator[None]:
    """What is logged under faults is no finding; afterwards the log speaks again."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _job(job: tuple[int, frozenset[str] | None]) -> Ran:
    faulthandler.dump_traceback_later(STUCK_S * 0.9)
    try:
        return run_seed(*job)
    finally:
        faulthandler.cancel_dump_traceback_later()


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 1 on a violation, on unequal repeats, or where a path was never seen."""
    options = _options(argv)
    seeds = range(options.first, options.first + options.seeds)
    if options.evidence is not None:
        _write_evidence(options.evidence, run_seed(seeds[0], options.faults, keep=True))
    try:
        commit = _may_record(options, seeds) if options.record else ""
    except campaigns.CampaignError as error:
        print(error, file=sys.stderr)
        return 2
    began_s = time.monotonic()
    try:
        totals, unequal = _run(options, seeds)
    except StuckError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"took {time.monotonic() - began_s:.0f} s with {options.processes} processes")
    missing = options.faults is None and totals.missing()
    if commit:
        results = campaigns.add(options.results, totals, seeds, commit)
        print(f"recorded: {results['totals']['seeds']} seeds in all, in {options.results}")
    return int(bool(totals.failed or unequal or missing))


def _run(options: argparse.Namespace, seeds: range) -> tuple[Totals, list[int]]:
    """Run the seeds, some of them twice; what they gave, and which runs were not equal."""
    totals, digests = Totals(), {}
    with multiprocessing.get_context("spawn").Pool(options.processes, maxtasksperchild=200) as pool:
        for ran in _each(pool, seeds, options.faults):
            totals.add(ran)
            digests[ran.seed] = ran.digest
        again = [*seeds[:TWICE], *(ran.seed for ran in totals.failed[:TWICE])]
        repeats = list(_each(pool, again, options.faults))
    unequal = [ran.seed for ran in repeats if ran.digest != digests[ran.seed]]
    print("\n".join(totals.lines()))
    print(f"run twice and equal: {len(repeats) - len(unequal)} of {len(repeats)} seeds")
    if unequal:
        print(f"NOT reproducible: seeds {unequal}")
    return totals, unequal


def _each(pool: Pool, seeds: Sequence[int], faults: frozenset[str] | None) -> Iterator[Ran]:
    """Each seed's run, as they end; a `StuckError` names those that do not."""
    running = set(seeds)
    results = pool.imap_unordered(_job, [(seed, faults) for seed in seeds])
    while running:
        try:
            ran = results.next(timeout=STUCK_S)
        except multiprocessing.TimeoutError:
            stuck = ", ".join(map(str, sorted(running)))
            raise StuckError(
                f"no seed ended for {STUCK_S:.0f} s; still running or waiting: {stuck}"
            ) from None
        running.discard(ran.seed)
        yield ran


def _may_record(options: argparse.Namespace, seeds: range) -> str:
    """The commit to record the seeds under; before they run, whether they may be recorded."""
    if options.faults is not None:
        raise campaigns.CampaignError(
            "a run with chosen faults is not recorded: leave --faults out"
        )
    campaigns.check_free(campaigns.read(options.results), seeds)
    return campaigns.commit_of(ROOT)


def _write_evidence(path: Path, ran: Ran) -> None:
    text = "".join(json.dumps(line) + "\n" for line in ran.evidence)
    path.write_text(text, encoding="utf-8")
    print(f"the evidence of seed {ran.seed} is in {path}: {len(ran.evidence)} lines")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--faults", type=_faults, help=f"only these of: {', '.join(MENU)}")
    parser.add_argument("--record", action="store_true", help="add the range to the results")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where --record adds it")
    parser.add_argument("--evidence", type=Path, help="write the first seed's evidence there")
    return parser.parse_args(argv)


def _faults(text: str) -> frozenset[str]:
    chosen = frozenset(filter(None, text.split(",")))
    if unknown := chosen - set(MENU):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
