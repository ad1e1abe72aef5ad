"""`make bench`: dsched beside its peers on this machine, in alternating rounds, as a table.

run.py [--quick] [--rounds N] [--tasks N] [--only NAME,...] [--measure NAME,...] [--profile]
       [--keep FILE] [--out FILE]
"""

import argparse
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import alone
import attrs
import measures
import report
import results
import rig
import systems
import works
from plan import Plan

ROOT = rig.HERE.parents[1]


QUICK = Plan(
    rounds=1, tasks=20_000, pings=50, seconds=5, many=20_000, many_in_a_file=5_000, waiting=20_000,
    failovers=1, window_s=10, busy=2_000, unmatched=5_000, blocked=10_000, classes=500,
)  # fmt: skip
FULL = Plan(rounds=3, tasks=60_000, pings=300, seconds=20)

Measure = Callable[[systems.Stage, Plan], measures.Figures]


def _drain(workers: int, case: str = works.PLAIN) -> Measure:
    def drain(stage: systems.Stage, plan: Plan) -> measures.Figures:
        share = stage.system.share * works.CASES[case].share
        return measures.throughput(stage, workers, max(500, round(plan.tasks * share)), case)

    return drain


# What users run comes first.
MEASURES: dict[str, Measure] = {
    "realistic": _drain(1, works.REAL),
    "realistic-4k": _drain(1, works.LARGER),
    "throughput": _drain(1),
    "throughput2": _drain(2),
    "idle": lambda stage, plan: measures.idle_latency(stage, plan.pings),
    "delayed": lambda stage, plan: measures.delayed_lateness(stage, plan.seconds),
    "fires": lambda stage, plan: measures.fire_lateness(stage, plan.seconds),
    "burst": lambda stage, plan: measures.burst(stage, plan.burst),
    "pod": lambda stage, plan: measures.idle_pod(stage, plan.seconds),
} | alone.MEASURES
OURS_ONLY = {"fires", "pod"}
# What says nothing new about a system is not measured.
LEFT_OUT = {
    "dsched-quiet": {"idle", "delayed", "fires", "burst", "pod"},
    "dsched-sqlite": {"throughput2", "realistic-4k"},
}


def applies(measure: str, system: systems.System, number: int = 0) -> bool:
    """Whether this is measured for this system in this round. What takes its own repetitions, and
    compares within itself, is measured once."""
    if measure in alone.MEASURES:
        return number == 0 and system.name in alone.OF[measure]
    if measure in OURS_ONLY and not system.ours:
        return False
    return measure not in LEFT_OUT.get(system.name, ())


def figures(
    chosen: list[systems.System], named: list[str], plan: Plan, folder: Path
) -> Iterator[tuple[str, str, measures.Figures, str]]:
    """Measure; the order of systems turns round with each. (measure, system, figures, error)"""
    for number in range(plan.rounds):
        for measure in named:
            for system in chosen if number % 2 == 0 else reversed(chosen):
                if not applies(measure, system, number):
                    continue
                place = folder / f"{number}-{measure}-{system.name.replace(' ', '-')}"
                try:
                    with systems.stage(system, place) as stage:
                        yield measure, system.name, MEASURES[measure](stage, plan), ""
                except Exception as error:  # one figure less must not lose all others
                    traceback.print_exc()
                    yield measure, system.name, {}, f"{measure}: {_shown(error)}"


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
        "--profile", action="store_true", help="only where a task's time goes, as a table"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        help="a file of all figures: what it has and this run does not measure stays on the page",
    )
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
    named = given.measure.split(",") if given.measure else list(MEASURES)
    if given.profile:
        names, named = names or ["dsched"], ["profile"]
    known = systems.OURS if alone.MEASURES.keys() >= set(named) else systems.OURS + systems.OTHERS
    wanted = [s for s in known if not names or s.name in names]
    found = results.load(given.keep)
    ready, absent = systems.set_up(wanted)
    found.forget_errors(named, [system.name for system in wanted])
    found.absent.update(absent)
    measure_all(found, ready, named, plan)
    found.ran(report.stamped(command(sys.argv[1:]), plan))
    if given.keep:
        found.save(given.keep)
    page = report.page(found, shown(found, ready))
    print(page)
    whole = not (given.quick or names or given.measure)
    out = given.out or (Path("docs/performance.md") if whole else None)
    if out:
        (ROOT / out).write_text(page, encoding="utf-8")


def command(given: Sequence[str]) -> str:
    """What was run, without the names of this machine's files."""
    named = [at for at, word in enumerate(given) if word in ("--keep", "--out")]
    kept = [word for at, word in enumerate(given) if at not in named and at - 1 not in named]
    return f'make bench ARGS="{" ".join(kept)}"' if kept else "make bench"


def measure_all(
    found: results.Results, ready: list[systems.System], named: list[str], plan: Plan
) -> None:
    """Measure, and say each figure as it comes."""
    with tempfile.TemporaryDirectory(prefix="dsched-bench-") as folder:
        for measure, name, new, error in figures(ready, named, plan, Path(folder)):
            found.add(name, new, error, alone=measure in alone.MEASURES)
            print(name, {key: round(value, 2) for key, value in new.items()}, error, flush=True)


def shown(found: results.Results, ready: list[systems.System]) -> list[systems.System]:
    """The systems of this run and of those that were kept."""
    known = {system for by_system in found.values.values() for system in by_system}
    known |= {system.name for system in ready}
    return [system for system in systems.OURS + systems.OTHERS if system.name in known]


if __name__ == "__main__":
    main()
