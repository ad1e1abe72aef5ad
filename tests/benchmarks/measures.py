"""The measurements: each takes a stage that is fresh and returns figures by name."""

import statistics
import time
from collections.abc import Sequence

import rig
import tally
import works
from systems import Stage

TIMEOUT_S = 60.0
WARM_UP = 5
SETTLE_S = 1.5
CALM_S = 15.0  # by then a pod with nothing to do asks as seldom as it ever will
# A window that starts later than this share of the tasks measures too little.
LATEST_START = 0.7

Figures = dict[str, float]


def throughput(stage: Stage, workers: int, count: int, case: str = works.PLAIN) -> Figures:
    """Enqueue ``count`` tasks of a case, then start the workers; from the first run of the last
    worker to the last run of all."""
    found = drained(stage, workers, count, works.CASES[case])
    return found if case == works.PLAIN else {f"{name}, {case}": one for name, one in found.items()}


def drained(stage: Stage, workers: int, count: int, case: works.Case) -> Figures:
    """The figures of a case, without its name."""
    found: Figures = {}
    server = stage.server
    empty = rig.redis_info(server, "memory", "used_memory") if server else 0
    found["submitted a second"] = count / stage.drive("enqueue", count, *case.sizes)["seconds"]
    if server:
        full = rig.redis_info(server, "memory", "used_memory")
        found["bytes a waiting task"] = (full - empty) / count
    for _ in range(workers):
        stage.start_worker()
    first = first_sample(stage, workers, count)
    rig.until_ran(stage.tally, count, TIMEOUT_S, stage.log)
    last = rig.sample(stage.tally, stage.workers, server)
    tasks = count - first.count
    end_s = max(tally.read(stage.tally)[2])
    plural = "worker" if workers == 1 else "workers"
    found[f"tasks a second, {workers} {plural}"] = tasks / (end_s - first.at_s)
    if workers == 1:
        found |= costs(first, last, last.count - first.count)
        found |= _leftovers(stage, empty, count)
    return found


def first_sample(stage: Stage, workers: int, count: int) -> rig.Sample:
    """The books at the moment when every worker has run a task."""
    end_s = time.monotonic() + TIMEOUT_S
    while len(tally.read(stage.tally)[1]) < workers:
        if time.monotonic() > end_s:
            raise rig.BenchError(f"not every worker ran a task: {_tail(stage)}")
        time.sleep(rig.LOOK_S)
    found = rig.sample(stage.tally, stage.workers, stage.server)
    if found.count > LATEST_START * count:
        raise rig.BenchError(f"{found.count} of {count} tasks had run before all workers were up")
    return found


def costs(first: rig.Sample, last: rig.Sample, tasks: int) -> Figures:
    found = {"worker CPU, us a task": (last.workers_cpu_s - first.workers_cpu_s) * 1e6 / tasks}
    if last.commands:
        spent_s = last.server_cpu_s - first.server_cpu_s
        found |= {
            "Redis CPU, us a task": spent_s * 1e6 / tasks,
            "Redis commands a task": (last.commands - first.commands) / tasks,
            "script calls a task": (last.scripts - first.scripts) / tasks,
            "socket reads a task": (last.reads - first.reads) / tasks,
        }
    return found


def _leftovers(stage: Stage, empty: int, count: int) -> Figures:
    """What finished tasks leave behind, after the slower loops have had their turn."""
    if not stage.server:
        return {}
    time.sleep(SETTLE_S)
    left = rig.redis_info(stage.server, "memory", "used_memory") - empty
    return {"bytes a finished task": left / count}


def idle_latency(stage: Stage, count: int) -> Figures:
    """One task at a time on an idle system: from just before the submit to the run's first line."""
    warmed_up(stage)
    stage.drive("pings", count, 40)
    delays_s = _delays(stage, WARM_UP + count)[WARM_UP:]
    return _spread("idle latency", delays_s)


def delayed_lateness(stage: Stage, seconds: int) -> Figures:
    """Tasks submitted ahead, 100 due a second: from the due instant to the run's first line."""
    warmed_up(stage)
    stage.drive("timed", 100, seconds)
    return _spread("lateness of delayed tasks", _delays(stage, WARM_UP + 100 * seconds)[WARM_UP:])


def fire_lateness(stage: Stage, seconds: int) -> Figures:
    """A hundred configs with a period of one second, ten milliseconds apart."""
    warmed_up(stage)
    stage.drive("fires", 100)
    count = WARM_UP + 100 * seconds
    return _spread("lateness of fires", _delays(stage, count)[WARM_UP:count])


def burst(stage: Stage, count: int) -> Figures:
    """Tasks all due at one instant: from it to the last run."""
    warmed_up(stage)
    told = stage.drive("burst", count, 10)
    if told["spare_s"] < 0.2:
        raise rig.BenchError("the client could not submit the burst before it was due")
    rig.until_ran(stage.tally, WARM_UP + count, TIMEOUT_S, stage.log)
    return {"burst of 10,000, s": max(tally.read(stage.tally)[2]) - told["due_s"]}


def idle_pod(stage: Stage, seconds: int) -> Figures:
    """Start to ready, then what a pod costs that has had nothing to do for a while."""
    started_s = time.monotonic()
    pid = stage.start_worker()
    while "is ready for" not in stage.log.read_text(errors="replace"):
        if time.monotonic() - started_s > TIMEOUT_S:
            raise rig.BenchError(f"the pod is not ready: {_tail(stage)}")
        time.sleep(0.005)
    ready_s = time.monotonic() - started_s
    time.sleep(CALM_S)
    before = rig.sample(stage.tally, stage.workers, stage.server)
    time.sleep(seconds)
    after = rig.sample(stage.tally, stage.workers, stage.server)
    spent_s = after.workers_cpu_s - before.workers_cpu_s
    found = {
        "start to ready, s": ready_s,
        "memory of an idle pod, MB": rig.resident_mb(pid),
        "CPU of an idle pod, % of a core": 100 * spent_s / seconds,
    }
    if stage.server:
        found["requests of an idle pod a second"] = (after.reads - before.reads) / seconds
    return found


def warmed_up(stage: Stage) -> None:
    """A worker that has run some tasks."""
    stage.start_worker()
    stage.drive("pings", WARM_UP, 20)
    rig.until_ran(stage.tally, WARM_UP, TIMEOUT_S, stage.log)


def _delays(stage: Stage, count: int) -> list[float]:
    rig.until_ran(stage.tally, count, TIMEOUT_S, stage.log)
    return tally.read(stage.tally)[3]


def _spread(what: str, delays_s: Sequence[float]) -> Figures:
    ordered_ms = sorted(delay * 1000 for delay in delays_s)
    return {
        f"{what}, ms p50": statistics.median(ordered_ms),
        f"{what}, ms p99": ordered_ms[min(len(ordered_ms) - 1, int(len(ordered_ms) * 0.99))],
        f"{what}, ms earliest": ordered_ms[0],
    }


def _tail(stage: Stage) -> str:
    return stage.log.read_text(errors="replace")[-1500:]
