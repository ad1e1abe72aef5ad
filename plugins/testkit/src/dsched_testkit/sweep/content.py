"""What a store holds, as values to compare: a fault in a situation played before is not played."""

from typing import TypeAlias

from dsched_testkit.memory import State

Content: TypeAlias = int


def content(state: State) -> Content:
    """A digest of all that steps change, to tell whether one did."""
    tasks = tuple(
        (
            *(row.id, row.status, row.home, row.worker_id, row.token, row.completed, row.attempt),
            *(row.retry_count, row.crash_count, row.reason, row.cancel_requested),
            *(repr(row.progress), row.at_ms),
        )
        for row in state.tasks.values()
    )
    configs = tuple(
        (key, row.config.revision, row.due_ms, row.last_fired_ms, row.paused is not None, row.skips)
        for key, row in state.configs.items()
    )
    workers = tuple(
        (
            *(row.id, row.incarnation, row.draining, row.leaving, row.stalled),
            *(row.last_beat_ms, repr(row.lanes)),
        )
        for row in state.workers.values()
    )
    others = (state.fence, state.lock_until_ms, state.rest_pod, state.clock_gen)
    log = (state.collected, state.last_cursor, len(state.log), len(state.finished))
    seen = (tuple(state.pods.items()), tuple(state.missed.items()), state.leaderless)
    written = tuple((key, row.attempt, row.last) for key, row in state.logs.items())
    return hash((tasks, configs, workers, others, log, repr(seen), written))


def situation(state: State) -> Content:
    """A digest of what a crash would find: who holds what, in which state.

    Which instant of a config it is makes no other situation, nor when a lease, a delay or the lock
    ends, nor how far the collector has read the log, which is its only input, nor who says that it
    runs, which nothing asks for.
    """
    tasks = frozenset(
        (
            *(row.id.partition("@")[0], row.status, row.home, row.worker_id, row.attempt),
            *(row.retry_count, row.crash_count, row.cancel_requested, row.completed),
        )
        for row in state.tasks.values()
    )
    configs = frozenset(
        (key, row.due_ms is None, row.paused is not None, row.config.enabled, bool(row.skips))
        for key, row in state.configs.items()
    )
    workers = frozenset(
        (row.id, row.draining, row.leaving, row.stalled) for row in state.workers.values()
    )
    holder = None if state.fence is None else state.fence.rpartition(":")[2]
    told = (frozenset(state.missed), state.leaderless > 0)
    written = frozenset((key.partition("@")[0], row.last) for key, row in state.logs.items())
    return hash((tasks, configs, workers, holder, state.rest_pod, state.clock_gen, told, written))
