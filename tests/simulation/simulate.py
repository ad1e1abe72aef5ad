"""Simulates clusters by seed on all cores: ``python tests/simulation/simulate.py --seeds 500``."""

import argparse
import logging
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dsched_balancers.consistent_hash import ConsistentHash
from dsched_balancers.least_tasks import LeastTasks
from dsched_balancers.round_robin import RoundRobin
from dsched_testkit.simulation.faults import MENU
from dsched_testkit.simulation.run import Ran, simulate
from dsched_testkit.simulation.summary import Totals

BALANCERS = (
    ("least-tasks", LeastTasks),
    ("round-robin", RoundRobin),
    ("consistent-hash", ConsistentHash),
)
TWICE = 5  # how many seeds are run a second time, to compare


def run_seed(seed: int, faults: frozenset[str] | None = None) -> Ran:
    """One seed, with the balancer that is its turn."""
    name, balancer = BALANCERS[seed % len(BALANCERS)]
    with _silence():
        return simulate(seed, (name, balancer()), faults=faults)


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
    return run_seed(*job)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 1 on a violation, on unequal repeats, or where a path was never seen."""
    options = _options(argv)
    began_s = time.monotonic()
    totals, digests = Totals(), {}
    seeds = range(options.first, options.first + options.seeds)
    with multiprocessing.get_context("spawn").Pool(options.processes, maxtasksperchild=200) as pool:
        jobs = [(seed, options.faults) for seed in seeds]
        for ran in pool.imap_unordered(_job, jobs):
            totals.add(ran)
            digests[ran.seed] = ran.digest
        again = [*seeds[:TWICE], *(ran.seed for ran in totals.failed[:TWICE])]
        repeats = pool.map(_job, [(seed, options.faults) for seed in again])
    unequal = [ran.seed for ran in repeats if ran.digest != digests[ran.seed]]
    print("\n".join(totals.lines()))
    print(f"run twice and equal: {len(repeats) - len(unequal)} of {len(repeats)} seeds")
    if unequal:
        print(f"NOT reproducible: seeds {unequal}")
    print(f"took {time.monotonic() - began_s:.0f} s with {options.processes} processes")
    asked_all = options.faults is None
    return int(bool(totals.failed or unequal or (asked_all and totals.missing())))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--faults", type=_faults, help=f"only these of: {', '.join(MENU)}")
    return parser.parse_args(argv)


def _faults(text: str) -> frozenset[str]:
    chosen = frozenset(filter(None, text.split(",")))
    if unknown := chosen - set(MENU):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
