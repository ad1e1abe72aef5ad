"""A client of the API: tasks, their logs and the stream of events."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime

import attrs

from dsched.model import JsonValue, TaskSpec, TaskStatus, Workflow
from dsched_client import calls
from dsched_client.errors import TaskEndedBadlyError
from dsched_client.options import new_key
from dsched_client.reading import line_of
from dsched_client.stream import Event, events_request, lines_request
from dsched_client.sync.operating import Operating
from dsched_client.sync.transport import Stream
from dsched_client.values import (
    BatchOutcome,
    CancelAnswer,
    Explanation,
    LogLine,
    LogPage,
    Page,
    Run,
    RunLine,
    Task,
)
from dsched_client.writing import Entry, Seconds, in_seconds


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
        """See `wait` of the client."""
        return self._client.wait(self.id, timeout=timeout)

    def result(self, *, timeout: Seconds | None = None) -> JsonValue:
        """See `result` of the client."""
        return self._client.result(self.id, timeout=timeout)

    def cancel(self, *, reason: str = "cancelled by a client") -> CancelAnswer:
        """See `cancel` of the client."""
        return self._client.cancel(self.id, reason=reason)


class Client(Operating):
    """Everything a program may ask of a dsched API. Use it as a context manager.

    The one that awaits belongs to one event loop; the one that blocks may be shared by threads.

    ``token`` or ``token_file`` say who is asking. A call has ``timeout_s`` for an answer. Without
    one it is made again for ``retry_for_s``, ``attempts`` times at most, if that does no harm:
    reads, puts, and what carries an Idempotency-Key, the same in every attempt. Redirects are not
    followed, proxies of the environment not used. ``ssl_context`` replaces the system's trust.

    Refusals are `ApiError` by their kind, with the API's ``code``; no answer is `UnreachableError`.
    """

    def submit(
        self,
        spec: TaskSpec | Workflow | Entry,
        *,
        task_id: str | None = None,
        delay: Seconds | None = None,
        at: datetime | str | None = None,
        delay_s: Seconds = 0.0,
        key: str | None = None,
        params: Entry | None = None,
    ) -> TaskHandle:
        """Create a task of a `TaskSpec`, or of a mapping with the keys of a task file; or a run of
        a `Workflow`.

        It does not start before ``delay``, or the instant ``at`` (one that has passed: now). The
        same id and spec again is the same task; another spec is a `ConflictError`. ``delay_s`` is
        ``delay``. ``params`` are of those that it declares.
        """
        key, delay = key or new_key(), delay_s if delay is None else delay
        call = calls.submit(spec, task_id=task_id, delay=delay, at=at, key=key, params=params)
        task = self._send(call)
        return TaskHandle(task.id, task, self)

    def submit_many(
        self, items: Sequence[Entry], *, key: str | None = None
    ) -> tuple[BatchOutcome, ...]:
        """Create up to 100 tasks; one outcome each."""
        return self._send(calls.submit_many(items, key=key or new_key()))

    def trigger(
        self,
        config_id: str,
        *,
        key: str | None = None,
        reason: str = "",
        params: Entry | None = None,
    ) -> TaskHandle:
        """Run a config's task now, beside its schedule. The same ``key`` again: the same task.
        ``params`` are of those that the config declares."""
        key = key or new_key()
        task = self._send(calls.trigger(config_id, key=key, reason=reason, params=params))
        return TaskHandle(task.id, task, self)

    def get(self, task_id: str, *, full: bool = False) -> Task:
        """A task; ``full``: with its spec, and its result if it has ended."""
        return self._send(calls.get(task_id, full=full))

    def wait(
        self, task_id: str, *, timeout: Seconds | None = None, timeout_s: float | None = None
    ) -> Task:
        """Wait until a task has ended, however it did; `TimeoutError`. ``timeout_s`` is
        ``timeout``."""
        timeout_s = timeout_s if timeout is None else in_seconds(timeout)
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = calls.MAX_WAIT_S if until_s is None else until_s - time.monotonic()
            asked_s = max(0.0, min(calls.MAX_WAIT_S, left_s))
            task = self._send(calls.wait(task_id, at_most_s=asked_s))
            if task.ended:
                return task
            if until_s is not None and time.monotonic() >= until_s:
                raise TimeoutError(calls.still(task, timeout_s))

    def result(
        self, task_id: str, *, timeout: Seconds | None = None, timeout_s: float | None = None
    ) -> JsonValue:
        """Wait for a task; its result's data, or `TaskEndedBadlyError`."""
        task = self.wait(task_id, timeout=timeout, timeout_s=timeout_s)
        if task.status is not TaskStatus.SUCCESS:
            raise TaskEndedBadlyError(task)
        return (self._send(calls.result(task_id))).data

    def cancel(self, task_id: str, *, reason: str = "cancelled by a client") -> CancelAnswer:
        """Cancel a task; `ConflictError` with the code ``too_late`` if it has ended."""
        return self._send(calls.cancel(task_id, reason=reason))

    def retry(
        self, task_id: str, *, reason: str = "", failed: bool = False, key: str | None = None
    ) -> TaskHandle:
        """Run an ended task once more, as a new one; with ``failed``, of a run of many tasks: only
        what did not succeed, and what comes after that."""
        task = self._send(calls.retry(task_id, reason=reason, failed=failed, key=key or new_key()))
        return TaskHandle(task.id, task, self)

    def get_run(self, run_id: str) -> Run:
        """A run of many tasks, with its steps and their members; `NotFoundError` for others."""
        return self._send(calls.get_run(run_id))

    def config_runs(self, config_id: str, *, limit: int = 10) -> tuple[Run, ...]:
        """The latest runs of a config, those that are open before those that have ended; at most
        25, and the steps of each without their members."""
        return (self._send(calls.config_runs(config_id, limit=limit))).items

    def run_members(
        self,
        run_id: str,
        *,
        step: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Task]:
        """A page of the members of a run as tasks, step by step: those of one step, and in one
        state (``live``, how they ended, or ``skipped``: let off), or all."""
        return self._send(
            calls.run_members(run_id, step=step, state=state, cursor=cursor, limit=limit)
        )

    def run_log(self, run_id: str) -> tuple[RunLine, ...]:
        """What became of the members and steps of a run so far, in order."""
        found: tuple[RunLine, ...] = ()
        cursor: str | None = None
        while True:
            page = self._send(calls.run_log(run_id, cursor=cursor))
            found, cursor = (*found, *page.items), page.cursor
            if cursor is None:
                return found

    def list(
        self,
        *,
        home: str | None = None,
        worker_id: str | None = None,
        config_id: str | None = None,
        status: str | None = None,
        live_of: str | None = None,
        labels: Mapping[str, str] | None = None,
        owner: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Task]:
        """A page of tasks by one index: a home, a worker's queue, the ended tasks of a config or
        of a status, or the live ones of a config. By none: the latest, those that run before
        those that ended.

        ``config_id`` and ``live_of`` may be the beginning of ids and a star; ``labels`` and
        ``owner`` are those of configs, and ``status`` narrows each of these lists. ``since`` and
        ``until``: only what ended between them. A page may be short, or empty, while its cursor is
        not None."""
        return self._send(
            calls.list_tasks(
                home=home,
                worker_id=worker_id,
                config_id=config_id,
                status=status,
                live_of=live_of,
                labels=labels,
                owner=owner,
                since=since,
                until=until,
                cursor=cursor,
                limit=limit,
            )
        )

    def task_lines(
        self,
        task_id: str,
        *,
        after: str | None = None,
        limit: int = 100,
        attempt: int | None = None,
    ) -> LogPage:
        """A page of what a task has logged, of one attempt or of all."""
        return self._send(calls.task_lines(task_id, attempt=attempt, after=after, limit=limit))

    def why_task(self, task_id: str) -> Explanation:
        """Why a task is where it is."""
        return self._send(calls.why_task(task_id))

    def follow_lines(
        self, task_id: str, *, after: str | None = None, attempt: int | None = None
    ) -> Stream[LogLine]:
        """What a task logs, as it comes, until it has ended and all is told."""
        found = self._follow(lambda cursor: lines_request(task_id, attempt, cursor), after)
        with closing(found) as events:
            for event in events:
                if event.kind == "end":
                    return
                line = line_of(event)
                if line is not None:
                    yield line

    def events(self, *, topics: Sequence[str] = (), after: str | None = None) -> Stream[Event]:
        """What happens, for ever: ``topics`` of task, config, worker, leader; after that cursor.

        A stream that breaks is taken up where it was. Stop by leaving the loop.
        """
        return self._follow(lambda cursor: events_request(topics, cursor), after)
