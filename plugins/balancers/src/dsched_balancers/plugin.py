"""Registers the three load balancers with dsched."""

from collections.abc import Iterable

from dsched.contracts import BalancerProvider, LoadBalancer, NoOptions, hookimpl
from dsched_balancers.consistent_hash import ConsistentHash, ConsistentHashOptions
from dsched_balancers.least_tasks import LeastTasks
from dsched_balancers.round_robin import RoundRobin


@hookimpl
def dsched_balancers() -> Iterable[BalancerProvider]:
    """``least-tasks``, ``round-robin`` and ``consistent-hash``."""
    return [
        BalancerProvider(name="least-tasks", build=_least_tasks),
        BalancerProvider(name="round-robin", build=_round_robin),
        BalancerProvider(
            name="consistent-hash", build=_consistent_hash, options=ConsistentHashOptions
        ),
    ]


def _least_tasks(_: NoOptions) -> LoadBalancer:
    return LeastTasks()


def _round_robin(_: NoOptions) -> LoadBalancer:
    return RoundRobin()


def _consistent_hash(options: ConsistentHashOptions) -> LoadBalancer:
    return ConsistentHash(load_factor=options.load_factor)
