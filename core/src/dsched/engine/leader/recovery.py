"""The recovery loop's step: recalls what waits at the wrong worker, reaps leases that are over."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.recovering import OverdueLease, QueuedTask, Reap
from dsched.engine.leader.abilities import Abilities, Runs, runs_anything
from dsched.engine.leader.crashes import CrashMemory, deaths
from dsched.engine.leader.term import Term
from dsched.model import OnCrash, Worker, retry_delay_ms

log = logging.getLogger("dsched.leader")

STEADY_EXTRA_S = 2.0
PAGES_A_TICK = 20


class RecoveryStep:
    """Looks for leases that are over and for queue entries that are old.

    Reaping waits until the store has answered without a break for ``heartbeat_interval_s`` + 2 s
    in this term, so that after an outage of the store live workers beat first. Only what is
    `forsaken` is reaped at once.
    """

    def __init__(
        self,
        store: Store,
        term: Term,
        *,
        heartbeat_interval_s: float,
        dispatch_timeout_s: float,
        uniform: Callable[[], float],
        crashes: CrashMemory,
        abilities: Abilities,
    ) -> None:
        self._store = store
        self._term = term
        self._steady_s = heartbeat_interval_s + STEADY_EXTRA_S
        self._queue_age_ms = round(dispatch_timeout_s * 1000)
        self._uniform = uniform
        self._crashes = crashes
        self._abilities = abilities

    async def recover(self) -> bool:
        """One pass; a full page is followed by another, up to a bound.

        Whether anything runs or waits at a worker, so that there may be something to recover.
        """
        busy = False
        for _ in range(PAGES_A_TICK):
            self._term.check()
            found = await self._store.overdue(self._term.fence, MAX_BATCH, self._queue_age_ms)
            self._crashes.heard(found.workers)
            busy = busy or bool(found.leases) or any(worker.load for worker in found.workers)
            await self._abilities.learn(found.workers)
            entries = to_recall(found.queued, found.workers, self._abilities.runs)
            if not entries and len(found.queued) == MAX_BATCH:
                entries = list(found.queued)  # a full page that stays would hide what is behind it
            recall = [entry.task_id for entry in entries]
            if recall:
                outcomes = await self._store.recall(self._term.fence, recall, self._queue_age_ms)
                _say_recalled(entries, outcomes)
            steady = self._term.steady_s() >= self._steady_s
            leases = found.leases if steady else forsaken(found.leases, found.workers)
            if leases:
                await self._reap(leases)
            if not steady or len(found.leases) < MAX_BATCH:
                break
        return busy

    async def _reap(self, leases: Sequence[OverdueLease]) -> None:
        reaps = [
            verdict(lease, self._uniform(), spoke_again=self._crashes.spoke_again(lease.task.id))
            for lease in leases
        ]
        outcomes = await self._store.reap(self._term.fence, reaps)
        for lease, outcome in zip(leases, outcomes, strict=True):
            if outcome is Outcome.OK:
                self._crashes.reaped(lease.task.id, lease.token)
        _say_reaped(leases, outcomes)


def _say_recalled(entries: Iterable[QueuedTask], outcomes: Iterable[Outcome]) -> None:
    done = zip(entries, outcomes, strict=True)
    counts = Counter(entry.worker_id for entry, outcome in done if outcome is Outcome.OK)
    for worker_id, count in counts.items():
        log.info("took %d waiting tasks back from the queue of %s", count, worker_id)


def _say_reaped(leases: Iterable[OverdueLease], outcomes: Iterable[Outcome]) -> None:
    done = zip(leases, outcomes, strict=True)
    counts = Counter(lease.task.worker_id for lease, outcome in done if outcome is Outcome.OK)
    for worker_id, count in counts.items():
        log.warning("worker %s fell silent: took over the %d tasks it ran", worker_id, count)


def to_recall(
    queued: Iterable[QueuedTask], workers: Sequence[Worker], runs: Runs = runs_anything
) -> list[QueuedTask]:
    """The old entries that would do better elsewhere, or whose worker does not claim.

    Its worker is gone, unregistered, draining, cannot run it, or has a free slot and does not use
    it; or another eligible worker has a free slot.
    """
    by_id = {worker.id: worker for worker in workers}
    return [entry for entry in queued if _better_elsewhere(entry, by_id, runs)]


def _better_elsewhere(entry: QueuedTask, workers: dict[str, Worker], runs: Runs) -> bool:
    own = workers.get(entry.worker_id)
    if own is None or own.gone or own.draining or own.running < own.capacity:
        return True
    if not runs(own, entry.need):
        return True
    return any(
        other.running + other.queued < other.capacity
        for other in workers.values()
        if other.id != own.id
        and not (other.gone or other.draining or other.stalled)
        and other.matches(entry.required_labels)
        and runs(other, entry.need)
    )


def forsaken(leases: Iterable[OverdueLease], workers: Iterable[Worker]) -> tuple[OverdueLease, ...]:
    """The leases that no heartbeat can renew: a newer process has their worker's id.

    So there is no worker to wait for, unlike one that a silent store kept from beating. A newer
    process that is gone does not count: its predecessor might get the id again.
    """
    newest = {worker.id: worker.incarnation for worker in workers if not worker.gone}
    return tuple(lease for lease in leases if _begun_before(lease.token, newest))


def _begun_before(token: str, newest: Mapping[str, str]) -> bool:
    worker_id, incarnation, _lane, _number = token.rsplit(".", 3)
    return incarnation < newest.get(worker_id, "")


def verdict(lease: OverdueLease, uniform: float, *, spoke_again: int = 0) -> Reap:
    """What becomes of an attempt whose worker fell silent, by the task's own snapshot.

    After the first crash it runs again at once. From the second on it waits as before retry
    ``crashes - 1``, so that tasks which crashed together run apart; past `max_crashes` it is
    poison. Of the earlier crashes ``spoke_again`` were no deaths (see `deaths`).
    """
    task, spec = lease.task, lease.task.spec
    crashes = task.crash_count + 1
    error = f"the worker {task.worker_id} fell silent while it ran attempt {task.attempt}"
    if spoke_again:
        error += f"; {spoke_again} of {crashes} that did so were cut off, and came back"
    fail_reason, delay_ms = None, 0
    if spec is None or spec.on_crash is OnCrash.FAIL:
        fail_reason = "crashed"
    elif deaths(crashes, spoke_again) > spec.max_crashes:
        fail_reason = "poison"
    elif crashes > 1:
        delay_ms = retry_delay_ms(spec.retry, crashes - 1, uniform)
    return Reap(
        task_id=task.id,
        token=lease.token,
        delay_ms=delay_ms,
        fail_reason=fail_reason,
        error=error,
    )
