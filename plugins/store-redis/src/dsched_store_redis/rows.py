"""Workers, configs, tasks and log entries as the scripts answer with them."""

import json
from functools import lru_cache
from typing import Any

from dsched.contracts.store.codec import read_result, readable_config, readable_spec
from dsched.contracts.store.configs import Pause, StoredConfig
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.operating import Skip
from dsched.model import (
    NOTHING_COUNTED,
    Counted,
    Home,
    Task,
    TaskConfig,
    TaskStatus,
    Worker,
    missed_a_beat,
    read_attempts,
)
from dsched.model.json import loads
from dsched_store_redis.phrases import expand
from dsched_store_redis.wire import decode, load_json, optional, pairs, untext


@lru_cache(maxsize=4096)
def _worker_head(text: bytes) -> tuple[str, int, int, int, dict[str, Any]]:
    incarnation, capacity, backlog, timeout, head = decode(text).split("\n", 4)
    return incarnation, int(capacity), int(backlog), int(timeout), json.loads(head[:-1] + "}")


def read_workers(row: list[list[bytes]], now_ms: int) -> tuple[Worker, ...]:
    """All workers by ascending id."""
    details, beats, loads, draining, stalled, lowest = row
    lowest_of = {lowest[i]: int(lowest[i + 1]) for i in range(0, len(lowest), 2)}
    beat_of = {beats[i]: int(float(beats[i + 1])) for i in range(0, len(beats), 2)}
    load_of = {loads[i]: int(loads[i + 1]) for i in range(0, len(loads), 2)}
    drains, stalls = set(draining), set(stalled)
    found = []
    for at in range(0, len(details), 2):
        key = details[at]
        incarnation, capacity, backlog, timeout, facts = _worker_head(details[at + 1])
        beat = beat_of.get(key, 0)
        found.append(
            Worker(
                id=key.decode(),
                incarnation=incarnation,
                capacity=capacity,
                backlog=backlog,
                heartbeat_timeout_ms=timeout,
                labels=facts["labels"],
                address=facts["address"],
                ability=facts.get("ability", ""),
                draining=key in drains,
                last_heartbeat_ms=beat,
                running=load_of.get(b"r:" + key, 0),
                queued=load_of.get(b"q:" + key, 0),
                stalled=key in stalls,
                gone=now_ms - beat > timeout,
                silent=missed_a_beat(now_ms - beat, timeout),
                lowest_queued=lowest_of.get(key),
            )
        )
    return tuple(sorted(found, key=lambda worker: worker.id))


def read_stored_config(row: list[Any] | None) -> StoredConfig | None:
    """A config with what the store knows of it."""
    return None if row is None else _stored_config(row, None, "")


def read_put_config(row: list[Any] | None, written: TaskConfig, text: str) -> StoredConfig | None:
    """What is stored after a put of ``written``, whose content has this text.

    Where the store has that text, which is nearly always, it is not read back.
    """
    return None if row is None else _stored_config(row, written, text)


def _stored_config(row: list[Any], written: TaskConfig | None, text: str) -> StoredConfig:
    key, flat, due, content = row
    fields = pairs(flat)
    known = {
        "revision": int(fields["revision"]),
        "created_ms": int(fields["created"]),
        "updated_ms": int(fields["updated"]),
    }
    stored = decode(content)
    if written is not None and stored == text:
        config = written.stamped(**known)
    else:
        config = readable_config(key.decode(), stored, **known)
    paused = None
    if "paused" in fields:
        paused = Pause(
            who=load_json(fields["who"]),
            why=load_json(fields["why"]),
            since_ms=int(fields["paused"]),
            gap_from_ms=int(fields["gap"]),
            until_ms=optional(due),
        )
    last = fields.get("last_fired")
    return StoredConfig(
        config=config,
        due_ms=optional(due) if paused is None else None,
        last_fired_ms=None if last is None else int(last),
        paused=paused,
        skips=_read_skips(fields.get("skips", "")),
        counted=_counted(fields),
    )


def _counted(fields: dict[str, str]) -> Counted:
    if fields.keys().isdisjoint(("fails", "fires")):
        return NOTHING_COUNTED
    return Counted(
        failures=int(fields.get("fails", "0")),
        last=load_json(fields.get("failed", '""')),
        runs=int(fields.get("fires", "0")),
    )


def _read_skips(kept: str) -> tuple[Skip, ...]:
    rows = (line.split("\t") for line in kept.splitlines())
    return tuple(
        Skip(at_ms=int(at_ms), who=load_json(who), why=load_json(why)) for at_ms, who, why in rows
    )


def read_configs(rows: list[Any]) -> tuple[StoredConfig, ...]:
    """Configs that are there."""
    found = (read_stored_config(row) for row in rows)
    return tuple(config for config in found if config is not None)


def read_task(row: list[Any] | None) -> Task | None:
    """A task from its row; with spec and result where they were asked for."""
    if row is None:
        return None
    key, home, flat, noted, body, result = row
    fields, notes = pairs(flat), pairs(noted)
    status, start = TaskStatus(fields["status"]), fields.get("start_time")
    return Task(
        id=key.decode(),
        status=status,
        home=Home(home.decode()) if home else None,
        worker_id=fields.get("worker_id"),
        scheduled_ms=int(fields["scheduled_time"]),
        start_ms=None if start is None else int(start),
        end_ms=int(fields["since"]) if status.terminal else None,
        attempt=int(fields.get("attempt", "0")),
        retry_count=int(fields.get("retry_count", "0")),
        crash_count=int(fields.get("crash_count", "0")),
        priority=int(fields.get("priority", "5")),
        reason=untext(fields.get("reason") or notes.get("reason", "")),
        error=load_json(notes.get("error", '""')),
        cancel_requested="cancel_requested" in fields,
        progress=load_json(notes.get("progress", "")),
        result=read_result(decode(result)) if result else None,
        spec=readable_spec(decode(body)) if body else None,
        past=read_attempts(notes.get("past", "")),
    )


def read_tasks(rows: list[Any]) -> tuple[Task, ...]:
    """Tasks that are there."""
    return tuple(task for task in map(read_task, rows) if task is not None)


def token_in(row: list[Any]) -> str:
    """The token of a running task's row."""
    fields = pairs(row[2])
    return f"{fields['worker_id']}.{fields['claim']}"


def read_event(line: bytes) -> Event:
    """An entry of the log."""
    cursor, kind, at_ms, items, by = decode(line).split("\t", 4)
    return Event(
        cursor=cursor,
        kind=EventKind(kind),
        at_ms=int(at_ms),
        by=by,
        items=tuple(loads(expand(items))),
    )
