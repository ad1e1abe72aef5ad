"""What a virtual pod is to be, and how patient it is."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.executor import Executor
from dsched.engine.leader.election import ElectionTimes
from dsched.engine.leader.leading import LeaderTimes
from dsched.engine.pod import PodPlan
from dsched.engine.worker.heartbeat import HeartbeatTimes
from dsched.engine.worker.process_identity import ProcessIdentity
from dsched.engine.worker.role import WorkerPlan
from dsched.engine.worker.succession import Host

BOTH = frozenset({"scheduler", "worker"})
SCHEDULER = frozenset({"scheduler"})
WORKER = frozenset({"worker"})


@attrs.frozen(kw_only=True)
class Times:
    """How long the pods of a cluster wait for what; those of a pod that nobody configured."""

    heartbeat: HeartbeatTimes = attrs.field(factory=HeartbeatTimes)
    election: ElectionTimes = attrs.field(factory=ElectionTimes)
    scan_interval_s: float = 5.0
    dispatch_timeout_s: float = 15.0
    drain_timeout_s: float = 25.0
    missed_after_s: float = 60.0


# With these, what takes half a minute by default takes a second.
SHORT = Times(
    heartbeat=HeartbeatTimes(interval_s=0.3, timeout_s=1.0),
    election=ElectionTimes(ttl_s=1.5, renew_every_s=0.4),
    scan_interval_s=1.0,
    dispatch_timeout_s=2.0,  # above the second after which a worker polls unasked
    drain_timeout_s=3.0,
)


def pod_plan(
    name: str,
    worker_id: str,
    times: Times,
    *,
    balancer: tuple[str, LoadBalancer],
    executor: Executor,
    roles: frozenset[str] = BOTH,
    capacity: int,
    labels: Mapping[str, str],
    task_logs: bool = True,
    host: Host | None = None,
    **more: Any,
) -> PodPlan:
    """A pod with the one executor ``fn``; ``more`` fields of a `PodPlan`."""
    return PodPlan(
        name=name,
        roles=roles,
        election=times.election,
        leader=LeaderTimes(
            scan_interval_s=times.scan_interval_s,
            dispatch_timeout_s=times.dispatch_timeout_s,
            heartbeat_interval_s=times.heartbeat.interval_s,
        ),
        worker=WorkerPlan(
            worker_id=worker_id,
            capacity=capacity,
            backlog=capacity,
            labels=labels,
            heartbeat=times.heartbeat,
            drain_timeout_s=times.drain_timeout_s,
            task_logs=task_logs,
            host=host,
        ),
        balancer=balancer,
        executors={"fn": executor},
        missed_after_s=times.missed_after_s,
        **{"observers": {}, "services": {}, **more},
    )


def host_of(name: str, number: int, ended: Callable[[int], bool]) -> Host:
    """The host that all pods of this name share, for its process ``number``.

    ``ended``: whether the process of a number has ended, which the others can tell.
    """
    return Host(
        own=ProcessIdentity(name.encode().hex()[:8].rjust(8, "0"), "1", number, number),
        ended=lambda process: ended(process.pid),
    )
