"""Realistic tasks drained by one worker process and by several, of one pod and of two: for those
who size a cluster.

Processors are shared by all: the worker processes, the leader, and Redis. What each of them took is
told apart, so that the table also says where the time goes once there are more processors.
"""

import measures
import rig
import systems
import tally
import wide
import works
from plan import Plan

TABLE = "Realistic tasks by worker processes"
PODS = "pods, cores"
REDIS = "Redis, cores"
# A row: how many pods, and the worker processes of each. With one process the pod itself works.
ROWS = {
    "one pod": (1, 1),
    "one pod, 2 processes": (1, 2),
    "one pod, 4 processes": (1, 4),
    "two pods": (2, 1),
}


def by_processes(stage: systems.Stage, plan: Plan) -> measures.Figures:
    """Each row on a store of its own."""
    found: measures.Figures = {}
    for row, (pods, processes) in ROWS.items():
        with systems.stage(stage.system, stage.folder / row.replace(" ", "-")) as own:
            figures = drained(own, pods, processes, plan.tasks)
        found |= {wide.name(TABLE, row, column): value for column, value in figures.items()}
    return found


def drained(stage: systems.Stage, pods: int, processes: int, count: int) -> measures.Figures:
    """From the moment when each worker process has run a task to the last run of all."""
    stage.drive("enqueue", count, *works.CASES[works.REAL].sizes)
    stage.env["DSCHED_WORKER__PROCESSES"] = str(processes)
    for _ in range(pods):
        stage.start_worker()
    first = measures.first_sample(stage, pods * processes, count)
    rig.until_ran(stage.tally, count, measures.TIMEOUT_S, stage.log)
    last = rig.sample(stage.tally, stage.workers, stage.server)
    spent = measures.costs(first, last, last.count - first.count)
    took_s = max(tally.read(stage.tally)[2]) - first.at_s
    watched_s = last.at_s - first.at_s
    return {
        "tasks/s": (count - first.count) / took_s,
        "pods, CPU us a task": spent["worker CPU, us a task"],
        "Redis, CPU us a task": spent["Redis CPU, us a task"],
        PODS: (last.workers_cpu_s - first.workers_cpu_s) / watched_s,
        REDIS: (last.server_cpu_s - first.server_cpu_s) / watched_s,
    }
