"""What a store holds, as values to compare: a fault in a situation played before is not played."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from dsched_testkit.memory import State

Content: TypeAlias = int
Part: TypeAlias = tuple[Any, ...]  # of what it is, its id, and its state
Situation: TypeAlias = frozenset[Part]
Change: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]


def content(state: State) -> Content:
    """A digest of all that steps change and others act on, to tell whether one did.

    Without the pods that say they run, since no step decides by them.
    """
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
            *(row.last_beat_ms, row.capacity, repr(row.lanes)),
        )
        for row in state.workers.values()
    )
    others = (state.fence, state.lock_until_ms, state.rest_pod, state.clock_gen, state.generation)
    log = (state.collected, state.last_cursor, len(state.log), len(state.finished))
    seen = (tuple(state.missed.items()), state.leaderless)
    written = tuple((key, row.attempt, row.last) for key, row in state.logs.items())
    documents = tuple((key, row.version) for key, row in state.documents.items())
    return hash((tasks, configs, workers, others, log, seen, written, documents))


def situation(state: State) -> Situation:
    """What a crash would find: which process holds what, in which state.

    A situation does not depend on which instant of a config it is, nor on when a lease, a delay or
    the lock ends, nor on how far the collector has read the log, which is its only input.
    """
    return frozenset(_parts(state))


def _parts(state: State) -> Iterator[Part]:
    for task in state.tasks.values():
        name, at, _ = task.id.partition("@")
        yield (
            *("task" + at, name, task.status, task.home, task.worker_id, task.attempt),
            *(task.retry_count, task.crash_count, task.cancel_requested, task.completed),
        )
    for key, row in state.configs.items():
        due, paused = row.due_ms is None, row.paused is not None
        yield ("config", key, due, paused, row.config.enabled, bool(row.skips))
    for worker in state.workers.values():
        flags = worker.draining, worker.leaving, worker.stalled
        yield ("worker", worker.id, worker.capacity, *flags)
    holder = None if state.fence is None else state.fence.rpartition(":")[2]
    yield ("cluster", "", holder, state.rest_pod, state.clock_gen, state.leaderless > 0)
    for key in state.missed:
        yield ("missed", key)
    for key, log in state.logs.items():
        yield ("lines", key.partition("@")[0], log.last)
    for kind, document_id in state.documents:
        yield ("document", document_id, kind)


def change(before: Situation, after: Situation) -> Change:
    """The change from one situation to another, whichever tasks and configs it is about."""
    gone, come = (
        tuple(sorted(repr((kind, *rest)) for kind, _, *rest in parts))
        for parts in (before - after, after - before)
    )
    return gone, come
