"""Leaps over hours in which nothing happens, so that a night takes less than a second.

Where no task is waiting or running and nothing is due, pods only renew the leader's lock and beat.
A leap moves the store's clock on, and renews lock and beats as the pods would have done meanwhile;
the pods never see a gap, and run normally well before the next instant.
"""

import logging

from dsched_testkit.cluster.pods import Pods
from dsched_testkit.kernel.virtual_time import VirtualWall
from dsched_testkit.memory import State

AWAKE_MS = 10_000  # before an instant; the leader polls every scan interval
LEAST_MS = 20_000
SETTLE_S = 2.0

JUMPED = "the store's clock jumped forward"


class Idling:
    """Whether the cluster is idle, and for how long it will be."""

    def __init__(self, state: State, pods: Pods, wall: VirtualWall) -> None:
        self._state = state
        self._pods = pods
        self._wall = wall
        scan_ms = round(pods.loaded.settings.schedule.scan_interval.total_seconds() * 1000)
        self._awake_ms = max(AWAKE_MS, 2 * scan_ms)

    def leap(self, end_ms: int) -> bool:
        """Leap towards ``end_ms`` (wall) if the cluster idles; whether it did."""
        if not self._idle():
            return False
        now_ms, state = self._wall(), self._state
        until_ms = [end_ms]
        if (due_ms := state.due.first_after(-1)) is not None:
            until_ms.append(due_ms - self._awake_ms)
        if delayed := state.delayed.page(0, 1):
            store_ms = now_ms + state.offset_ms
            until_ms.append(now_ms + state.delayed.key_of(delayed[0]) - store_ms - self._awake_ms)
        by_ms = min(until_ms) - now_ms
        if by_ms < LEAST_MS:
            return False
        self._wall.step(by_ms)
        if state.lock_until_ms is not None:
            state.lock_until_ms += by_ms
        for process in self._pods.alive.values():
            state.workers[process.worker_id].last_beat_ms += by_ms
        return True

    def _idle(self) -> bool:
        state, pods = self._state, self._pods
        leader = pods.leader()
        if leader is None or state.fence is None or not state.fence.endswith(f":{leader}"):
            return False
        processes = list(pods.alive.values())
        if any(one.frozen or one.pod is None or not one.pod.status().ready for one in processes):
            return False
        if processes[0].now_s() < pods.down_until_s + SETTLE_S:
            return False
        if state.ready or state.leases or state.held or any(state.queues.values()):
            return False
        if not {one.worker_id for one in processes} <= state.workers.keys():
            return False
        return not state.log or state.collected == state.log[-1].cursor


class QuietLeaps(logging.Filter):
    """Keeps the leader's warning about a jump of the clock out of the log: the leap is meant."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Everything else is logged."""
        return not str(record.msg).startswith(JUMPED)
