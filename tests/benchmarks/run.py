"""`make bench`: dsched beside its peers on this machine, in alternating rounds, as a table.

run.py [--quick] [--rounds N] [--tasks N] [--only NAME,...] [--measure NAME,...] [--out FILE]
"""

import argparse
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import measures
import report
import rig
import systems

ROOT = rig.HERE.parents[1]


@attrs.frozen(kw_only=True)
class Plan:
    """How much is measured."""

    rounds: int
    tasks: int
    pings: int
    seconds: int
    burst: int = 10_000


QUICK = Plan(rounds=1, tasks=20_000, pings=50, seconds=5)
FULL = Plan(rounds=3, tasks=60_000, pings=300, seconds=20)

Measure = Callable[[systems.Stage, Plan], measures.Figures]


def _drain(workers: int) -> Measure:
    def drain(stage: systems.Stage, plan: Plan) -> measures.Figures:
        count = max(500, round(plan.tasks * stage.system.share))
        return measures.throughput(stage, workers, count)

    return drain


MEASURES: dict[str, Measure] = {
    "throughput": _drain(1),
    "throughput2": _drain(2),
    "idle": lambda stage, plan: measures.idle_latency(stage, plan.pings),
    "delayed": lambda stage, plan: measures.delayed_lateness(stage, plan.seconds),
    "fires": lambda stage, plan: measures.fire_lateness(stage, plan.seconds),
    "burst": lambda stage, plan: measures.burst(stage, plan.burst),
    "pod": lambda stage, _: measures.idle_pod(stage),
}
OURS_ONLY = {"fires", "pod"}
# What says nothing new about a system is not measured.
LEFT_OUT = {
    "dsched-quiet": {"idle", "delayed", "fires", "burst", "pod"},
    "dsched-sqlite": {"throughput2"},
}


def applies(measure: str, system: systems.System) -> bool:
    """Whether this is measured for this system."""
    if measure in OURS_ONLY and not system.ours:
        return False
    return measure not in LEFT_OUT.get(system.name, ())


def figures(
    chosen: list[systems.System], named: list[str], plan: Plan, folder: Path
) -> Iterator[tuple[str, measures.Figures, str]]:
    """Measure; the order of systems turns round with each round. (system, figures, error)"""
    for number in range(plan.rounds):
        for measure in named:
            for system in chosen if number % 2 == 0 else reversed(chosen):
                if not applies(measure, system):
                    continue
                place = folder / f"{number}-{measure}-{system.name.replace(' ', '-')}"
                try:
                    with systems.stage(system, place) as stage:
                        yield system.name, MEASURES[measure](stage, plan), ""
                except Exception as error:  # one figure less must not lose all others
                    traceback.print_exc()
                    yield system.name, {}, f"{measure}: {_shown(error)}"


def _shown(error: Exception) -> str:
    """One line without paths of this machine: it goes onto the page."""
    line = (str(error) or type(error).__name__).splitlines()[0]
    return (
        line[:200]
        if isinstance(error, rig.BenchError) and "/" not in line
        else type(error).__name__
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of few tasks")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--tasks", type=int, help="no-op tasks of a throughput run")
    parser.add_argument("--only", help="systems, comma-separated", default="")
    parser.add_argument("--measure", help=f"of {', '.join(MEASURES)}", default="")
    parser.add_argument(
        "--out",
        type=Path,
        help="write the page here; a whole run writes docs/performance.md anyway",
    )
    return parser.parse_args()


def main() -> None:
    given = arguments()
    plan = QUICK if given.quick else FULL
    plan = attrs.evolve(plan, rounds=given.rounds or plan.rounds, tasks=given.tasks or plan.tasks)
    names = given.only.split(",") if given.only else []
    wanted = [s for s in systems.OURS + systems.OTHERS if not names or s.name in names]
    named = given.measure.split(",") if given.measure else list(MEASURES)
    ready, absent = systems.set_up(wanted)
    results = report.Results(absent=absent)
    with tempfile.TemporaryDirectory(prefix="dsched-bench-") as folder:
        for name, found, error in figures(ready, named, plan, Path(folder)):
            results.add(name, found, error)
            print(name, {key: round(value, 2) for key, value in found.items()}, error, flush=True)
    command = " ".join(["make bench", *([f'ARGS="{" ".join(sys.argv[1:])}"'] * bool(sys.argv[1:]))])
    page = report.page(results, ready, attrs.asdict(plan), command)
    print(page)
    whole = not (given.quick or names or given.measure)
    out = given.out or (Path("docs/performance.md") if whole else None)
    if out:
        (ROOT / out).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
