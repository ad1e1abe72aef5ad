"""Which fault happens when, to whom and for how long: drawn from a seed, before anything runs."""

import random

import attrs

# Kinds, with how often they are drawn relative to each other.
PODS = {"kill": 14, "stop": 10, "terminate": 7}
OPERATORS = {"step_down": 5}
LINES = {"line_cut": 8, "line_silent": 7, "line_slow": 8}
REDIS = {
    "redis_kill": 5,
    "redis_restart": 3,
    "redis_pause": 6,
    "redis_freeze": 5,
    "script_flush": 7,
    "client_kill": 8,
    "out_of_memory": 6,
}
SENTINEL = {
    "primary_kill": 10,
    "primary_freeze": 5,
    "failover": 12,
    "replica_kill": 4,
    "sentinel_kill": 5,
    "script_flush": 7,
    "client_kill": 8,
    "redis_pause": 3,
}
CLUSTER = {
    "primary_kill": 9,
    "primary_freeze": 5,
    "failover": 9,
    "replica_kill": 4,
    "other_kill": 4,
    "slot_move": 9,
    "script_flush": 7,
    "client_kill": 8,
    "redis_pause": 3,
}
SQLITE = {"file_locked": 12}
# Pods that have their clock from a store are stepped one by one; who shares a host, all at once.
CLOCKS = {"clock_step": 8}
HOST_CLOCK = {"host_clock_step": 6}
MENUS = {
    "redis": PODS | OPERATORS | CLOCKS | LINES | REDIS,
    "sentinel": PODS | OPERATORS | CLOCKS | SENTINEL,
    "cluster": PODS | OPERATORS | CLOCKS | CLUSTER,
    "sqlite": PODS | OPERATORS | HOST_CLOCK | SQLITE,
}
# From and to, in seconds: how long a fault lasts, or how long the dead stay away.
LASTS_S = {
    "kill": (0.0, 1.5),
    "terminate": (0.0, 1.0),
    "stop": (0.5, 8.0),
    "line_cut": (0.3, 5.0),
    "line_silent": (0.3, 6.0),
    "line_slow": (1.0, 5.0),
    "redis_kill": (0.0, 2.0),
    "redis_restart": (0.0, 1.0),
    "redis_pause": (0.2, 4.0),
    "redis_freeze": (0.5, 5.0),
    "out_of_memory": (0.5, 3.0),
    "file_locked": (0.3, 4.0),
    "primary_kill": (1.0, 6.0),
    "primary_freeze": (1.0, 7.0),
    "failover": (0.0, 0.0),
    "replica_kill": (0.5, 3.0),
    "sentinel_kill": (0.5, 4.0),
    "other_kill": (0.5, 4.0),
    "slot_move": (0.3, 5.0),
    "clock_step": (0.5, 8.0),
    "host_clock_step": (0.5, 8.0),
}
_STEP_S = (2.0, 180.0)
_GAP_S = (0.4, 1.9)
QUIET_EVERY_S = 90.0  # so often a worker is killed and nothing else happens for a while
QUIET_S = 14.0


@attrs.frozen(kw_only=True)
class Planned:
    """One fault. ``target`` in [0, 1) chooses among who is there; ``on_leader``: it if one leads.

    ``step_s``: by how much a clock is stepped.
    """

    at_s: float
    kind: str
    target: float
    on_leader: bool
    lasts_s: float
    step_s: float = 0.0
    quiet: bool = False


def draw(
    seed: int, backend: str, seconds: float, *, only: frozenset[str] | None = None
) -> list[Planned]:
    """The faults of a run, by time. The same arguments give the same faults."""
    chance = random.Random(f"{seed}:{backend}")
    menu = {kind: n for kind, n in MENUS[backend].items() if only is None or kind in only}
    kinds, weights = list(menu), list(menu.values())
    plan: list[Planned] = []
    at_s, quiet_at_s = chance.uniform(*_GAP_S), QUIET_EVERY_S
    while at_s < seconds:
        quiet = at_s > quiet_at_s
        kind = "kill" if quiet else chance.choices(kinds, weights)[0]
        plan.append(
            Planned(
                at_s=round(at_s, 3),
                kind=kind,
                target=chance.random(),
                on_leader=not quiet and chance.random() < 0.4,
                lasts_s=round(chance.uniform(*LASTS_S.get(kind, (0.0, 0.0))), 3),
                step_s=_step_s(chance) if kind in CLOCKS | HOST_CLOCK else 0.0,
                quiet=quiet,
            )
        )
        at_s += chance.uniform(*_GAP_S)
        if quiet:
            quiet_at_s += QUIET_EVERY_S
            at_s += QUIET_S
    return plan


def _step_s(chance: random.Random) -> float:
    """Forward or back; small steps are as likely as large ones."""
    low_s, high_s = _STEP_S
    return round(chance.choice((-1, 1)) * low_s * (high_s / low_s) ** chance.random(), 3)
