"""Configs: put, list, delete, pause, resume."""

from collections.abc import Callable, Sequence

import attrs

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.checks import check_batch, check_limit
from dsched.contracts.store.codec import write_config
from dsched.contracts.store.configs import (
    ConfigPage,
    Configs,
    ConfigVersion,
    PutAnswer,
    PutConfig,
    Rearm,
    StoredConfig,
)
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.operating import Skip
from dsched.contracts.store.outcomes import Outcome
from dsched.model import NOTHING_COUNTED, SkippedRange, SkipReason, pause_due
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.limits import bound_config
from dsched_store_sqlite.rows import CONFIG, ConfigRow
from dsched_store_sqlite.step import Item, Step

LIST_CONFIGS = f"SELECT {CONFIG} FROM config WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"  # noqa: S608
LIST_ORIGIN = (
    f"SELECT {CONFIG} FROM config WHERE origin = ? AND id >= ? AND id < ? "  # noqa: S608
    "ORDER BY id LIMIT ?"
)
# Before and behind every character that an id may have.
_FIRST, _LAST = " ", "\x7f"


class SqliteConfigs(OnSqlite, Configs):
    """Configs."""

    async def put(self, items: Sequence[PutConfig], *, by: str) -> tuple[PutAnswer, ...]:
        """Create or change configs."""
        check_batch([item.config.id for item in items], MAX_HEAVY_BATCH)
        texts = [write_config(item.config) for item in items]
        return await self._step(
            lambda step: tuple(
                _put(step, item, text, by) for item, text in zip(items, texts, strict=True)
            )
        )

    async def get_configs(self, config_ids: Sequence[str]) -> tuple[StoredConfig | None, ...]:
        """Configs by id."""
        check_batch(config_ids)

        def run(step: Step) -> tuple[StoredConfig | None, ...]:
            rows = [step.config(config_id) for config_id in config_ids]
            return tuple(None if row is None else row.view() for row in rows)

        return await self._step(run)

    async def list_configs(
        self, cursor: str | None, limit: int, *, origin: str | None = None, prefix: str = ""
    ) -> ConfigPage:
        """Configs by ascending id."""
        check_limit(limit)
        start = prefix if cursor is None else max(prefix, cursor + _FIRST)
        page = (start, prefix + _LAST, limit + 1)

        def run(step: Step) -> ConfigPage:
            if origin is None:
                found = step.db.execute(LIST_CONFIGS, page).fetchall()
            else:
                found = step.db.execute(LIST_ORIGIN, (origin, *page)).fetchall()
            rows = [ConfigRow(*columns) for columns in found[:limit]]
            return ConfigPage(
                configs=tuple(row.view() for row in rows),
                cursor=rows[-1].id if len(found) > limit else None,
            )

        return await self._step(run)

    async def delete(self, config_id: str, rearm: Rearm, *, by: str) -> Outcome:
        """Remove a config."""

        def change(step: Step, row: ConfigRow) -> None:
            _note_ranges(step, by, config_id, rearm)
            step.drop_config(config_id)
            if _bounds(row.content):
                bound_config(step, config_id, None)
            note_config(step, row, act="deleted", by=by)

        return await self._change(config_id, rearm, change)

    async def pause(
        self, config_id: str, rearm: Rearm, *, by: str, why: str, until_ms: int | None = None
    ) -> Outcome:
        """Pause a config."""

        def change(step: Step, row: ConfigRow) -> None:
            if not row.paused:
                row.paused_since_ms, row.paused_gap_ms = step.wall_ms, rearm.upto_ms
            row.paused_who, row.paused_why = by, why
            _note_ranges(step, by, row.id, rearm)
            step.set_due(row, until_ms)  # its skips stay: the end of the pause accounts for them
            note_config(step, row, act="paused", by=by, why=why, until_ms=until_ms)

        def already(row: ConfigRow) -> bool:
            return row.paused and row.due_ms == until_ms

        return await self._change(config_id, rearm, change, already=already)

    async def resume(self, config_id: str, rearm: Rearm, *, by: str) -> Outcome:
        """Resume a config."""

        def change(step: Step, row: ConfigRow) -> None:
            row.end_pause()
            step.count(row, NOTHING_COUNTED)
            _rearm(step, row, rearm, by)
            note_config(step, row, act="resumed", by=by)

        return await self._change(config_id, rearm, change, already=lambda row: not row.paused)

    async def _change(
        self,
        config_id: str,
        rearm: Rearm,
        change: Callable[[Step, ConfigRow], None],
        *,
        already: Callable[[ConfigRow], bool] = lambda _: False,
    ) -> Outcome:
        """The common checks in the contract's order, and then the change."""

        def run(step: Step) -> Outcome:
            row = step.config(config_id)
            if row is None:
                return Outcome.UNKNOWN
            if already(row):
                return Outcome.ALREADY
            outcome = _check(step, row, rearm)
            if outcome is Outcome.OK:
                change(step, row)
            return outcome

        return await self._step(run)


def note_skipped(step: Step, by: str, config_id: str, skipped: SkippedRange | None) -> None:
    """Record a range of instants that will not be fired, if there is one."""
    if skipped is None:
        return
    item: Item = {
        "config": config_id,
        "first": skipped.first_ms,
        "last": skipped.last_ms,
        "count": skipped.count,
        "reason": skipped.reason.value,
    }
    for key in ("trigger", "who", "why"):
        if text := getattr(skipped, key):
            item[key] = text
    step.note(EventKind.SKIPPED, by, item)


def _note_ranges(step: Step, by: str, config_id: str, rearm: Rearm) -> None:
    for one in rearm.ranges:
        note_skipped(step, by, config_id, one)


def note_overlap(step: Step, by: str, *, config_id: str, at_ms: int, behind: str) -> None:
    """Record that the overlap policy dropped a run, and the task it may not run beside."""
    item: Item = {
        "config": config_id,
        "first": at_ms,
        "last": at_ms,
        "count": 1,
        "reason": SkipReason.OVERLAP.value,
        "behind": behind,
    }
    step.note(EventKind.SKIPPED, by, item)


def note_left_out(step: Step, by: str, config_id: str, skip: Skip) -> None:
    """Record that an operator asked not to fire an instant."""
    item: Item = {
        "config": config_id,
        "first": skip.at_ms,
        "last": skip.at_ms,
        "count": 1,
        "reason": SkipReason.OPERATOR.value,
        "who": skip.who,
        "why": skip.why,
    }
    step.note(EventKind.SKIPPED, by, item)


def _put(step: Step, item: PutConfig, content: str, by: str) -> PutAnswer:
    config_id = item.config.id
    row = step.config(config_id)
    if row is not None and row.content == content:
        return PutAnswer(outcome=Outcome.DUP, stored=row.view())
    outcome = _check(step, row, item.rearm)
    created_ms = item.config.created_ms or step.wall_ms if row is None else row.created_ms
    if outcome is Outcome.OK and row is None and created_ms > step.wall_ms:
        outcome = Outcome.EARLY
    if outcome is not Outcome.OK:
        return PutAnswer(outcome=outcome, stored=None if row is None else row.view())
    meta = step.meta
    revision = meta.last_revision = max(meta.last_revision + 1, step.now_ms)
    origin = item.config.origin
    fresh = ConfigRow(config_id, content, origin, revision, created_ms, step.wall_ms)
    if row is not None:
        fresh = attrs.evolve(
            row,
            content=content,
            origin=origin,
            revision=revision,
            created_ms=created_ms,
            updated_ms=step.wall_ms,
        )
    if fresh.paused:
        fresh.paused_gap_ms = item.rearm.upto_ms
    step.put_config(fresh)
    if item.config.max_running is not None or (row is not None and _bounds(row.content)):
        bound_config(step, config_id, item.config.max_running)
    counted = NOTHING_COUNTED if row is None else row.counted.after_edit(row.config, fresh.config)
    step.count(fresh, counted)
    _rearm(step, fresh, item.rearm, by)
    note_config(step, fresh, act="put", by=by)
    return PutAnswer(outcome=Outcome.OK, stored=fresh.view())


def _bounds(content: str) -> bool:
    """Whether a config may have a limit of its own; a payload may read alike."""
    return '"max_running":' in content


def _check(step: Step, row: ConfigRow | None, rearm: Rearm) -> Outcome:
    stored = ConfigVersion()
    if row is not None:
        stored = ConfigVersion(
            revision=row.revision,
            due_ms=row.owed_ms,
            last_fired_ms=row.last_fired_ms,
            paused=row.paused,
        )
    if stored != rearm.read:
        return Outcome.MOVED
    return Outcome.EARLY if rearm.latest_ms > step.wall_ms else Outcome.OK


def _rearm(step: Step, row: ConfigRow, rearm: Rearm, by: str) -> None:
    _note_ranges(step, by, row.id, rearm)
    row.forget_skips(rearm.decided_before_ms)
    waits = row.delay_ms is not None and step.living(row.id).live > 0
    # The due of a paused one is when its pause ends by itself.
    step.set_due(row, row.due_ms if row.paused else None if waits else rearm.next_due_ms)


def name_if_counted(step: Step, row: ConfigRow) -> None:
    """Name a config to the leader at once if it has counted enough to pause itself."""
    if row.owed_ms is not None and pause_due(row.config, row.counted) is not None:
        step.park(row, step.wall_ms)


def note_config(
    step: Step,
    row: ConfigRow,
    *,
    act: str,
    by: str,
    who: str = "",
    why: str = "",
    until_ms: int | None = None,
) -> None:
    """Record what was done to a config."""
    event: Item = {"config": row.id, "act": act, "revision": row.revision}
    if who:
        event["who"] = who
    if why:
        event["why"] = why
    if until_ms is not None:
        event["until"] = until_ms
    step.note(EventKind.CONFIG, by, event)
