"""Kinds of tasks beside each other: one row a case of `works`, and slow tasks among fast ones."""

import re
import statistics

import measures
import rig
import systems
import tally
import wide
import works
from plan import Plan

TABLE = "Kinds of tasks, drained by one pod"
LEAST = 200
COLUMNS = {
    "tasks a second, 1 worker": "tasks/s",
    "worker CPU, us a task": "pod CPU, us a task",
    "Redis CPU, us a task": "Redis CPU, us a task",
    "script calls a task": "script calls a task",
    "Redis commands a task": "commands a task",
    "submitted a second": "submitted/s",
    "bytes a waiting task": "bytes waiting",
    "bytes a finished task": "bytes finished",
}
SLOW_EVERY = 20


def kinds(stage: systems.Stage, plan: Plan) -> measures.Figures:
    """Each case on a store of its own."""
    found: measures.Figures = {}
    for name, case in works.CASES.items():
        count = max(LEAST, round(plan.tasks * case.share))
        with systems.stage(stage.system, stage.folder / re.sub(r"\W", "-", name)) as own:
            figures = measures.drained(own, 1, count, case)
        found |= {
            wide.name(TABLE, name, column): figures[figure]
            for figure, column in COLUMNS.items()
            if figure in figures
        }
    return found


def mix(stage: systems.Stage, plan: Plan) -> measures.Figures:
    """Tasks all due at one instant: how long the fast ones wait, without slow ones and among
    them."""
    found: measures.Figures = {}
    for among, every in (("alone", 0), ("1 in 20 takes 200 ms", SLOW_EVERY)):
        with systems.stage(stage.system, stage.folder / f"every-{every}") as own:
            found[f"{plan.burst:,} due at once, {among}: wait of the fast ones, ms p99"] = _wait_ms(
                own, plan.burst, every
            )
    alone, mixed = found.values()
    return {
        **found,
        "wait of fast tasks among slow ones, times that of fast ones alone": mixed / alone,
    }


def storm(stage: systems.Stage, plan: Plan) -> measures.Figures:
    """Cron configs all due in one second: when their first and last tasks start."""
    measures.warmed_up(stage)
    count = plan.storm
    told = stage.drive("storm", count, max(5, count // 400))
    if told["spare_s"] < 1:
        raise rig.BenchError("the client could not put the configs before they were due")
    rig.until_ran(stage.tally, measures.WARM_UP + count, measures.TIMEOUT_S, stage.log)
    late_s = sorted(tally.read(stage.tally)[3][measures.WARM_UP :])
    what = f"{count:,} cron configs due in one second"
    return {
        f"{what}: put by the client, s": told["put_s"],
        f"{what}: first start, ms after it": 1000 * late_s[0],
        f"{what}: last start, s after it": late_s[-1],
    }


def _wait_ms(stage: systems.Stage, count: int, slow_every: int) -> float:
    measures.warmed_up(stage)
    told = stage.drive("burst", count, 10, slow_every)
    if told["spare_s"] < 0.2:
        raise rig.BenchError("the client could not submit the burst before it was due")
    rig.until_ran(stage.tally, measures.WARM_UP + count, measures.TIMEOUT_S, stage.log)
    waits_s = tally.read(stage.tally)[3][measures.WARM_UP :]
    return 1000 * statistics.quantiles(waits_s, n=100)[98]
