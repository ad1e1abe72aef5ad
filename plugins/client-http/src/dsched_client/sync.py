"""The client that blocks; on the standard library alone."""

import os
import random
import ssl
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

import attrs

from dsched.model import JsonValue, TaskConfig, TaskSpec, TaskStatus
from dsched_client import calls
from dsched_client.errors import TaskEndedBadlyError, UnavailableError, UnreachableError
from dsched_client.options import new_key, options
from dsched_client.requests import Call
from dsched_client.retrying import LONGEST_DELAY_S, Trouble, delay_s
from dsched_client.stream import EventReader, events_request
from dsched_client.sync_transport import PIECE_BYTES, SyncTransport
from dsched_client.values import (
    Backfill,
    BatchOutcome,
    CancelAnswer,
    Cluster,
    Config,
    Counts,
    Decision,
    Event,
    Explanation,
    LogPage,
    Page,
    PutAnswer,
    Skipped,
    Task,
    Upcoming,
    Worker,
)
from dsched_client.writing import Entry, Seconds, in_seconds

T = TypeVar("T")


@attrs.frozen
class TaskHandle:
    """A task that was submitted or triggered. ``task`` is what it was then."""

    id: str
    task: Task
    _client: "Client" = attrs.field(repr=False, eq=False)

    def get(self) -> Task:
        """The task as it is now."""
        return self._client.get(self.id)

    def wait(self, *, timeout: Seconds | None = None) -> Task:
        """See `Client.wait`."""
        return self._client.wait(self.id, timeout_s=in_seconds(timeout))

    def result(self, *, timeout: Seconds | None = None) -> JsonValue:
        """See `Client.result`."""
        return self._client.result(self.id, timeout_s=in_seconds(timeout))

    def cancel(self, *, reason: str = "cancelled by a client") -> CancelAnswer:
        """See `Client.cancel`."""
        return self._client.cancel(self.id, reason=reason)


class Client:
    """Everything a program may ask of a dsched API. May be shared by threads.

    ``token`` or ``token_file`` say who is asking. A call has ``timeout_s`` for an answer. Without
    one it is made again for ``retry_for_s``, ``attempts`` times at most, if that does no harm: reads,
    puts, and what carries an Idempotency-Key, the same in every attempt. Redirects are not followed,
    proxies of the environment not used. ``ssl_context`` replaces the system's trust.

    Refusals are `ApiError` by their kind, with the API's ``code``; no answer is `UnreachableError`.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8700",
        *,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        timeout_s: float = 10.0,
        retry_for_s: float = 10.0,
        attempts: int = 6,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._options = options(
            url,
            token=token,
            token_file=token_file,
            timeout_s=timeout_s,
            retry_for_s=retry_for_s,
            attempts=attempts,
        )
        self._transport = SyncTransport(self._options, ssl_context)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close its connections."""
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open; the next call opens them again."""
        self._transport.close()

    # --- tasks ---

    def submit(
        self,
        spec: TaskSpec | Entry,
        *,
        task_id: str | None = None,
        delay_s: Seconds = 0.0,
        key: str | None = None,
    ) -> TaskHandle:
        """Create a task of a `TaskSpec`, or of a mapping with the keys of a task file.

        The same id and spec again is the same task; another spec is a `ConflictError`.
        """
        key = key or new_key()
        task = self._send(calls.submit(spec, task_id=task_id, delay=delay_s, key=key))
        return TaskHandle(task.id, task, self)

    def submit_many(
        self, items: Sequence[Entry], *, key: str | None = None
    ) -> tuple[BatchOutcome, ...]:
        """Create up to 100 tasks; one outcome each."""
        return self._send(calls.submit_many(items, key=key or new_key()))

    def trigger(self, config_id: str, *, key: str | None = None, reason: str = "") -> TaskHandle:
        """Run a config's task now, beside its schedule. The same ``key`` again: the same task."""
        task = self._send(calls.trigger(config_id, key=key or new_key(), reason=reason))
        return TaskHandle(task.id, task, self)

    def get(self, task_id: str, *, full: bool = False) -> Task:
        """A task; ``full``: with its spec, and its result if it has ended."""
        return self._send(calls.get(task_id, full=full))

    def wait(self, task_id: str, *, timeout_s: float | None = None) -> Task:
        """Wait until a task has ended, however it did; `TimeoutError`."""
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = calls.MAX_WAIT_S if until_s is None else until_s - time.monotonic()
            asked_s = max(0.0, min(calls.MAX_WAIT_S, left_s))
            task = self._send(calls.wait(task_id, at_most_s=asked_s))
            if task.ended:
                return task
            if until_s is not None and time.monotonic() >= until_s:
                raise TimeoutError(calls.still(task, timeout_s))

    def result(self, task_id: str, *, timeout_s: float | None = None) -> JsonValue:
        """Wait for a task; its result's data, or `TaskEndedBadlyError`."""
        task = self.wait(task_id, timeout_s=timeout_s)
        if task.status is not TaskStatus.SUCCESS:
            raise TaskEndedBadlyError(task)
        return self._send(calls.result(task_id)).data

    def cancel(self, task_id: str, *, reason: str = "cancelled by a client") -> CancelAnswer:
        """Cancel a task; `ConflictError` with the code ``too_late`` if it has ended."""
        return self._send(calls.cancel(task_id, reason=reason))

    def retry(self, task_id: str, *, reason: str = "", key: str | None = None) -> TaskHandle:
        """Run an ended task once more, as a new one."""
        task = self._send(calls.retry(task_id, reason=reason, key=key or new_key()))
        return TaskHandle(task.id, task, self)

    def list(
        self,
        *,
        home: str | None = None,
        worker_id: str | None = None,
        config_id: str | None = None,
        status: str | None = None,
        live_of: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Task]:
        """A page of tasks by exactly one index: a home, a worker's queue, the ended tasks of a
        config or of a status, or the live ones of a config."""
        return self._send(
            calls.list_tasks(
                home=home,
                worker_id=worker_id,
                config_id=config_id,
                status=status,
                live_of=live_of,
                cursor=cursor,
                limit=limit,
            )
        )

    def logs(
        self,
        task_id: str,
        *,
        attempt: int | None = None,
        after: str | None = None,
        limit: int = 200,
    ) -> LogPage:
        """A page of what a task has logged."""
        return self._send(calls.logs(task_id, attempt=attempt, after=after, limit=limit))

    def why_task(self, task_id: str) -> Explanation:
        """Why a task is where it is."""
        return self._send(calls.why_task(task_id))

    def events(self, *, topics: Sequence[str] = (), after: str | None = None) -> Iterator[Event]:
        """What happens, for ever: ``topics`` of task, config, worker, leader; after that cursor.

        A stream that breaks is taken up where it was. Stop by leaving the loop.
        """
        cursor, failures = after, 0
        while True:
            try:
                with self._transport.stream(events_request(topics, cursor)) as response:
                    reader = EventReader()
                    while piece := response.read1(PIECE_BYTES):
                        failures = 0
                        for event in reader.feed(piece):
                            cursor = event.cursor or cursor
                            yield event
            except (UnreachableError, UnavailableError):
                failures += 1
                if failures >= self._options.attempts:
                    raise
            time.sleep(min(LONGEST_DELAY_S, 0.1 * 2**failures) * (0.5 + random.random() / 2))

    # --- configs ---

    def put_config(
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
        return self._send(
            calls.put_config(config, adopt=adopt, origin=origin, revision=revision, dry_run=dry_run)
        )

    def patch_config(
        self, config_id: str, changes: Entry, *, revision: int | None = None
    ) -> Config:
        """Change some keys of a config, a JSON merge patch: null takes a key away."""
        return self._send(calls.patch_config(config_id, changes, revision=revision))

    def get_config(self, config_id: str) -> Config:
        """A config with what the store knows of it."""
        return self._send(calls.get_config(config_id))

    def list_configs(self, *, cursor: str | None = None, limit: int = 50) -> Page[Config]:
        """A page of configs by ascending id."""
        return self._send(calls.list_configs(cursor=cursor, limit=limit))

    def delete_config(
        self, config_id: str, *, cancel_tasks: bool = False, reason: str = ""
    ) -> None:
        """Remove a config. Its live tasks finish, unless they are to be cancelled too."""
        self._send(calls.delete_config(config_id, cancel_tasks=cancel_tasks, reason=reason))

    def pause_config(self, config_id: str, *, why: str) -> Config:
        """Pause a config: nothing fires until it is resumed. ``why`` is shown wherever it matters."""
        return self._send(calls.pause_config(config_id, why=why))

    def resume_config(self, config_id: str, *, why: str = "") -> Config:
        """End a pause; the instants of its gap are recorded as skipped."""
        return self._send(calls.resume_config(config_id, why=why))

    def skip(
        self, config_id: str, start: datetime, end: datetime | None = None, *, why: str
    ) -> Skipped:
        """Leave out one instant to come, or all from ``start`` to ``end``."""
        return self._send(calls.skip(config_id, start=start, end=end, why=why))

    def backfill(
        self,
        config_id: str,
        start: datetime,
        end: datetime,
        *,
        why: str,
        dry_run: bool = False,
        limit: int | None = None,
    ) -> Backfill:
        """Make tasks for instants of the past."""
        return self._send(
            calls.backfill(config_id, start=start, end=end, why=why, dry_run=dry_run, limit=limit)
        )

    def upcoming(
        self,
        config_id: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
    ) -> Upcoming:
        """The instants to come of a config."""
        return self._send(calls.upcoming(config_id, start=start, end=end, limit=limit))

    def decisions(
        self, config_id: str, *, cursor: str | None = None, limit: int = 50
    ) -> Page[Decision]:
        """What happened to a config's fires, newest first."""
        return self._send(calls.decisions(config_id, cursor=cursor, limit=limit))

    def why(self, config_id: str, *, at: datetime | None = None) -> Explanation:
        """Why a config did what it did at an instant, the latest one unless told."""
        return self._send(calls.why(config_id, at=at))

    # --- the cluster ---

    def cluster(self) -> Cluster:
        """The cluster at a glance: leader, counts, clock."""
        return self._send(calls.cluster())

    def counts(self) -> Counts:
        """How many tasks there are, by status and by home."""
        return self.cluster().counts

    def workers(self, *, cursor: str | None = None, limit: int = 500) -> Page[Worker]:
        """A page of registered workers."""
        return self._send(calls.workers(cursor=cursor, limit=limit))

    def drain_worker(self, worker_id: str, *, reason: str) -> Worker:
        """Let a worker take no more tasks and hand back its queue."""
        return self._send(calls.drain_worker(worker_id, reason=reason))

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Entry | None = None,
        body: JsonValue = None,
        key: str | None = None,
    ) -> JsonValue:
        """Any other call: ``request("GET", "cluster/terms")``; the JSON of its answer."""
        return self._send(calls.any_call(method, path, query=query, body=body, key=key))

    def _send(self, call: Call[T]) -> T:
        until_s, attempt = time.monotonic() + self._options.retry_for_s, 0
        while True:
            attempt += 1
            outcome = self._transport.attempt(call.request)
            wait_s = delay_s(
                outcome,
                attempt=attempt,
                attempts=self._options.attempts,
                repeatable=call.request.repeatable,
                left_s=until_s - time.monotonic(),
                uniform=random.random(),
            )
            if wait_s is not None:
                time.sleep(wait_s)
            elif isinstance(outcome, Trouble):
                raise UnreachableError(outcome.message, maybe_applied=outcome.sent)
            else:
                return call.read(outcome)
