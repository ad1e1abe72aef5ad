"""Runs of many tasks: what the leader reads of them, and how it advances them."""

from collections.abc import Mapping, Sequence

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.checks import check_limit
from dsched.contracts.store.codec import write_spec
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.runs import (
    MAX_MEMBER_LINES,
    Advance,
    AdvanceAnswer,
    OpenRun,
    RunPage,
    Runs,
    check_advances,
    overlooks_cancel,
    read_line,
)
from dsched.model import Home, MemberLine, MemberStep, TaskStatus, member_id
from dsched.planning.runs import RunEnd
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.rows import NEVER_MS, TASK, TASK_WIDTH, TaskRow
from dsched_store_sqlite.step import Item, Step

NEWS_DUE = (
    f"SELECT {TASK}, body.spec FROM task JOIN body ON body.seq = task.seq "  # noqa: S608
    "WHERE home = 'open' AND at_ms <= ? ORDER BY at_ms, id LIMIT ?"
)
FIRST_NEWS = "SELECT min(at_ms) FROM task WHERE home = 'open' AND at_ms > ?"
VERSION = "SELECT coalesce(max(n), 0) FROM member_line WHERE run = ?"
LINES = "SELECT text FROM member_line WHERE run = ? AND n > ? ORDER BY n LIMIT ?"
LIVING = "SELECT total(what = 'b') - total(what = 'e') FROM member_line WHERE run = ?"
SKIPPED = "SELECT 1 FROM member_line WHERE run = ? AND member = ? AND what = 's'"
TOLD = "SELECT 1 FROM member_line WHERE run = ? AND member = ? AND what = 'w'"


class SqliteRuns(OnSqlite, Runs):
    """The leader's steps on runs."""

    async def open_runs(self, fence: str, known: Mapping[str, int], limit: int) -> RunPage:
        """The runs with news."""
        check_limit(limit)
        if len(known) > MAX_BATCH:
            raise ValueError(f"at most {MAX_BATCH} runs are known in one call")

        def run(step: Step) -> RunPage:
            step.check_fence(fence)
            due = step.db.execute(NEWS_DUE, (step.now_ms, limit + 1)).fetchall()
            found: list[OpenRun] = []
            room = MAX_MEMBER_LINES
            for columns in due[:limit]:
                if room <= 0:
                    break
                row, spec = step.adopt(columns[:TASK_WIDTH]), columns[TASK_WIDTH]
                found.append(
                    _open_one(
                        step,
                        row,
                        spec=None if row.id in known else spec,
                        known=known,
                        room=room,
                    )
                )
                room -= len(found[-1].lines)
            more = len(due) > len(found)
            next_in_ms = 0 if more else news_in_ms(step, after_ms=step.now_ms)
            return RunPage(time=step.time, runs=tuple(found), next_in_ms=next_in_ms, more=more)

        return await self._step(run)

    async def advance(self, fence: str, items: Sequence[Advance]) -> tuple[AdvanceAnswer, ...]:
        """Do what was decided."""
        check_advances(items)
        texts = [[write_spec(birth.spec) for birth in item.births] for item in items]

        def run(step: Step) -> tuple[AdvanceAnswer, ...]:
            step.check_fence(fence)
            step.load([item.run_id for item in items])
            step.load([member_id(item.run_id, one.name) for item in items for one in item.births])
            return tuple(
                _advance(step, fence, item, text) for item, text in zip(items, texts, strict=True)
            )

        return await self._step(run)


def news_in_ms(step: Step, *, after_ms: int = -1) -> int | None:
    """In how many ms the next news is due, None if no run has any."""
    (at_ms,) = step.db.execute(FIRST_NEWS, (after_ms,)).fetchone()
    return None if at_ms is None or at_ms >= NEVER_MS else max(0, at_ms - step.now_ms)


def member_lines(step: Step, row: TaskRow, after: int, limit: int) -> tuple[MemberLine, ...]:
    """The lines of a run after the first ``after``."""
    found = step.db.execute(LINES, (row.seq, after, limit))
    return tuple(read_line(text) for (text,) in found)


def _version_of(step: Step, row: TaskRow) -> int:
    return int(step.db.execute(VERSION, (row.seq,)).fetchone()[0])


def _open_one(
    step: Step, row: TaskRow, *, spec: str | None, known: Mapping[str, int], room: int
) -> OpenRun:
    if row.status is TaskStatus.PENDING:
        row.start_ms = step.wall_ms
        step.place(row, TaskStatus.RUNNING, Home.OPEN, row.at_ms)
    return OpenRun(
        task=row.view(spec=spec),
        version=_version_of(step, row),
        lines=member_lines(step, row, known.get(row.id, 0), room),
        cancel_reason=row.cancel_reason if row.cancel_requested else None,
    )


def _advance(step: Step, fence: str, item: Advance, texts: Sequence[str]) -> AdvanceAnswer:
    row = step.task(item.run_id)
    if row is None or row.home is not Home.OPEN or row.status is not TaskStatus.RUNNING:
        return AdvanceAnswer(outcome=Outcome.STALE)
    version = _version_of(step, row)
    current = version == item.version
    overlooked = row.cancel_requested and overlooks_cancel(item)
    if overlooked or (item.end is not None and version != item.version):
        return AdvanceAnswer(outcome=Outcome.MOVED, version=version)
    if item.end is not None and (item.births or _has_living(step, row)):
        return AdvanceAnswer(outcome=Outcome.CONFLICT, version=version)
    _skip_steps(step, fence, row, item)
    _tell_workers(step, row, item)
    _bear(step, fence, row, item=item, texts=texts)
    if current:
        again_ms = item.again_in_ms
        row.at_ms = NEVER_MS if again_ms is None else step.now_ms + again_ms
        step.changed(row)
    for name in item.cancels:
        member = step.task(member_id(row.id, name))
        if member is not None and not member.status.terminal:
            step.cancel(member, fence, item.cancel_reason)
    if item.end is not None:
        _end_run(step, fence, row, item.end)
    return AdvanceAnswer(outcome=Outcome.OK, version=_version_of(step, row))


def _has_living(step: Step, row: TaskRow) -> bool:
    (living,) = step.db.execute(LIVING, (row.seq,)).fetchone()
    return bool(living > 0)


def _skip_steps(step: Step, fence: str, row: TaskRow, item: Advance) -> None:
    for skip in item.skips:
        if step.db.execute(SKIPPED, (row.seq, skip.step)).fetchone() is not None:
            continue
        line = MemberLine(
            what=MemberStep.SKIPPED,
            name=skip.step,
            at_ms=step.wall_ms,
            status=skip.status,
            reason=skip.reason,
        )
        step.add_line(row, line)
        event: Item = {
            "run": row.id,
            "step": skip.step,
            "status": skip.status.value,
            "reason": skip.reason,
        }
        step.note(EventKind.STEP_SKIPPED, fence, event)


def _tell_workers(step: Step, row: TaskRow, item: Advance) -> None:
    for one in item.workers:
        if step.db.execute(TOLD, (row.seq, one.step)).fetchone() is not None:
            continue
        line = MemberLine(
            what=MemberStep.WORKERS, name=one.step, at_ms=step.wall_ms, workers=one.workers
        )
        step.add_line(row, line)


def _bear(step: Step, fence: str, row: TaskRow, *, item: Advance, texts: Sequence[str]) -> None:
    for birth, text in zip(item.births, texts, strict=True):
        task_id = member_id(row.id, birth.name)
        if step.task(task_id) is not None:
            continue
        step.create(task_id, birth.spec, Home.READY, scheduled_ms=step.wall_ms, spec_text=text)
        line = MemberLine(what=MemberStep.BORN, name=birth.name, at_ms=step.wall_ms)
        step.add_line(row, line)
        step.note(EventKind.BORN, fence, {"task": task_id, "run": row.id})


def _end_run(step: Step, fence: str, row: TaskRow, end: RunEnd) -> None:
    row.reason = end.reason
    event: Item = {
        "task": row.id,
        "status": end.status.value,
        "run": step.wall_ms - (row.start_ms or step.wall_ms),
    }
    step.finish(row, end.status)
    if end.reason:
        event["reason"] = end.reason
    step.note(EventKind.RUN_ENDED, fence, event)
