"""Acts on many tasks at a time: asked for, looked at, stopped."""

import secrets
from collections.abc import Mapping
from datetime import datetime

import attrs

from dsched.bulk import BulkAct, BulkOperation, BulkRequest, BulkState, Estimate, ask, estimated
from dsched.bulk.keeping import (
    ended_operations,
    find,
    open_one,
    open_operations,
    put,
    stopping,
)
from dsched.bulk.matching import TooManyError
from dsched.client.asking import Asking, ConflictError, NotFoundError, RefusedError
from dsched.client.listing import instant_ms
from dsched.contracts.store.outcomes import Outcome
from dsched.model import TaskStatus, check_id
from dsched.selecting import SelectionError

# How many go on at the same time.
MAX_OPEN = 5
MOVED_TRIES = 20


@attrs.frozen(kw_only=True)
class BulkAnswer:
    """An operation, and what it will meet. ``made``: by this call; False where it is there already,
    and after a dry run, of which nothing is stored."""

    operation: BulkOperation
    estimate: Estimate
    made: bool


class Bulk(Asking):
    """Operations on many tasks. The leader carries them out; they outlive whoever asked."""

    async def bulk(
        self,
        act: BulkAct | str,
        *,
        config_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        owner: str | None = None,
        status: TaskStatus | str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        rate: str | None = None,
        reason: str,
        dry_run: bool = False,
        key: str | None = None,
    ) -> BulkAnswer:
        """``retry`` or ``cancel`` many tasks, of the configs that ``config_id`` (an id, or the
        beginning of ids and a star), ``labels`` and ``owner`` mean; one of them is needed.

        A retry is of what had ended before, with ``status`` (``failed``), between ``since`` and
        ``until``, each task once over all operations; a cancel of what was due and has not ended.
        ``rate`` is how many in how long. The same ``key`` is the same operation. ``dry_run``: the
        tasks are counted, and nothing is stored. `SelectionError` for what means nothing, or too
        much; `RefusedError` ``FULL`` while `MAX_OPEN` others go on.
        """
        if not dry_run and not reason.strip():
            raise ValueError("say why: it is kept with each task, for those who ask later")
        operation_id = secrets.token_hex(5) if key is None else check_id(key, "key")
        asked = BulkRequest(
            act=act,
            by=self._by,
            reason=reason,
            config=config_id,
            labels=labels,
            owner=owner,
            status=status,
            from_ms=instant_ms("since", since),
            until_ms=instant_ms("until", until),
            rate=rate,
        )
        return await self._bulk(operation_id, asked, dry_run=dry_run)

    async def _bulk(self, operation_id: str, asked: BulkRequest, *, dry_run: bool) -> BulkAnswer:
        if not dry_run:
            known = await self._answered(lambda: find(self._store, operation_id))
            if known is not None:
                return _known(known)
        wanted = await self._answered(lambda: ask(self._store, operation_id, asked))
        estimate = await self._estimated(wanted)
        wanted = attrs.evolve(wanted, found=estimate.found, found_all=estimate.all_)
        if dry_run:
            return BulkAnswer(operation=wanted, estimate=estimate, made=False)
        return await self._make(wanted, estimate)

    async def _estimated(self, asked: BulkOperation) -> Estimate:
        try:
            return await self._answered(lambda: estimated(self._store, asked))
        except TooManyError as error:
            raise SelectionError("config", str(error)) from None

    async def _make(self, asked: BulkOperation, estimate: Estimate) -> BulkAnswer:
        await self._check_room()
        kept = await self._answered(lambda: put(self._store, asked, read=0))
        if kept is None:  # made meanwhile, by the first try of this very call or another one
            return _known(await self.bulk_operation(asked.id))
        return BulkAnswer(operation=kept.operation, estimate=estimate, made=True)

    async def _check_room(self) -> None:
        going = await self._answered(lambda: open_operations(self._store))
        if len(going) >= MAX_OPEN:
            ids = ", ".join(one.operation.id for one in going)
            raise RefusedError(
                Outcome.FULL,
                f"{len(going)} bulk operations go on already ({ids}), and {MAX_OPEN} are the most: "
                "wait for the end of one, or stop it",
            )

    async def bulk_operation(self, operation_id: str) -> BulkOperation:
        """An operation as it is now; one that has ended is kept for a week. `NotFoundError`."""
        found = await self._answered(lambda: find(self._store, operation_id))
        if found is None:
            raise NotFoundError("UNKNOWN", f"there is no bulk operation {operation_id} (any more)")
        return found

    async def bulk_operations(self) -> tuple[BulkOperation, ...]:
        """Those that go on, and those that ended and are kept, the latest first."""
        going = await self._answered(lambda: open_operations(self._store))
        ended = await self._answered(lambda: ended_operations(self._store))
        found = {one.operation.id: one.operation for one in (*ended, *going)}
        return tuple(sorted(found.values(), key=lambda one: (one.made_ms, one.id), reverse=True))

    async def stop_bulk(self, operation_id: str, *, reason: str) -> BulkOperation:
        """Stop an operation: what is in hand is still done, and nothing after it. Stopping it again
        changes nothing. `NotFoundError`; `ConflictError` ``too_late`` if it has ended."""
        if not reason.strip():
            raise ValueError("say why: it is kept with the operation, for those who ask later")
        for _ in range(MOVED_TRIES):
            kept = await self._answered(lambda: open_one(self._store, operation_id))
            if kept is None or kept.operation.state.ended:
                found = await self.bulk_operation(operation_id)
                raise ConflictError(
                    "too_late", f"bulk operation {operation_id} has ended: it is {found.state}"
                )
            if kept.operation.state is BulkState.STOPPING:
                return kept.operation
            asked, version = stopping(kept.operation, self._by, reason), kept.version
            new = await self._answered(
                lambda: put(self._store, asked, read=version)  # noqa: B023
            )
            if new is not None:
                return new.operation
        raise ConflictError(
            Outcome.MOVED, f"bulk operation {operation_id} moved on all the time; try again"
        )


def _known(operation: BulkOperation) -> BulkAnswer:
    """The answer to a repeat."""
    counted = Estimate(found=operation.found, all_=operation.found_all, by_config={}, first=())
    return BulkAnswer(operation=operation, estimate=counted, made=False)
