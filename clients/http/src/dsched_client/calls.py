"""The calls of the API, as values: what both clients send, and how they read what comes back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dsched.model import JsonValue, TaskConfig, TaskSpec, Workflow, run_spec, whole_ms
from dsched_client import values
from dsched_client.answers import Answer
from dsched_client.batches import ConfigBatch
from dsched_client.bulk_calls import bulk as bulk
from dsched_client.bulk_calls import bulk_operation as bulk_operation
from dsched_client.bulk_calls import bulk_operations as bulk_operations
from dsched_client.bulk_calls import stop_bulk as stop_bulk
from dsched_client.history import Break
from dsched_client.limit_calls import delete_limit as delete_limit
from dsched_client.limit_calls import get_limit as get_limit
from dsched_client.limit_calls import list_limits as list_limits
from dsched_client.limit_calls import put_limit as put_limit
from dsched_client.list_calls import list_configs as list_configs
from dsched_client.list_calls import list_tasks as list_tasks
from dsched_client.pause_calls import pause_config as pause_config
from dsched_client.pause_calls import resume_config as resume_config
from dsched_client.reading import nothing, one, page_of, raw
from dsched_client.requests import Call, path_of, request
from dsched_client.trigger_calls import trigger as trigger
from dsched_client.values import Page
from dsched_client.worker_calls import drain_worker as drain_worker
from dsched_client.worker_calls import resize_worker as resize_worker
from dsched_client.writing import Entry, Seconds, duration, entry_of, instant

MAX_LINES = 500  # in a page of a run's log
MAX_WAIT_S = 30.0  # of one request; a longer wait asks again


# --- tasks ---------------------------------------------------------------------------------------


CANCELLED = "cancelled by a client"


def submit(
    item: TaskSpec | Workflow | Entry,
    *,
    task_id: str | None,
    delay: Seconds,
    key: str,
    at: datetime | str | None = None,
    params: Entry | None = None,
) -> Call[values.Task]:
    """Create a task."""
    body = entry_of(run_spec(item, params) if isinstance(item, Workflow) else item)
    if params is not None:
        body["param_values"] = dict(params)
    if at is not None:
        if delay:
            raise ValueError("at cannot be given together with delay; keep one of them")
        body["at"] = at if isinstance(at, str) else instant(whole_ms(at))
    if task_id is not None:
        body["id"] = task_id
    if delay:
        body["delay"] = duration(delay)
    return Call(request("POST", path_of("tasks"), body=body, key=key), one(values.Task))


def submit_many(items: Sequence[Entry], *, key: str) -> Call[tuple[values.BatchOutcome, ...]]:
    """Create up to 100 tasks."""
    body = {"items": [entry_of(item) for item in items]}
    read = page_of(values.BatchOutcome)
    return Call(
        request("POST", path_of("tasks", "batch"), body=body, key=key),
        lambda answer: read(answer).items,
    )


def get(task_id: str, *, full: bool) -> Call[values.Task]:
    """A task."""
    query = {"full": True if full else None}
    return Call(request("GET", path_of("tasks", task_id), query=query), one(values.Task))


def wait(task_id: str, *, at_most_s: float) -> Call[values.Task]:
    """A task, as soon as it has ended or that time is over."""
    query = {"timeout": duration(at_most_s)}
    path = path_of("tasks", task_id, "wait")
    return Call(request("GET", path, query=query, extra_s=at_most_s), one(values.Task))


def still(task: values.Task, timeout_s: float | None) -> str:
    """Where a task is that did not end in time."""
    why = "; ".join(text for text in (task.reason, task.error.strip()[-300:]) if text)
    return f"task {task.id} is {task.status} after {timeout_s:g} s" + (why and f": {why}")


def result(task_id: str) -> Call[values.TaskResult]:
    """The result of an ended task."""
    return Call(request("GET", path_of("tasks", task_id, "result")), one(values.TaskResult))


def cancel(task_id: str, *, reason: str) -> Call[values.CancelAnswer]:
    """Cancel a task."""
    path = path_of("tasks", task_id, "cancel")
    return Call(request("POST", path, body={"reason": reason}), one(values.CancelAnswer))


def retry(task_id: str, *, reason: str, failed: bool, key: str) -> Call[values.Task]:
    """Make a new task of an ended one's snapshot."""
    body: dict[str, Any] = {"reason": reason} if reason else {}
    if failed:
        body["failed"] = True
    path = path_of("tasks", task_id, "retry")
    return Call(request("POST", path, body=body, key=key), one(values.Task))


def get_run(run_id: str) -> Call[values.Run]:
    """A run with its steps."""
    return Call(request("GET", path_of("tasks", run_id, "run")), one(values.Run))


def config_runs(config_id: str, *, limit: int) -> Call[Page[values.Run]]:
    """The latest runs of a config."""
    path = path_of("configs", config_id, "runs")
    return Call(request("GET", path, query={"limit": limit}), page_of(values.Run))


def run_members(
    run_id: str, *, step: str | None, state: str | None, cursor: str | None, limit: int
) -> Call[Page[values.Task]]:
    """A page of a run's members."""
    query = {"step": step, "state": state, "cursor": cursor, "limit": limit}
    path = path_of("tasks", run_id, "run", "members")
    return Call(request("GET", path, query=query), page_of(values.Task))


def run_log(run_id: str, *, cursor: str | None) -> Call[Page[values.RunLine]]:
    """A page of a run's log."""
    query = {"cursor": cursor, "limit": MAX_LINES}
    path = path_of("tasks", run_id, "run", "log")
    return Call(request("GET", path, query=query), page_of(values.RunLine))


def task_lines(
    task_id: str, *, attempt: int | None, after: str | None, limit: int
) -> Call[values.LogPage]:
    """A page of what a task has logged."""
    query = {"attempt": attempt, "after": after, "limit": limit}
    return Call(request("GET", path_of("tasks", task_id, "logs"), query=query), one(values.LogPage))


def why_task(task_id: str) -> Call[values.Explanation]:
    """Why a task is where it is."""
    return Call(request("GET", path_of("tasks", task_id, "why")), one(values.Explanation))


# --- configs -------------------------------------------------------------------------------------


def put_config(
    config: TaskConfig | Entry,
    *,
    adopt: bool,
    origin: str | None,
    revision: int | None,
    dry_run: bool,
) -> Call[values.PutAnswer]:
    """Create or change a config. ``revision``: only if it is this one (0: only a new one)."""
    if isinstance(config, TaskConfig):
        config_id, body = config.id, entry_of(config)
        origin = origin or config.origin
    else:
        body = entry_of(config)
        config_id = str(body.pop("id", ""))
    headers = {}
    if revision is not None:
        headers = {"If-Match": f'"{revision}"'} if revision else {"If-None-Match": "*"}
    query = {"origin": origin, "adopt": adopt or None, "dry_run": dry_run or None}
    read = one(values.Config)

    def answered(answer: Answer) -> values.PutAnswer:
        config = read(answer)
        outcome = answer.headers.get("x-dsched-outcome", "")
        return values.PutAnswer(outcome=outcome, config=config)

    path = path_of("configs", config_id)
    return Call(request("PUT", path, query=query, body=body, headers=headers), answered)


def put_configs(
    batch: ConfigBatch, *, adopt: bool, dry_run: bool
) -> Call[tuple[values.ConfigOutcome, ...]]:
    """Create or change up to 100 configs of one origin."""
    query = {"origin": batch.origin, "adopt": adopt or None, "dry_run": dry_run or None}
    body: JsonValue = {"items": list(batch.items)}
    read = page_of(values.ConfigOutcome)
    return Call(
        request("POST", path_of("configs", "batch"), query=query, body=body),
        lambda answer: read(answer).items,
    )


def patch_config(config_id: str, changes: Entry, *, revision: int | None) -> Call[values.Config]:
    """Change some keys of a config (a JSON merge patch)."""
    headers = {} if revision is None else {"If-Match": f'"{revision}"'}
    asked = request("PATCH", path_of("configs", config_id), body=entry_of(changes), headers=headers)
    return Call(asked, one(values.Config))


def get_config(config_id: str) -> Call[values.Config]:
    """A config."""
    return Call(request("GET", path_of("configs", config_id)), one(values.Config))


def delete_config(config_id: str, *, cancel_tasks: bool, reason: str) -> Call[None]:
    """Remove a config."""
    told = reason or (CANCELLED if cancel_tasks else None)  # a cancel needs a reason
    query = {"cancel": cancel_tasks or None, "reason": told}
    return Call(request("DELETE", path_of("configs", config_id), query=query), nothing)


def skip_config(
    config_id: str,
    *,
    at: datetime | None,
    from_: datetime | None,
    to: datetime | None,
    why: str,
) -> Call[values.Skipped]:
    """Leave out the instant ``at``, or those from ``from_`` to ``to``."""
    given = {"at": at, "from": from_, "to": to}
    when = {name: instant(moment) for name, moment in given.items() if moment is not None}
    path = path_of("configs", config_id, "skip")
    return Call(request("POST", path, body={**when, "reason": why}), one(values.Skipped))


def backfill_config(
    config_id: str,
    *,
    from_: datetime,
    to: datetime,
    why: str,
    dry_run: bool,
    limit: int | None,
    again: bool,
    key: str,
    params: Entry | None = None,
) -> Call[values.Backfill]:
    """Make tasks for instants of the past; the same instants and key again give the same tasks."""
    body: dict[str, JsonValue] = {"from": instant(from_), "to": instant(to), "reason": why}
    more: Entry = {"dry_run": dry_run, "limit": limit, "again": again, "key": key}
    body |= {} if params is None else {"params": dict(params)}
    body |= {name: value for name, value in more.items() if value}
    path = path_of("configs", config_id, "backfill")
    return Call(request("POST", path, body=body), one(values.Backfill))


def upcoming(
    config_id: str, *, start: datetime | None, end: datetime | None, limit: int | None
) -> Call[values.Upcoming]:
    """The instants to come of a config."""
    query = {
        "limit": limit,
        "from": None if start is None else instant(start),
        "to": None if end is None else instant(end),
    }
    path = path_of("configs", config_id, "upcoming")
    return Call(request("GET", path, query=query), one(values.Upcoming))


def decisions(config_id: str, *, cursor: str | None, limit: int) -> Call[Page[values.Decision]]:
    """What happened to a config's fires, newest first."""
    path = path_of("configs", config_id, "decisions")
    query = {"cursor": cursor, "limit": limit}
    return Call(request("GET", path, query=query), page_of(values.Decision))


def why_config(config_id: str, *, at: datetime | None) -> Call[values.Explanation]:
    """Why a config did what it did at an instant."""
    query = {"at": None if at is None else instant(at)}
    path = path_of("configs", config_id, "why")
    return Call(request("GET", path, query=query), one(values.Explanation))


# --- the cluster ---------------------------------------------------------------------------------


def cluster() -> Call[values.Cluster]:
    """The cluster at a glance."""
    return Call(request("GET", path_of("cluster")), one(values.Cluster))


def workers(*, cursor: str | None, limit: int) -> Call[Page[values.Worker]]:
    """A page of registered workers."""
    query = {"cursor": cursor, "limit": limit}
    return Call(request("GET", path_of("workers"), query=query), page_of(values.Worker))


def resume_worker(worker_id: str, *, reason: str) -> Call[values.Worker]:
    """Undo a drain."""
    path = path_of("workers", worker_id, "resume")
    return Call(
        request("POST", path, body={"reason": reason} if reason else {}), one(values.Worker)
    )


def stats(
    config_id: str | None,
    *,
    start: datetime | None,
    end: datetime | None,
    bucket: str,
    worker_id: str | None,
) -> Call[values.Statistics]:
    """What a config, a worker, or everything, did."""
    query = {
        "config": config_id,
        "worker": worker_id,
        "from": None if start is None else instant(start),
        "to": None if end is None else instant(end),
        "bucket": bucket,
    }
    return Call(request("GET", path_of("stats"), query=query), one(values.Statistics))


def terms(*, cursor: str | None, limit: int) -> Call[Page[values.Term]]:
    """A page of terms of leadership, newest first."""
    query = {"cursor": cursor, "limit": limit}
    return Call(request("GET", path_of("cluster", "terms"), query=query), page_of(values.Term))


def pods() -> Call[tuple[values.Pod, ...]]:
    """The pods that run."""
    read = page_of(values.Pod)
    return Call(request("GET", path_of("cluster", "pods")), lambda answer: read(answer).items)


def step_down(*, reason: str) -> Call[values.SteppedDown]:
    """Let another pod lead. Made once only: a repeat would unseat the next leader too."""
    path = path_of("cluster", "step-down")
    asked = request("POST", path, body={"reason": reason}, repeatable=False)
    return Call(asked, one(values.SteppedDown))


def declare_restored(*, reason: str, since: datetime | None) -> Call[Break]:
    """Say that a backup was put in the store's place. Made once only: a repeat is another break."""
    body: dict[str, JsonValue] = {"reason": reason}
    if since is not None:
        body["since"] = instant(since)
    path = path_of("cluster", "restored")
    return Call(request("POST", path, body=body, repeatable=False), one(Break))


def store_format() -> Call[values.StoreFormat]:
    """The format of the store."""
    return Call(request("GET", path_of("store")), one(values.StoreFormat))


def migrate_store(*, reason: str) -> Call[values.StoreFormat]:
    """Give the store the newest format; a repeat finds that it has it."""
    body: dict[str, JsonValue] = {"reason": reason} if reason else {}
    return Call(request("POST", path_of("store", "migrate"), body=body), one(values.StoreFormat))


def any_call(
    method: str, path: str, *, query: Entry | None, body: JsonValue, key: str | None
) -> Call[JsonValue]:
    """A call of one's own below ``/api/v1/``; made again only if it is a read or has a key."""
    parts = [part for part in path.split("/") if part]
    asked = request(
        method.upper(),
        path_of(*parts),
        query=dict(query or {}),
        body=body,
        key=key,
        repeatable=key is not None or method.upper() in ("GET", "PUT", "DELETE"),
    )
    return Call(asked, raw)
