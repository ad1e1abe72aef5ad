"""Commands that write what is moved here, as the scripts would have left it."""

from collections.abc import Iterator, Sequence

import attrs

from dsched.contracts.store.codec import (
    write_config,
    write_decision,
    write_result,
    write_spec,
    write_spec_around_revision,
)
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.documents import document_text
from dsched.contracts.store.history import History
from dsched.contracts.store.moving import MOVED_CLAIM, MovedDocument, MovedTask, line_counts
from dsched.contracts.store.operating import Term
from dsched.contracts.store.runs import write_line
from dsched.contracts.store.statistics import Rollup
from dsched.contracts.store.tasklogs import TaskLine, line_size
from dsched.model import (
    API_ORIGIN,
    Decision,
    Home,
    Limit,
    MemberStep,
    Task,
    TaskSpec,
    TaskStatus,
    config_of,
    run_of,
    write_attempt,
)
from dsched.model.ids import fire_instant_of
from dsched.model.json import dumps
from dsched.model.limits import own_limit
from dsched_store_redis.configs import config_fields, route, span_ms
from dsched_store_redis.limits import record_text
from dsched_store_redis.wire import number, text

Command = tuple[str | int, ...]

GUARD = "-" * 65  # the scripts' member of task:lease that is no task
SHORT = 60
_USUAL_PRIORITY = 5


def limit_commands(one: Limit) -> Iterator[Command]:
    """A limit."""
    yield ("HSET", "limit:detail", one.id, record_text(one))
    yield ("ZADD", "limit:index", 0, one.id)


def config_commands(one: StoredConfig) -> Iterator[Command]:
    """A config, its indexes and its due."""
    config, paused = one.config, one.paused
    key = f"config:detail:{config.id}"
    fields = dict(config_fields(config, config.spec))
    enabled, delay = fields.pop("enabled", None), fields.get("delay")
    head: list[str | int] = ["revision", config.revision, "updated", config.updated_ms]
    head += ["created", config.created_ms]
    if one.last_fired_ms is not None:
        head += ["last_fired", one.last_fired_ms]
    if paused is not None:
        head += ["paused", paused.since_ms, "gap", paused.gap_from_ms]
        head += ["who", text(paused.who), "why", text(paused.why)]
    counted = one.counted
    if counted.failures:
        head += ["fails", counted.failures, "failed", text(counted.last)]
    if counted.runs:
        head += ["fires", counted.runs]
    if one.skips:
        rows = (f"{skip.at_ms}\t{text(skip.who)}\t{text(skip.why)}\n" for skip in one.skips)
        head += ["skips", "".join(rows)]
    yield ("HSET", key, *head, *(part for pair in fields.items() for part in pair))
    before, after = write_spec_around_revision(config.spec)
    yield ("SET", f"config:body:{config.id}", write_config(config))
    yield ("SET", f"config:spec:{config.id}", f"{before}{config.revision}{after}")
    yield ("ZADD", "config:index", 0, config.id)
    due_ms = one.due_ms if paused is None else paused.until_ms
    if due_ms is not None:
        yield ("ZADD", "config:due", due_ms, config.id)
    if delay is not None and enabled is not None:
        yield ("HSET", "config:delay", config.id, delay)
    if config.pause_after_failures is not None:
        yield ("HSET", "config:counted", config.id, config.pause_after_failures)
    if config.origin != API_ORIGIN:
        yield ("ZADD", "config:origin", 0, f"{config.origin}\t{config.id}")
    if config.max_running is not None:
        yield ("HSET", "limit:detail", own_limit(config.id), config.max_running)


def task_commands(
    moved: MovedTask, *, now_ms: int, wall_ms: int, keep_ms: int
) -> Iterator[Command]:
    """A task where it waits, or with how it ended; ``keep_ms`` of those that ended this way."""
    task = moved.task
    if task.spec is None:
        raise ValueError(f"task {task.id} is moved without its snapshot")
    notes = _notes(task)
    row = _row(task, noted=bool(notes), logged=bool(moved.lines))
    left_ms = None
    yield from _run_commands(moved)
    if task.end_ms is not None and run_of(task.id) is not None:  # a member goes with its run
        result = "" if task.result is None else write_result(task.result)
        yield ("SET", f"task:detail:{task.id}", f"{row}\n{result}\n{write_spec(task.spec)}")
        yield ("ZADD", f"finished:status:{task.status.value}", task.end_ms, task.id)
    elif task.end_ms is not None:
        left_ms = max(1, task.end_ms + keep_ms - wall_ms)
        result = "" if task.result is None else write_result(task.result)
        ended = f"{row}\n{result}\n{write_spec(task.spec)}"
        if task.spec.workflow is not None:  # others may need it for longer: `prune` removes it
            yield ("SET", f"task:detail:{task.id}", ended)
            left_ms = None
        else:
            yield ("SET", f"task:detail:{task.id}", ended, "PX", left_ms)
        yield from _end_commands(task)
    else:
        yield ("SET", f"task:detail:{task.id}", row)
        yield ("SET", f"task:body:{task.id}", write_spec(task.spec))
        yield from _live_commands(moved, task.spec, now_ms)
    if notes:
        yield ("HSET", f"task:note:{task.id}", *(part for pair in notes.items() for part in pair))
        yield from _expiring(f"task:note:{task.id}", left_ms)
    if moved.lines:
        yield from _line_commands(task.id, moved.lines, left_ms)


def _run_commands(moved: MovedTask) -> Iterator[Command]:
    """The member log of a run, and what is known of it."""
    task, lines = moved.task, moved.members
    if task.spec is None or task.spec.workflow is None:
        return
    born = sum(line.what is MemberStep.BORN for line in lines)
    living = born - sum(line.what is MemberStep.ENDED for line in lines)
    yield ("HSETNX", "run:living", task.id, living)
    if task.spec.resumes is not None and task.spec.resumes.sources:
        yield ("HSET", "run:sources", task.id, " ".join(task.spec.resumes.sources))
    for start in range(0, len(lines), 500):
        some = map(write_line, lines[start : start + 500])
        yield ("RPUSH", f"run:log:{task.id}", *some)
    skipped = [line.name for line in lines if line.what is MemberStep.SKIPPED]
    skipped += [f"w {line.name}" for line in lines if line.what is MemberStep.WORKERS]
    if skipped and task.end_ms is None:
        yield ("SADD", f"run:skipped:{task.id}", *skipped)


def _notes(task: Task) -> dict[str, str]:
    notes = {}
    if task.error:
        notes["error"] = text(task.error)
    if task.progress is not None:
        notes["progress"] = dumps(task.progress)
    if len(_plain(task.reason)) > SHORT:
        notes["reason"] = _plain(task.reason)
    if task.past:
        notes["past"] = "\n".join(map(write_attempt, task.past))
    return notes


def _plain(reason: str) -> str:
    """A text as rows have it: without quotes where nothing is escaped."""
    written = text(reason)
    return written if "\\" in written else written[1:-1]


def _row(task: Task, *, noted: bool, logged: bool) -> str:
    reason = _plain(task.reason)
    rare: tuple[str, ...] = (
        number(task.retry_count or None),
        number(task.crash_count or None),
        number(None if task.priority == _USUAL_PRIORITY else task.priority),
        reason if len(reason) <= SHORT else "",
        "1" if noted else "",
        "1" if logged else "",
        "",  # accepted_by: no claim is moved
        "1" if task.cancel_requested else "",
        "",
    )
    if task.spec is not None and task.spec.workflow is not None:
        rare = (*rare, "1")
    fields = (
        task.status.value,
        str(task.scheduled_ms),
        number(task.end_ms),
        number(task.start_ms),
        number(task.attempt or None),
        task.worker_id or "",
        MOVED_CLAIM if task.home is Home.LEASE else "",
        *(rare if any(rare) else ()),
    )
    return "\t".join(fields)


def _end_commands(task: Task) -> Iterator[Command]:
    end_ms, config_id = task.end_ms or 0, config_of(task.id)
    yield ("RPUSH", f"task:ended:{task.status.value}", task.id)
    yield ("ZADD", f"finished:status:{task.status.value}", end_ms, task.id)
    if config_id is not None:
        yield ("ZADD", f"finished:config:{config_id}", end_ms, task.id)


def _live_commands(moved: MovedTask, spec: TaskSpec, now_ms: int) -> Iterator[Command]:
    task = moved.task
    match task.home:
        case Home.READY:
            score = (9 - task.priority) * 10**13 + task.scheduled_ms
            yield ("ZADD", "task:ready", score, task.id)
        case Home.DELAYED:
            yield ("ZADD", "task:delayed", now_ms + moved.wait_ms, task.id)
        case Home.HELD:
            yield ("ZADD", "task:held", 0, task.id)
        case Home.OPEN:
            yield ("ZADD", "run:open", now_ms + moved.wait_ms, task.id)
        case Home.LEASE:
            yield ("ZADD", "task:lease", "+inf", GUARD, 0, task.id)
            yield ("SADD", f"worker:leases:{task.worker_id}", task.id)
            for name in spec.limits:
                yield ("HINCRBY", "limit:held", name, 1)
                yield ("ZADD", "limit:names", 0, name)
        case _:
            raise ValueError(f"task {task.id} is moved from {task.home}")
    config_id = config_of(task.id)
    if config_id is not None and fire_instant_of(task.id) is not None:
        yield ("ZADD", f"task:live:{config_id}", task.fire_ms or 0, task.id)
    if spec.start_deadline is not None and not task.attempt and spec.workflow is None:
        latest_ms = task.scheduled_ms + span_ms(spec.start_deadline)
        yield ("HSET", "task:deadline", task.id, latest_ms)
    if route(spec):
        yield ("HSET", "task:route", task.id, route(spec))
    if spec.limits:
        yield ("HSET", "meta", "limited", "1")


def _line_commands(
    task_id: str, lines: Sequence[TaskLine], left_ms: int | None
) -> Iterator[Command]:
    key, counts_key = f"task:lines:{task_id}", f"task:linecount:{task_id}"
    flat: list[str | int] = []
    for one in lines:
        size, kept = line_size(one.text), text(one.text)
        flat += [one.n, f"{one.n}\t{one.attempt}\t{one.at_ms}\t{size}\t{one.level.value}\t{kept}"]
    yield ("ZADD", key, *flat)
    counts = attrs.asdict(line_counts(lines))
    yield ("HSET", counts_key, *(part for name, n in counts.items() for part in (name, int(n))))
    yield from _expiring(key, left_ms)
    yield from _expiring(counts_key, left_ms)


def _expiring(key: str, left_ms: int | None) -> Iterator[Command]:
    if left_ms is not None:
        yield ("PEXPIRE", key, left_ms)


def decision_commands(one: Decision) -> Iterator[Command]:
    """A decision, and what became of it."""
    record = attrs.evolve(one, worker_id=None, worker_why=None, ended="", missed_at_ms=None)
    key = f"{one.verdict.value}\t{one.reason}"
    suffix = f"{one.first_ms}\t{key}"
    yield ("ZADD", f"decision:{one.config_id}", one.first_ms, f"{key}\t{write_decision(record)}")
    yield ("ZADD", "decision:index", one.at_ms, f"{one.config_id}\t{suffix}")
    fate: list[str | int] = []
    if one.worker_id is not None:
        fate += [f"w{suffix}", dumps([one.worker_id, one.worker_why or ""])]
    if one.ended:
        fate += [f"e{suffix}", text(one.ended)]
    if one.missed_at_ms is not None:
        fate += [f"m{suffix}", one.missed_at_ms]
    if fate:
        yield ("HSET", f"decision:fate:{one.config_id}", *fate)


def rollup_commands(one: Rollup, *, wall_ms: int, kept_ms: int) -> Iterator[Command]:
    """The totals of an hour."""
    key = f"stats:{one.config_id}:{one.hour_ms}"
    totals = {**one.adds, **one.tops}
    if totals:
        yield ("HSET", key, *(part for pair in totals.items() for part in pair))
        yield ("PEXPIRE", key, max(1, one.hour_ms + kept_ms + 3_600_000 - wall_ms))


def document_commands(one: MovedDocument, now_ms: int) -> Iterator[Command]:
    """A document; one that has a time to live goes with it."""
    key = f"document:{one.kind}:{one.id}"
    expires = "" if one.ttl_ms is None else str(now_ms + one.ttl_ms)
    yield ("SET", key, f"{one.version} {expires} {document_text(one.value)}")
    yield ("ZADD", f"documents:{one.kind}", 0, one.id)
    if one.ttl_ms is not None:
        yield ("PEXPIRE", key, one.ttl_ms)
        yield ("ZADD", "document:expiry", expires, f"{one.kind} {one.id}")


def term_command(one: Term) -> Command:
    """A term; the newest comes first, and stays first."""
    fields = (one.epoch, one.began_ms, number(one.ended_ms), one.how, text(one.who), text(one.why))
    return ("RPUSH", "schedule:terms", "\t".join([*map(str, fields), one.pod]))


def head_commands(head: History) -> Iterator[Command]:
    """The history."""
    breaks = (
        "\t".join(
            (
                *(str(one.generation), str(one.at_ms), number(one.from_ms), one.loss.value),
                *(one.lost, text(one.by), text(one.why)),
            )
        )
        for one in head.breaks
    )
    yield ("SET", "schedule:epoch", head.epoch)
    yield ("HSET", "meta", "identity", head.identity, "generation", head.generation)
    yield ("HSET", "meta", "revision", head.revision, "breaks", "\n".join(breaks))


@attrs.define
class Held:
    """Tasks that are held, by config, leases by worker, and sources of runs: known as a whole at
    the end only."""

    by_config: dict[str, list[tuple[int, str]]] = attrs.field(factory=dict)
    running: dict[str, int] = attrs.field(factory=dict)
    followers: dict[str, list[str]] = attrs.field(factory=dict)
    retrying: int = 0

    def saw(self, task: Task) -> None:
        """Count a task that was moved."""
        resumes = None if task.spec is None else task.spec.resumes
        for source in () if resumes is None else resumes.sources:
            self.followers.setdefault(source, []).append(task.id)
        config_id = config_of(task.id)
        if task.home is Home.HELD and config_id is not None:
            self.by_config.setdefault(config_id, []).append((task.fire_ms or 0, task.id))
        if task.home is Home.LEASE and task.worker_id is not None:
            self.running[task.worker_id] = self.running.get(task.worker_id, 0) + 1
        self.retrying += task.status is TaskStatus.RETRYING

    def commands(self) -> Iterator[Command]:
        """What is written once all tasks are there."""
        for config_id, found in self.by_config.items():
            first, *others = [task_id for _, task_id in sorted(found)]
            yield ("HSET", "config:held", config_id, first)
            if others:
                yield ("HSET", "config:line", config_id, "\n".join(others))
        for source, followers in self.followers.items():
            yield ("HSET", "run:followers", source, " ".join(followers))
        for worker_id, count in self.running.items():
            yield ("HSET", "worker:load", f"r:{worker_id}", count)
        yield ("HSET", "meta", "retrying", self.retrying)
