"""The measures that only dsched is asked for: by name, and of which of its systems."""

from collections.abc import Callable

import blocked_classes
import crowd
import declaring
import failover
import http_share
import kinds
import processes
import profiling
import scale_configs
import scale_steps
import waiting
import works
from plan import Plan
from systems import Stage

MEASURES: dict[str, Callable[[Stage, Plan], dict[str, float]]] = {
    "kinds": kinds.kinds,
    "processes": processes.by_processes,
    "mix": kinds.mix,
    "storm": kinds.storm,
    "http": http_share.http_share,
    "failover": failover.failover,
    "waiting": waiting.memory,
    "declare": declaring.declaring,
    "scale-configs": scale_configs.many_against_few,
    "scale-redis": scale_steps.steps,
    "scale-sqlite": scale_steps.steps,
    "scale-pods": crowd.crowd,
    "classes": blocked_classes.beside,
    "profile": profiling.profile,
}
OF = {name: {"dsched"} for name in MEASURES} | {
    "kinds": {"dsched", "dsched-sqlite"},
    "storm": {"dsched", "dsched-sqlite"},
    "waiting": {"dsched", "dsched-sqlite"},
    "declare": {"dsched", "dsched-sqlite"},
    "scale-sqlite": {"dsched-sqlite"},
    "classes": {"dsched", "dsched-sqlite"},
}

# What is said above a table of the page, by a part of its heading.
NOTES = {
    kinds.TABLE: (
        "All tasks are enqueued first. What is the same in all tasks of a case, and may be cached: "
        + "; ".join(f"*{name}*: {case.caches}" for name, case in works.CASES.items())
        + "."
    ),
    processes.TABLE: (
        "All tasks are enqueued first; counted from the moment when every worker process has run "
        "a task. The processors are shared by pods and Redis: on as few as this machine has, more "
        "processes hardly carry more tasks, but what a task costs each of them says what they "
        "would carry with processors of their own. Cached is nothing of a task."
    ),
    "The leader goes": (
        "Real pods: two schedulers and a worker, 20 configs with a period of one second. "
        "From the signal to the first fire that the next term writes into the log."
    ),
    "configs in the store against": (
        "Two clusters side by side (a Redis, a scheduler and a worker each), so that "
        "whatever else the machine does meets both. The tick is timed afterwards on both "
        "stores by turns."
    ),
    "one call at a time": (
        "From one client, with nobody else on the store; the call as the client sees it, "
        "and of Redis the script's own time: what `INFO commandstats` adds to `evalsha` "
        "for that one call, which is exact, but is time on the clock: a machine that is busy with "
        "something else lengthens it. Prune runs on a handle to which everything that has "
        "ended is old."
    ),
    "schedulers and": (
        "Clients simulated in one process: the production code of a pod each, with "
        "connections of its own. Tasks come at a steady rate; afterwards leaders are "
        "stopped, one after another."
    ),
    blocked_classes.TABLE: (
        "Two clusters side by side, a store and a pod each; into one comes what nobody can run, at "
        "the highest priority. Then ordinary tasks are given to both by turns, one at a time. "
        "The tick is a leader's reading with one ordinary task ready, timed by turns afterwards."
    ),
    "Where a task's time goes": (
        "`make bench ARGS=--profile`: a pod (leader and worker) drains realistic tasks "
        "under cProfile, counted in processor time of its main thread from the first task "
        "on. The profiler slows Python calls more than work in C: the shares say where to "
        "look, and the microseconds are more than they are without it."
    ),
}
