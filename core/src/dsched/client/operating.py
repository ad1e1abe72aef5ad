"""What operators ask of the client: skip, backfill, resume a worker, change the leader, see who
runs."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from dsched.client.asking import (
    Asking,
    ConflictError,
    NotFoundError,
    NotScheduledError,
    RefusedError,
)
from dsched.client.backfilling import MAX_BACKFILL, Backfill, Backfiller
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.history import MAX_WHY, Break, Loss, Lost
from dsched.contracts.store.leadership import fence_pod
from dsched.contracts.store.operating import MAX_SKIPS, PodRecord, TermPage
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.standing import forget_drain
from dsched.model import TaskConfig, rfc3339_ms, to_ms
from dsched.planning import Instants, config_instants

REST_MS = 15_000  # for this long the pod that led leaves the lead to others
NEAR = timedelta(days=5 * 366) // timedelta(milliseconds=1)
MOVED_TRIES = 20


@attrs.frozen(kw_only=True)
class Skipped:
    """The instants of one `skip_config`: how many, the first and the last (wall ms)."""

    count: int
    first_ms: int
    last_ms: int


class Operating(Asking):
    """The acts of operators. Each may be repeated; each is in the event log with who and why.

    ``by`` of a call is who asks, where it is somebody else than the client itself.
    """

    async def skip_config(
        self,
        config_id: str,
        *,
        at: datetime | None = None,
        from_: datetime | None = None,
        to: datetime | None = None,
        by: str | None = None,
        why: str,
    ) -> Skipped:
        """Do not fire a config at an instant, or at those of ``from_`` to ``to`` (inclusive).

        They must lie ahead, at most `MAX_SKIPS` of a config at one time. Each is recorded as
        skipped, reason ``operator``, when its time has come. An edit keeps them as far as the
        changed trigger still has them. Raises `NotScheduledError` naming the neighbours,
        `RefusedError`, `NotFoundError`, `ConflictError`.
        """
        _check_why(why)
        for _ in range(MOVED_TRIES):
            stored = await self.get_config(config_id)
            now_ms = await self._wall_ms()
            found = _named(stored.config, now_ms, at=at, from_=from_, to=to)
            outcome = await self._answered(
                lambda: self._store.skip(
                    config_id,
                    stored.config.revision,  # noqa: B023
                    found,  # noqa: B023
                    by=by or self._by,
                    why=why,
                )
            )
            if outcome in (Outcome.OK, Outcome.ALREADY):
                return Skipped(count=len(found), first_ms=found[0], last_ms=found[-1])
            if outcome is Outcome.FULL:
                raise RefusedError(outcome, _full(stored))
            if outcome is Outcome.TOO_LATE and found[0] <= await self._wall_ms() and at:
                raise RefusedError(
                    outcome, f"{rfc3339_ms(found[0])} has come: it is too late to skip"
                )
        raise ConflictError(Outcome.MOVED, f"config {config_id} was changed by others; try again")

    async def backfill_config(
        self,
        config_id: str,
        *,
        from_: datetime,
        to: datetime,
        why: str,
        by: str | None = None,
        dry_run: bool = False,
        limit: int = MAX_BACKFILL,
        again: bool = False,
        key: str = "",
        params: Mapping[str, Any] | None = None,
    ) -> Backfill:
        """Run a config's past instants of ``from_`` to ``to`` (inclusive), as tasks of their own.

        The task of an instant is ``config@backfill-<ms>``, or ``config@backfill-<ms>-<key>``: the
        same call again makes no second one, another ``key`` does. It is told the nominal instant,
        has the lowest priority, so that the schedule goes first, and no start deadline. Instants
        whose fire made a task that is still known are left out, unless ``again``.

        A call looks at up to ``limit`` (at most `MAX_BACKFILL`) instants, oldest first. Repeat it,
        or go on from ``next_from``, until ``done``. A config whose runs may not overlap gets at
        most one task a call, and none while another task of it lives: ``waits_for`` names that.
        With ``dry_run`` nothing is made; ``tasks`` are those that would be. ``params`` are of
        those that the config declares, and the same for each of its instants.
        """
        _check_why(why)
        stored = await self.get_config(config_id)
        spec = stored.config.spec_with(params)
        asked = Backfiller(
            self._store, stored.config, spec=spec, key=key, again=again, dry_run=dry_run
        )
        first_ms, last_ms = to_ms(from_), min(to_ms(to), await self._wall_ms())
        return await asked.run(
            self._answered, first_ms, last_ms, limit=limit, by=by or self._by, why=why
        )

    async def resume_worker(self, worker_id: str, *, by: str | None = None) -> None:
        """Undo an operator's drain, for whoever has this id. `NotFoundError`; `ConflictError` if
        the worker itself leaves."""
        stood = await self._answered(lambda: forget_drain(self._store, worker_id))
        outcome = await self._answered(lambda: self._store.undrain(worker_id, by=by or self._by))
        if outcome is Outcome.NO_WORKER and stood:
            return  # it is not there now, and takes tasks when it comes
        if outcome is Outcome.NO_WORKER:
            raise NotFoundError(outcome, f"there is no worker {worker_id}")
        if outcome is Outcome.DRAINING:
            raise ConflictError(
                outcome, f"worker {worker_id} drains because it stops: start its pod again instead"
            )

    async def step_down(self, *, why: str, by: str | None = None) -> str:
        """Let another pod lead; the pod that led until now. `NotFoundError`: nobody leads.

        Its term ends at once, whatever it is doing: each write of a leader is fenced. It leaves
        the lead to others until one has led, at most 15 s; a pod that is alone leads again then.
        """
        _check_why(why)
        fence = await self._answered(self._store.leader)
        if fence is None:
            raise NotFoundError("LEADERLESS", "no pod leads at the moment")
        # Fenced: a repeat, or the term has ended by itself. Either way it is over.
        await self._answered(
            lambda: self._store.step_down(fence, by=by or self._by, why=why, rest_ms=REST_MS)
        )
        return fence_pod(fence)

    async def declare_restored(
        self, *, why: str, since: datetime | None = None, by: str | None = None
    ) -> Break:
        """Say that a backup was put in the store's place, so that `why` and the log tell it.

        For when no pod was there to see it: call it before the first one starts. ``since`` is when
        the backup was made; by default the newest entry of its log.
        """
        _check_why(why)
        by, why = by or self._by, why[:MAX_WHY]
        for _ in range(MOVED_TRIES):
            found = await self._answered(lambda: self._store.history(None))
            end_ms = None if found.end is None else found.end.at_ms
            from_ms = end_ms if since is None else to_ms(since)
            lost = Lost(loss=Loss.DECLARED, identity=found.identity, from_ms=from_ms, why=why)
            await self._answered(
                lambda: self._store.raise_break(found.generation, lost, by=by)  # noqa: B023
            )
            # `MOVED` may come from this very call, if its first answer was lost: see what is
            # recorded.
            after = await self._answered(lambda: self._store.history(None))
            for one in after.breaks:
                mine = (one.loss, one.by, one.why) == (Loss.DECLARED, by, why)
                if mine and one.generation > found.generation:
                    return one
        raise ConflictError(Outcome.MOVED, "others kept recording breaks: try again")

    async def pods(self) -> tuple[PodRecord, ...]:
        """Every pod that runs, by name: seen within the last 30 s."""
        return await self._answered(self._store.pods)

    async def terms(self, *, cursor: str | None = None, limit: int = 100) -> TermPage:
        """The terms of leadership, newest first."""
        return await self._answered(lambda: self._store.terms(cursor, limit))


def _named(
    config: TaskConfig,
    now_ms: int,
    *,
    at: datetime | None,
    from_: datetime | None,
    to: datetime | None,
) -> list[int]:
    """The instants that are meant; at least one."""
    if (at is None) == (from_ is None and to is None) or (from_ is None) != (to is None):
        raise ValueError("name one instant (at), or a range (from_ and to)")
    if config.fixed_delay is not None:
        raise RefusedError("INVALID", f"{config.id} has a fixed delay: no instant of it is known")
    if not config.enabled:
        raise RefusedError("INVALID", f"{config.id} is disabled: nothing of it fires")
    instants = config_instants(config)
    if at is not None:
        at_ms = to_ms(at)
        if not instants.count_between(at_ms, at_ms):
            raise _not_scheduled(
                instants, f"{config.id} is not scheduled at {rfc3339_ms(at_ms)}", at_ms
            )
        if at_ms <= now_ms:
            what = f"{rfc3339_ms(at_ms)} is past: only what lies ahead can be skipped"
            raise RefusedError(Outcome.TOO_LATE, what)
        return [at_ms]
    assert from_ is not None and to is not None  # noqa: S101, PT018 - checked above
    return _within(config.id, instants, max(to_ms(from_), now_ms + 1), to_ms(to))


def _within(config_id: str, instants: Instants, first_ms: int, last_ms: int) -> list[int]:
    found: list[int] = []
    at_ms = instants.next_after(first_ms - 1)
    while at_ms is not None and at_ms <= last_ms:
        if len(found) == MAX_SKIPS:
            what = f"more than {MAX_SKIPS} instants are named: pause {config_id} instead"
            raise RefusedError(Outcome.FULL, what)
        found.append(at_ms)
        at_ms = instants.next_after(at_ms)
    if not found:
        what = f"{config_id} has no instant ahead in that range"
        raise _not_scheduled(instants, what, first_ms)
    return found


def _not_scheduled(instants: Instants, what: str, at_ms: int) -> NotScheduledError:
    before_ms = instants.last_before(at_ms - 1, not_before_ms=at_ms - NEAR)
    return NotScheduledError(what, before_ms, instants.next_after(at_ms))


def _full(stored: StoredConfig) -> str:
    return (
        f"{len(stored.skips)} instants of {stored.config.id} are to be skipped already, "
        f"and {MAX_SKIPS} are the most: pause it instead"
    )


def _check_why(why: str) -> None:
    if not why.strip():
        raise ValueError("say why: it is kept in the log, for those who ask later")
