"""Rows from what is moved here."""

from collections.abc import Sequence

import attrs

from dsched.contracts.store.codec import write_config, write_decision, write_result, write_spec
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.documents import document_text
from dsched.contracts.store.events import Event
from dsched.contracts.store.history import History
from dsched.contracts.store.moving import MOVED_CLAIM, MovedDocument, MovedTask, Part, line_counts
from dsched.contracts.store.operating import Term
from dsched.contracts.store.runs import write_line
from dsched.contracts.store.tasklogs import TaskLine, line_size
from dsched.model import (
    Decision,
    Home,
    Limit,
    Task,
    TaskSpec,
    TaskStatus,
    config_of,
    fire_instant_of,
    run_of,
    write_attempt,
)
from dsched.model.json import dumps
from dsched.model.limits import own_limit
from dsched_store_sqlite.attempts import PUT_PAST
from dsched_store_sqlite.collecting import cursor_text, listed_under
from dsched_store_sqlite.documents import PUT as PUT_DOCUMENT
from dsched_store_sqlite.facts import PUT_STAT
from dsched_store_sqlite.history import PUT_BREAK
from dsched_store_sqlite.limits import write_limit
from dsched_store_sqlite.needs import limits_of, needs_of
from dsched_store_sqlite.rows import (
    INSERT_TASK,
    PUT_CONFIG,
    PUT_COUNTED,
    ConfigRow,
    TaskRow,
    config_values,
    counted_values,
    new_task,
    new_values,
)
from dsched_store_sqlite.sources import put_sources, sources_of
from dsched_store_sqlite.step import Step, start_deadline_ms
from dsched_store_sqlite.tasklogs import PUT_COUNTS, PUT_LINE

_COUNTS = {
    "configs": "SELECT count(*) FROM config",
    **{
        f"in_{home.value}": f"SELECT count(*) FROM task WHERE home = '{home.value}'"  # noqa: S608
        for home in Home
        if home is not Home.OPEN
    },
    "retrying": "SELECT count(*) FROM task WHERE status = 'retrying'",
    **{
        f"ended_{status}": f"SELECT count(*) FROM finished WHERE status = '{status}'"  # noqa: S608
        for status in ("success", "failed", "cancelled")
    },
    **{
        f"kept_{status}": "SELECT count(*) FROM task WHERE end_ms IS NOT NULL "  # noqa: S608
        f"AND status = '{status}'"
        for status in ("success", "failed", "cancelled")
    },
    "log_size": "SELECT count(*) FROM event",
}
_LIVING = (
    "INSERT INTO living SELECT live_of, count(*), "
    "(SELECT held.id FROM task AS held WHERE held.live_of = task.live_of AND held.home = 'held' "
    "ORDER BY held.scheduled_ms, held.id LIMIT 1) "
    "FROM task WHERE live_of IS NOT NULL GROUP BY live_of"
)
_LOADS = (
    "INSERT INTO load SELECT worker_id, count(*), 0 FROM task "
    "WHERE home = 'lease' AND worker_id IS NOT NULL GROUP BY worker_id"
)
_OPEN_RUNS = "UPDATE run_count SET open = (SELECT count(*) FROM task WHERE home = 'open')"
_DECIDED = "INSERT INTO decided SELECT config_id, count(*) FROM decision GROUP BY config_id"
_PUT_DECISION = "INSERT OR REPLACE INTO decision VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def fill(step: Step, part: Part) -> None:
    """Write a part."""
    db, now_ms = step.db, step.now_ms
    for limit in part.limits:
        write_limit(db, limit)
    db.executemany(PUT_CONFIG, map(_config, part.configs))
    for config in (one.config for one in part.configs):
        if config.max_running is not None:
            write_limit(db, Limit(id=own_limit(config.id), max_running=config.max_running))
    counted = (counted_values(one.config, one.counted) for one in part.configs)
    db.executemany(PUT_COUNTED, [values for values in counted if values is not None])
    for moved in part.tasks:
        _put_task(step, moved)
    db.executemany(_PUT_DECISION, map(_decision, part.decisions))
    db.executemany(
        PUT_STAT,
        [
            (one.config_id, one.hour_ms, dumps(dict(one.adds)), dumps(dict(one.tops)))
            for one in part.rollups
        ],
    )
    db.executemany(PUT_DOCUMENT, [_document(one, now_ms) for one in part.documents])
    db.executemany("INSERT INTO term VALUES (?, ?, ?, ?, ?, ?, ?)", map(_term, part.terms))
    _put_events(step, part.events, collected=part.collected)
    step.places.flush()


def finish(step: Step, head: History) -> None:
    """Count what is there, and take the history."""
    db, meta = step.db, step.meta
    for statement in (_LIVING, _LOADS, _DECIDED):
        db.execute(statement)
    db.execute(_OPEN_RUNS)
    for name, statement in _COUNTS.items():
        setattr(meta, name, db.execute(statement).fetchone()[0])
    meta.epoch = max(meta.epoch, head.epoch)
    meta.last_revision = max(meta.last_revision, head.revision)
    db.execute(
        "UPDATE history SET identity = ?, generation = ? WHERE one = 1",
        (head.identity, head.generation),
    )
    for one in head.breaks:
        row = (one.generation, one.at_ms, one.from_ms, one.loss.value, one.lost, one.by, one.why)
        db.execute(PUT_BREAK, row)


def _config(one: StoredConfig) -> tuple[object, ...]:
    config, paused = one.config, one.paused
    row = ConfigRow(
        id=config.id,
        content=write_config(config),
        origin=config.origin,
        revision=config.revision,
        created_ms=config.created_ms,
        updated_ms=config.updated_ms,
        due_ms=one.due_ms,
        last_fired_ms=one.last_fired_ms,
    )
    if paused is not None:
        row.paused_who, row.paused_why = paused.who, paused.why
        row.paused_since_ms, row.paused_gap_ms = paused.since_ms, paused.gap_from_ms
        row.due_ms = paused.until_ms
    row.keep_skips(one.skips)
    return config_values(row)


def _put_task(step: Step, moved: MovedTask) -> None:
    task = moved.task
    spec = task.spec
    if spec is None:
        raise ValueError(f"task {task.id} is moved without its snapshot")
    row = _task_row(task, spec)
    if task.home in (Home.DELAYED, Home.OPEN):
        row.at_ms = step.now_ms + moved.wait_ms
    if run_of(task.id) is not None and task.end_ms is not None:
        row.at_ms, row.end_ms = task.end_ms, None  # a member goes with its run
    seq = step.db.execute(INSERT_TASK, (None, *new_values(row)[1:])).lastrowid
    result = None if task.result is None else write_result(task.result)
    step.db.execute("INSERT INTO body VALUES (?, ?, ?)", (seq, write_spec(spec), result))
    if task.end_ms is not None:
        step.db.execute(
            "INSERT OR IGNORE INTO finished VALUES (?, ?, ?, ?)",
            (task.id, task.end_ms, task.status.value, listed_under(task.id)),
        )
    if task.past:
        lines = "\n".join(map(write_attempt, task.past))
        step.db.execute(PUT_PAST, (seq, lines))
    if task.home is Home.LEASE:
        step.places.hold(limits_of(row.needs), 1)
    if moved.lines and seq is not None:
        _put_lines(step, seq, moved.lines)
    put_sources(step, task.id, sources_of(spec))
    step.db.executemany(
        "INSERT INTO member_line VALUES (?, ?, ?, ?, ?)",
        [
            (seq, n, one.what.value, one.name, write_line(one))
            for n, one in enumerate(moved.members, 1)
        ],
    )


def _task_row(task: Task, spec: TaskSpec) -> TaskRow:
    row = new_task(
        task.id,
        scheduled_ms=task.scheduled_ms,
        rank=9 - task.priority,
        deadline_ms=start_deadline_ms(spec),
        needs=needs_of(spec),
    )
    if fire_instant_of(task.id) is not None and not task.status.terminal:
        row.live_of = config_of(task.id) or ""
    row.status, row.home, row.worker_id = TaskStatus(task.status), task.home, task.worker_id
    if task.home is Home.LEASE:
        row.token = f"{task.worker_id}.{MOVED_CLAIM}"
    row.start_ms, row.end_ms, row.attempt = task.start_ms, task.end_ms, task.attempt
    row.retry_count, row.crash_count = task.retry_count, task.crash_count
    row.reason, row.error = task.reason, task.error
    row.cancel_requested = int(task.cancel_requested)
    row.progress = None if task.progress is None else dumps(task.progress)
    return row


def _put_lines(step: Step, seq: int, lines: Sequence[TaskLine]) -> None:
    step.db.executemany(
        PUT_LINE,
        [
            (seq, one.n, one.attempt, one.at_ms, one.level.value, line_size(one.text), one.text)
            for one in lines
        ],
    )
    counts = line_counts(lines)
    step.db.execute(PUT_COUNTS, (seq, *map(int, attrs.astuple(counts))))


def _decision(one: Decision) -> tuple[object, ...]:
    record = attrs.evolve(one, worker_id=None, worker_why=None, ended="", missed_at_ms=None)
    return (
        *(one.config_id, one.first_ms, one.verdict.value, one.reason, one.at_ms),
        *(write_decision(record), one.worker_id, one.worker_why, one.ended, one.missed_at_ms),
    )


def _document(one: MovedDocument, now_ms: int) -> tuple[object, ...]:
    expires_ms = None if one.ttl_ms is None else now_ms + one.ttl_ms
    return (one.kind, one.id, one.version, expires_ms, document_text(one.value))


def _term(one: Term) -> tuple[object, ...]:
    return (one.epoch, one.pod, one.began_ms, one.ended_ms, one.how, one.who, one.why)


def _put_events(step: Step, events: Sequence[Event], *, collected: bool) -> None:
    for one in events:
        step.meta.last_cursor += 1
        row = (step.meta.last_cursor, one.kind.value, one.at_ms, one.by, dumps(list(one.items)))
        step.db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?)", row)
        if collected:
            step.meta.collected = cursor_text(step.meta.last_cursor)
