"""A client's calls about configs and the cluster."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal

from dsched.model import API_ORIGIN, JsonValue, Limit, TaskConfig
from dsched_client import calls
from dsched_client.aio.sending import Sending
from dsched_client.batches import config_batches
from dsched_client.bulk_values import Bulk, BulkPlan
from dsched_client.declared_limit import DeclaredLimit
from dsched_client.history import Break
from dsched_client.options import new_key
from dsched_client.values import (
    Backfill,
    Cluster,
    Config,
    ConfigOutcome,
    Counts,
    Decision,
    Explanation,
    LimitDetail,
    Page,
    Pod,
    PutAnswer,
    Skipped,
    Statistics,
    StoreFormat,
    Term,
    Upcoming,
    Worker,
)
from dsched_client.writing import Entry


class Operating(Sending):
    """The acts on configs and workers, and questions about the cluster."""

    # --- configs ---

    async def put_config(
        self,
        config: TaskConfig | Entry,
        *,
        adopt: bool = False,
        origin: str | None = None,
        revision: int | None = None,
        dry_run: bool = False,
    ) -> PutAnswer:
        """Create or change a config: a `TaskConfig`, or an entry of a task file with its ``id``.

        ``adopt`` takes over what another origin declares, else `ConflictError` with the code
        ``origin_conflict``. ``revision``: only if it is this one (0: only a new one), else
        `PreconditionError`. ``dry_run``: say what would come of it.
        """
        return await self._send(
            calls.put_config(config, adopt=adopt, origin=origin, revision=revision, dry_run=dry_run)
        )

    async def put_configs(
        self,
        configs: Iterable[TaskConfig | Entry],
        *,
        adopt: bool = False,
        origin: str | None = None,
        dry_run: bool = False,
    ) -> tuple[ConfigOutcome, ...]:
        """Create or change any number of configs, 100 a call: an outcome each, in their order.

        Each is put by itself, as by `put_config`: one that is refused leaves the others alone. If
        the call raises, the batches before are done; all of it may be repeated.
        """
        found: list[ConfigOutcome] = []
        for batch in config_batches(configs, origin=origin):
            done = await self._send(calls.put_configs(batch, adopt=adopt, dry_run=dry_run))
            found.extend(done)
        return tuple(found)

    async def patch_config(
        self, config_id: str, changes: Entry, *, revision: int | None = None
    ) -> Config:
        """Change some keys of a config, a JSON merge patch: null takes a key away."""
        return await self._send(calls.patch_config(config_id, changes, revision=revision))

    async def get_config(self, config_id: str) -> Config:
        """A config with what the store knows of it."""
        return await self._send(calls.get_config(config_id))

    async def list_configs(
        self,
        *,
        config_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        owner: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Config]:
        """A page of configs by ascending id: all, or those that fit ``config_id`` (an id, or the
        beginning of ids and a star), have each of ``labels``, and are ``owner``'s. Such a page may
        be short, or empty, while its cursor is not None."""
        return await self._send(
            calls.list_configs(
                config_id=config_id, labels=labels, owner=owner, cursor=cursor, limit=limit
            )
        )

    async def delete_config(
        self, config_id: str, *, cancel_tasks: bool = False, reason: str = ""
    ) -> None:
        """Remove a config. Its live tasks finish, unless they are to be cancelled too."""
        await self._send(calls.delete_config(config_id, cancel_tasks=cancel_tasks, reason=reason))

    async def pause_config(
        self, config_id: str, *, why: str, until: datetime | timedelta | None = None
    ) -> Config:
        """Pause a config: nothing fires until it is resumed. ``why`` is shown wherever it
        matters. It resumes by itself at the instant ``until``, or after so long."""
        return await self._send(calls.pause_config(config_id, why=why, until=until))

    async def resume_config(self, config_id: str, *, why: str = "") -> Config:
        """End a pause; the instants of its gap are recorded as skipped."""
        return await self._send(calls.resume_config(config_id, why=why))

    async def skip_config(
        self,
        config_id: str,
        *,
        at: datetime | None = None,
        from_: datetime | None = None,
        to: datetime | None = None,
        why: str,
    ) -> Skipped:
        """Leave out one instant to come, or all of a span."""
        return await self._send(calls.skip_config(config_id, at=at, from_=from_, to=to, why=why))

    async def backfill_config(
        self,
        config_id: str,
        *,
        from_: datetime,
        to: datetime,
        why: str,
        dry_run: bool = False,
        limit: int | None = None,
        again: bool = False,
        key: str = "",
        params: Entry | None = None,
    ) -> Backfill:
        """Make tasks for instants of the past; not ``done``: call again from ``next_from``."""
        return await self._send(
            calls.backfill_config(
                config_id,
                from_=from_,
                to=to,
                why=why,
                dry_run=dry_run,
                limit=limit,
                again=again,
                key=key,
                params=params,
            )
        )

    async def upcoming(
        self,
        config_id: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
    ) -> Upcoming:
        """The instants to come of a config."""
        return await self._send(calls.upcoming(config_id, start=start, end=end, limit=limit))

    async def decisions(
        self, config_id: str, *, cursor: str | None = None, limit: int = 50
    ) -> Page[Decision]:
        """What happened to a config's fires, newest first."""
        return await self._send(calls.decisions(config_id, cursor=cursor, limit=limit))

    async def why_config(self, config_id: str, at: datetime | None = None) -> Explanation:
        """Why a config did what it did at an instant, the latest one unless told."""
        return await self._send(calls.why_config(config_id, at=at))

    # --- many tasks at a time ---

    async def bulk(
        self,
        act: Literal["retry", "cancel"],
        *,
        config_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        owner: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        rate: str | None = None,
        reason: str,
        dry_run: bool = False,
        key: str | None = None,
    ) -> BulkPlan:
        """Retry or cancel many tasks, of the configs that ``config_id`` (an id, or the beginning of
        ids and a star), ``labels`` and ``owner`` mean; the leader does it, at ``rate``.

        A retry is of what has ended by now with ``status`` (``failed``), between ``since`` and
        ``until``; a cancel of what is due by now and has not ended. ``dry_run``: count, and make
        nothing.
        """
        return await self._send(
            calls.bulk(
                act,
                config_id=config_id,
                labels=labels,
                owner=owner,
                status=status,
                since=since,
                until=until,
                rate=rate,
                reason=reason,
                dry_run=dry_run,
                key=key or new_key(),
            )
        )

    async def bulk_operations(self, *, cursor: str | None = None, limit: int = 50) -> Page[Bulk]:
        """A page of acts on many tasks that go on, or ended in the last week, the latest first."""
        return await self._send(calls.bulk_operations(cursor=cursor, limit=limit))

    async def bulk_operation(self, operation_id: str) -> Bulk:
        """An act on many tasks, as far as it is."""
        return await self._send(calls.bulk_operation(operation_id))

    async def stop_bulk(self, operation_id: str, *, reason: str) -> Bulk:
        """Stop an act on many tasks; `ConflictError` with the code ``too_late`` if it has ended."""
        return await self._send(calls.stop_bulk(operation_id, reason=reason))

    # --- limits ---

    async def put_limit(
        self, limit: Limit, *, origin: str = API_ORIGIN, adopt: bool = False, reason: str = ""
    ) -> bool:
        """Store a limit, which holds at once; whether anything changed.

        One that another ``origin`` declares raises `ConflictError` with the code
        ``origin_conflict``, unless it is to be ``adopt``ed.
        """
        call = calls.put_limit(limit, origin=origin, adopt=adopt, reason=reason)
        return (await self._send(call)).changed

    async def delete_limit(
        self, limit_id: str, *, force: bool = False, origin: str | None = None, reason: str = ""
    ) -> None:
        """Remove a limit; `ConflictError` while it is in use, unless with ``force``.

        With ``origin``: only if it is of this one (``origin_conflict``).
        """
        await self._send(calls.delete_limit(limit_id, force=force, origin=origin, reason=reason))

    async def get_limit(
        self, limit_id: str, *, cursor: str | None = None, limit: int = 100
    ) -> LimitDetail:
        """A limit, with a page of how many tasks hold places and how many wait, by instance."""
        return await self._send(calls.get_limit(limit_id, cursor=cursor, limit=limit))

    async def list_limits(
        self, *, cursor: str | None = None, limit: int = 100
    ) -> Page[DeclaredLimit]:
        """A page of limits by id."""
        return await self._send(calls.list_limits(cursor=cursor, limit=limit))

    # --- the cluster ---

    async def cluster(self) -> Cluster:
        """The cluster at a glance: leader, counts, clock."""
        return await self._send(calls.cluster())

    async def counts(self) -> Counts:
        """How many tasks there are, by status and by home."""
        return (await self.cluster()).counts

    async def workers(self, *, cursor: str | None = None, limit: int = 500) -> Page[Worker]:
        """A page of registered workers."""
        return await self._send(calls.workers(cursor=cursor, limit=limit))

    async def drain_worker(self, worker_id: str, *, reason: str, give_back: bool = False) -> Worker:
        """Let a worker take no more tasks and hand back its queue; with ``give_back`` what runs,
        too, but for tasks with ``on_crash: fail``."""
        return await self._send(calls.drain_worker(worker_id, reason=reason, give_back=give_back))

    async def resume_worker(self, worker_id: str, *, reason: str = "") -> Worker:
        """Undo a drain."""
        return await self._send(calls.resume_worker(worker_id, reason=reason))

    async def resize_worker(
        self, worker_id: str, capacity: int | None, *, reason: str = ""
    ) -> Worker:
        """Change how many tasks a worker runs at once; None: as many as it is configured to."""
        return await self._send(calls.resize_worker(worker_id, capacity, reason=reason))

    async def stats(
        self,
        config_id: str | None,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        bucket: Literal["hour", "day"] = "hour",
        worker_id: str | None = None,
    ) -> Statistics:
        """What a config (None: everything), or a worker, did, the last day unless told, by hour or
        day (UTC)."""
        return await self._send(
            calls.stats(config_id, start=start, end=end, bucket=bucket, worker_id=worker_id)
        )

    async def terms(self, *, cursor: str | None = None, limit: int = 50) -> Page[Term]:
        """A page of terms of leadership, newest first."""
        return await self._send(calls.terms(cursor=cursor, limit=limit))

    async def pods(self) -> tuple[Pod, ...]:
        """The pods that run, by name."""
        return await self._send(calls.pods())

    async def declare_restored(self, *, why: str, since: datetime | None = None) -> Break:
        """Say that a backup was put in the store's place, before the first pod starts on it."""
        return await self._send(calls.declare_restored(reason=why, since=since))

    async def store_format(self) -> StoreFormat:
        """The format of the store, the newest that the server knows, and which pods do not."""
        return await self._send(calls.store_format())

    async def migrate_store(self, *, why: str = "") -> StoreFormat:
        """Give the store the newest format; refused while pods run that do not know it."""
        return await self._send(calls.migrate_store(reason=why))

    async def step_down(self, *, why: str) -> str:
        """Let another pod lead; the name of the one that led."""
        return (await self._send(calls.step_down(reason=why))).pod

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Entry | None = None,
        body: JsonValue = None,
        key: str | None = None,
    ) -> JsonValue:
        """Any other call: ``request("GET", "cluster/terms")``; the JSON of its answer."""
        return await self._send(calls.any_call(method, path, query=query, body=body, key=key))
