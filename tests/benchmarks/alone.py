"""The measures that only dsched is asked for: by name, and of which of its systems."""

from collections.abc import Callable

import crowd
import failover
import http_share
import profiling
import scale_configs
import scale_steps
import waiting
from plan import Plan
from systems import Stage

MEASURES: dict[str, Callable[[Stage, Plan], dict[str, float]]] = {
    "http": http_share.http_share,
    "failover": failover.failover,
    "waiting": waiting.memory,
    "scale-configs": scale_configs.many_against_few,
    "scale-redis": scale_steps.steps,
    "scale-sqlite": scale_steps.steps,
    "scale-pods": crowd.crowd,
    "profile": profiling.profile,
}
OF = {name: {"dsched"} for name in MEASURES} | {
    "waiting": {"dsched", "dsched-sqlite"},
    "scale-sqlite": {"dsched-sqlite"},
}
